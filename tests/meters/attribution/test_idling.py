"""When a rung is left idle and what is found then: cold before its model, resident after, again when that is old."""

from collections.abc import Callable

import pytest

from pytest_rightsize.meter_records import IdlePower
from pytest_rightsize.meters.attribution.idling import IdleMemory, Idling, Reading, seconds_needed
from pytest_rightsize.meters.attribution.timeline import Timeline
from tests.meters.simulated import Asked, Clock, Load, SimCounter

COLD_W, LOADED_W = 40.0, 70.0


class Rung:
    """A rung on a simulated board: 40 W, and 30 W more once its model is loaded."""

    def __init__(
        self,
        *,
        wanted_s: float | None = None,
        tick_s: float = 0.1,
        memory: IdleMemory | None = None,
        loads: bool = True,
        name: str = "1b",
        loaded_at: float = 104.0,
    ) -> None:
        self.clock = Clock(100.0)
        load = Load(COLD_W, [Asked(start=loaded_at, end=9e5, watts=LOADED_W - COLD_W)])
        self.counter = SimCounter(load=load, clock=self.clock, tick_s=tick_s)
        self.line = Timeline(resolution=1e-3)
        self.memory = memory or IdleMemory()
        self.line.read(100.0, 100.0, self.counter.shown())
        self.idling = Idling(
            [self.line],
            rung=name,
            devices=["sim:0"],
            memory=self.memory,
            opened=100.0,
            wanted_s=wanted_s,
            loads=loads,
        )

    celsius: float | None = None

    def run(self, until: float, *, stop: Callable[[], bool] = lambda: False, alone: bool = True) -> float:
        """Let time pass, the counter being read four times a tick; the moment at which that ended."""
        while self.clock.now < until and not stop():
            self.clock.now += self.counter.tick_s / 4
            self.line.read(self.clock.now, self.clock.now, self.counter.shown())
            self.idling.look(self.clock.now, alone=alone, celsius=self.celsius)
        return self.clock.now

    def answer(self, seconds: float) -> None:
        """One request and its answer."""
        self.idling.begins()
        self.run(self.clock.now + seconds)
        self.idling.answered()
        self.idling.is_free(self.clock.now)

    def states(self) -> list[tuple[str, int]]:
        return [(power.state, round(power.watts)) for power in self.idling.powers]


@pytest.mark.parametrize(
    ("wanted_s", "tick_s", "needed"),
    [(None, None, 3.0), (None, 0.02, 3.0), (None, 0.1, 3.0), (None, 0.2, 6.0), (None, 0.6, None), (0.1, 0.6, 0.1)],
)
def test_a_pause_is_three_seconds_or_thirty_ticks_unless_the_ladder_file_says_otherwise(
    wanted_s: float | None, tick_s: float | None, needed: float | None
) -> None:
    assert seconds_needed(wanted_s, [tick_s]) == needed


@pytest.mark.parametrize("tick_s", [0.02, 0.1, 0.2])
def test_cold_is_found_before_the_model_is_loaded_and_resident_after_the_first_answer(tick_s: float) -> None:
    rung = Rung(tick_s=tick_s, loaded_at=100 + 0.3 + max(3.0, 30 * tick_s) + 2)
    assert not rung.idling.may_begin(0)
    rung.run(120, stop=lambda: rung.idling.may_begin(0))
    assert rung.states() == [("cold", COLD_W)]
    assert not rung.idling.may_begin(1)  # the first request goes alone
    rung.run(rung.clock.now + 3.0)
    rung.answer(1.0)
    assert not rung.idling.may_begin(0)
    rung.run(140, stop=lambda: rung.idling.may_begin(5))
    assert rung.states() == [("cold", COLD_W), ("resident", LOADED_W)]
    for power in rung.idling.powers:
        assert power.seconds >= max(3.0, 30 * tick_s) - 1e-9
        assert power.ticks >= 29
        assert power.low <= power.watts <= power.high
        assert power.low <= (COLD_W if power.state == "cold" else LOADED_W) <= power.high
        assert power.high - power.low < 0.15 * power.watts


def test_no_pause_is_made_where_none_is_wanted() -> None:
    rung = Rung(wanted_s=0.0)
    assert rung.idling.may_begin(7)
    rung.answer(1.0)
    rung.run(800)
    assert (rung.idling.powers, rung.idling.holds) == ((), False)


