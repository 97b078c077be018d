"""A metered rung while it is open and when it closes: what it tells, whom it waits for, and what it says of others."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest

from pytest_rightsize.meters import Counter
from pytest_rightsize.meters.attribution import counted, sampler
from pytest_rightsize.meters.attribution.counted import closing_s
from pytest_rightsize.records import Reply, Request
from tests.meters.attribution.test_metered import Sim, Sleeper, Ticking, ask, energies, metered


class Silent(Sleeper):
    """A provider that does not answer before it is closed, and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.futures: list[Future[Reply]] = []

    def submit(self, request: Request) -> Future[Reply]:
        self.asked.append(request)
        self.futures.append(Future())
        return self.futures[-1]

    def close(self) -> None:
        super().close()
        for future in self.futures:
            future.set_exception(RuntimeError("closed"))


class Beside(Ticking):
    """A counter beside which another program runs."""

    def others(self) -> str | None:
        return "another program was busy"


class Several(Sim):
    """A meter over several counters."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        super().__init__(counters[0])
        self._counters = counters

    def counters(self) -> Sequence[Counter]:
        return self._counters


def test_only_an_open_rung_has_totals_and_lets_answers_wait() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)))
    assert (one.waiting_room, one.so_far(), one.leaves_machine) == (0, None, False)
    energies(ask(one, 2))
    totals = one.so_far()
    assert totals is not None
    assert (one.waiting_room, totals.answers) == (256, 2)
    one.close()
    assert (one.waiting_room, one.so_far(), len(one.meterings), provider.closed) == (0, None, 1, True)


def test_a_rung_that_was_asked_nothing_has_no_totals() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)))
    one.close()
    assert (one.meterings, provider.closed) == ([], True)


def test_what_was_not_sent_when_the_rung_closes_is_cancelled_before_its_provider_closes() -> None:
    provider = Silent()
    one = metered(provider, Sim(Ticking(provider)), room=1)
    first, second = ask(one, 2)
    one.close()
    assert isinstance(first.exception(timeout=30), RuntimeError)
    assert second.cancelled()
    assert len(provider.asked) == 1


def test_an_answer_at_the_end_waits_for_the_tick_that_tells_its_joules() -> None:
    provider = Sleeper()

    class Slow(Ticking):
        def read(self) -> float:
            now = time.monotonic()
            self._total += (now - self._at) * 100.0
            self._at = now
            if now - self._shown_at > 0.2:
                self._shown, self._shown_at = self._total, now
            return self._shown

    one = metered(provider, Sim(Slow(provider)))
    asked = ask(one, 1)
    while (totals := one.so_far()) is None or not totals.answers:
        time.sleep(0.001)
    one.close()
    (energy,) = energies(asked)
    assert energy.joules is not None, energy.reason


@pytest.mark.parametrize(
    ("ticks_s", "polls_s", "seconds"),
    [
        ([0.0], [0.005], 2.0),
        ([0.0, 0.5], [0.005, 0.1], 2.0),
        ([0.1, 2.0], [0.005, 0.1], 6.0),
        ([0.0, 0.1], [2.0, 0.1], 6.0),
        ([4.0], [2.0], 12.0),
    ],
)
def test_the_last_tick_is_waited_for_three_times_as_long_as_ticks_and_readings_take(
    ticks_s: list[float], polls_s: list[float], seconds: float
) -> None:
    assert closing_s(ticks_s, polls_s) == seconds


def test_an_answer_whose_tick_does_not_come_is_handed_on_without_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "_CLOSING_S", 0.01)
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider, stuck=True)))
    asked = ask(one, 1)
    while (totals := one.so_far()) is None or not totals.answers:
        time.sleep(0.001)
    one.close()
    (energy,) = energies(asked)
    assert (energy.joules, energy.flags) == (None, ("below_resolution",))


def _own_process() -> tuple[float, float] | None:
    now = time.monotonic()
    return now / 10, now


@pytest.mark.parametrize(
    ("meters", "own_process", "has_remedy"),
    [(["rapl"], None, True), (["rapl"], _own_process, False), (["sim"], None, False), (["rapl", "sim"], None, False)],
)
def test_who_else_used_a_device_is_told_with_what_leaves_them_out(
    meters: list[str],
    own_process: Callable[[], tuple[float, float] | None] | None,
    has_remedy: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "_OTHERS_EVERY_S", 0.0)
    provider = Sleeper()
    counters = [Beside(provider) for _ in meters]
    for number, (counter, meter) in enumerate(zip(counters, meters, strict=True)):
        counter.facts = replace(counter.facts, device=f"{meter}:{number}", meter=meter, own_process=own_process)
    one = metered(provider, Several(counters))
    energies(ask(one, 2))
    one.close()
    (seen,) = one.meterings
    (note,) = [note for note in seen.notes if "another program was busy" in note]
    assert ('share = "process" } leaves them out' in note) == has_remedy


def test_beside_other_workers_nothing_is_said_of_idle_power_that_was_not_wanted() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.0, workers=2)
    energies(ask(one, 1))
    one.close()
    (seen,) = one.meterings
    assert seen.notes == ()


@pytest.mark.parametrize(
    ("stage", "due", "pace"),
    [("open", None, "quiet"), ("pausing", None, "steady"), ("first", None, "steady"), ("open", 1.0, "steady")],
)
def test_counters_are_read_at_their_pace_while_idle_power_is_looked_for(
    stage: str, due: float | None, pace: str
) -> None:
    """Where nothing is in flight they are read least often, unless a pause is to come or the last power is in doubt."""
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)))
    energies(ask(one, 1))
    window = one._open
    assert isinstance(window, counted.CountedWindow)
    one.close()
    window._idling._stage, window._idling._due = stage, due  # type: ignore[assignment]  # a word of the table
    assert window._settle_round() == pace
