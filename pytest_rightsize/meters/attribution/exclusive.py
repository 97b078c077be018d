"""Locks on files, one for each device, so that worker processes measure a device in turns; nothing here waits."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pytest_rightsize import clocks

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # there is no such module there

__all__ = ["DeviceLock"]

# How long a turn may last, and how long others then have to take theirs.
_TURN_S = 5.0
_BREAK_S = 0.1


class DeviceLock:
    """The right to measure `devices`. Never waits: `acquire` says whether it is this process's turn."""

    def __init__(self, devices: Sequence[str], *, folder: Path | None = None) -> None:
        """Name the files, in the system's folder for temporary files unless `folder` is another."""
        root = folder or Path(tempfile.gettempdir())
        names = sorted(hashlib.sha256(device.encode()).hexdigest()[:16] for device in set(devices))
        self._paths = [root / f"pytest-rightsize-{name}.lock" for name in names]
        self._held: list[IO[str]] = []
        self._since = 0.0
        self._not_before = 0.0
        # Then there are no turns: who else used the devices is told by their counters.
        self._is_impossible = False

    @property
    def is_held(self) -> bool:
        """Whether it is this process's turn."""
        return bool(self._held) or self._is_impossible or fcntl is None

    def acquire(self, *, busy: bool) -> bool:
        """Whether a request may begin now; with `busy` one is in flight, so that the turn cannot be given up yet."""
        now = clocks.monotonic()
        if self._held and now - self._since > _TURN_S:
            if not busy:
                self.release()
                self._not_before = now + _BREAK_S
            return False
        if self._held:
            return True
        return now >= self._not_before and self._take(now)

    def release(self) -> None:
        """Let others measure."""
        while self._held:
            self._held.pop().close()

    def _take(self, now: float) -> bool:
        if self._is_impossible or fcntl is None:
            return True
        for path in self._paths:
            file = _opened(path)
            if file is None:
                self._is_impossible = True
                self.release()
                return True
            self._held.append(file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.release()
                return False
        self._since = now
        return True


def _opened(path: Path) -> IO[str] | None:
    """The file of a device, which another user may have made first; None where it can neither be read nor made.

    Reading is enough for a lock, and Linux lets nobody write to another's file in a folder that all share.
    """
    for mode in ("a", "r"):
        try:
            return path.open(mode, encoding="ascii")
        except OSError:
            continue
    return None
