"""Gate before a metered provider: takes queued requests, lets those begin that may, and notes when they begin and end.

It holds requests back while the rung is left idle, while another process measures the devices, and beyond the limit.
It never calls the provider and never waits. Its methods are called with the window's lock held.
"""

import itertools
from collections import deque
from collections.abc import Callable, Hashable

from pytest_rightsize import clocks
from pytest_rightsize.meters.attribution.exclusive import DeviceLock
from pytest_rightsize.meters.attribution.idling import Idling
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.processes import ProcessorTrack
from pytest_rightsize.meters.attribution.sharing import Ledger

__all__ = ["Gate"]


class Gate:
    """Requests that wait to begin, of which `limit` may be in flight at once.

    `device_lock` is this process's turn to measure, None where no other worker does. `own_process` tells processor
    seconds as in `Facts`; they are read into `processor` whenever a request begins or ends.
    """

    def __init__(
        self,
        ledger: Ledger,
        idling: Idling,
        *,
        limit: int,
        device_lock: DeviceLock | None,
        own_process: Callable[[], tuple[float, float] | None] | None,
        processor: ProcessorTrack,
    ) -> None:
        self.limit = limit
        self.is_closed = False
        self._ledger = ledger
        self._idling = idling
        self._device_lock = device_lock
        self._own_process = own_process
        self._processor = processor
        self._queue: deque[tuple[int, Pending]] = deque()
        self._tickets = itertools.count()

    @property
    def is_alone(self) -> bool:
        """Whether no other process measures the devices now."""
        return self._device_lock is None or self._device_lock.is_held

    @property
    def is_unused(self) -> bool:
        """Whether nothing is queued, nor in flight."""
        return not self._queue and not self._ledger.in_flight

    @property
    def wants_reading(self) -> bool:
        """Whether the counters should be read before the next request begins, as it begins alone. Needs no lock."""
        return bool(self._queue) and not self._idling.holds and (self.limit == 1 or not self._ledger.in_flight)

    def put(self, pending: Pending) -> None:
        """Queue a request under a new ticket."""
        self._queue.append((next(self._tickets), pending))

    def next(self) -> tuple[int, Pending] | None:
        """Take the next request that may begin, with its ticket; None where none may."""
        if not self._queue or self.is_closed or not self._has_turn():
            return None
        if self._ledger.in_flight >= self.limit or not self._idling.may_begin(self._ledger.in_flight):
            return None
        return self._queue.popleft()

    def begin(self, ticket: Hashable, *, repeated: bool = False) -> None:
        """A request is in flight from now on; `repeated` is as in `Ledger.admit`."""
        self._read_processor()
        self._idling.begins()
        self._ledger.admit(ticket, clocks.monotonic(), repeated=repeated)

    def ended(self) -> None:
        """A request has ended, and the ledger knows it."""
        self._read_processor()
        if not self._ledger.in_flight:
            self._idling.is_free(clocks.monotonic())

    def answered(self) -> None:
        """An answer and its repetitions are there: after the first, the rung is left alone to learn its idle power."""
        self._idling.answered()

    def yield_turn(self) -> None:
        """Let other processes measure, unless a request is queued, in flight or held back for idle power."""
        if self.is_alone and self.is_unused and not self._idling.holds:
            self.release()

    def release(self) -> None:
        """Let other processes measure."""
        if self._device_lock is not None:
            self._device_lock.release()

    def close(self) -> list[Pending]:
        """Let nothing begin any more; returns the requests that were still queued."""
        self.is_closed = True
        queued = [pending for _, pending in self._queue]
        self._queue.clear()
        return queued

    def _has_turn(self) -> bool:
        if self._device_lock is None:
            return True
        return self._device_lock.acquire(busy=self._ledger.in_flight > 0 or self._idling.holds)

    def _read_processor(self) -> None:
        seconds = None if self._own_process is None else self._own_process()
        if seconds is not None:
            self._processor.read(clocks.monotonic(), *seconds)
