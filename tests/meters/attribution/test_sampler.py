"""The sampler: what each round of readings leaves in the time lines, who else was there, and how long it pauses."""

import threading
from typing import Any

import pytest

from pytest_rightsize.meters import CounterError, Facts
from pytest_rightsize.meters.attribution import sampler
from pytest_rightsize.meters.attribution.sampler import Pace, Sampler
from pytest_rightsize.meters.attribution.timeline import Break


class Clock:
    """In place of the clocks: what it shows is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    played = Clock()
    monkeypatch.setattr(sampler, "clocks", played)
    return played


class Shown:
    """A counter that shows `joules`, or raises it; `who` is who else uses its device."""

    def __init__(self, **facts: Any) -> None:
        self.facts = Facts(**{"device": "sim:0", "boundary": "gpu.board", "meter": "sim"} | facts)
        self.joules: float | Exception = 0.0
        self.who: str | Exception | None = None

    def read(self) -> float:
        if isinstance(self.joules, Exception):
            raise self.joules
        return self.joules

    def others(self) -> str | None:
        if isinstance(self.who, Exception):
            raise self.who
        return self.who


class Warm(Shown):
    """One whose device has a temperature."""

    degrees: float | None = 40.0

    def celsius(self) -> float | None:
        return self.degrees


def reader(*counters: Shown) -> Sampler:
    return Sampler(counters, lock=threading.RLock(), after_round=lambda: "quiet")


def ticking(one: Sampler, counter: Shown, clock: Clock, *, tick_s: float, count: int) -> None:
    """Read so many ticks, each a joule."""
    for _ in range(count):
        clock.now += tick_s
        counter.joules = float(counter.joules) + 1.0  # type: ignore[arg-type]  # it shows a number here
        one.read()


def broken(one: Sampler, place: int = 0) -> Break | None:
    """The last break of a counter's time line, where nothing was read since."""
    line = one.timelines[place]
    found = line.bracket(99.0, 1e9)
    return found if line.is_broken and isinstance(found, Break) else None


def test_a_counter_that_cannot_be_read_is_broken_and_the_others_are_read_on(clock: Clock) -> None:
    one, two, three = Shown(), Shown(device="sim:1"), Shown(device="sim:2")
    made = reader(one, two, three)
    made.begin()
    one.joules, two.joules, three.joules = CounterError("it was reset", flag="reset"), OSError("no such file"), 5.0
    clock.now += 0.1
    made.read()
    assert broken(made, 0) == Break(reason="it was reset", flag="reset")
    second = broken(made, 1)
    assert second is not None
    assert (second.flag, "the counter failed (" in second.reason, "no such file" in second.reason) == (
        "counter_failed",
        True,
        True,
    )
    assert made.timelines[2].ticks(100.0, 100.1) == 1


# --- a counter that stands still --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "tick_s", "patience_s"),
    [
        ({}, None, 5.0),
        ({}, 0.1, 5.0),  # 20 ticks are 2 s
        ({}, 0.5, 10.0),  # 20 ticks
        ({"poll_s": 0.1}, None, 9.0),  # 90 readings
    ],
)
def test_a_counter_that_stands_still_for_long_is_stuck(
    facts: dict[str, Any], tick_s: float | None, patience_s: float, clock: Clock
) -> None:
    counter = Shown(**facts)
    made = reader(counter)
    made.begin()
    if tick_s is not None:
        ticking(made, counter, clock, tick_s=tick_s, count=4)
    moved_at = clock.now
    clock.now = moved_at + patience_s
    made.read()
    assert broken(made) is None
    clock.now = moved_at + patience_s + 0.25
    made.read()
    assert broken(made) == Break(reason=f"the counter has not moved for {patience_s + 0.25:.0f} s", flag="stuck")


def test_a_counter_that_moves_again_is_not_stuck_at_once(clock: Clock) -> None:
    counter = Shown()
    made = reader(counter)
    made.begin()
    clock.now += 6.0
    made.read()
    counter.joules = 1.0
    clock.now += 4.0
    made.read()
    clock.now += 4.0
    made.read()
    assert broken(made) is None


# --- others, and how warm it is ---------------------------------------------------------------------------------------


def test_who_else_used_a_device_is_asked_each_second_and_remembered(clock: Clock) -> None:
    counter = Shown()
    made = reader(counter)
    made.begin()
    counter.who = "process 7 uses sim:0"
    clock.now = 100.9
    made.read()
    assert made.others == []
    clock.now = 101.0
    made.read()
    assert made.others == [(100.0, 101.0, "process 7 uses sim:0")]
    counter.who = None
    clock.now = 102.0
    made.read()
    assert made.others_in(100.5, 100.6) == "process 7 uses sim:0"
    assert made.others_in(99.0, 100.5) == "process 7 uses sim:0"
    assert made.others_in(101.0, 102.0) is None
    assert made.others_in(99.0, 100.0) is None


def test_after_the_last_look_those_that_it_found_are_taken_to_be_there_still(clock: Clock) -> None:
    counter = Shown()
    counter.who = "process 7 uses sim:0"
    made = reader(counter)
    made.begin()
    assert made.others_in(99.0, 100.0) is None
    assert made.others_in(99.0, 100.5) == "process 7 uses sim:0"
    counter.who = None
    clock.now = 101.0
    made.read()
    assert made.others_in(101.0, 101.5) is None


