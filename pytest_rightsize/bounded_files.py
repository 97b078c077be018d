"""Reads files that anybody may have written in bounded memory: a line, or a whole file, has a longest size.

Every reader of lines gets them from here. What is longer is an error that names the file and the line; no line that
this program writes is longer.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr

from pytest_rightsize.errors import ConfigError

__all__ = [
    "LARGEST_FILE_BYTES",
    "LARGEST_YAML_BYTES",
    "LONGEST_LINE_BYTES",
    "file_sha256",
    "numbered_lines",
    "regular_file_bytes",
    "whole_text",
]

LONGEST_LINE_BYTES = 128_000_000
"""Of a file of lines. An answer of 32 MB takes three times as much where JSON escapes each of its characters."""
LARGEST_FILE_BYTES = 64_000_000
"""Of a file that is read whole: a ladder, a lock, CSV, a prompt."""
LARGEST_YAML_BYTES = 8_000_000
"""PyYAML takes some hundred times as much memory, and a minute."""


def numbered_lines(file: IO[AnyStr], path: Path) -> Iterator[tuple[int, AnyStr]]:
    """The lines of an open file with their numbers, from 1; raises ConfigError for one that is too long.

    `path` is the file's name in the error. What the file raises goes through: OSError, UnicodeDecodeError.
    """
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        if len(line) > LONGEST_LINE_BYTES:
            raise ConfigError(
                f"{path}:{number} is longer than {LONGEST_LINE_BYTES // 1_000_000} MB, and lines so long are not read: "
                f"give another file, or remove this line"
            )
        yield number, line


def whole_text(path: Path, encoding: str = "utf-8", *, largest_bytes: int = LARGEST_FILE_BYTES) -> str:
    """The text of a file; raises ConfigError for one that is too large, OSError and UnicodeDecodeError."""
    with path.open(encoding=encoding) as file:
        text = file.read(largest_bytes + 1)
    if len(text) > largest_bytes:
        raise ConfigError(
            f"{path} is larger than {largest_bytes // 1_000_000} MB, and is not read whole: give a smaller file, or "
            f"JSON Lines where that is possible"
        )
    return text


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file of any size, in hexadecimal digits; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regular_file_bytes(path: Path, *, largest_bytes: int) -> bytes:
    """The content of a regular file; raises OSError for one that is larger, and for a pipe, a device or a folder.

    A pipe that nobody writes to is not waited for.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        file = open(handle, "rb")  # noqa: SIM115  # closed below
    except OSError:
        os.close(handle)
        raise
    with file:
        data = file.read(largest_bytes + 1)
    if len(data) > largest_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {largest_bytes:,} bytes", str(path))
    return data
