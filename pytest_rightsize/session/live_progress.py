"""Progress of a session while it runs: two lines below pytest's own on a terminal, a plain line now and then elsewhere.

On a terminal the lines are drawn below the cursor, which goes back to where pytest left it; before pytest writes they
are wiped. Nothing is shown with `-q -q`, with another `--capture` than `fd`, or where something else writes to the
terminal meanwhile.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.session.tally import Tally
from pytest_rightsize.session.terminal_lines import write_line

__all__ = ["LiveProgress", "Screen"]

_REDRAW_S = 0.25
_PLAIN_S = 60.0
# As pytest itself knows a CI system.
_CI_VARIABLES = ("CI", "BUILD_NUMBER")
# Options with which pytest itself writes to the terminal while tests run.
_WRITING_OPTIONS = ("usepdb", "trace", "setupshow", "setuponly", "setupplan")


class Writer(Protocol):
    """pytest's terminal writer, as far as it is needed."""

    hasmarkup: bool
    """Whether it may be more than plain text."""

    @property
    def width_of_current_line(self) -> int:
        """How much was written since the last end of a line."""

    def flush(self) -> None:
        """Send what was written to the terminal."""


class Screen:
    """The lines below the cursor of a terminal.

    Room is made by moving down as an index does, which keeps the column and scrolls at the bottom; then the terminal
    itself remembers where the cursor was. So it goes back to the right place wherever that is: also in the second row
    of a line that the terminal has broken, or after its size has changed.
    """

    def __init__(self, writer: Writer, send: Callable[[str], object]) -> None:
        """`send` writes to the terminal, past whatever pytest has put in the place of the standard output."""
        self._writer = writer
        self._send = send
        self._drawn = False

    def draw(self, lines: Sequence[str], *, width: int, height: int) -> None:
        """Show the lines below the cursor, and put it back.

        Not where they have no room, and not while the cursor waits at the right edge: there it has no place of its own.
        """
        column = self._writer.width_of_current_line
        if height <= len(lines) + 1 or (column and column % width == 0):
            return
        begin, end = ("\x1b[2m", "\x1b[0m") if self._writer.hasmarkup else ("", "")
        number = len(lines)
        room = "\x1bD" * number + f"\x1b[{number}A"
        below = "".join(f"\x1b[B\r\x1b[2K{begin}{line}{end}" for line in lines)
        # First what an earlier, longer line may have left, then the lines, in one piece.
        self._send(f"{room}\x1b7\x1b[J{below}\x1b8")
        self._drawn = True

    def wipe(self) -> None:
        """Take the lines away."""
        if self._drawn:
            self._send("\x1b[J")
            self._drawn = False


