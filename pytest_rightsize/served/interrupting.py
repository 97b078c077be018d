"""Leaves a sync test by a signal: its handler raises `Suspended` out of whatever the main thread waits in.

SIGURG does nothing by default, so that one which comes late harms nobody; Go's runtime chose it for the same reason.
Only the test's own code is interrupted, and code that it calls: never pytest, this package, or an import.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["Interrupting", "may_be_interrupted"]

_SIGNAL = getattr(signal, "SIGURG", None)
# Where pytest, or the start of a first question, calls what the user wrote: by module, the functions.
_BORDERS = {
    "_pytest.python": ("pytest_pyfunc_call", "xunit_setup"),
    "_pytest.fixtures": ("call_fixture_func",),
    "_pytest.unittest": ("runtest", "xunit_setup", "unittest_setup"),
    "pytest_rightsize.running.first_start": ("start",),
}
# What else runs tests; under trio an exception from nowhere is a crash of its loop.
_FAMILY = frozenset({"_pytest", "pluggy", "pytest_rightsize", "pytest_asyncio", "pytest_trio", "trio"})
# What a test calls itself, to call its own code or to send: `pytest.raises(Error, function)`, a method of httpx.
_TRANSPARENT = frozenset(
    {"_pytest.raises", "_pytest.python_api", "_pytest.recwarn", "pytest_rightsize.served.shortcut"}
)
_IMPORTING = "<frozen importlib._bootstrap>"


def may_be_interrupted(frame: FrameType | None, *, in_loop: bool) -> bool:
    """Whether the main thread, at `frame`, runs code of a test that can be ended by an exception now.

    Not within an import or a destructor; where an event loop runs, only while it waits for events.
    """
    if in_loop and (frame is None or frame.f_code.co_name not in ("select", "poll")):
        return False
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == _IMPORTING:
            return False
        module = frame.f_globals.get("__name__") or ""
        is_family = module.partition(".")[0] in _FAMILY or module == "anyio.pytest_plugin"
        if is_family and module not in _TRANSPARENT:
            return frame.f_code.co_name.startswith(_BORDERS.get(module, ()))
        frame = frame.f_back
    return False


class Interrupting:
    """The signal handler of a session. `leave` says whether the test is to be left now, and raises to leave it.

    `why_not` says why tests cannot be left so here, or is None. Made, closed and asked by the main thread; `interrupt`
    may be called from any.
    """

    def __init__(self, leave: Callable[[FrameType | None], None]) -> None:
        self._leave = leave
        self._handler = self._on_signal
        self._previous: Any = None
        self._main = threading.main_thread().ident or 0
        self.why_not = self._install()

    def _install(self) -> str | None:
        if _SIGNAL is None or not hasattr(signal, "pthread_kill"):
            return "this system cannot interrupt a thread"
        if threading.current_thread() is not threading.main_thread():
            return "pytest does not run in the main thread"
        present = signal.getsignal(_SIGNAL)
        if present not in (signal.SIG_DFL, signal.SIG_IGN):
            return "another part of this program handles the signal SIGURG"
        self._previous = signal.signal(_SIGNAL, self._handler)
        return None

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        self._leave(frame)

    def interrupt(self) -> bool:
        """Interrupt the main thread; False where that is not possible (any more)."""
        if self.why_not is not None:
            return False
        assert _SIGNAL is not None
        if signal.getsignal(_SIGNAL) != self._handler:
            self.why_not = "another part of this program has taken the signal SIGURG"
            return False
        signal.pthread_kill(self._main, _SIGNAL)
        return True

    @staticmethod
    def in_loop() -> bool:
        """Whether an event loop runs in this thread."""
        return asyncio._get_running_loop() is not None

    def close(self) -> None:
        """Put back what handled the signal before, unless somebody else handles it now."""
        if _SIGNAL is not None and signal.getsignal(_SIGNAL) == self._handler:
            with contextlib.suppress(ValueError):
                signal.signal(_SIGNAL, self._previous)
