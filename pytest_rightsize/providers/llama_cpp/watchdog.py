"""Tells when a model that has something to answer decodes nothing for a minute.

A sign of life comes in for each step; a sentence that names the rung goes out once for each standstill.
"""

import threading
from collections.abc import Callable

from pytest_rightsize import clocks

__all__ = ["Watchdog"]

_STANDSTILL_S = 60.0


class Watchdog:
    """Watches one rung from a thread of its own, which is started when there is first something to watch."""

    def __init__(
        self, name: str, on_stall: Callable[[str], object] | None, *, standstill_s: float = _STANDSTILL_S
    ) -> None:
        """Watch for `standstill_s` without a step; without `on_stall` nothing is watched."""
        self._name = name
        self._on_stall = on_stall
        self._standstill_s = standstill_s
        self._moved_at = clocks.monotonic()
        self._outstanding = 0
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def moved(self, outstanding: int) -> None:
        """A step was made, and so many requests still wait for their answer."""
        self._moved_at = clocks.monotonic()
        self._outstanding = outstanding
        if outstanding and self._thread is None and self._on_stall is not None:
            self._thread = threading.Thread(target=self._watch, name=f"rightsize watchdog {self._name}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _watch(self) -> None:
        told_of = None
        while not self._closed.wait(self._standstill_s / 4):
            since = self._moved_at
            stood_s = clocks.monotonic() - since
            if self._outstanding and stood_s >= self._standstill_s and told_of != since and self._on_stall is not None:
                told_of = since
                self._on_stall(
                    f"rung {self._name} has decoded nothing for {stood_s:.0f} s, with {self._outstanding} requests "
                    "waiting: is the machine short of memory or busy? Ctrl-C ends the session"
                )
