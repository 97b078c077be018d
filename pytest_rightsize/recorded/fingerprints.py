"""Who the rungs of a session were, by their content: the hash of a model's file, an endpoint's model and URL.

What recording has found out already is taken as it is; the rest is asked of the providers, and hashed, once.
"""

from collections.abc import Iterable, Mapping

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers import Provider
from pytest_rightsize.recorded.keys import file_sha256
from pytest_rightsize.records import Json

__all__ = ["fingerprints_of"]


def fingerprints_of(
    rungs: Iterable[str], providers: Mapping[str, Provider], *, known: Mapping[str, Json]
) -> dict[str, Json]:
    """The content of each of the rungs, as JSON data; one that nobody can tell is left out."""
    found = {rung: _content(providers[rung]) for rung in rungs if rung not in known and rung in providers}
    return {**known, **{rung: content for rung, content in found.items() if content is not None}}


def _content(provider: Provider) -> dict[str, Json] | None:
    # A third party's provider may be older than this question.
    told = getattr(provider, "identity", None)
    try:
        identity = None if told is None else told(file_sha256)
    except (OSError, RungError):
        return None
    return None if identity is None else dict(identity.content)
