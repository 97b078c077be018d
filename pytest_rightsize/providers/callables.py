"""A rung that is a Python function: `model = "package.module:function"`, called in this process.

In come the prompt, or whatever the function's first parameter asks for by its name; out goes what it returns. What the
function raises is a fault of the rung and no wrong answer, but for a NoAnswerError, by which it says that it has none.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.content_parts import sound_in
from pytest_rightsize.errors import NoAnswerError, RungError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.own_threads import stay_on_this_machine
from pytest_rightsize.providers.specialists import Threads, prompt_text, reply_of
from pytest_rightsize.providers.user_functions import UserFunction
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung

__all__ = ["CallableRung"]

hookimpl = pluggy.HookimplMarker("pytest")

_TIMEOUT_S = 120.0
# What a parameter of this name is given; any other gets the prompt's text.
_BY_NAME: Mapping[str, Callable[[Request, str], object]] = {
    "audio": lambda request, rung: sound_in(request, rung=rung).data,
    "messages": lambda request, _: [dict(message) for message in request.messages],
    "request": lambda request, _: request,
}


class CallableRung:
    """Calls `model` for each request, in `in_flight` threads; an async function runs in an event loop of its own.

    The function takes one argument: the prompt's text, or the list of messages if the parameter is called `messages`,
    the bytes of the sound in the message if it is called `audio`, or the whole Request if it is called `request`. It
    returns a text, or a value that is given to the test as JSON. `version` is part of what its answers are recorded
    under, beside the content of its file; `leaves_machine` says that it asks another machine, so that no private task
    is given to it.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "timeout_s": (int, float),
        "version": str,
        "leaves_machine": bool,
    }
    required: ClassVar[tuple[str, ...]] = ("model",)

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError if `model` does not name a function."""
        self._rung = rung
        self._function = UserFunction(str(rung.model), base_dir=rung.base_dir, where=f"rung {rung.name!r}: model")
        self._timeout_s = float(rung.options.get("timeout_s", _TIMEOUT_S))
        self._threads = Threads(rung)
        self.in_flight = self._threads.count
        self.site = "remote" if self.leaves_machine else "process"

    @property
    def leaves_machine(self) -> bool:
        """Whether the ladder file says that the function asks another machine."""
        return bool(self._rung.options.get("leaves_machine", False))

    def check(self) -> Problem | None:
        """Import the function, as its tests would; it is not called."""
        try:
            self._function.loaded()
        except RungError as error:
            return Problem(
                what=str(error), remedy=f"correct model of {self._rung.name} in the ladder file, or the file"
            )
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """Identify the function by the content of its file and by `version`; what it imports is not looked at."""
        file = self._function.file_hash(sha256)
        version: Json = self._rung.options.get("version")
        return Identity(content={"callable": self._rung.model, "file": file, "version": version})

    def submit(self, request: Request) -> Future[Reply]:
        """Call the function in a thread."""
        return self._threads.submit(self._answer, request)

    def close(self) -> None:
        """End the threads as soon as their calls have ended."""
        self._threads.close()

    def _answer(self, request: Request) -> Reply:
        function = self._function.loaded()
        argument = _argument(function, request, self._rung.name)
        begun = clocks.perf_counter()
        try:
            with nullcontext() if self.leaves_machine else stay_on_this_machine():
                value = function(argument)
                if inspect.isawaitable(value):
                    value = asyncio.run(_awaited(value, self._timeout_s))
        except (NoAnswerError, RungError):
            raise
        except TimeoutError:
            raise RungError(
                f"{self._rung.model} gave no answer within {self._timeout_s:g} s: set timeout_s of {self._rung.name} "
                f"higher, or mend the function",
                reason="timeout",
                alone=True,
            ) from None
        except Exception as error:
            raise RungError(
                f"{self._rung.model} raised {error_words(error)}: mend it, or have it raise "
                f"pytest_rightsize.NoAnswerError where it has no answer",
                reason="crash",
                alone=True,
            ) from None
        return reply_of(value, seconds=clocks.perf_counter() - begun, where=str(self._rung.model))


async def _awaited(value: Any, timeout_s: float) -> object:
    return await asyncio.wait_for(value, timeout_s)


def _argument(function: Callable[[Any], object], request: Request, rung: str) -> object:
    """What the function's first parameter asks for by its name."""
    try:
        name = next(iter(inspect.signature(function).parameters), "")
    except (TypeError, ValueError):  # a builtin tells nothing of its parameters
        name = ""
    return _BY_NAME[name](request, rung) if name in _BY_NAME else prompt_text(request, rung=rung)


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `callable`."""
    return {"callable": CallableRung}
