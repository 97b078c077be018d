"""A metered rung with counters: requests in, replies with their share of the joules out.

A gate lets requests begin, a sampler reads the counters in its own thread, and a ledger splits the joules. An answer is
handed on when its share is settled: when the counter's next tick is there, and those who were in flight with it have
ended or take longer than is worth waiting for. Others go on meanwhile.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import ClassVar

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Counter, Facts, site_of
from pytest_rightsize.meters.attribution.exclusive import DeviceLock
from pytest_rightsize.meters.attribution.gate import Gate
from pytest_rightsize.meters.attribution.idling import Idling, Reading, shows_idle_power
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.processes import ProcessorTrack
from pytest_rightsize.meters.attribution.prompt_weights import PromptWeights
from pytest_rightsize.meters.attribution.repeater import Repeater
from pytest_rightsize.meters.attribution.rung_totals import metering_of, with_findings
from pytest_rightsize.meters.attribution.sampler import Pace, Sampler
from pytest_rightsize.meters.attribution.settlement import Settlement
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.windows import Terms, Window
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.futures import fail, pass_cancellation, pass_outcome, resolve
from pytest_rightsize.records import Reply, Request

__all__ = ["CountedWindow", "closing_s"]

# How long an answer waits for those in flight with it, before their tokens are taken to come as the others' did.
_PATIENCE_S = 1.0
_CLOSING_S = 2.0


class CountedWindow(Window):
    """One rung while it is open, with counters.

    Before the gate opens for all, the first request goes alone, and before and after it the rung is left idle for a
    while to learn its idle power without the model and with it (`Idling`).
    """

    # They wait for a tick.
    waiting_room: ClassVar[int] = 256

    def __init__(self, terms: Terms, counters: Sequence[Counter]) -> None:
        super().__init__(terms)
        self._lock = threading.RLock()
        self._admitting = threading.local()
        self._facts = [counter.facts for counter in counters]
        self._devices = [fact.device for fact in self._facts]
        # A row of repetitions needs the device for itself.
        limit = 1 if terms.budget_s else terms.room
        self._several = limit > 1
        self._waiting: dict[int, Pending] = {}
        self._answers = 0
        self._failure: str | None = None
        self._sampler = Sampler(counters, lock=self._lock, after_round=self._after_round)
        loads = site_of(terms.provider) == "process" or getattr(terms.provider, "loads_model", False) is True
        opened = self._sampler.begin()
        self._ledger = Ledger(
            self._sampler.timelines,
            opened=opened,
            patience_s=_PATIENCE_S,
            marginal=terms.choice.basis == "marginal",
            loads=loads,
        )
        self._idling = _idling(terms, self._facts, self._ledger, loads=loads)
        self._learn_idle(self._idling.resident)
        self._own_process = next((fact.own_process for fact in self._facts if fact.own_process is not None), None)
        processor = ProcessorTrack()
        self._gate = Gate(
            self._ledger,
            self._idling,
            limit=limit,
            device_lock=_device_lock(terms, self._facts),
            own_process=self._own_process,
            processor=processor,
        )
        self._repeater = Repeater(
            terms.provider,
            self._gate,
            self._ledger,
            lock=self._lock,
            budget_s=terms.budget_s,
            after_row=self._row_ended,
        )
        self._settlement = Settlement(
            self._ledger,
            self._sampler,
            self._idling,
            facts=self._facts,
            basis=terms.choice.basis,
            several=self._several,
            processor=None if self._own_process is None else processor,
        )
        self._weights = PromptWeights(self._ledger, self._devices, lock=self._lock)
        self._sampler.start()

    # --- requests, in the callers' and the provider's threads ---------------------------------------------------------

    def submit(self, request: Request) -> Future[Reply]:
        """See `Window`."""
        outer: Future[Reply] = Future()
        with self._lock:
            self._gate.put(Pending(request=request, outer=outer))
        self._admit()
        return outer

    def _admit(self) -> None:
        """Let requests begin that may; the provider is called without the lock, as it may answer at once.

        An answer that comes at once comes back here, and the loop that sent its request goes on for both.
        """
        if getattr(self._admitting, "here", False):
            return
        self._admitting.here = True
        try:
            self._admit_all()
        finally:
            self._admitting.here = False

    def _admit_all(self) -> None:
        while True:
            if self._gate.wants_reading:
                # Alone in its window, an answer is worth a reading at either end of it, and so is the first of many.
                # Never with the lock held: the sampler's thread takes the two the other way round.
                self._sampler.read()
            with self._lock:
                admitted = None if self._repeater.is_busy else self._gate.next()
                if admitted is None:
                    return
                ticket, pending = admitted
                if pending.outer.cancelled():
                    continue
                self._waiting[ticket] = pending
                self._gate.begin(ticket)
            self._sampler.poke()
            self._send(ticket, pending)

    def _send(self, ticket: int, pending: Pending) -> None:
        try:
            inner = self.terms.provider.submit(pending.request)
        except Exception as error:
            self._lost(ticket)
            fail(pending.outer, error)
            return
        pass_cancellation(pending.outer, inner)
        inner.add_done_callback(partial(self._landed, ticket, pending))

    def _landed(self, ticket: int, pending: Pending, inner: Future[Reply]) -> None:
        """The provider has answered, or failed; called in its thread."""
        if not self._several:
            self._sampler.read()
        if inner.cancelled() or inner.exception() is not None:
            self._lost(ticket)
            pass_outcome(inner, pending.outer, lambda reply: reply)
            return
        reply = inner.result()
        end = clocks.monotonic() - reply.after_s
        with self._lock:
            if reply.replayed:
                self._ledger.forget(ticket)
                del self._waiting[ticket]
            else:
                self._answered(ticket, pending, reply, end)
            self._gate.ended()
        if reply.replayed:
            resolve(pending.outer, reply)
        elif self._failure is not None:
            if pending.row is not None:
                self._repeater.drop(pending.row)
            self._give_up()
        elif pending.row is not None:
            self._repeater.repeat(pending.row, pending.request)
        self._sampler.poke()
        self._admit()

    def _answered(self, ticket: int, pending: Pending, reply: Reply, end: float) -> None:
        tokens = reply.tokens
        read = float(max(0, (tokens.prompt or 0) - (tokens.cached or 0)))
        self._ledger.land(ticket, end=end, seconds=reply.seconds, written=tokens.completion, read=read)
        pending.reply = reply
        self._answers += 1
        self._repeater.plan(ticket, pending, reply.seconds)
        if not self._repeater.is_busy:
            self._gate.answered()

    def _lost(self, ticket: int) -> None:
        with self._lock:
            self._waiting.pop(ticket, None)
            self._ledger.lose(ticket, clocks.monotonic())
            self._gate.ended()
        self._sampler.poke()
        self._admit()

    def _row_ended(self) -> None:
        """The repetitions of a request are over."""
        self._sampler.poke()
        self._admit()

    # --- the sampler's thread -----------------------------------------------------------------------------------------

    def _after_round(self) -> Pace:
        """Settle what can be settled, hand it on, and let others begin; returns how soon to read again."""
        try:
            return self._settle_round()
        except Exception as error:
            # A meter that has a bug costs joules their numbers, and never anybody an answer.
            self._failure = f"the meter failed ({error_words(error)})"
            self._give_up()
            self._admit()
            return "steady"

    def _settle_round(self) -> Pace:
        now = clocks.monotonic()
        with self._lock:
            power = self._idling.look(now, alone=self._gate.is_alone, celsius=self._sampler.celsius)
            self._learn_idle(power)
            is_closed = self._gate.is_closed
            ready: list[tuple[Pending, Energy]] = []
            if is_closed or not (self._settlement.lacks_idle and self._idling.is_learning):
                ready = self._settlement.settle(self._ledger.settle(now, closing=is_closed), self._waiting)
            waiting = self._ledger.waiting
            learning = self._idling.is_learning or self._idling.is_due
            quiet = self._gate.is_unused and not waiting and not learning
            self._gate.yield_turn()
        for pending, energy in ready:
            pending.hand_on(energy)
        if quiet and not ready:
            return "quiet"
        if self._several:
            # What tokens weigh matters only where several share.
            self._weights.learn()
        self._admit()
        return "hurried" if waiting else "steady"

    def _learn_idle(self, power: Reading | None) -> None:
        if power is not None:
            self._ledger.idle_w = list(power.watts)
            self._ledger.idle_error_w = power.error_w

    def _give_up(self) -> None:
        """Hand on the replies that are there, their energy unknown because the meter failed."""
        with self._lock:
            self._idling.give_up()
            answered = [ticket for ticket, pending in self._waiting.items() if pending.reply is not None]
            unmeasured = [self._waiting.pop(ticket) for ticket in answered]
        for pending in unmeasured:
            pending.hand_on(unknown_energy(self._failure or "", flags=("meter_failed",)))

    # --- the end ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """See `Window`."""
        with self._lock:
            never_sent = self._gate.close()
        for pending in never_sent:
            pending.outer.cancel()

    def close(self) -> Metering | None:
        """See `Window`: wait for the last tick, then return the totals of the whole time."""
        self._wait_for_last_tick()
        self._sampler.stop()
        for pending in list(self._waiting.values()):
            why = "the session ended before the counter's next tick"
            pending.hand_on(unknown_energy(why, flags=("below_resolution",)))
        self._gate.release()
        with self._lock:
            self._ledger.close(clocks.monotonic())
            return self._metering()

    def so_far(self) -> Metering | None:
        """See `Window`: what was booked up to the last reading."""
        with self._lock:
            return self._totals()

    def _wait_for_last_tick(self) -> None:
        ticks_s = [timeline.tick_s or 0.0 for timeline in self._sampler.timelines]
        polls_s = [fact.poll_s + fact.lag_s for fact in self._facts]
        deadline = clocks.monotonic() + closing_s(ticks_s, polls_s)
        while self._is_waiting() and clocks.monotonic() < deadline:
            self._sampler.poke()
            clocks.sleep(0.002)

    def _is_waiting(self) -> bool:
        with self._lock:
            return self._ledger.waiting

    def _metering(self) -> Metering:
        """The rung's totals, with what was learned of its devices."""
        totals = self._totals()
        notes = (*totals.notes, *self._idling.notes, *self._contention())
        return with_findings(replace(totals, notes=notes), self._idling, self._weights, several=self._several)

    def _totals(self) -> Metering:
        choice = self.terms.choice
        totals = metering_of(
            self._ledger,
            self._facts,
            rung=choice.rung,
            meter=str(choice),
            basis=choice.basis,
            answers=self._answers,
            several=self._several,
        )
        return replace(totals, served=self._settlement.own_part(totals.served))

    def _contention(self) -> list[str]:
        """Who else used the devices last, with what to do about it."""
        remedy = 'meter = { name = "rapl", share = "process" } leaves them out'
        is_avoidable = self._own_process is None and [fact.meter for fact in self._facts] == ["rapl"]
        return [f"{who}; {remedy}" if is_avoidable else who for _, _, who in self._sampler.others[-1:]]


