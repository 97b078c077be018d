"""Fingerprints of the models that answered in this session: the hash of a model's file, an endpoint's model and URL.

Fingerprints that the recorder has already are taken over; the others come from the providers, and files are hashed.
"""

from collections.abc import Iterable, Mapping

from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers import Provider, identity_of
from pytest_rightsize.providers.placement import opens_to_identify
from pytest_rightsize.records import Json

__all__ = ["fingerprints_of"]


def fingerprints_of(
    rungs: Iterable[str], providers: Mapping[str, Provider], *, known: Mapping[str, Json]
) -> dict[str, Json]:
    """The fingerprint of each rung, as JSON data; a rung without one is left out."""
    contents = {rung: _content(providers[rung]) for rung in rungs if rung not in known and rung in providers}
    return {**known, **{rung: content for rung, content in contents.items() if content is not None}}


def _content(provider: Provider) -> dict[str, Json] | None:
    if opens_to_identify(provider):
        return None
    try:
        identity = identity_of(provider, file_sha256)
    except (OSError, RungError):
        return None
    return None if identity is None else dict(identity.content)
