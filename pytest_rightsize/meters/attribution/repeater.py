"""Sends an answered request again until its counter can resolve it: three blocks of repetitions, each one window.

Nothing else begins meanwhile. The replies of repetitions go nowhere; their joules are booked by block.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from pytest_rightsize import clocks
from pytest_rightsize.meters.attribution.gate import Gate
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.repetition import BLOCKS, Row, rows_needed
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Reply, Request

__all__ = ["Repeater"]


class Repeater:
    """Repeats one request at a time. `budget_s` is how long one may be repeated, 0 for never.

    `after_row` is called without the lock when the repetitions of a request are over.
    """

    def __init__(
        self,
        provider: Provider,
        gate: Gate,
        ledger: Ledger,
        *,
        lock: threading.RLock,
        budget_s: float,
        after_row: Callable[[], None],
    ) -> None:
        self._provider = provider
        self._gate = gate
        self._ledger = ledger
        self._lock = lock
        self._budget_s = budget_s
        self._after_row = after_row
        self._row: Row | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is being repeated, or will be before anything else begins."""
        return self._row is not None

    def plan(self, ticket: int, pending: Pending, seconds: float | None) -> None:
        """Give an answered request its row of repetitions, if it needs them; with the lock held."""
        ticks_s = [timeline.tick_s for timeline in self._ledger.timelines]
        per_block = rows_needed(seconds, ticks_s, budget_s=self._budget_s)
        if per_block:
            tickets = [f"{ticket}/{block}" for block in range(BLOCKS)]
            self._row = pending.row = Row(per_block=per_block, block_tickets=tickets)

    def drop(self, row: Row) -> None:
        """Give up a row of repetitions that has not begun."""
        with self._lock:
            row.failed = row.ended = True
            self._row = None
            self._gate.answered()

    def repeat(self, row: Row, request: Request) -> None:
        """Send the request again; the next repetition follows by itself."""
        goes_on = True
        while goes_on:
            repetition = self._sent(row, request)
            if repetition is None:
                self._end(row, failed=True)
                return
            if not repetition.done():
                repetition.add_done_callback(partial(self._repeated, row, request))
                return
            # A loop, as a row of answers that come at once would be too deep for calls within calls.
            goes_on = self._counts(row, repetition)

    def _sent(self, row: Row, request: Request) -> Future[Reply] | None:
        with self._lock:
            if row.in_block == 0:
                self._gate.begin(row.block_ticket, repeated=True)
        forget = getattr(self._provider, "forget", None)
        if forget is not None:
            # Or llama.cpp would take the prompt from its memory, and the second time would look cheap.
            forget()
        try:
            return self._provider.submit(request)
        except Exception:
            return None

    def _repeated(self, row: Row, request: Request, repetition: Future[Reply]) -> None:
        if self._counts(row, repetition):
            self.repeat(row, request)

    def _counts(self, row: Row, repetition: Future[Reply]) -> bool:
        """Count a repetition that has ended; returns whether another follows, and ends the row otherwise."""
        if repetition.cancelled() or repetition.exception() is not None or self._gate.is_closed:
            self._end(row, failed=True)
            return False
        with self._lock:
            row.in_block += 1
            if row.in_block == row.per_block:
                self._ledger.land(row.block_ticket, end=clocks.monotonic(), seconds=None, written=None)
                self._gate.ended()
                row.in_block = 0
                row.block += 1
        if row.block < len(row.block_tickets):
            return True
        self._end(row, failed=False)
        return False

    def _end(self, row: Row, *, failed: bool) -> None:
        with self._lock:
            row.failed, row.ended = failed, True
            if failed:
                self._ledger.lose(row.block_ticket, clocks.monotonic())
                self._gate.ended()
            self._row = None
            self._gate.answered()
        self._after_row()
