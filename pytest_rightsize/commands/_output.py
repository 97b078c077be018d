"""The one place where commands print."""

import sys
from collections.abc import Iterable
from typing import TextIO

from pytest_rightsize.escaping import json_escaped, printable

__all__ = ["complain", "say", "write_data"]


def say(text: str = "") -> None:
    """Print lines on stdout, harmless whatever they hold."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print lines on stderr, harmless whatever they hold."""
    _print(text, sys.stderr)


def write_data(lines: Iterable[str]) -> None:
    """Write lines of JSON on stdout: the same data, its control characters escaped as JSON does."""
    sys.stdout.writelines(map(json_escaped, lines))


def _print(text: str, file: TextIO) -> None:
    """What the terminal's encoding does not have is written as an escape."""
    encoding = file.encoding or "utf-8"
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=file)  # this is the place
