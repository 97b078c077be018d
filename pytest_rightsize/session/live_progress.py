"""Progress of a session while it runs: two lines below pytest's own on a terminal, a plain line now and then elsewhere.

On a terminal the lines are drawn below the cursor, which goes back to where pytest left it; before pytest writes they
are wiped. Nothing is shown with `-q -q`, with `-s`, or where something else writes to the terminal meanwhile.
"""

import os
import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.records import Trial
from pytest_rightsize.reports.progress import RungProgress, progress_lines

__all__ = ["LiveProgress", "Screen", "Tally"]

_REDRAW_S = 0.25
_PLAIN_S = 60.0
_WINDOW_S = 20.0
# Options with which pytest itself writes to the terminal while tests run.
_WRITING_OPTIONS = ("usepdb", "trace", "setupshow", "setuponly", "setupplan")


class Tally:
    """Counts of what has ended on each rung of a session, and how fast."""

    def __init__(
        self,
        rungs: Sequence[str],
        in_flight: Callable[[str], int | None],
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        """`in_flight` tells how many requests wait for a rung's reply, None where that is not known here."""
        self.rungs = {name: RungProgress(name=name) for name in rungs}
        self.current: str | None = None
        self._in_flight = in_flight
        self._clock = clock
        # When a trial ended, and how many completion tokens it brought.
        self._recent: dict[str, deque[tuple[float, int]]] = {name: deque() for name in rungs}

    def plan(self, planned: Mapping[tuple[str, str], int]) -> None:
        """Take over how many trials each rung is to have."""
        for (_, rung), number in planned.items():
            self.rungs[rung].planned += number

    def add(self, trial: Trial) -> None:
        """A trial has ended."""
        rung = self.rungs[trial.key.rung]
        rung.ended += 1
        if trial.outcome == "not_run":
            return
        self.current = rung.name
        energies = [None if answer.energy is None else answer.energy.joules for answer in trial.answers]
        rung.joules = _plus(rung.joules, energies)
        rung.usd = _plus(rung.usd, [answer.cost_usd for answer in trial.answers])
        rung.answers += len(trial.answers)
        tokens = sum(answer.tokens.completion or 0 for answer in trial.answers)
        self._recent[rung.name].append((self._clock(), tokens))

    def lines(self, width: int) -> list[str]:
        """The two lines, as of now."""
        if self.current is not None:
            self._measure(self.rungs[self.current])
        return progress_lines(self.rungs, self.current, width=width)

    def _measure(self, rung: RungProgress) -> None:
        """The speed of the last while."""
        now, recent = self._clock(), self._recent[rung.name]
        while len(recent) > 1 and now - recent[0][0] > _WINDOW_S:
            recent.popleft()
        passed = now - recent[0][0]
        enough = len(recent) > 1 and passed > 0
        rung.trials_per_s = (len(recent) - 1) / passed if enough else None
        tokens = sum(number for _, number in recent) - recent[0][1]
        rung.tokens_per_s = tokens / passed if enough and tokens else None
        rung.in_flight = self._in_flight(rung.name)


def _plus(total: float | None, more: Sequence[float | None]) -> float | None:
    """The sum, or None from the first unknown amount on."""
    known = [amount for amount in more if amount is not None]
    return None if total is None or len(known) < len(more) else total + sum(known)


class Writer(Protocol):
    """pytest's terminal writer, as far as it is needed."""

    hasmarkup: bool
    """Whether it may be more than plain text."""

    @property
    def width_of_current_line(self) -> int:
        """How far the cursor is from the left."""

    def flush(self) -> None:
        """Send what was written to the terminal."""


class Screen:
    """The lines below the cursor of a terminal."""

    def __init__(self, writer: Writer, send: Callable[[str], object]) -> None:
        """`send` writes to the terminal, past whatever pytest has put in the place of the standard output."""
        self._writer = writer
        self._send = send
        self._drawn = False

    def draw(self, lines: Sequence[str]) -> None:
        """Show the lines below the cursor, and put it back."""
        column = self._writer.width_of_current_line
        begin, end = ("\x1b[2m", "\x1b[0m") if self._writer.hasmarkup else ("", "")
        below = "".join(f"\n\r\x1b[2K{begin}{line}{end}" for line in lines)
        back = f"\x1b[{len(lines)}A\r" + (f"\x1b[{column}C" if column else "")
        self._send(f"{below}{back}")
        self._drawn = True

    def wipe(self) -> None:
        """Take the lines away."""
        if self._drawn:
            self._send("\x1b[J")
            self._drawn = False


class LiveProgress:
    """A plugin for the hooks in which pytest writes: the lines are gone whenever it does."""

    def __init__(self, config: pytest.Config, tally: Tally) -> None:
        """Nothing is shown before `begin`."""
        self._tally = tally
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._reporter = reporter
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._screen: Screen | None = None
        self._thread: threading.Thread | None = None
        self._written_at = clocks.monotonic()
        self._shows = reporter is not None and config.get_verbosity() > -2 and not _others_write(config)
        if self._shows and reporter.isatty and os.environ.get("TERM", "dumb") != "dumb":
            # While a test runs, pytest has something else in the place of this file.
            self._terminal = os.dup(sys.stdout.fileno())
            self._screen = Screen(config.get_terminal_writer(), self._send)

    def begin(self) -> None:
        """The plan is known: show how far it is from now on."""
        if self._screen is not None and self._thread is None:
            self._thread = threading.Thread(target=self._redraw, name="rightsize-progress", daemon=True)
            self._thread.start()

    def _send(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode("utf-8", "replace"))
        except OSError:
            self._over.set()

    def _redraw(self) -> None:
        assert self._screen is not None
        while not self._over.wait(_REDRAW_S):
            with self._lock:
                if not self._over.is_set():
                    self._screen.draw(self._tally.lines(shutil.get_terminal_size().columns - 1))

    def _writing(self) -> Generator[None, Any, Any]:
        """What pytest writes stands where it would stand without this."""
        with self._lock:
            if self._screen is not None:
                self._screen.wipe()
            try:
                return (yield)
            finally:
                if self._screen is not None:
                    self._reporter.flush()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, Any, Any]:
        """Pytest may write the test's name."""
        return (yield from self._writing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, Any, Any]:
        """Pytest writes the test's letter."""
        result = yield from self._writing()
        if self._shows and self._screen is None:
            self._write_plain_line()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, Any, Any]:
        """Pytest may write how far it is."""
        return (yield from self._writing())

    def _write_plain_line(self) -> None:
        """Where there is no terminal: a plain line, once in a while."""
        now = clocks.monotonic()
        if now - self._written_at < _PLAIN_S or self._tally.current is None:
            return
        self._written_at = now
        self._reporter.ensure_newline()
        for line in self._tally.lines(1000):
            self._reporter.write_line(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """See `end`."""
        self.end()

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """See `end`."""
        self.end()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """See `end`."""
        self.end()

    def end(self) -> None:
        """Take the lines away for good."""
        with self._lock:
            self._over.set()
            if self._screen is not None:
                self._screen.wipe()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            os.close(self._terminal)
            self._screen = None


def _others_write(config: pytest.Config) -> bool:
    """Whether something else writes to the terminal while tests run."""
    by_option = any(config.getoption(option, False) for option in _WRITING_OPTIONS)
    return by_option or config.getoption("capture") == "no" or bool(config.getoption("log_cli_level", None))