def test_who_is_there_now_was_not_there_before(clock: Clock) -> None:
    counter = Shown()
    made = reader(counter)
    made.begin()
    counter.who = "process 7 uses sim:0"
    clock.now = 105.0
    made.read()
    assert made.others_in(95.0, 99.0) is None
    assert made.others_in(105.0, 106.0) == "process 7 uses sim:0"


def test_the_last_thousand_looks_are_remembered(clock: Clock) -> None:
    counter = Shown()
    counter.who = "process 7 uses sim:0"
    made = reader(counter)
    made.begin()
    for _ in range(1001):
        clock.now += 1.0
        made.read()
    assert (len(made.others), made.others_in(100.0, 101.0)) == (1000, None)
    assert made.others_in(101.0, 102.0) == "process 7 uses sim:0"


def test_those_of_all_devices_are_named_and_a_device_that_does_not_tell_may_have_some(clock: Clock) -> None:
    one, two, three = Shown(), Shown(device="sim:1"), Shown(device="sim:2")
    one.who, three.who = "process 7 uses sim:0", OSError("no driver")
    made = reader(one, two, three)
    made.begin()
    said = made.others_in(99.0, 101.0)
    assert said is not None
    assert said.startswith("process 7 uses sim:0; nobody knows who else uses sim:2 (")


def test_the_temperature_is_that_of_the_warmest_device_that_tells(clock: Clock) -> None:
    one, two, three = Warm(), Warm(device="sim:1"), Warm(device="sim:2")
    one.degrees, two.degrees, three.degrees = 40.0, 55.0, None
    made = reader(one, two, three, Shown(device="sim:3"))
    assert made.celsius is None
    made.begin()
    assert made.celsius == 55.0
    two.degrees = 30.0
    clock.now += 1.0
    made.read()
    assert made.celsius == 40.0


def test_a_device_without_a_temperature_has_none(clock: Clock) -> None:
    made = reader(Shown())
    made.begin()
    assert made.celsius is None


# --- pauses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "tick_s", "pace", "pause_s"),
    [
        ({"poll_s": 0.01}, None, "steady", 0.01),
        ({"poll_s": 0.01}, 0.4, "steady", 0.1),  # four times a tick
        ({"poll_s": 0.2}, 0.4, "steady", 0.2),
        ({"poll_s": 0.01}, 8.0, "steady", 1.0),  # never less often than each second
        ({"poll_s": 0.01, "hurry_s": 0.004}, 0.4, "hurried", 0.004),
        ({"poll_s": 0.01, "hurry_s": 0.5}, None, "hurried", 0.01),
        ({"poll_s": 0.01}, 0.4, "quiet", 0.1),  # each tick has to be seen
        ({"poll_s": 0.01, "period_s": 0.1}, None, "quiet", 0.25),
        ({"poll_s": 0.5, "period_s": 0.1}, None, "quiet", 0.5),
        ({"poll_s": 0.01, "exact": True}, None, "steady", 0.01),
    ],
)
def test_a_counter_is_read_as_often_as_its_ticks_come(
    facts: dict[str, Any], tick_s: float | None, pace: Pace, pause_s: float, clock: Clock
) -> None:
    counter = Shown(**facts)
    made = reader(counter)
    made.begin()
    if tick_s is not None:
        ticking(made, counter, clock, tick_s=tick_s, count=24)
    assert made._pause(pace) == pytest.approx(pause_s)


def test_of_several_counters_the_fastest_sets_the_pause(clock: Clock) -> None:
    made = reader(Shown(poll_s=0.5), Shown(device="sim:1", poll_s=0.02))
    made.begin()
    assert made._pause("steady") == 0.02
    assert reader()._pause("steady") == 1.0


class Wake:
    """In place of the event that wakes the thread: it notes each pause, and says which of them a poke has ended."""

    def __init__(self, *pokes: bool) -> None:
        self.pauses: list[float] = []
        self._pokes = pokes

    def wait(self, pause_s: float) -> bool:
        self.pauses.append(pause_s)
        return self._pokes[len(self.pauses) - 1]

    def clear(self) -> None:
        """Nothing to do: each pause has its own answer."""


def test_after_a_request_begins_or_ends_two_pauses_are_short() -> None:
    """So that the ticks around it are seen soon."""
    made = reader(Shown(poll_s=10.0, hurry_s=1.0))
    wake = Wake(False, True, False, False, False, True, True, False, False, False)
    made._wake = wake  # type: ignore[assignment]  # as much of an event as is asked

    def after_round() -> Pace:
        if len(wake.pauses) == 9:
            made._stopped.set()
        return "steady"

    made._after_round = after_round
    thread = threading.Thread(target=made._run)
    thread.start()
    thread.join(60)
    assert wake.pauses == [10, 10, 1, 1, 10, 10, 1, 1, 1, 10]


# --- the thread -------------------------------------------------------------------------------------------------------


def test_the_thread_reads_until_it_is_stopped() -> None:
    """Without a poke it would wait for an hour."""
    counter, rounds = Shown(poll_s=3600.0, hurry_s=3600.0), threading.Semaphore(0)

    def after_round() -> Pace:
        rounds.release()
        return "steady"

    made = Sampler([counter], lock=threading.RLock(), after_round=after_round)
    made.begin()
    made.start()
    assert rounds.acquire(timeout=60)
    made.poke()
    assert rounds.acquire(timeout=60)
    made.stop()
    made._thread.join(60)
    assert not made._thread.is_alive()


def test_one_that_was_never_started_can_be_stopped() -> None:
    counter = Shown()
    made = reader(counter)
    made.stop()
    assert not made._thread.is_alive()
