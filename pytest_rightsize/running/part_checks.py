"""Refuses a request whose images or sounds cannot be asked, before any rung is: broken data, or a rung that takes none.

In come the rungs of a session, with what their providers say of themselves, and requests; out comes a RungError that
says what to do, or nothing. What a rung takes and nobody knows is left to its endpoint.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn

from pytest_rightsize.errors import RungError
from pytest_rightsize.images import image_problem
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Json, Request, Rung

__all__ = ["PartChecks"]

__tracebackhide__ = True  # a traceback ends where the test asks

# Data, and files that are read here, come with the request.
_FETCHED = ("http:", "https:", "ftp:", "s3:", "gs:", "//")
_KINDS = {"image_url": "images", "input_audio": "sound"}


class PartChecks:
    """What is known of the rungs; those that are `climbed` are asked the same by each test."""

    def __init__(
        self, providers: Mapping[str, Provider], rungs: Mapping[str, Rung], climbed: Collection[str] = ()
    ) -> None:
        self._providers = providers
        self._rungs = rungs
        self._climbed = climbed

    def check(self, rung: str, request: Request, *, private: bool, offline: bool) -> None:
        """Raise RungError where the request has an image or a sound that this rung is not asked."""
        every = [*_parts(request)]
        if not every:
            return
        parts = [(part, kind) for part in every if (kind := _kind(part)) is not None]
        for part, _ in parts:
            self._check_image(part, rung)
        if (private or offline) and any(map(_names_a_page, every)):
            self._refuse_fetch(rung, private=private)
        for kind in dict.fromkeys(kind for _, kind in parts):
            # Sound goes to the rungs that take it; a ladder of models that see is meant to be one throughout.
            together = self._climbed if kind == "images" and rung in self._climbed else (rung,)
            unable = [name for name in together if self._takes(name, kind) is False]
            if unable:
                self._refuse(rung, kind, unable)

    @staticmethod
    def _check_image(part: Mapping[str, Json], rung: str) -> None:
        """Refuse what is no image."""
        problem = image_problem(part) if part.get("type") == "image_url" else None
        if problem is not None:
            raise RungError(f"rung {rung!r} was not asked: {problem}", reason="unserved", alone=True)

    @staticmethod
    def _refuse_fetch(rung: str, *, private: bool) -> NoReturn:
        why = "a private task" if private else "--rightsize-offline"
        raise RungError(
            f"rung {rung!r} was not asked: its endpoint would fetch an image or a file by a URL, which {why} forbids: "
            f"give the data itself, as image_part(FILE) does",
            reason="private" if private else "offline",
        )

    def _takes(self, rung: str, kind: str) -> bool | None:
        """Whether the rung takes such parts, as the ladder file or its provider says; None where neither does."""
        declared = self._rungs[rung].images if kind == "images" and rung in self._rungs else None
        if declared is not None:
            return declared
        said: bool | None = getattr(self._providers[rung], f"takes_{kind}", None)
        return said

    def _refuse(self, rung: str, kind: str, unable: list[str]) -> NoReturn:
        names = ", ".join(unable)
        others = "takes" if len(unable) == 1 else "take"
        needs = {str(getattr(self._providers[name], f"needs_for_{kind}", "")) for name in unable} - {""}
        mend = f"{' or '.join(sorted(needs))}, or " if needs else ""
        action = f"{mend}run this test on rungs that take {kind} (--rightsize-ladder=NAME,NAME)"
        raise RungError(
            f"rung {rung!r} was not asked: the message has {kind}, and {names} {others} none. "
            f"{action[:1].upper()}{action[1:]}",
            reason="request",
            alone=True,
        )


def _parts(request: Request) -> Iterator[Mapping[str, Json]]:
    """The parts of the messages of a request, texts too."""
    for message in request.messages:
        content = message.get("content")
        yield from (part for part in (content if isinstance(content, list) else ()) if isinstance(part, Mapping))


def _kind(part: Mapping[str, Json]) -> str | None:
    """What a part is, by its type, or by its key as servers have it that need no type; None for anything else."""
    said = part.get("type")
    return next((kind for name, kind in _KINDS.items() if said == name or name in part), None)


def _names_a_page(value: Json, key: str = "") -> bool:
    """Whether a part has a URL, at any depth and whatever its type, that whoever gets it would fetch."""
    if isinstance(value, Mapping):
        return any(_names_a_page(inner, str(name).lower()) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return any(_names_a_page(inner, key) for inner in value)
    held = isinstance(value, str) and key.endswith(("url", "uri"))
    return held and value.strip().lower().startswith(_FETCHED)
