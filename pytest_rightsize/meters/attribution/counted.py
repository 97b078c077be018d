"""A metered rung with counters: a gate before its provider, a sampler that reads, a ledger that shares out.

An answer is handed on when its share of the joules is settled: when the counter's next tick is there, and those who
were in flight with it have ended or take longer than is worth waiting for. Meanwhile others go on.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.meter_records import Metering, Phases
from pytest_rightsize.meters import Counter
from pytest_rightsize.meters.attribution.amounts import energy_of_share, metering_of
from pytest_rightsize.meters.attribution.exclusive import DeviceLock
from pytest_rightsize.meters.attribution.idling import Idling, Reading, shows_idle_power
from pytest_rightsize.meters.attribution.ledger import Ledger
from pytest_rightsize.meters.attribution.phases import LEAST_STRETCHES, fit_phases, is_better_known
from pytest_rightsize.meters.attribution.processes import OwnSum, ProcessorTrack
from pytest_rightsize.meters.attribution.repetition import Row, combined, rows_needed
from pytest_rightsize.meters.attribution.sampler import Pace, Sampler
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.windows import Terms, Window, fail, hand_on, pass_cancellation, resolve
from pytest_rightsize.meters.choice import site_of
from pytest_rightsize.records import Reply, Request

__all__ = ["CountedWindow"]

# How long an answer waits for those in flight with it, before their tokens are taken to come as the others' did.
_PATIENCE_S = 1.0
_CLOSING_S = 2.0


@dataclass(kw_only=True)
class _Waiting:
    """A request on its way: where its reply goes, and what it is measured by once it is there."""

    request: Request
    outer: Future[Reply]
    reply: Reply | None = None
    share: Share | None = None
    row: Row | None = None


class CountedWindow(Window):
    """With counters: the sampler reads them, the ledger shares them out, and the gate keeps order.

    Before the gate opens for all, the first request goes alone, and before and after it the rung is left idle for a
    while to learn its idle power without the model and with it (`Idling`).
    """

    def __init__(self, terms: Terms, counters: Sequence[Counter]) -> None:
        super().__init__(terms)
        self._lock = threading.RLock()
        self._facts = [counter.facts for counter in counters]
        self._sampler = Sampler(counters, lock=self._lock, after_round=self._after_round)
        marginal = terms.choice.basis == "marginal"
        # A row of repetitions needs the device for itself.
        self._limit = 1 if terms.budget_s else terms.room
        loads, opened = site_of(terms.provider) == "process", self._sampler.begin()
        self._ledger = Ledger(
            self._sampler.timelines, opened=opened, patience_s=_PATIENCE_S, marginal=marginal, loads=loads
        )
        self._queue: deque[tuple[int, _Waiting]] = deque()
        self._waiting: dict[int, _Waiting] = {}
        self._rows: dict[int, _Waiting] = {}
        self._tickets = itertools.count()
        is_measured = any(fact.provenance == "measured" for fact in self._facts)
        ticks_are_seen = all(shows_idle_power(fact) for fact in self._facts)
        wanted_s = terms.choice.idle_s if ticks_are_seen else 0.0
        self._idling = Idling(
            self._sampler.timelines,
            rung=terms.choice.rung,
            devices=[fact.device for fact in self._facts],
            memory=terms.memory,
            opened=opened,
            wanted_s=wanted_s,
            loads=loads and terms.workers == 1,
            factors=[fact.factors for fact in self._facts],
        )
        if loads and terms.workers > 1 and wanted_s != 0:
            self._idling.notes.append("idle power before any model is not known: other workers may have loaded theirs")
        self._needs_idle = marginal and is_measured
        self._learn(self._idling.resident)
        own = [fact.own_process for fact in self._facts if fact.own_process is not None]
        self._own_process = own[0] if own else None
        self._processor = ProcessorTrack()
        self._own_sum = OwnSum()
        self._fitted_at = 0
        self._weighed_by = [0.0 for _ in self._facts]
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
            if self._queue and not self._idling.holds and (self._limit == 1 or not self._ledger.in_flight):
                # Alone in its window, an answer is worth a reading at either end of it, and so is the first of many.
                # Never with the lock held: the sampler's thread takes the two the other way round.
                self._sampler.read()
            with self._lock:
                if not self._queue or not self._may_admit():
                    return
                ticket, waiting = self._queue.popleft()
                if waiting.outer.cancelled():
                    continue
                self._waiting[ticket] = waiting
                self._begin(ticket)
            self._sampler.poke()
            self._send(ticket, waiting)

    def _may_admit(self) -> bool:
        if self._closing or self._rows:
            return False
        busy = self._ledger.in_flight > 0 or self._idling.holds
        if self._exclusive is not None and not self._exclusive.acquire(busy=busy):
            return False
        return self._ledger.in_flight < self._limit and self._idling.may_begin(self._ledger.in_flight)

    def _begin(self, ticket: Hashable, *, repeated: bool = False) -> None:
        """A request is in flight from now on."""
        self._read_processor()
        self._idling.begins()
        self._ledger.admit(ticket, time.monotonic(), repeated=repeated)

    def _ended(self) -> None:
        """One has ended."""
        self._read_processor()
        if not self._ledger.in_flight:
            self._idling.is_free(time.monotonic())

    def _read_processor(self) -> None:
        told = None if self._own_process is None else self._own_process()
        if told is not None:
            self._processor.read(time.monotonic(), *told)

    def _send(self, ticket: int, waiting: _Waiting) -> None:
        try:
            inner = self.terms.provider.submit(waiting.request)
        except Exception as error:
            self._lost(ticket)
            fail(waiting.outer, error)
            return
        pass_cancellation(waiting.outer, inner)
        inner.add_done_callback(partial(self._landed, ticket, waiting))

    def _landed(self, ticket: int, waiting: _Waiting, inner: Future[Reply]) -> None:
        """The provider has answered, or not; called in its thread."""
        if self._limit == 1:
            self._sampler.read()
        if inner.cancelled() or inner.exception() is not None:
            self._lost(ticket)
            hand_on(inner, waiting.outer, lambda reply: reply)
            return
        reply = inner.result()
        end = time.monotonic() - reply.after_s
        with self._lock:
            if reply.replayed:
                self._ledger.forget(ticket)
                del self._waiting[ticket]
            else:
                tokens = reply.tokens
                read = float(max(0, (tokens.prompt or 0) - (tokens.cached or 0)))
                self._ledger.land(ticket, end=end, seconds=reply.seconds, written=tokens.completion, read=read)
                waiting.reply = reply
                self._answers += 1
                self._begin_row(ticket, waiting, reply)
                self._answered()
            self._ended()
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
            self._ended()
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
                self._begin(row.block_ticket, repeated=True)
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
                self._ledger.land(row.block_ticket, end=time.monotonic(), seconds=None, written=None)
                self._ended()
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
                self._ended()
            for ticket, waiting in list(self._rows.items()):
                if waiting.row is row:
                    del self._rows[ticket]
            self._answered()
        self._sampler.poke()
        self._admit()

    # --- the sampler's thread ---------------------------------------------------------------------------------------

    def _after_round(self) -> Pace:
        """Settle what can be settled, hand it on, and let others in; how soon to read again."""
        try:
            return self._settle_round()
        except Exception as error:
            # A meter that has a bug costs joules their numbers, and never anybody an answer.
            self._failure = f"the meter failed ({type(error).__name__}: {error})"
            self._give_up()
            self._admit()
            return "steady"

    def _give_up(self) -> None:
        """Hand on what has come without an energy."""
        with self._lock:
            self._idling.give_up()
            ready = [(ticket, one) for ticket, one in self._waiting.items() if one.reply is not None]
            for ticket, _ in ready:
                del self._waiting[ticket]
        for _, one in ready:
            assert one.reply is not None  # it is ready
            resolve(one.outer, replace(one.reply, energy=unknown_energy(self._failure or "", flags=("meter_failed",))))

    def _settle_round(self) -> Pace:
        now = time.monotonic()
        with self._lock:
            alone = self._exclusive is None or self._exclusive.is_held
            self._learn(self._idling.look(now, alone=alone, celsius=self._sampler.celsius))
            ready = [] if self._waits_for_idle else self._take(self._ledger.settle(now, closing=self._closing))
            waiting = self._ledger.waiting
            learning = self._idling.is_learning or self._idling.is_due
            quiet = not (waiting or learning or self._ledger.in_flight or self._queue)
            if alone and not self._idling.holds and not self._queue and not self._ledger.in_flight:
                self._release()
        for outer, reply in ready:
            resolve(outer, reply)
        if quiet and not ready:
            return "quiet"
        self._weigh()
        self._admit()
        return "hurried" if waiting else "steady"

    def _release(self) -> None:
        if self._exclusive is not None:
            self._exclusive.release()

    @property
    def _waits_for_idle(self) -> bool:
        """Whether nothing can be told before the idle power is known, and it still may be."""
        return self._needs_idle and self._idling.resident is None and self._idling.is_learning and not self._closing

    def _learn(self, found: Reading | None) -> None:
        """From now on that is the idle power."""
        if found is not None:
            self._ledger.idle_w = list(found.watts)
            self._ledger.idle_error_w = found.error_w

    def _weigh(self) -> None:
        """Learn what tokens weigh from time to time: it matters only where several share."""
        known = len(self._ledger.stretches)
        if self._limit == 1 or known < LEAST_STRETCHES or known < 2 * self._fitted_at:
            return
        self._fitted_at = known
        fits = fit_phases(self._ledger.stretches, [fact.device for fact in self._facts])
        if isinstance(fits, str):
            return
        with self._lock:
            for place, fit in enumerate(fits):
                if fit.prompt_weight is not None and is_better_known(fit):
                    self._ledger.prompt_weights[place] = fit.prompt_weight
                    self._weighed_by[place] = fit.answers

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
        if self._needs_idle and self._idling.resident is None:
            what = "idle power is not known, nor what the answer took above it"
            return unknown_energy(what, meter=self._facts[0].meter, flags=("no_idle",))
        own = None if self._own_process is None else self._processor.share(share.start, share.end)
        if self._own_process is not None and own is None:
            what = "the system did not tell this process's part of the processor time"
            return unknown_energy(what, meter=self._facts[0].meter, flags=("no_share",))
        if own is not None:
            self._ledger.give_others(share, [1 - own.share] * len(self._facts))
            self._own_sum.add(own, sum(part.joules for part in share.parts if isinstance(part, Part)))
        try:
            return energy_of_share(
                share,
                self._facts,
                basis=self.terms.choice.basis,
                several=self._limit > 1,
                ticks_s=[timeline.tick_s for timeline in self._sampler.timelines],
                idle_w=self._ledger.idle_w,
                contended=self._sampler.others_in(share.start, share.end),
                own=own,
            )
        except MixedEnergyError as error:
            return unknown_energy(f"its meters' amounts have no sum ({error})")

    def _answered(self) -> None:
        """After the first answer, and its repetitions, the rung is left alone to learn its idle power."""
        if not self._rows:
            self._idling.answered()

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
        self._release()
        with self._lock:
            self._ledger.close(time.monotonic())
            seen = metering_of(
                self._ledger,
                self._facts,
                rung=self.terms.choice.rung,
                meter=str(self.terms.choice),
                basis=self.terms.choice.basis,
                answers=self._answers,
                several=self._limit > 1,
            )
            served = self._own_sum.widened(seen.served)
            return replace(seen, served=served, **self._found_beside(), notes=(*seen.notes, *self._notes()))

    def _found_beside(self) -> dict[str, Any]:
        """What was learned of the devices beside what the answers took."""
        fits: tuple[Phases, ...] | str = ()
        if self._answers:
            fits = fit_phases(self._ledger.stretches, [fact.device for fact in self._facts])
        several = self._limit > 1
        cold, devices = self._idling.cold, [fact.device for fact in self._facts]
        return {
            "cold_w": None if cold is None else cold.power.watts,
            "idle_w": self._idling.resident_w,
            "idle_powers": self._idling.powers,
            "prompt_weights": dict(zip(devices, self._ledger.prompt_weights, strict=True)) if several else {},
            "weighed_by": dict(zip(devices, self._weighed_by, strict=True)) if several else {},
            "phases": () if isinstance(fits, str) else fits,
            "no_phases": fits if isinstance(fits, str) else None,
        }

    def _notes(self) -> list[str]:
        crowd = self._sampler.others[-1:]
        remedy = 'meter = { name = "rapl", share = "process" } leaves them out'
        could = self._own_process is None and [fact.meter for fact in self._facts] == ["rapl"]
        contended = [f"{who}{f'; {remedy}' if could else ''}" for _, _, who in crowd]
        return [*self._idling.notes, *contended]

    def _is_waiting(self) -> bool:
        with self._lock:
            return self._ledger.waiting


def _is_complete(row: Row | None) -> bool:
    return row is None or (row.ended and (row.failed or len(row.shares) == len(row.block_tickets)))
