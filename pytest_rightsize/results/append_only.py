"""A text file that is written line by line and loses nothing: lines that a full disk refuses are kept and tried again.

Each line is passed to the system at once, so that a process that is killed loses none; what cannot be written until the
end is saved to another file. A private file is readable by its owner only.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pytest_rightsize import clocks
from pytest_rightsize.output_paths import leads_elsewhere

__all__ = ["DurableFile", "for_the_owner"]

# The wait before the next try after a write that failed.
_RETRY_S = 1.0


def for_the_owner(path: str, flags: int) -> int:
    """An `opener` for `open`: only the owner may read the file, even if it existed before."""
    descriptor = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.chmod(descriptor, 0o600)
    return descriptor


def _lock(file: IO[bytes]) -> None:
    """Hold the file until it is closed, or the process ends; raises BlockingIOError where another holds it."""
    try:
        import fcntl
    except ImportError:  # Windows: two sessions on one file are not kept apart there
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(errno.EAGAIN, "another session is writing it") from None
    except OSError:  # a disk that knows no locks
        return


class DurableFile:
    """The one writer of a file. `on_trouble` is called once when a write fails, and if the rest is saved elsewhere."""

    def __init__(
        self,
        path: Path,
        *,
        private: bool = False,
        on_trouble: Callable[[str], None] = lambda _: None,
        before_emptying: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the file, or take it over and empty it; raises OSError if that fails, or another process writes it.

        `before_emptying` is called when the file is ours alone and still holds what it held.
        """
        self.path = path
        self._on_trouble = on_trouble
        # How many bytes are in the file, and those that wait: at once, as Ctrl-C may come between any two steps.
        self._state = (0, bytearray())
        self._is_writing = False
        self._try_again_at: float | None = None
        if (problem := leads_elsewhere(path)) is not None:
            raise OSError(errno.ELOOP, problem, str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        # Emptied only when it is ours alone.
        self._file = open(path, "ab", buffering=0, opener=for_the_owner if private else None)  # noqa: SIM115  # `close` closes it
        try:
            _lock(self._file)
            self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            if self._is_regular:
                before_emptying()
                self._file.truncate(0)
        except BaseException:
            self._file.close()
            raise

    @property
    def size_bytes(self) -> int:
        """How many bytes there are, with those that could not be written yet."""
        written, waiting = self.waiting()
        return written + len(waiting)

    def waiting(self) -> tuple[int, bytearray]:
        """How many bytes are in the file, and those that could not be written there."""
        if self._is_writing:
            # Ctrl-C came when something had been written, and before that was noted.
            written, waiting = self._state
            more = os.fstat(self._file.fileno()).st_size - written
            if 0 < more <= len(waiting):
                self._state = (written + more, waiting[more:])
            self._is_writing = False
        return self._state

    def write(self, line: str) -> None:
        """Add a line with its newline; one that cannot be written now is written before the next."""
        _, waiting = self.waiting()
        waiting += line.encode("utf-8", "backslashreplace")
        if self._try_again_at is None or clocks.monotonic() >= self._try_again_at:
            self._write_waiting()

    def _write_waiting(self) -> bool:
        """Write the waiting lines; False if some still wait."""
        try:
            written, waiting = self.waiting()
            while waiting:
                self._is_writing = self._is_regular
                more = self._file.write(waiting) or 0
                self._state = (written + more, waiting[more:])
                self._is_writing = False
                written, waiting = self._state
        except OSError as error:
            self._is_writing = False  # nothing was
            if self._try_again_at is None:
                self._on_trouble(
                    f"{self.path} cannot be written ({error.strerror}): its lines are kept in memory, and writing is "
                    f"tried again; make room there"
                )
            self._try_again_at = clocks.monotonic() + _RETRY_S
            return False
        self._try_again_at = None
        return True

    def close(self) -> None:
        """Write the waiting lines, to another file if they cannot be written here, and close the file."""
        if not self._write_waiting():
            self._save_elsewhere()
        try:
            self._file.close()
        except OSError as error:  # a network disk may report only now that it is full
            self._on_trouble(f"{self.path} may be incomplete ({error.strerror})")

    def _save_elsewhere(self) -> None:
        try:
            with tempfile.NamedTemporaryFile("wb", prefix="rightsize-rest-", suffix=".jsonl", delete=False) as file:
                file.write(self.waiting()[1])
        except OSError as error:
            self._on_trouble(f"the last lines of {self.path} could be written nowhere ({error.strerror}), and are lost")
            return
        self._on_trouble(f"the last lines of {self.path} are in {file.name}: make room, and append that file to it")