def closing_s(ticks_s: Sequence[float], polls_s: Sequence[float]) -> float:
    """How many seconds the last tick is waited for, by what the counters' ticks and readings take; 0 if unknown."""
    return max(_CLOSING_S, 3 * max(ticks_s), 3 * max(polls_s))


def _device_lock(terms: Terms, facts: Sequence[Facts]) -> DeviceLock | None:
    """The turns of worker processes at devices that count what all of them take; None where nothing is shared."""
    devices = [fact.device for fact in facts if not fact.only_this_process]
    return DeviceLock(devices) if terms.workers > 1 and devices else None


def _idling(terms: Terms, facts: Sequence[Facts], ledger: Ledger, *, loads: bool) -> Idling:
    """The pauses of the rung; none where its counters cannot show idle power."""
    wanted_s = terms.choice.idle_s if all(shows_idle_power(fact) for fact in facts) else 0.0
    idling = Idling(
        ledger.timelines,
        rung=terms.choice.rung,
        devices=[fact.device for fact in facts],
        memory=terms.memory,
        opened=ledger.opened,
        wanted_s=wanted_s,
        loads=loads and terms.workers == 1,
        factors=[fact.factors for fact in facts],
    )
    if loads and terms.workers > 1 and wanted_s != 0:
        idling.notes.append("idle power before any model is not known: another process may have loaded one")
    return idling
