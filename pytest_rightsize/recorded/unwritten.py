"""Holds answers that have come and are not in the cache's file yet, so that a process that is killed loses none.

They stand in a second file, which is mapped into memory: an answer goes in the moment it comes and waits for no disk
and no thread, and the system keeps the file when the process is gone. The next session takes over what was left behind.
Where the system cannot map files so, what the cache's thread had no time to write is lost with the process.
"""

import contextlib
import json
import mmap
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_rightsize.recorded.json_lines import answer_of, identity_of_line, plain_answer
from pytest_rightsize.recorded.keys import Recorded, as_json
from pytest_rightsize.strict_json import loads

__all__ = ["Unwritten", "take_over"]

_NAME = "unwritten-"
# Hundreds of answers; a disk that is slower than that leaves the rest to memory alone.
_SIZE_BYTES = 4_000_000
# A longer answer would keep others waiting while it is copied.
_LONGEST = 500_000
_END = 0
_JSON = json.JSONEncoder(allow_nan=False, check_circular=False, default=as_json)


class Unwritten:
    """One process's file; not safe for threads. Nobody else takes it over while it is open."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Use `open`."""
        self._path = path
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SIZE_BYTES)
        self._end = 0

    @classmethod
    def open(cls, folder: Path) -> "Unwritten | None":
        """A new file in the folder; None where the system, or its disk, has none to give."""
        if not hasattr(os, "posix_fallocate"):
            return None
        path = folder / f"{_NAME}{secrets.token_hex(8)}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None
        try:
            os.posix_fallocate(descriptor, 0, _SIZE_BYTES)  # memory without room on the disk would end the process
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                return cls(descriptor, path)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
        return None

    def add(self, answer: Recorded) -> None:
        """Hold an answer until `clear`; one that is too long, or no JSON, is left out."""
        if len(answer.reply.text) > _LONGEST:
            return
        try:
            identity = {"content": dict(answer.identity.content), "greedy": answer.identity.greedy}
            line = _JSON.encode(plain_answer(answer, answer.rung) | identity).encode()
        except (ValueError, TypeError, RecursionError):
            return
        record = b"%08x %s\n" % (zlib.crc32(line), line)
        end = self._end + len(record)
        if end < _SIZE_BYTES:
            self._memory[end] = _END  # of what stood here before
            self._memory[self._end : end] = record
            self._end = end

    def clear(self) -> None:
        """All that was added is in the cache's file."""
        self._memory[0] = _END
        self._end = 0

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._memory.close()
        os.close(self._descriptor)


def take_over(folder: Path, write: Callable[[Sequence[Recorded]], object]) -> None:
    """Write the answers of each file whose process is gone, and remove it; what `write` raises goes through."""
    for path in sorted(folder.glob(f"{_NAME}*")):
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            continue
        with open(descriptor, "rb") as file:
            if not _lock(descriptor):
                continue
            write(list(_answers(file.read(_SIZE_BYTES))))
            with contextlib.suppress(OSError):
                path.unlink()


def _answers(content: bytes) -> Iterator[Recorded]:
    """The answers that are whole; what comes after one that is not was never there, or is of an earlier use."""
    for record in content.split(b"\0", 1)[0].split(b"\n"):
        digits, _, line = record.partition(b" ")
        try:
            if int(digits, 16) != zlib.crc32(line):
                return
            plain = loads(line)
            who = identity_of_line(plain)
            yield answer_of(plain, {plain["rung"]: (plain["rung"], who)})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return


def _lock(descriptor: int) -> bool:
    """Hold the file until it is closed or the process ends; False where another holds it."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
