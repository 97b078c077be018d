"""A provider for hosts in tests: it does to its own process what the prompt says."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

from pytest_rightsize.errors import TooLongError
from pytest_rightsize.meters import Facts, MeterProblem
from pytest_rightsize.records import Identity, Reply, Request, Rung, Tokens

__all__ = ["Joules", "Played", "pytest_rightsize_meters", "pytest_rightsize_providers"]


class Played:
    """Answers in capitals, and to `pid` by the number of its process; `die` ends it, `die once FILE` unless FILE is.

    To `count` it answers by how many of those were in flight at most.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    leaves_machine = False
    site = "process"
    can_be_hosted = True
    in_flight = 4

    def __init__(self, rung: Rung) -> None:
        self.on_note: Callable[[str], object] | None = None
        self._in_flight = self._most = 0

    def check(self) -> None:
        """Nothing is missing."""

    def identity(self, sha256: object) -> Identity:
        """Identify it."""
        return Identity(content={"provider": "played"}, greedy=True)

    def submit(self, request: Request) -> Future[Reply]:
        """Do what the prompt says."""
        word, _, rest = str(request.messages[-1]["content"]).partition(" ")
        future: Future[Reply] = Future()
        once = word == "die" and rest.startswith("once ")
        if once and Path(rest.removeprefix("once ")).exists():
            future.set_result(Reply(text="alive"))
            return future
        if word == "die":
            if once:
                Path(rest.removeprefix("once ")).touch()
            os.write(2, b"played: the end\n")
            os._exit(7)
        if word == "long":
            future.set_exception(TooLongError("it is too long"))
            return future
        if word == "count":
            self._count(future)
            return future
        texts: dict[str, Callable[[], Any]] = {
            "pid": os.getpid,
            "folder": os.getcwd,
            "print": lambda: os.write(1, b"not for the owner\n"),
            "import": lambda: rest in sys.modules,
            "connect": lambda: socket.create_connection((rest, 9), timeout=1),
        }
        if word == "note" and self.on_note is not None:
            self.on_note(rest)
        text = str(texts[word]()) if word in texts else word.upper()
        tokens = Tokens(prompt=3, completion=1, source="counted")
        future.set_result(Reply(text=text, seconds=0.01, tokens=tokens))
        return future

    def _count(self, future: Future[Reply]) -> None:
        """Answer a while later, by how many requests like it were in flight at most."""
        self._in_flight += 1
        self._most = max(self._most, self._in_flight)

        def answer() -> None:
            self._in_flight -= 1
            future.set_result(Reply(text=str(self._most)))

        threading.Timer(0.02, answer).start()

    def close(self) -> None:
        """Nothing is to be freed."""


class Joules:
    """A meter whose counter moves by a joule whenever it is read."""

    options: ClassVar[dict[str, type]] = {}

    def __init__(self, rung: Rung, options: object, site: str) -> None:
        self.site = site

    def check(self) -> MeterProblem | None:
        """It measures what runs in its own process."""
        return None if self.site == "process" else MeterProblem(what=f"it is at {self.site}", remedy="none")

    def counters(self) -> list["Joules"]:
        """Itself."""
        self.facts = Facts(device="joules", boundary="host", meter="joules", exact=True, only_this_process=True)
        self._read = 0
        return [self]

    def read(self) -> float:
        """A joule more each time."""
        self._read += 1
        return float(self._read)

    def others(self) -> None:
        """Nobody else uses it."""


def pytest_rightsize_providers() -> dict[str, Any]:
    """The provider `played`."""
    return {"played": Played}


def pytest_rightsize_meters() -> dict[str, Any]:
    """The meter `joules`."""
    return {"joules": Joules}
