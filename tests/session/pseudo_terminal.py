"""A terminal for tests: pytest runs at a real pseudo-terminal, and an emulator shows what a person would see.

Each session is a process of its own, forked from one that has everything imported, which is most of what one costs.
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pyte
import pytest

from tests.forked import context

__all__ = ["Seen", "run_pytest"]

_ROWS = 24
# One drawing of the lines of progress.
_DRAWN = re.compile(rb"(?:\x1bD)+\x1b\[\d+A\x1b7\x1b\[J(.*?)\x1b8", re.DOTALL)
_WIPED = b"\x1b[J"


@dataclass
class Seen:
    """What a session sent to its terminal: parts of bytes, each with the number of columns at that time."""

    columns: int
    status: int | None = None
    parts: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def sent(self) -> bytes:
        return b"".join(part for _, part in self.parts)

    @property
    def drawn(self) -> list[list[str]]:
        """The lines of progress, each time they were drawn."""
        plain = (re.sub(rb"\x1b\[[\d;]*[A-Za-z]", b"", match[1]) for match in _DRAWN.finditer(self.sent))
        return [text.decode().split("\r")[1:] for text in plain]

    @property
    def text(self) -> str:
        """What stands on the terminal in the end, with what has scrolled off."""
        return _shown(self.columns, self.parts)

    @property
    def text_without_progress(self) -> str:
        """What would stand there if no progress had ever been drawn."""
        return _shown(
            self.columns, [(columns, _DRAWN.sub(b"", part).replace(_WIPED, b"")) for columns, part in self.parts]
        )


def _shown(columns: int, parts: Sequence[tuple[int, bytes]]) -> str:
    screen = pyte.HistoryScreen(columns, _ROWS, history=10_000, ratio=0.5)
    stream = pyte.ByteStream(screen)
    for width, part in parts:
        if width != screen.columns:
            screen.resize(columns=width)
        stream.feed(part)
    scrolled = ("".join(line[column].data for column in range(screen.columns)) for line in screen.history.top)
    return "\n".join(line.rstrip() for line in (*scrolled, *screen.display)).rstrip()


def run_pytest(
    folder: Path,
    options: Sequence[str],
    *,
    columns: int,
    environment: Mapping[str, str] | None = None,
    resized_to: int | None = None,
) -> Seen:
    """Run pytest at a terminal of so many columns; with `resized_to` it gets others once progress was drawn."""
    ours, its = pty.openpty()
    _resize(its, columns)
    # As at somebody's terminal, and not as pytester and this process have it.
    left_out = ("CI", "COLUMNS", "LINES", "NO_COLOR", "PY_COLORS", "PYTEST_PLUGINS")
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    # Other plugins that are installed are no part of it, and cost more than all the rest.
    variables = inherited | {"TERM": "xterm", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(environment or {})}
    process = context().Process(target=_session, args=(os.ttyname(its), str(folder), [*options], variables))
    process.start()
    seen = Seen(columns=columns)
    sent, width = b"", columns
    read = _reader(ours, is_over=lambda: not process.is_alive())
    while part := read():
        sent += part
        if resized_to is not None and width != resized_to and sent.endswith(b"\x1b8"):
            seen.parts.append((width, sent))
            sent, width = b"", resized_to
            _resize(ours, resized_to)
    seen.parts.append((width, sent))
    process.join()
    seen.status = process.exitcode
    os.close(ours)
    os.close(its)
    return seen


def _session(terminal: str, folder: str, options: list[str], environment: dict[str, str]) -> NoReturn:
    """One session, in a process that has nothing else to do, as if it were started at the terminal."""
    os.setsid()
    opened = os.open(terminal, os.O_RDWR)
    for number in range(3):
        os.dup2(opened, number)
    sys.stdin, sys.stdout = open(0), open(1, "w", buffering=1)  # noqa: SIM115  # they end with the process
    sys.stderr = open(2, "w", buffering=1)  # noqa: SIM115  # so does this
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]  # see above
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(Path(__file__).parents[2]))
    status = pytest.main(["-p", "pytest_rightsize.plugin", "-p", "no:cacheprovider", *options])
    sys.stdout.flush()
    os._exit(int(status))


def _resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))


def _reader(terminal: int, *, is_over: Callable[[], bool]) -> Callable[[], bytes]:
    def read() -> bytes:
        """What was sent since; nothing once the session is over and all of it was read."""
        while True:
            was_over = is_over()
            if select.select([terminal], [], [], 0 if was_over else 0.05)[0]:
                return os.read(terminal, 65536)
            if was_over:
                return b""

    return read
