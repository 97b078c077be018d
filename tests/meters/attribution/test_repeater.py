"""The repeater: three blocks of the same request, each booked as one, and what ends a row early."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from pytest_rightsize.meters.attribution import gate, repeater
from pytest_rightsize.meters.attribution.gate import Gate
from pytest_rightsize.meters.attribution.idling import IdleMemory, Idling
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.processes import ProcessorTrack
from pytest_rightsize.meters.attribution.repeater import Repeater
from pytest_rightsize.meters.attribution.repetition import Row
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.timeline import Timeline
from pytest_rightsize.records import Reply, Request

REQUEST = Request(messages=())


class Told:
    """A provider that answers at once, or when the test says so; the request numbered `fails_at` fails."""

    def __init__(self, *, at_once: bool, fails_at: int | None = None, raises_at: int | None = None) -> None:
        self.futures: list[Future[Reply]] = []
        self._at_once, self._fails_at, self._raises_at = at_once, fails_at, raises_at

    def submit(self, request: Request) -> Future[Reply]:
        assert request is REQUEST
        if len(self.futures) == self._raises_at:
            raise RuntimeError("it is closed")
        self.futures.append(Future())
        if self._at_once:
            self.answer()
        return self.futures[-1]

    def answer(self) -> None:
        future = self.futures[-1]
        if len(self.futures) - 1 == self._fails_at:
            future.set_exception(RuntimeError("no memory"))
        else:
            future.set_result(Reply(text="4"))


class Forgetful(Told):
    """One that keeps prompts in its memory until it is told to forget them."""

    forgotten = 0

    def forget(self) -> None:
        self.forgotten += 1


class Repeated:
    """A repeater of one answered request, with what it does to the ledger and the gate."""

    def __init__(self, provider: Told, *, budget_s: float = 10.0, tick_s: float | None = 0.1) -> None:
        lines = [Timeline(period_s=tick_s)]
        self.ledger = Ledger(lines, opened=0.0, patience_s=1.0)
        idling = Idling(lines, rung="1b", devices=["sim:0"], memory=IdleMemory(), opened=0.0, wanted_s=5.0, loads=False)
        self.idling = idling
        self.gate = Gate(self.ledger, idling, limit=1, device_lock=None, own_process=None, processor=ProcessorTrack())
        self.rows_ended = 0
        self.repeater = Repeater(
            provider,  # type: ignore[arg-type]  # as much of a provider as is asked
            self.gate,
            self.ledger,
            lock=threading.RLock(),
            budget_s=budget_s,
            after_row=self._after_row,
        )

    def _after_row(self) -> None:
        assert not self.repeater.is_busy
        self.rows_ended += 1

    def planned(self, seconds: float | None = 0.5) -> Row | None:
        """The row of a request that took so long: 0.5 s at a tick of 0.1 s make two repetitions in each block."""
        pending = Pending(request=REQUEST, outer=Future())
        self.repeater.plan(7, pending, seconds)
        return pending.row

    def row(self) -> Row:
        found = self.planned()
        assert found is not None
        return found

    def outcomes(self) -> dict[Any, str]:
        """The outcome of each block that has ended, by its ticket."""
        return {flight.ticket: flight.outcome for flight in self.ledger._landed.values()}


def test_a_short_request_gets_three_blocks_and_a_long_one_none() -> None:
    one = Repeated(Told(at_once=True))
    assert one.planned(None) is None
    assert one.planned(60.0) is None
    assert not one.repeater.is_busy
    row = one.row()
    assert (row.per_block, list(row.block_tickets), one.repeater.is_busy) == (2, ["7/0", "7/1", "7/2"], True)


@pytest.mark.parametrize("more", [{"budget_s": 0.0}, {"tick_s": None}])
def test_without_a_budget_or_a_known_tick_nothing_is_repeated(more: dict[str, Any]) -> None:
    assert Repeated(Told(at_once=True), **more).planned() is None


@pytest.mark.parametrize("at_once", [True, False])
def test_every_block_is_sent_in_its_turn_and_booked_as_one(at_once: bool) -> None:
    provider = Forgetful(at_once=at_once)
    one = Repeated(provider)
    row = one.row()
    one.repeater.repeat(row, REQUEST)
    in_flight = []
    while not at_once and not row.ended:
        in_flight.append((one.ledger.in_flight, row.block, row.in_block))
        provider.answer()
    assert in_flight == ([] if at_once else [(1, block, place) for block in range(3) for place in range(2)])
    assert (len(provider.futures), provider.forgotten) == (6, 6)
    assert one.outcomes() == dict.fromkeys(["7/0", "7/1", "7/2"], "repeated")
    assert (row.ended, row.failed, row.block, one.ledger.in_flight) == (True, False, 3, 0)
    assert (one.rows_ended, one.repeater.is_busy) == (1, False)
    assert one.idling.holds  # the pause after the first answer and its repetitions


class Clock:
    """In place of the clocks: each answer takes a second."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Timed(Told):
    """A provider whose answers come at once, a second later by the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(at_once=True)
        self._clock = clock

    def answer(self) -> None:
        self._clock.now += 1.0
        super().answer()


def test_a_block_lasts_from_its_first_repetition_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for module in (gate, repeater):
        monkeypatch.setattr(module, "clocks", clock)
    one = Repeated(Timed(clock))
    row = one.row()
    one.ledger.load_end = 0.0
    one.repeater.repeat(row, REQUEST)
    spans = [(flight.start, flight.end) for flight in one.ledger._landed.values()]
    assert spans == [(100.0, 102.0), (102.0, 104.0), (104.0, 106.0)]


def test_many_answers_that_come_at_once_are_no_calls_within_calls() -> None:
    provider = Told(at_once=True)
    one = Repeated(provider)
    row = one.row()
    row.per_block = 1000
    one.repeater.repeat(row, REQUEST)
    assert (len(provider.futures), row.failed) == (3000, False)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("how", ["fails_at", "raises_at"])
def test_a_repetition_that_fails_ends_the_row_and_its_block_is_lost(how: str, at_once: bool) -> None:
    provider = Told(at_once=at_once, **{how: 3})
    one = Repeated(provider)
    row = one.row()
    one.repeater.repeat(row, REQUEST)
    while not at_once and not row.ended:
        provider.answer()
    assert (row.ended, row.failed, row.block, one.ledger.in_flight) == (True, True, 1, 0)
    assert one.outcomes() == {"7/0": "repeated", "7/1": "lost"}
    assert (one.rows_ended, one.repeater.is_busy) == (1, False)


def test_a_cancelled_repetition_ends_the_row() -> None:
    provider = Told(at_once=False)
    one = Repeated(provider)
    row = one.row()
    one.repeater.repeat(row, REQUEST)
    assert provider.futures[0].cancel()
    assert (row.ended, row.failed, one.outcomes()) == (True, True, {"7/0": "lost"})


def test_a_closed_gate_ends_the_row_with_the_next_answer() -> None:
    provider = Told(at_once=False)
    one = Repeated(provider)
    row = one.row()
    one.repeater.repeat(row, REQUEST)
    one.gate.close()
    provider.answer()
    assert (row.failed, len(provider.futures), one.outcomes()) == (True, 1, {"7/0": "lost"})


def test_a_row_that_has_not_begun_can_be_given_up() -> None:
    one = Repeated(Told(at_once=True))
    row = one.row()
    one.repeater.drop(row)
    assert (row.ended, row.failed, one.repeater.is_busy, one.rows_ended) == (True, True, False, 0)
    assert (one.outcomes(), one.idling.holds) == ({}, True)