def test_nothing_is_waited_for_where_thirty_ticks_take_too_long_and_what_to_do_is_said() -> None:
    rung = Rung(tick_s=1.5)
    rung.run(120, stop=lambda: rung.idling.may_begin(0))
    assert rung.idling.powers == ()
    assert rung.clock.now < 105
    assert rung.idling.notes == [
        "idle power was not measured: 30 ticks of this counter take 45 s; idle_s = 45 in the meter's table has it done"
    ]


def test_cold_is_found_once_in_a_session_and_not_where_a_model_was_loaded_before() -> None:
    memory = IdleMemory()
    first = Rung(memory=memory)
    first.run(120, stop=lambda: first.idling.may_begin(0))
    first.answer(1.0)
    second = Rung(memory=memory, name="3b")
    assert second.idling.may_begin(0)
    assert second.states() == [("cold", COLD_W)]
    late = Rung(memory=IdleMemory(has_loaded=True))
    assert late.idling.may_begin(0)
    assert late.states() == []
    elsewhere = Rung(loads=False)
    assert elsewhere.idling.may_begin(0)


def test_a_rung_that_is_opened_again_soon_knows_its_idle_power() -> None:
    memory = IdleMemory(has_loaded=True)
    first = Rung(memory=memory, loaded_at=90.0)
    first.answer(0.5)
    first.run(120, stop=lambda: first.idling.may_begin(1))
    again = Rung(memory=memory)
    assert again.idling.may_begin(3)
    assert again.states() == [("resident", LOADED_W)]
    assert Rung(memory=memory, name="another").states() == []


@pytest.mark.parametrize(("age_s", "is_learning"), [(299.0, False), (300.0, True), (900.0, True)])
def test_an_idle_power_that_was_found_five_minutes_ago_is_found_again(age_s: float, is_learning: bool) -> None:
    memory = IdleMemory()
    power = IdlePower(state="resident", watts=70.0, low=69.0, high=71.0, seconds=3.0, ticks=30, at_s=0.0)
    memory.resident["1b", "sim:0"] = Reading(watts=(70.0,), error_w=1.0, at=100.0 - age_s, power=power)
    assert Rung(memory=memory).idling.is_learning is is_learning


@pytest.mark.parametrize("loads", [True, False])
def test_nothing_is_cold_any_more_once_a_rung_that_loads_its_model_was_asked(loads: bool) -> None:
    rung = Rung(loads=loads, wanted_s=0.0)
    rung.idling.begins()
    assert rung.memory.has_loaded is loads
    rung.memory.has_loaded = True
    rung.idling.begins()
    assert rung.memory.has_loaded


def resident(memory: IdleMemory | None = None, celsius: float | None = None) -> Rung:
    """A rung whose idle power was found at about 104."""
    rung = Rung(memory=memory or IdleMemory(has_loaded=True), loaded_at=90.0)
    rung.celsius = celsius
    rung.answer(0.5)
    rung.run(120, stop=lambda: rung.idling.may_begin(1))
    assert len(rung.idling.powers) == 1
    return rung


@pytest.mark.parametrize("tick_s", [0.07, 0.1, 0.13, 0.2])
def test_its_error_reaches_both_bounds_wherever_the_guess_lies_between_them(tick_s: float) -> None:
    rung = Rung(memory=IdleMemory(has_loaded=True), loaded_at=90.0, tick_s=tick_s)
    rung.answer(0.5)
    rung.run(120, stop=lambda: rung.idling.may_begin(1))
    found = rung.idling.resident
    assert found is not None
    assert found.power.watts - found.error_w <= found.power.low + 1e-9
    assert found.power.watts + found.error_w >= found.power.high - 1e-9


def test_it_is_found_again_after_five_minutes_in_a_pause_that_comes_by_itself() -> None:
    rung = resident()
    rung.run(395)  # idle all the time, and no older than five minutes
    assert len(rung.idling.powers) == 1
    rung.answer(10.0)
    rung.run(406)
    assert len(rung.idling.powers) == 1
    assert rung.idling.may_begin(3)  # nobody is held back
    rung.run(420)
    assert len(rung.idling.powers) == 2
    assert rung.idling.powers[1].at_s == pytest.approx(405.3 - 100, abs=0.5)


def test_a_rung_that_nobody_asks_is_looked_at_every_five_minutes_and_not_all_the_time() -> None:
    rung = resident()
    rung.run(1100)
    assert [round(power.at_s) for power in rung.idling.powers] == [1, 301, 601, 902]
    assert rung.idling.may_begin(3)