class LiveProgress:
    """A plugin that shows the lines, and whose `hooks` take them away whenever pytest writes."""

    def __init__(self, config: pytest.Config, tally: Tally) -> None:
        """Nothing is shown before `begin`."""
        self._tally = tally
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._reporter = reporter
        self._lock = threading.RLock()
        self._over = threading.Event()
        # While pytest's capturing is suspended, a test or a debugger writes to the terminal itself.
        self._suspended = False
        self._capture: Any = None
        self._screen: Screen | None = None
        self._thread: threading.Thread | None = None
        self._written_at = clocks.monotonic()
        self._shows = reporter is not None and config.get_verbosity() > -2 and not _others_write(config)
        if self._shows and reporter.isatty and _can_draw():
            # While a test runs, pytest has something else in the place of this file.
            self._terminal = os.dup(sys.stdout.fileno())
            self._screen = Screen(config.get_terminal_writer(), self._send)

    def begin(self) -> None:
        """The plan is known: show how far it is from now on."""
        if self._screen is not None and self._thread is None:
            self._capture = self._reporter.config.pluginmanager.get_plugin("capturemanager")
            for name, stand_in in self._stand_ins(self._capture).items():
                setattr(self._capture, name, stand_in)
            self._thread = threading.Thread(target=self._redraw, name="rightsize-progress", daemon=True)
            self._thread.start()

    def _stand_ins(self, capture: Any) -> Mapping[str, Callable[..., object]]:
        """Ways in which pytest's capturing is suspended while a test runs, with the lines away meanwhile.

        `capsys.disabled()` takes the first, a debugger the others.
        """
        disabled, suspend, resume = capture.global_and_fixture_disabled, capture.suspend, capture.resume

        @contextmanager
        def disabled_without_lines() -> Iterator[None]:
            with self.paused(), disabled():
                yield

        def suspend_without_lines(*arguments: Any, **named: Any) -> None:
            with self.paused():
                self._suspended = True
            suspend(*arguments, **named)

        def resume_with_lines() -> None:
            resume()
            self._suspended = False

        return {
            "global_and_fixture_disabled": disabled_without_lines,
            "suspend": suspend_without_lines,
            "resume": resume_with_lines,
        }

    def _send(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode("utf-8", "replace"))
        except OSError:
            self._over.set()

    def _redraw(self) -> None:
        assert self._screen is not None
        while not self._over.wait(_REDRAW_S):
            with self._lock:
                if not self._over.is_set() and not self._suspended:
                    width, height = self._size()
                    self._screen.draw(self._tally.lines(width - 1), width=width, height=height)

    def _size(self) -> tuple[int, int]:
        """Columns and rows of the terminal itself: while a test runs, the standard output is none."""
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:
            size = os.terminal_size((0, 0))
        otherwise = shutil.get_terminal_size()
        return size.columns or otherwise.columns, size.lines or otherwise.lines

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is written meanwhile stands where it would stand without the lines."""
        if self._screen is None:
            yield
            return
        with self._lock:
            self._screen.wipe()
            try:
                yield
            finally:
                self._reporter.flush()

    def hooks(self) -> object:
        """A plugin with the hooks in which pytest writes, as far as they matter here: each is called for each test."""
        if self._screen is not None:
            return _Drawn(self)
        return _Plain(self) if self._shows else object()

    def write_plain_line(self) -> None:
        """Where there is no terminal: a plain line, once in a while."""
        now = clocks.monotonic()
        if now - self._written_at < _PLAIN_S or self._tally.current is None:
            return
        self._written_at = now
        self._reporter.ensure_newline()
        for line in self._tally.lines(1000):
            write_line(self._reporter, line)

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
            for name in self._stand_ins(self._capture):
                del self._capture.__dict__[name]
            self._thread.join()
            self._thread = None
            os.close(self._terminal)
            self._screen = None


class _Drawn:
    """The hooks in which pytest writes, where the lines are drawn."""

    def __init__(self, progress: LiveProgress) -> None:
        self._progress = progress

    def _writing(self) -> Generator[None, Any, Any]:
        """A hook in which pytest writes."""
        with self._progress.paused():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, Any, Any]:
        """Pytest may write the test's name."""
        return (yield from self._writing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, Any, Any]:
        """Pytest writes the test's letter."""
        return (yield from self._writing())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, Any, Any]:
        """Pytest may write how far it is."""
        return (yield from self._writing())


class _Plain:
    """The hook after which a plain line is due, where there is no terminal."""

    def __init__(self, progress: LiveProgress) -> None:
        self._progress = progress

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Pytest has written the test's letter."""
        self._progress.write_plain_line()


def _can_draw() -> bool:
    """Whether the terminal is one on which lines can be drawn again: that of a CI system keeps each for good."""
    return os.environ.get("TERM", "dumb") != "dumb" and not any(os.environ.get(name) for name in _CI_VARIABLES)


def _others_write(config: pytest.Config) -> bool:
    """Whether something else writes to the terminal while tests run."""
    by_option = any(config.getoption(option, False) for option in _WRITING_OPTIONS)
    # With `sys` and `tee-sys` too: then what is below Python, or what it prints, is shown at once.
    return by_option or config.getoption("capture", "no") != "fd" or bool(config.getoption("log_cli_level", None))
