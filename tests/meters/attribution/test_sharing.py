"""Counters' ticks against requests in flight: true bounds, conserved sums, and what is said when nothing can be."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.shares import Part
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.timeline import Bracket, Break, Timeline
from tests.meters.simulated import Asked, Clock, Load, SimCounter, meter_requests

FACTS = Facts(device="sim:0", boundary="gpu.board", meter="sim", resolution=1e-3)


class Reader:
    """A simulated counter as the meter reads it: nothing between it and its face."""

    facts = FACTS

    def __init__(self, counter: SimCounter) -> None:
        self._counter = counter

    def read(self) -> float:
        return self._counter.shown()

    def others(self) -> str | None:
        return None


def one_window(seconds: float, *, tick_s: float, phase: float = 0.0, idle_w: float | None = None, **more: Any) -> Any:
    """One request of 300 W over 60 W idle, with a guard of 2 s before and after it; another came before."""
    clock = Clock(98.0)
    first = Asked(start=99.0, end=100.0, watts=240.0)
    load = Load(60.0, [first, Asked(start=102.0 + phase, end=102.0 + phase + seconds, watts=240.0)])
    counter = SimCounter(load=load, clock=clock, tick_s=tick_s, **more)
    found, _ = meter_requests(
        [(Reader(counter), FACTS)],
        clock,
        load.requests,
        poll_s=tick_s / 4,
        until=104.0 + phase + seconds,
        several=False,
        idle_w=idle_w,
    )
    return found[1], load.taken_by(1)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("phase", [0.0, 0.03, 0.07])
def test_the_bracket_holds_the_truth_where_the_plain_difference_is_low(seconds: float, phase: float) -> None:
    energy, truth = one_window(seconds, tick_s=0.1, phase=phase)
    assert energy.low <= truth <= energy.high
    assert energy.high - energy.low <= 2 * 0.13 * 300 + 0.01


def test_idle_power_known_the_guess_is_far_better_than_the_bracket() -> None:
    energy, truth = one_window(0.5, tick_s=0.1, phase=0.037, idle_w=60.0)
    # A quarter of a tick passes between two readings, so that each end is off by up to an eighth of 0.1 s.
    assert energy.joules == pytest.approx(truth, abs=2 * 0.0125 * 300 + 0.1)
    assert (energy.high - energy.low) / truth > 0.2
    assert "no_guard" not in energy.flags


def test_without_a_known_idle_power_the_missing_guard_is_flagged() -> None:
    assert "no_guard" in one_window(0.5, tick_s=0.1)[0].flags


def test_a_window_without_a_tick_is_below_resolution_and_not_zero() -> None:
    energy, truth = one_window(0.02, tick_s=1.0, phase=0.3)
    assert (energy.ticks, "below_resolution" in energy.flags) == (0, True)
    assert energy.joules > 0
    assert energy.low <= truth <= energy.high
    assert str(energy).startswith("< ")


@pytest.mark.parametrize(
    ("fault", "flag"),
    [({"reset_at": 103.0, "begins_at_j": 50_000.0}, "counter_reset"), ({"denied": (103.0, 104.0)}, "permission_lost")],
)
def test_a_counter_that_breaks_in_the_window_gives_a_reason_and_no_joules(fault: Any, flag: str) -> None:
    class Strict(Reader):
        last = 0.0

        def read(self) -> float:
            from pytest_rightsize.meters import CounterError

            try:
                now = super().read()
            except PermissionError:
                raise CounterError("it may not be read any more", flag="permission_lost") from None
            last, self.last = self.last, now
            if now < last:
                raise CounterError("it began anew", flag="counter_reset")
            return now

    clock = Clock(100.0)
    load = Load(60.0, [Asked(start=102.0, end=105.0, watts=240.0), Asked(start=107.0, end=109.0, watts=240.0)])
    counter = SimCounter(load=load, clock=clock, **fault)
    found, ledger = meter_requests(
        [(Strict(counter), FACTS)], clock, load.requests, poll_s=0.025, until=111.0, several=False
    )
    assert (found[0].joules, found[0].flags) == (None, (flag,))
    assert found[1].joules is not None
    assert found[1].low <= load.taken_by(1) <= found[1].high  # type: ignore[operator]  # both are set with joules
    assert ledger.accounts[0].unknown_s > 0


def test_shares_and_idle_add_up_to_what_the_device_took() -> None:
    clock = Clock(100.0)
    chance = random.Random(7)
    requests = [
        Asked(start=(start := 101 + chance.random() * 10), end=start + 0.1 + 2 * chance.random(), watts=50, tokens=9)
        for _ in range(40)
    ]
    load = Load(60.0, requests)
    counter = SimCounter(load=load, clock=clock)
    found, ledger = meter_requests(
        [(Reader(counter), FACTS)], clock, requests, poll_s=0.025, until=120.0, several=True, patience_s=0.5
    )
    account = ledger.accounts[0]
    assert len(found) == 40
    assert sum(energy.joules or 0 for energy in found.values()) == pytest.approx(account.served, rel=1e-9)
    assert account.load + account.served + account.idle == pytest.approx(account.total, rel=1e-9)
    assert account.total == pytest.approx(load.joules(ledger.until) - load.joules(ledger.opened), rel=0.02)


def test_who_writes_more_tokens_has_more_of_the_joules() -> None:
    clock = Clock(100.0)
    requests = [Asked(start=101, end=103, watts=50, tokens=30), Asked(start=101, end=103, watts=50, tokens=10)]
    counter = SimCounter(load=Load(60.0, requests), clock=clock)
    found, _ = meter_requests([(Reader(counter), FACTS)], clock, requests, poll_s=0.025, until=105.0, several=True)
    assert found[0].joules == pytest.approx(3 * (found[1].joules or 0))
    assert (found[0].provenance, found[0].flags) == ("measured_shared", ("shared",))


def test_unknown_tokens_share_evenly_and_are_flagged() -> None:
    lines = [Timeline(exact=True)]
    ledger = Ledger(lines, opened=0.0, patience_s=1.0)
    lines[0].read(0.0, 0.0, 0.0)
    for ticket, weight in ((1, 30.0), (2, None)):
        ledger.admit(ticket, 1.0)
        del weight
    for moment in (1.0, 2.0, 3.0):
        lines[0].read(moment, moment, 100 * moment)
    ledger.land(1, end=2.0, seconds=1.0, written=30.0)
    ledger.land(2, end=2.0, seconds=1.0, written=None)
    shares = ledger.settle(3.0)
    assert [share.by_time for share in shares] == [True, True]
    assert [round(part.joules) for share in shares for part in share.parts if not isinstance(part, Break)] == [50, 50]


def test_a_long_neighbour_is_not_waited_for() -> None:
    """The short answer is settled a patience after its end; what the long one then has is what was left to it."""
    clock = Clock(100.0)
    requests = [Asked(start=101, end=140, watts=50, tokens=390), Asked(start=105, end=106, watts=50, tokens=10)]
    load = Load(60.0, requests)
    counter = SimCounter(load=load, clock=clock)
    reader = [(Reader(counter), FACTS)]
    early, _ = meter_requests(reader, clock, requests[:], poll_s=0.025, until=108.0, several=True)
    assert list(early) == [1]
    clock.now = 100.0
    found, ledger = meter_requests(reader, clock, requests, poll_s=0.025, until=142.0, several=True)
    assert sum(energy.joules or 0 for energy in found.values()) == pytest.approx(ledger.accounts[0].served)
    for number in found:
        assert found[number].low <= load.taken_by(number) <= found[number].high  # type: ignore[operator]


def test_one_that_was_not_waited_for_and_began_late_keeps_its_reading() -> None:
    """It was queued at its provider for longer than its neighbours wait, and its reply tells of the last second."""
    line = Timeline(exact=True)
    ledger = Ledger([line], opened=0.0, patience_s=1.0, loads=False)
    line.read(0.0, 0.0, 0.0)
    ledger.admit("queued", 0.5)
    ledger.admit("short", 0.5)
    moment = 0.5
    while moment < 9.0:
        line.read(moment, moment, 50 * moment)
        if moment == 1.0:
            ledger.land("short", end=1.0, seconds=0.5, written=10.0)
        ledger.settle(moment)
        moment += 1 / 128
    line.read(9.0, 9.0, 450.0)
    ledger.admit("other", 8.9)
    ledger.land("queued", end=9.0, seconds=1.0, written=10.0)
    ledger.land("other", end=8.95, seconds=0.05, written=1.0)
    ledger.settle(8.96)
    for moment in (9.5, 11.0):
        line.read(moment, moment, 50 * moment)
        shares = ledger.settle(moment)
        if shares:
            break
    parts = {share.ticket: share.parts[0] for share in shares}
    assert not isinstance(parts["queued"], Break)


def test_marginal_energy_leaves_the_idle_power_out() -> None:
    clock = Clock(100.0)
    load = Load(60.0, [Asked(start=102, end=106, watts=240)])
    counter = SimCounter(load=load, clock=clock, tick_s=0.01)
    found, ledger = meter_requests(
        [(Reader(counter), FACTS)],
        clock,
        load.requests,
        poll_s=0.01,
        until=108.0,
        several=False,
        idle_w=60.0,
        marginal=True,
    )
    assert found[0].joules == pytest.approx(4 * 240, rel=0.01)
    assert found[0].basis == "marginal"
    account = ledger.accounts[0]
    assert account.load + account.served + account.idle == pytest.approx(account.total)


def test_the_time_before_the_first_answer_began_is_loading() -> None:
    """A model loads for 3 s at 200 W before it writes for 1 s: the answer has only the second."""
    clock = Clock(100.0)
    load = Load(60.0, [Asked(start=100.5, end=103.5, watts=140), Asked(start=103.5, end=104.5, watts=240)])
    counter = SimCounter(load=load, clock=clock, tick_s=0.01)
    line = Timeline(resolution=1e-3)
    ledger = Ledger([line], opened=100.0, patience_s=1.0)
    ledger.admit("x", 100.0)
    while clock.now < 105.0:
        line.read(clock.now, clock.now, counter.shown())
        clock.now += 0.0025
        if "x" in ledger._flying and clock.now >= 104.5:
            ledger.land("x", end=104.5, seconds=1.0, written=10.0)
    (share,) = ledger.settle(clock.now)
    part = share.parts[0]
    assert not isinstance(part, Break)
    assert part.joules == pytest.approx(300, rel=0.02)
    assert ledger.accounts[0].load == pytest.approx(0.5 * 60 + 3 * 200, rel=0.02)


def test_after_a_counter_began_again_from_nothing_answers_have_their_shares() -> None:
    """What it showed before stands higher than all that comes, and must not be held against it."""
    line = Timeline()
    ledger = Ledger([line], opened=0.0, patience_s=1.0, loads=False)
    told = []
    for tick in range(100):
        moment = tick / 10
        if tick == 45:
            line.broke("loaded again", "reset")
        line.read(moment, moment, 9000.0 + tick if tick < 45 else tick - 45.0)
        if tick % 10 == 1:
            ledger.admit(tick, moment)
        if tick % 10 == 6:
            ledger.land(tick - 5, end=moment, seconds=0.5, written=10.0)
        told += ledger.settle(moment)
    parts = [share.parts[0] for share in told]
    assert [isinstance(part, Break) for part in parts] == [False] * 4 + [True] + [False] * 5
    known = [part.joules for part in parts if isinstance(part, Part)]
    assert known == pytest.approx([5.0] * 9, abs=0.01)
    assert sum(known) == pytest.approx(ledger.accounts[0].served)


def test_what_an_answer_is_told_beyond_its_share_was_not_idle() -> None:
    """A device that took less than its idle power meanwhile: nobody is told 0, and the sum still holds."""
    line = Timeline()
    ledger = Ledger([line], opened=0.0, patience_s=1.0, marginal=True, loads=False)
    ledger.idle_w, ledger.idle_error_w = [10.0], 8.0
    for tick in range(30):
        moment = tick / 10
        line.read(moment, moment, float(tick) if tick < 10 else 10.0 + (tick - 10) * 0.5)
        if tick == 11:
            ledger.admit("x", moment)
        if tick == 21:
            ledger.land("x", end=moment, seconds=1.0, written=10.0)
    (share,) = ledger.settle(3.0)
    (part,) = share.parts
    assert isinstance(part, Part)
    account = ledger.accounts[0]
    assert 0 < part.joules <= part.high
    assert part.joules == pytest.approx(account.served)
    assert account.idle + account.served == pytest.approx(account.total)


def test_a_bracket_waits_for_the_tick_that_ends_it() -> None:
    line = Timeline()
    for moment, joules in ((0.0, 0.0), (1.0, 10.0), (2.0, 20.0)):
        line.read(moment, moment, joules)
    assert line.bracket(0.5, 1.9) is None
    line.read(3.0, 3.0, 30.0)
    found = line.bracket(0.5, 1.9)
    assert isinstance(found, Bracket)
    assert (found.low, found.high, found.ticks) == (0.0, 30.0, 1)
    assert 0 < found.joules < 30
    assert isinstance(line.bracket(-1.0, 1.0), Break)


def test_of_ticks_that_are_too_fast_to_be_seen_the_latest_is_read() -> None:
    """Read seldom, a counter of 2 ms shows what was spent up to the reading, and not up to half way to it."""
    line = Timeline(period_s=0.002)
    for moment, joules in ((0.0, 0.0), (0.1, 1.0), (0.2, 2.0), (0.3, 6.0)):
        line.read(moment, moment, joules)
    # 10 W up to 0.2 s, 40 W from there.
    assert line.guess(0.15) == pytest.approx(1.5, rel=0.02)
    assert (line.at_least(0.05, 0.15), line.at_most(0.05, 0.15)) == (0.0, 6.0)


def test_what_a_counter_shows_first_after_a_break_was_there_before_and_bounds_nothing_from_below() -> None:
    """Its value is of a tick before the request began: set against it, the request seems to have taken too much."""
    line = Timeline()
    line.read(0.0, 0.0, 100.0)
    line.broke("denied", "permission_lost")
    for moment, joules in ((1.0, 200.0), (1.1, 260.0), (1.4, 260.0), (1.5, 300.0), (1.9, 300.0), (2.0, 340.0)):
        line.read(moment, moment, joules)
    assert line.at_least(1.0, 1.45) == 0.0
    assert line.at_most(1.0, 1.45) == 140.0
    assert isinstance(line.bracket(0.5, 1.45), Break)


POWERS = st.floats(1.0, 700.0)
SPANS = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.floats(0.01, 4.0), POWERS, st.integers(1, 500)), min_size=1, max_size=8
)


@settings(max_examples=150)
@given(
    SPANS, st.sampled_from([0.001, 0.02, 0.1, 1.0]), st.floats(0, 1), st.floats(0, 150), st.booleans(), st.integers()
)
def test_bounds_are_true_whatever_the_requests(
    spans: list[tuple[float, float, float, int]], tick_s: float, phase: float, idle_w: float, known: bool, seed: int
) -> None:
    clock = Clock(100.0)
    requests = [Asked(start=101 + a, end=101 + a + b, watts=watts, tokens=tokens) for a, b, watts, tokens in spans]
    load = Load(idle_w, requests)
    counter = SimCounter(load=load, clock=clock, tick_s=tick_s, phase_s=phase * tick_s)
    until = max(one.end for one in requests) + 3 * tick_s + 1.5
    found, ledger = meter_requests(
        [(Reader(counter), FACTS)],
        clock,
        requests,
        poll_s=max(tick_s / 4, 0.01),
        until=until,
        several=len(requests) > 1,
        jitter=random.Random(seed),
        idle_w=idle_w if known else None,
    )
    for number, energy in found.items():
        assert energy.joules is not None
        assert energy.joules > 0
        assert energy.bounds is not None
        assert energy.bounds[0] - 1e-6 <= load.taken_by(number) <= energy.bounds[1] + 1e-6
    account = ledger.accounts[0]
    assert account.load + account.served + account.idle == pytest.approx(account.total, abs=1e-6)


def exact_ledger(watts: float = 10.0, until: float = 20.0, **more: Any) -> Ledger:
    """A ledger from 0 s on with an exact counter, of a device that takes so many watts."""
    line = Timeline(exact=True)
    for moment in range(int(until) + 1):
        line.read(float(moment), float(moment), watts * moment)
    return Ledger([line], opened=0.0, patience_s=1.0, **more)


def test_requests_that_begin_while_the_model_loads_wait_for_it_and_all_of_that_time_is_loading() -> None:
    """The first request comes at 2 s, another at 3 s; both answers took from 7 s on."""
    ledger = exact_ledger()
    ledger.admit("a", 2.0)
    ledger.admit("b", 3.0)
    ledger.land("a", end=9.0, seconds=2.0, written=1.0)
    ledger.land("b", end=11.0, seconds=4.0, written=1.0)
    shares = {share.ticket: share.parts[0] for share in ledger.settle(20.0)}
    account = ledger.accounts[0]
    assert (account.idle, account.load, account.served, account.total) == pytest.approx((20.0, 50.0, 40.0, 110.0))
    assert {ticket: part.joules for ticket, part in shares.items() if isinstance(part, Part)} == pytest.approx(
        {"a": 40.0 / 3, "b": 80.0 / 3}
    )


def test_idle_power_is_part_of_an_answer_unless_the_ledger_is_to_leave_it_out() -> None:
    """10 W for 4 s, of which 3 W are idle power, known to 1 W where that is said."""

    def part(**more: Any) -> Part:
        error_w = more.pop("error_w", None)
        ledger = exact_ledger(loads=False, **more)
        assert ledger.idle_error_w == 0.0
        ledger.idle_w, ledger.idle_error_w = [3.0], error_w or ledger.idle_error_w
        ledger.admit(0, 2.0)
        ledger.land(0, end=6.0, seconds=None, written=1.0)
        ((found,),) = [share.parts for share in ledger.settle(20.0)]
        assert isinstance(found, Part)
        return found

    assert part() == Part(low=40.0, joules=40.0, high=40.0, ticks=4)
    assert part(marginal=True) == Part(low=28.0, joules=28.0, high=28.0, ticks=4)
    assert part(marginal=True, error_w=1.0) == Part(low=24.0, joules=28.0, high=32.0, ticks=4)


def test_each_time_without_a_gap_between_requests_is_one_run() -> None:
    ledger = exact_ledger(loads=False)
    assert (ledger.busy_runs, ledger.busy_s) == (0, 0.0)
    for ticket, (start, end) in enumerate([(1.0, 3.0), (2.0, 4.0), (4.0, 5.0), (7.0, 8.0)]):
        ledger.admit(ticket, start)
        ledger.land(ticket, end=end, seconds=None, written=1.0)
    ledger.settle(20.0)
    assert (ledger.busy_runs, ledger.busy_s) == (2, 5.0)


def test_what_is_taken_after_the_last_answer_is_idle_up_to_the_last_reading() -> None:
    ledger = exact_ledger(loads=False)
    ledger.admit(0, 2.0)
    ledger.land(0, end=6.0, seconds=None, written=1.0)
    ledger.settle(20.0)
    account = ledger.accounts[0]
    assert (account.idle, account.served, account.total) == (20.0, 40.0, 60.0)
    ledger.close(30.0)
    ledger.close(30.0)
    assert (account.idle, account.served, account.total, ledger.until) == (160.0, 40.0, 200.0, 20.0)


@pytest.mark.parametrize("loads", [True, False])
def test_a_rung_that_was_never_asked_was_idle_all_the_time(loads: bool) -> None:
    ledger = exact_ledger(loads=loads)
    ledger.close(30.0)
    account = ledger.accounts[0]
    assert (account.idle, account.load, account.total, ledger.busy_s) == (200.0, 0.0, 200.0, 0.0)


def test_a_request_that_ends_as_it_begins_does_not_part_the_time_in_which_another_was_alone() -> None:
    """From 2 to 6 s at least 30 J come up; from 2 to 4 and from 4 to 6 s only 10 J each."""
    line = Timeline()
    for moment in range(21):
        line.read(float(moment), float(moment), 10.0 * moment)
    ledger = Ledger([line], opened=1.0, patience_s=1.0, loads=False)
    ledger.admit("long", 2.0)
    ledger.admit("at once", 4.0)
    ledger.land("at once", end=4.0, seconds=0.0, written=1.0)
    ledger.land("long", end=6.0, seconds=None, written=1.0)
    parts = {share.ticket: share.parts[0] for share in ledger.settle(20.0)}
    assert isinstance(parts["long"], Part)
    assert (parts["long"].low, parts["long"].joules, parts["long"].high) == (30.0, 40.0, 50.0)