def test_a_pause_is_made_where_none_comes_for_a_minute() -> None:
    rung = resident()
    rung.idling.begins()
    rung.run(460)
    assert rung.idling.may_begin(3)
    rung.run(470)
    assert not rung.idling.may_begin(3)
    rung.idling.is_free(rung.clock.now)
    rung.run(474)
    assert rung.idling.may_begin(3)
    assert len(rung.idling.powers) == 2


def test_it_is_found_again_where_the_devices_are_five_degrees_warmer() -> None:
    rung = resident(celsius=40.0)
    rung.celsius = 44.0
    rung.run(150)
    assert len(rung.idling.powers) == 1
    rung.celsius = 45.0
    rung.answer(10.0)
    assert len(rung.idling.powers) == 1
    assert rung.idling.may_begin(3)  # nobody is held back
    rung.run(170)
    assert [round(power.at_s) for power in rung.idling.powers] == [1, 60]
    rung.celsius = 49.0
    rung.run(200)
    assert len(rung.idling.powers) == 2
    rung.celsius = 50.0
    rung.idling.begins()
    rung.run(259)
    assert rung.idling.may_begin(3)
    rung.run(262)
    assert not rung.idling.may_begin(3)  # no pause has come for a minute


def test_a_device_that_does_not_say_how_warm_it_is_is_trusted_for_five_minutes() -> None:
    rung = resident(celsius=40.0)
    rung.celsius = None
    rung.run(300)
    assert len(rung.idling.powers) == 1
    rung = resident()
    rung.celsius = 90.0
    rung.run(300)
    assert len(rung.idling.powers) == 1


def test_a_pause_counts_only_while_no_other_worker_has_the_devices() -> None:
    rung = resident()
    rung.run(420, alone=False)
    assert len(rung.idling.powers) == 1
    rung.run(430)
    assert len(rung.idling.powers) == 2


def test_a_counter_that_breaks_leaves_the_power_unknown_and_nobody_waiting() -> None:
    rung = Rung()
    rung.run(101.5)
    rung.line.broke("it is gone", "lost")
    rung.run(106, stop=lambda: rung.idling.may_begin(0))
    assert rung.idling.may_begin(0)
    assert rung.idling.powers == ()
    assert rung.idling.notes == ["idle power before the model was loaded is unknown: the counters did not show it"]


class Loose:
    """A time line whose ticks leave more open above the guess than below it."""

    def __init__(self, watts: float, *, below: float, above: float) -> None:
        self._watts, self._below, self._above = watts, below, above
        self.tick_s = 0.01
        self.known_until = 9e9

    def guess(self, at: float) -> float:
        return self._watts * at

    def at_least(self, start: float, end: float) -> float:
        return self._watts * (end - start) - self._below

    def at_most(self, start: float, end: float) -> float:
        return self._watts * (end - start) + self._above

    def ticks(self, _start: float, _end: float) -> int:
        return 400


def test_the_error_of_idle_power_is_the_farther_bound_of_the_worst_device() -> None:
    """A pause of 4 s: 10 W less 2 J and plus 8 J, and 30 W less 6 J and plus 1 J."""
    lines = [Loose(10.0, below=2.0, above=8.0), Loose(30.0, below=6.0, above=1.0)]
    idling = Idling(
        lines,  # type: ignore[arg-type]  # what a time line tells
        rung="1b",
        devices=["sim:0", "sim:1"],
        memory=IdleMemory(),
        opened=0.0,
        wanted_s=4.0,
        loads=False,
        factors=[(0.5, 2.0), (1.0, 1.0)],
    )
    idling.begins()
    idling.answered()
    idling.is_free(100.0)
    found = [reading for reading in (idling.look(float(now)) for now in range(101, 120)) if reading is not None]
    (reading,) = found
    assert reading.watts == pytest.approx((10.0, 30.0))
    assert reading.error_w == pytest.approx(8.0 / 4.0)
    (power,) = idling.powers
    assert (power.seconds, power.ticks) == (4.0, 400)
    assert power.watts == pytest.approx(40.0)
    assert power.low == pytest.approx(0.5 * 38.0 / 4.0 + 114.0 / 4.0)
    assert power.high == pytest.approx(2.0 * 48.0 / 4.0 + 121.0 / 4.0)
