"""An engine and a meter for replicas in tests: the engine holds what it is asked until a file is there."""

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

from pytest_rightsize.errors import RungError
from pytest_rightsize.meters import Facts, MeterProblem
from pytest_rightsize.providers import Problem
from pytest_rightsize.records import Identity, Reply, Request, Rung, Tokens

__all__ = ["Held", "Steady", "pytest_rightsize_meters"]


class Held:
    """Answers in capitals, once the file `gate` is there; asked to `die`, it ends its process.

    The first that is asked to `break` has no memory left from then on.

    The first request is answered at once, as a meter lets it go alone; so is what begins with `now`.

    Each request is a line of the file `log`: the number of the process. `model` is part of its fingerprint: with
    `model = "by node"` each process is another.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    leaves_machine = False
    site = "process"
    in_flight = 16

    def __init__(self, rung: Rung) -> None:
        self._rung = rung
        self._folder = Path(rung.options.get("folder", "."))
        self._has_answered = self._is_broken = False
        self._answering: list[threading.Thread] = []

    def check(self) -> Problem | None:
        """A folder that is not there is a file that is missing."""
        if self._folder.is_dir():
            return None
        return Problem(what=f"{self._folder} is not there", remedy="make it")

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """The model's name."""
        name = os.getpid() if self._rung.model == "by node" else self._rung.model
        with open(self._folder / "identified", "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        return Identity(content={"provider": "held", "model": name}, greedy=True)

    def submit(self, request: Request) -> Future[Reply]:
        """Note the request, and answer when the gate is open."""
        text = str(request.messages[-1]["content"])
        with open(self._folder / "log", "a", encoding="utf-8") as log:
            log.write(f"{os.getpid()}\n")
        if text.startswith("die"):
            os._exit(7)
        future: Future[Reply] = Future()
        if self._is_broken or (text.startswith("break") and _is_first(self._folder / "broken")):
            self._is_broken = True
            future.set_exception(RungError("no memory is left", reason="memory", permanent=True))
            return future
        is_held = self._has_answered and not text.startswith("now")
        thread = threading.Thread(target=self._answer, args=(text, future, is_held), daemon=True)
        self._answering.append(thread)
        thread.start()
        self._has_answered = True
        return future

    def _answer(self, text: str, future: Future[Reply], is_held: bool) -> None:
        pause = threading.Event()
        while is_held and not (self._folder / "gate").exists():
            if future.cancelled():
                return
            pause.wait(0.01)
        tokens = Tokens(prompt=3, completion=1, source="counted")
        if future.set_running_or_notify_cancel():
            future.set_result(Reply(text=text.upper(), seconds=0.01, tokens=tokens, finish_reason="stop"))

    def close(self) -> None:
        """Wait for what is computed and not cancelled, as an engine that cannot be left in the middle of it."""
        for thread in self._answering:
            thread.join()


def _is_first(file: Path) -> bool:
    """Whether nobody has made the file before."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Steady:
    """A meter whose counter moves by a joule whenever it is read."""

    options: ClassVar[dict[str, type]] = {}

    def __init__(self, rung: Rung, options: object, site: str) -> None:
        self._read = 0.0

    def check(self) -> MeterProblem | None:
        """It works everywhere."""
        return None

    def counters(self) -> list[Any]:
        """Itself."""
        self.facts = Facts(device="steady:process", boundary="host", meter="steady", exact=True, only_this_process=True)
        return [self]

    def read(self) -> float:
        """A joule more each time."""
        self._read += 1.0
        return self._read

    def others(self) -> None:
        """Nobody else uses it."""


def pytest_rightsize_meters() -> dict[str, Any]:
    """The meter `steady`."""
    return {"steady": Steady}
