"""The one place where commands print and ask, and where they write the file that --output names."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.escaping import json_escaped, printable
from pytest_rightsize.output_paths import write_whole
from pytest_rightsize.providers.environment import known_secrets

__all__ = ["ask", "complain", "say", "write_data", "write_output"]


def say(text: str = "") -> None:
    """Print lines on stdout, harmless whatever they hold, and without secrets."""
    _print(text, sys.stdout)


def ask(question: str) -> str:
    """One line of the user's; an end of the input counts as an empty line."""
    _print(question, sys.stdout, end="")
    sys.stdout.flush()
    return sys.stdin.readline().rstrip("\n")


def complain(text: str) -> None:
    """Print lines on stderr, harmless whatever they hold."""
    _print(text, sys.stderr)


def write_data(lines: Iterable[str]) -> None:
    """Write lines of JSON on stdout: the same data, its control characters escaped as JSON does."""
    sys.stdout.writelines(map(json_escaped, lines))


def write_output(path: Path, pieces: Iterable[str], *, private: bool = False) -> None:
    """Write the file of --output, whole or not at all; raises ConfigError where it cannot be written."""
    try:
        write_whole(path, pieces, private=private)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}: give another --output") from None


def _print(text: str, file: TextIO, end: str = "\n") -> None:
    """What the terminal's encoding does not have is written as an escape."""
    encoding = file.encoding or "utf-8"
    shown = known_secrets()(printable(text)).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=file, end=end)  # this is the place
