"""A session that is told to end, ends as after Ctrl-C: files are closed, the summary and the reports are written.

CI systems cancel by SIGTERM, a closed terminal sends SIGHUP. Where the session is ending already, a signal lets it end.
A second signal, or a second Ctrl-C, ends the process at once and without a traceback; what has been answered is on disk
by then. A signal that somebody else handles or ignores, as `nohup` does, is left alone.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

import pytest

__all__ = ["Signals", "with_lines"]

_NAMES = ("SIGTERM", "SIGHUP")
# What a shell reports of a process that a signal has ended.
_ENDED_BY = 128


class Signals:
    """The handlers of one session, in the main thread; `before_end` is called before the process ends at once."""

    def __init__(self, before_end: Callable[[], object] = lambda: None) -> None:
        self._before_end = before_end
        self._replaced: dict[int, Any] = {}
        self._is_ending = False
        self._was_told = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Handle the signals that end a process by default."""
        if threading.current_thread() is not threading.main_thread():
            return
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                self._replaced[number] = signal.signal(number, self._end)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Let an interrupt out without frames that have no line, which pytest fails to show: it would end there."""
        try:
            return (yield)
        except KeyboardInterrupt as error:
            raise error.with_traceback(with_lines(error.__traceback__)) from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """The same while tests are collected."""
        try:
            return (yield)
        except KeyboardInterrupt as error:
            raise error.with_traceback(with_lines(error.__traceback__)) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """From here on another Ctrl-C ends at once."""
        self._was_told = True
        self._handle_ctrl_c()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """From here on the session writes what it knows, and a first signal does not keep it from that."""
        self._is_ending = True
        self._handle_ctrl_c()

    def _handle_ctrl_c(self) -> None:
        if threading.current_thread() is not threading.main_thread() or signal.SIGINT in self._replaced:
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._replaced[signal.SIGINT] = signal.signal(signal.SIGINT, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # Python gives it
        if self._was_told:
            self._before_end()
            with suppress(OSError, ValueError):  # a terminal that was closed
                sys.stdout.flush()
            os._exit(_ENDED_BY + number)
        self._was_told = True
        self.pytest_runtest_setup()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Raise what ends the session; again before a test, as Python swallows what is raised within a destructor."""
        if self._was_told and not self._is_ending:
            raise KeyboardInterrupt

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Hand back what was there before."""
        for number, handler in self._replaced.items():
            if signal.getsignal(number) == self._end:
                signal.signal(number, handler)
        self._replaced.clear()


def with_lines(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without frames that have no line.

    Python may call a signal's handler at an instruction that belongs to no line, as on entering some `with` statements.
    """
    entries = []
    while traceback is not None:
        if (traceback.tb_lineno or 0) > 0:  # without a line Python says -1, or None
            entries.append(traceback)
        traceback = traceback.tb_next
    lined: TracebackType | None = None
    for entry in reversed(entries):
        lined = TracebackType(lined, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return lined
