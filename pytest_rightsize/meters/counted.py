"""A metered rung with counters: a gate before its provider, a sampler that reads, a ledger that shares out.

An answer is handed on when its share of the joules is settled: when the counter's next tick is there, and those who
were in flight with it have ended or take longer than is worth waiting for. Meanwhile others go on.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from pytest_rightsize.energy import Energy, Metering, unknown_energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.meters import Counter
from pytest_rightsize.meters.amounts import energy_of_share, metering_of
from pytest_rightsize.meters.choice import site_of
from pytest_rightsize.meters.exclusive import DeviceLock
from pytest_rightsize.meters.repetition import Row, combined, rows_needed
from pytest_rightsize.meters.sampler import Sampler
from pytest_rightsize.meters.sharing import Ledger, Share
from pytest_rightsize.meters.windows import Terms, Window, fail, hand_on, resolve
from pytest_rightsize.records import Reply, Request

__all__ = ["CountedWindow"]

# How long an answer waits for those in flight with it, before their tokens are taken to come as the others' did.
_PATIENCE_S = 1.0
# What a prompt token weighs against one that is written; reading goes many tokens at a time.
_PROMPT_WEIGHT = 0.1
# How long sensors take to fall to idle after a load.
_RISE_S = 0.3
_CLOSING_S = 2.0


@dataclass(kw_only=True)
class _Waiting:
    """A request on its way: where its reply goes, and what it is measured by once it is there."""

    request: Request
    outer: Future[Reply]
    inner: Future[Reply] | None = None
    reply: Reply | None = None
    share: Share | None = None
    row: Row | None = None


class CountedWindow(Window):
    """With counters: the sampler reads them, the ledger shares them out, and the gate keeps order.

    Before the gate opens for all, the first request goes alone, and after it the rung is left idle for a while to learn
    its idle power with the model loaded.
    """

    def __init__(self, terms: Terms, counters: Sequence[Counter]) -> None:
        super().__init__(terms)
        self._lock = threading.RLock()
        self._facts = [counter.facts for counter in counters]
        self._sampler = Sampler(counters, lock=self._lock, after_round=self._after_round)
        marginal = terms.choice.basis == "marginal"
        # A row of repetitions needs the device for itself.
        self._limit = 1 if terms.budget_s else terms.room
        self._ledger = Ledger(
            self._sampler.timelines,
            opened=time.monotonic(),
            patience_s=_PATIENCE_S,
            marginal=marginal,
            loads=site_of(terms.provider) == "process",
        )
        self._queue: deque[tuple[int, _Waiting]] = deque()
        self._waiting: dict[int, _Waiting] = {}
        self._rows: dict[int, _Waiting] = {}
        self._tickets = itertools.count()
        measures = all(fact.provenance == "measured" and fact.poll_s < 0.1 for fact in self._facts)
        self._idle_s = terms.choice.idle_s if measures else 0.0
        self._idle_from: float | None = None
        self._is_idle_known = self._idle_s == 0
        self._exclusive = DeviceLock([fact.device for fact in self._facts]) if terms.workers > 1 else None
        self._answers = 0
        self._closing = False
        self._failure: str | None = None
        self._sampler.start()

    # --- requests ---------------------------------------------------------------------------------------------------

    def submit(self, request: Request) -> Future[Reply]:
        """See `Window`."""
        outer: Future[Reply] = Future()
        with self._lock:
            self._queue.append((next(self._tickets), _Waiting(request=request, outer=outer)))
        self._admit()
        return outer

    def _admit(self) -> None:
        """Let those in who may; the provider is called without the lock, as it may answer at once."""
        while True:
            if self._limit == 1 and self._queue:
                # Alone in its window, an answer is worth a reading at either end of it. Never with the lock held: the
                # sampler's thread takes the two the other way round.
                self._sampler.read()
            with self._lock:
                if not self._queue or not self._may_admit():
                    return
                ticket, waiting = self._queue.popleft()
                if waiting.outer.cancelled():
                    continue
                self._waiting[ticket] = waiting
                self._ledger.admit(ticket, time.monotonic())
            self._sampler.poke()
            self._send(ticket, waiting)

    def _may_admit(self) -> bool:
        if self._closing or self._rows:
            return False
        if self._exclusive is not None and not self._exclusive.acquire(busy=self._ledger.in_flight > 0):
            return False
        if not self._is_idle_known:
            return self._idle_from is None and self._ledger.in_flight == 0
        return self._ledger.in_flight < self._limit

    def _send(self, ticket: int, waiting: _Waiting) -> None:
        try:
            waiting.inner = inner = self.terms.provider.submit(waiting.request)
        except Exception as error:
            self._lost(ticket)
            fail(waiting.outer, error)
            return
        waiting.outer.add_done_callback(lambda outer: inner.cancel() if outer.cancelled() else None)
        inner.add_done_callback(partial(self._landed, ticket, waiting))

    def _landed(self, ticket: int, waiting: _Waiting, inner: Future[Reply]) -> None:
        """The provider has answered, or not; called in its thread."""
        if self._limit == 1:
            self._sampler.read()
        now = time.monotonic()
        if inner.cancelled() or inner.exception() is not None:
            self._lost(ticket)
            hand_on(inner, waiting.outer, lambda reply: reply)
            return
        reply = inner.result()
        with self._lock:
            if reply.replayed:
                self._ledger.forget(ticket)
                del self._waiting[ticket]
            else:
                self._ledger.land(ticket, end=now, seconds=reply.seconds, weight=_weight(reply))
                waiting.reply = reply
                self._answers += 1
                self._begin_row(ticket, waiting, reply)
                self._begin_idle()
        if reply.replayed:
            resolve(waiting.outer, reply)
        elif self._failure is not None:
            self._give_up()
        elif waiting.row is not None:
            self._repeat(waiting.row, waiting)
        self._sampler.poke()
        self._admit()

    def _lost(self, ticket: int) -> None:
        with self._lock:
            self._waiting.pop(ticket, None)
            self._ledger.lose(ticket, time.monotonic())
        self._sampler.poke()
        self._admit()

    # --- repetition -------------------------------------------------------------------------------------------------

    def _begin_row(self, ticket: int, waiting: _Waiting, reply: Reply) -> None:
        ticks = [timeline.tick_s for timeline in self._sampler.timelines]
        per_block = rows_needed(reply.seconds, ticks, budget_s=self.terms.budget_s)
        if per_block:
            waiting.row = Row(per_block=per_block, block_tickets=[f"{ticket}/{block}" for block in range(3)])
            self._rows[ticket] = waiting

    def _repeat(self, row: Row, waiting: _Waiting) -> None:
        """Send the request again, in three blocks that are each one window."""
        with self._lock:
            if row.in_block == 0:
                self._ledger.admit(row.block_ticket, time.monotonic(), repeated=True)
        forget = getattr(self.terms.provider, "forget", None)
        if forget is not None:
            # Or llama.cpp would take the prompt from its memory, and the second time would look cheap.
            forget()
        try:
            again = self.terms.provider.submit(waiting.request)
        except Exception:
            self._end_row(row, failed=True)
            return
        again.add_done_callback(partial(self._repeated, row, waiting))

    def _repeated(self, row: Row, waiting: _Waiting, again: Future[Reply]) -> None:
        if again.cancelled() or again.exception() is not None or self._closing:
            self._end_row(row, failed=True)
            return
        with self._lock:
            row.in_block += 1
            block_ended = row.in_block == row.per_block
            if block_ended:
                self._ledger.land(row.block_ticket, end=time.monotonic(), seconds=None, weight=None)
                row.in_block = 0
                row.block += 1
        if row.block < len(row.block_tickets):
            self._repeat(row, waiting)
        else:
            self._end_row(row, failed=False)

    def _end_row(self, row: Row, *, failed: bool) -> None:
        with self._lock:
            row.failed, row.ended = failed, True
            if failed and row.block < len(row.block_tickets):
                self._ledger.lose(row.block_ticket, time.monotonic())
            for ticket, waiting in list(self._rows.items()):
                if waiting.row is row:
                    del self._rows[ticket]
            self._begin_idle()
        self._sampler.poke()
        self._admit()

    # --- the sampler's thread ---------------------------------------------------------------------------------------

    def _after_round(self) -> bool:
        """Settle what can be settled, hand it on, and let others in; whether an answer still waits."""
        try:
            return self._settle_round()
        except Exception as error:
            # A meter that has a bug costs joules their numbers, and never anybody an answer.
            self._failure = f"the meter failed ({type(error).__name__}: {error})"
            self._give_up()
            self._admit()
            return False

    def _give_up(self) -> None:
        """Hand on what has come without an energy."""
        with self._lock:
            self._is_idle_known = True
            ready = [(ticket, one) for ticket, one in self._waiting.items() if one.reply is not None]
            for ticket, _ in ready:
                del self._waiting[ticket]
        for _, one in ready:
            assert one.reply is not None  # it is ready
            resolve(one.outer, replace(one.reply, energy=unknown_energy(self._failure or "", flags=("meter_failed",))))

    def _settle_round(self) -> bool:
        now = time.monotonic()
        with self._lock:
            self._learn_idle(now)
            ready = self._take(self._ledger.settle(now, closing=self._closing))
            waiting = self._ledger.waiting
            if self._exclusive is not None and self._is_idle_known and not self._queue and not self._ledger.in_flight:
                self._exclusive.release()
        for outer, reply in ready:
            resolve(outer, reply)
        self._admit()
        return waiting

    def _take(self, shares: Sequence[Share]) -> list[tuple[Future[Reply], Reply]]:
        """Put shares to the requests they belong to; the replies that are complete now."""
        for share in shares:
            for waiting in self._waiting.values():
                if waiting.row is not None and share.ticket in waiting.row.block_tickets:
                    waiting.row.shares.append(share)
            if isinstance(share.ticket, int) and share.ticket in self._waiting:
                self._waiting[share.ticket].share = share
        done = [ticket for ticket, one in self._waiting.items() if one.share is not None and _is_complete(one.row)]
        ready = []
        for ticket in done:
            waiting = self._waiting.pop(ticket)
            assert waiting.reply is not None  # it has a share
            ready.append((waiting.outer, replace(waiting.reply, energy=self._energy(waiting))))
        return ready

    def _energy(self, waiting: _Waiting) -> Energy:
        assert waiting.share is not None  # it is complete
        energy = self._of_share(waiting.share)
        row = waiting.row
        if row is None or row.failed:
            return energy
        return combined([self._of_share(share) for share in row.shares], per_block=row.per_block) or energy

    def _of_share(self, share: Share) -> Energy:
        try:
            return energy_of_share(
                share,
                self._facts,
                basis=self.terms.choice.basis,
                several=self._limit > 1,
                ticks_s=[timeline.tick_s for timeline in self._sampler.timelines],
                idle_w=self._ledger.idle_w,
                contended=self._sampler.others_in(share.start, share.start + share.window_s),
            )
        except MixedEnergyError as error:
            return unknown_energy(f"its meters' amounts have no sum ({error})")

    def _begin_idle(self) -> None:
        """After the first answer, and its repetitions, the rung is left alone to learn its idle power."""
        if not self._is_idle_known and self._idle_from is None and not self._rows:
            self._idle_from = time.monotonic() + _RISE_S

    def _learn_idle(self, now: float) -> None:
        """Find the idle power when the rung has been left idle for long enough."""
        if self._is_idle_known or self._idle_from is None or now < self._idle_from + self._idle_s:
            return
        start, end = self._idle_from, self._idle_from + self._idle_s
        if min(timeline.known_until for timeline in self._sampler.timelines) < end and now < end + 1.0:
            return
        errors = [0.0]
        for place, timeline in enumerate(self._sampler.timelines):
            first, last = timeline.guess(start), timeline.guess(end)
            low, high = timeline.at_least(start, end), timeline.at_most(start, end)
            if first is not None and last is not None and low is not None and high is not None:
                self._ledger.idle_w[place] = (last - first) / self._idle_s
                errors.append((high - low) / 2 / self._idle_s)
        self._ledger.idle_error_w = max(errors)
        self._is_idle_known = True

    # --- the end ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """See `Window`."""
        with self._lock:
            self._closing = True
            queued = [waiting for _, waiting in self._queue]
            self._queue.clear()
        for waiting in queued:
            waiting.outer.cancel()

    def close(self) -> Metering | None:
        """See `Window`: wait for the last tick, then say what all of it came to."""
        ticks = [timeline.tick_s or 0.0 for timeline in self._sampler.timelines]
        polls = [fact.poll_s + fact.lag_s for fact in self._facts]
        deadline = time.monotonic() + max(_CLOSING_S, 3 * max(ticks), 3 * max(polls))
        while self._is_waiting() and time.monotonic() < deadline:
            self._sampler.poke()
            time.sleep(0.002)
        self._sampler.stop()
        for waiting in list(self._waiting.values()):
            if waiting.reply is not None:
                energy = unknown_energy("the session ended before the counter's next tick", flags=("below_resolution",))
                resolve(waiting.outer, replace(waiting.reply, energy=energy))
        if self._exclusive is not None:
            self._exclusive.release()
        with self._lock:
            self._ledger.close(time.monotonic())
            return metering_of(
                self._ledger,
                self._facts,
                rung=self.terms.choice.rung,
                meter=str(self.terms.choice),
                basis=self.terms.choice.basis,
                answers=self._answers,
                several=self._limit > 1,
            )

    def _is_waiting(self) -> bool:
        with self._lock:
            return self._ledger.waiting


def _is_complete(row: Row | None) -> bool:
    return row is None or (row.ended and (row.failed or len(row.shares) == len(row.block_tickets)))


def _weight(reply: Reply) -> float | None:
    """What an answer weighs among those in flight: the tokens it wrote, and a little for those it had to read."""
    tokens = reply.tokens
    if tokens.completion is None:
        return None
    return tokens.completion + _PROMPT_WEIGHT * max(0, (tokens.prompt or 0) - (tokens.cached or 0))
