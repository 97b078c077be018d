"""Fingerprints of the models that answered in this session: the hash of a model's file, an endpoint's model and URL.

Fingerprints that the recorder has already are taken over; the others come from the providers, and files are hashed.
"""

from collections.abc import Iterable, Mapping

from pytest_rightsize.bounded_files import file_sha256
from pytest_rightsize.errors import RightsizeError
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.broken_providers import identified
from pytest_rightsize.providers.placement import opens_to_identify
from pytest_rightsize.records import Json

__all__ = ["fingerprints_of"]


def fingerprints_of(
    rungs: Iterable[str], providers: Mapping[str, Provider], *, known: Mapping[str, Json], are_open: bool = False
) -> dict[str, Json]:
    """The fingerprint of each rung, as JSON data; a rung without one is left out.

    So is one that would have to be opened for that, unless all of them `are_open`.
    """
    wanted = [rung for rung in rungs if rung not in known and rung in providers]
    contents = {rung: _content(rung, providers[rung], is_open=are_open) for rung in wanted}
    return {**known, **{rung: content for rung, content in contents.items() if content is not None}}


def _content(rung: str, provider: Provider, *, is_open: bool) -> dict[str, Json] | None:
    if not hasattr(provider, "identity") or (opens_to_identify(provider) and not is_open):
        return None
    try:
        identity = identified(provider, rung, file_sha256)
    except (OSError, RightsizeError):  # a session does not end for a third party's mistake
        return None
    return None if identity is None else dict(identity.content)
