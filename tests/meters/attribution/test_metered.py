"""A provider within its meter's window: every reply comes back, with its energy, and the provider is not overrun."""

import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pytest_rightsize.energy import Basis, Energy
from pytest_rightsize.errors import RungError
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Choice, Counter, CounterError, Facts
from pytest_rightsize.meters.attribution.counted import CountedWindow
from pytest_rightsize.meters.attribution.exclusive import DeviceLock
from pytest_rightsize.meters.attribution.metered import Metered
from pytest_rightsize.meters.attribution.repeater import Repeater
from pytest_rightsize.meters.attribution.repetition import combined, rows_needed
from pytest_rightsize.providers import Problem
from pytest_rightsize.records import Identity, Reply, Request, Tokens

IDLE_W, LOAD_W = 50.0, 200.0


class Sleeper:
    """A provider whose answers take a while; it counts what it was asked, and how many at once."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    site = "process"
    leaves_machine = False

    def __init__(self, seconds: float = 0.02, *, replayed: bool = False) -> None:
        self.seconds = seconds
        self.replayed = replayed
        self.asked: list[Request] = []
        self.most_at_once = 0
        self.now_at_once = 0
        self.forgotten = 0
        self.closed = False
        self.lock = threading.Lock()
        self.busy_until = 0.0

    def check(self) -> Problem | None:
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        return None

    def forget(self) -> None:
        self.forgotten += 1

    def submit(self, request: Request) -> Future[Reply]:
        future: Future[Reply] = Future()
        with self.lock:
            self.asked.append(request)
            self.now_at_once += 1
            self.most_at_once = max(self.most_at_once, self.now_at_once)
        threading.Thread(target=self._answer, args=(request, future), daemon=True).start()
        return future

    def _answer(self, request: Request, future: Future[Reply]) -> None:
        started = time.monotonic()
        while time.monotonic() < started + self.seconds and not future.cancelled():
            time.sleep(self.seconds / 10)
        with self.lock:
            self.now_at_once -= 1
        if not future.set_running_or_notify_cancel():
            return
        text = str(request.messages[0]["content"])
        if text == "fail":
            future.set_exception(RungError("it broke", reason="crash"))
            return
        tokens = Tokens(prompt=5, completion=10, source="counted")
        future.set_result(Reply(text=text, seconds=time.monotonic() - started, tokens=tokens, replayed=self.replayed))

    def close(self) -> None:
        self.closed = True


class Ticking:
    """A counter in real time: idle power, and more while the provider is asked; it ticks every 5 ms."""

    def __init__(self, provider: Sleeper, *, stuck: bool = False, exact: bool = False) -> None:
        self.facts = Facts(
            device="sim:0", boundary="gpu.board", meter="sim", exact=exact, resolution=1e-3, poll_s=0.002, hurry_s=0.001
        )
        self._provider = provider
        self._stuck = stuck
        self._total, self._shown, self._at = 0.0, 0.0, time.monotonic()

    def read(self) -> float:
        now = time.monotonic()
        self._total += (now - self._at) * (LOAD_W if self._provider.now_at_once else IDLE_W)
        self._at = now
        if not self._stuck and (self.facts.exact or now // 0.005 > self._shown_at // 0.005):
            self._shown, self._shown_at = self._total, now
        return self._shown

    _shown_at = 0.0

    def others(self) -> str | None:
        return None


class Sim:
    """A meter over one such counter."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}

    def __init__(self, counter: Counter | None = None, *, fault: str | None = None) -> None:
        self._counter, self._fault = counter, fault

    def check(self) -> None:
        return None

    def counters(self) -> Sequence[Counter]:
        if self._fault:
            raise CounterError(self._fault, flag="missing")
        return [] if self._counter is None else [self._counter]

    def of_answer(self, reply: Reply) -> Energy:
        return Energy(joules=3.0, provenance="modelled", meter=f"sim of {len(reply.text)}")


def metered(
    provider: Sleeper,
    meter: Any,
    *,
    room: int = 4,
    idle_s: float | None = 0.0,
    budget_s: float = 0.0,
    basis: Basis = "gross",
    workers: int = 1,
) -> Metered:
    choice = Choice(rung="1b", meters={"sim": meter}, idle_s=idle_s, basis=basis)
    return Metered(provider, lambda: choice, room=lambda: room, budget_s=budget_s, workers=workers)


def ask(one: Metered, count: int) -> list[Future[Reply]]:
    return [one.submit(Request(messages=({"role": "user", "content": f"q{number}"},))) for number in range(count)]


def energies(futures: Sequence[Future[Reply]]) -> list[Energy]:
    found = [future.result(timeout=30).energy for future in futures]
    assert all(energy is not None for energy in found)
    return [energy for energy in found if energy is not None]


def test_every_reply_has_its_share_and_shares_add_up_to_what_was_served() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)))
    futures = ask(one, 24)
    found = energies(futures)
    assert [future.result().text for future in futures] == [f"q{number}" for number in range(24)]
    assert {energy.provenance for energy in found} == {"measured_shared"}
    one.close()
    (seen,) = one.meterings
    assert seen.answers == 24
    assert joules(seen.served) == pytest.approx(sum(energy.joules or 0 for energy in found), rel=1e-6)
    parts = [joules(part) for part in (seen.load, seen.served, seen.idle, seen.lost)]
    assert sum(parts) == pytest.approx(joules(seen.total), rel=1e-6)
    assert Metering.from_dict(seen.to_dict()) == seen


class Keeper(Sleeper):
    """A provider that keeps each answer for a while, to count its tokens, when the device is idle again."""

    def _answer(self, request: Request, future: Future[Reply]) -> None:
        answered: Future[Reply] = Future()
        super()._answer(request, answered)
        ended = time.monotonic()
        time.sleep(0.2)
        future.set_result(replace(answered.result(), after_s=time.monotonic() - ended))


def test_what_a_device_takes_after_an_answer_is_not_the_answers() -> None:
    """At idle power, which is a quarter, the seconds after it would be cheaper than the answer was."""
    provider = Keeper(0.2)
    one = metered(provider, Sim(Ticking(provider)))
    (future,) = ask(one, 1)
    (energy,) = energies([future])
    one.close()
    assert joules(energy) > 0.6 * LOAD_W * (future.result().seconds or 0)


def joules(energy: Energy | None) -> float:
    return 0.0 if energy is None or energy.joules is None else energy.joules


def test_the_provider_has_as_many_requests_as_it_bears_and_no_more() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), room=3)
    energies(ask(one, 20))
    assert provider.most_at_once == 3
    assert one.waiting_room > 0
    one.close()


def test_the_first_request_goes_alone_and_idle_power_is_learned_before_the_others() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.1)
    futures = ask(one, 6)
    futures[0].result(timeout=30)
    assert len(provider.asked) == 1
    energies(futures)
    one.close()
    (seen,) = one.meterings
    assert seen.idle_w == pytest.approx(IDLE_W, rel=0.15)


def test_idle_power_is_found_without_the_model_and_with_it_and_both_are_recorded() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.1)
    (future,) = ask(one, 1)
    time.sleep(0.05)
    assert provider.asked == []  # the model is not loaded while the devices are left cold
    energies([future])
    assert energies(ask(one, 2))  # nobody is let in before the second pause is over
    one.close()
    (seen,) = one.meterings
    assert [power.state for power in seen.idle_powers] == ["cold", "resident"]
    assert seen.cold_w == pytest.approx(IDLE_W, rel=0.25)
    assert seen.idle_w == pytest.approx(IDLE_W, rel=0.25)
    assert Metering.from_dict(seen.to_dict()) == seen
    # The time before the first request is no loading.
    assert joules(seen.idle) > 2 * 0.1 * IDLE_W
    parts = (seen.load, seen.served, seen.repeated, seen.lost, seen.others, seen.idle)
    assert sum(map(joules, parts)) == pytest.approx(joules(seen.total), rel=1e-6)
    assert seen.notes == ()


def test_beside_other_workers_only_the_idle_power_with_the_model_is_found() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.1, workers=2)
    energies(ask(one, 3))
    one.close()
    (seen,) = one.meterings
    assert [power.state for power in seen.idle_powers] == ["resident"]
    assert seen.notes == ("idle power before any model is not known: another process may have loaded one",)


def test_a_rung_that_is_opened_again_is_left_idle_once() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.3)
    for _ in range(2):
        energies(ask(one, 2))
        one.close()
    first, second = one.meterings
    assert [power.state for power in second.idle_powers] == ["cold", "resident"]
    assert [round(power.watts, 6) for power in first.idle_powers] == [
        round(power.watts, 6) for power in second.idle_powers
    ]
    assert all(power.at_s < 0 for power in second.idle_powers)
    assert second.notes == ()


@pytest.mark.parametrize("place", ["process", "machine"])
def test_loading_is_measured_from_the_first_request_on(place: str) -> None:
    """A model is loaded for 0.2 s before it answers in 0.02 s, also by a server that is started for it."""

    class Loading(Sleeper):
        site = place
        loads_model = place == "machine"

        def _answer(self, request: Request, future: Future[Reply]) -> None:
            if len(self.asked) == 1:
                time.sleep(0.2)
            super()._answer(request, future)

    provider = Loading()
    one = metered(provider, Sim(Ticking(provider)))
    energies(ask(one, 1))
    energies(ask(one, 2))
    one.close()
    (seen,) = one.meterings
    # On a busy machine it takes longer.
    assert 0.2 <= (seen.load_s or 0) < 20
    assert joules(seen.load) > 0.2 * IDLE_W
    assert seen.notes == ()
    parts = (seen.load, seen.served, seen.lost, seen.idle)
    assert sum(map(joules, parts)) == pytest.approx(joules(seen.total), rel=1e-6)


def test_above_idle_power_the_first_answer_waits_until_that_is_known() -> None:
    provider = Sleeper(seconds=0.1)
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.1, basis="marginal", room=1)
    (first, second) = energies(ask(one, 2))
    one.close()
    for energy in (first, second):
        assert energy.basis == "marginal"
        assert energy.idle_w is not None
    assert one.meterings[0].idle_w == first.idle_w
    # On a busy machine few readings fall into so short a pause: then the bounds are wide.
    power = one.meterings[0].idle_powers[-1]
    assert power.low <= IDLE_W * 1.02
    assert power.high >= IDLE_W * 0.98


def test_above_an_idle_power_that_nobody_knows_nothing_is_known() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), basis="marginal")
    (energy,) = energies(ask(one, 1))
    one.close()
    assert (energy.joules, energy.flags) == (None, ("no_idle",))
    assert energy.reason == "idle power is not known, nor what the answer took above it"


class Shared(Ticking):
    """A package on which this process has a quarter of the busy processor time."""

    def __init__(self, provider: Sleeper) -> None:
        super().__init__(provider)
        start = time.monotonic()
        self.facts = replace(
            self.facts,
            device="rapl:package-0",
            boundary="cpu.package",
            own_process=lambda: (5.0 * (time.monotonic() - start), 20.0 * (time.monotonic() - start)),
            flags=("process_share",),
        )

    def others(self) -> str | None:
        return "other processes took 75 % of the processor time"


def test_a_process_has_its_part_of_what_the_package_took_above_idle_power_and_others_the_rest() -> None:
    provider = Sleeper(seconds=0.2)
    one = metered(provider, Sim(Shared(provider)), idle_s=0.1, basis="marginal", room=2)
    found = energies(ask(one, 5))
    one.close()
    (seen,) = one.meterings
    assert {(energy.provenance, energy.basis, energy.scope) for energy in found} == {
        ("measured_shared", "marginal", "case")
    }
    assert all({"process_share", "contended"} <= set(energy.flags) for energy in found)
    assert sum(energy.joules or 0 for energy in found) == pytest.approx(joules(seen.served), rel=1e-6)
    # Bounded by what ticks, idle power and hundredths of processor seconds leave open.
    assert seen.served is not None
    low, high = seen.served.bounds or (0, 0)
    assert low < 0.98 * joules(seen.served) < 1.02 * joules(seen.served) < high
    assert joules(seen.others) == pytest.approx(3 * joules(seen.served), rel=0.2)
    parts = (seen.load, seen.served, seen.lost, seen.others, seen.idle)
    assert sum(map(joules, parts)) == pytest.approx(joules(seen.total), rel=1e-6)


class Writing(Sleeper):
    """What an answer takes depends on its tokens alone: 0.06 J for each that is read, 0.4 J for each it writes.

    The counter of `meter` is read just before and just after it takes them, so that a busy machine shifts no joule out
    of the time in which it was in flight.
    """

    joules = 0.0
    meter: Metered | None = None

    def _answer(self, request: Request, future: Future[Reply]) -> None:
        prompt, completion = map(int, str(request.messages[0]["content"]).split())
        time.sleep(0.002)
        self._read()
        with self.lock:
            self.joules += 0.06 * prompt + 0.4 * completion
        self._read()
        time.sleep(0.001)
        with self.lock:
            self.now_at_once -= 1
        tokens = Tokens(prompt=prompt + 40, cached=40, completion=completion, source="counted")
        future.set_result(Reply(text="x", tokens=tokens))

    def _read(self) -> None:
        window = None if self.meter is None else self.meter._open
        assert isinstance(window, CountedWindow)
        window._sampler.read()


class Booked(Ticking):
    """A counter that shows what such answers took."""

    def read(self) -> float:
        assert isinstance(self._provider, Writing)
        return self._provider.joules


def test_what_reading_weighs_is_learned_from_answers_that_were_alone() -> None:
    provider = Writing()
    one = provider.meter = metered(provider, Sim(Booked(provider, exact=True)), room=1)
    sizes = [(20, 30), (300, 5), (100, 40), (500, 20), (10, 10), (250, 35), (400, 3), (60, 22), (350, 15), (30, 45)]
    questions = [Request(messages=({"role": "user", "content": f"{p} {c}"},)) for p, c in sizes]
    energies([one.submit(question) for question in questions])
    one.close()
    (seen,) = one.meterings
    (fit,) = seen.phases
    assert 8 <= fit.stretches <= 10
    assert fit.completion_j == pytest.approx(0.4, rel=0.01)
    assert fit.prompt_weight == pytest.approx(0.15, abs=0.005)
    assert Metering.from_dict(seen.to_dict()) == seen


def test_what_could_not_be_learned_says_why() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)))
    energies(ask(one, 3))
    one.close()
    (seen,) = one.meterings
    assert seen.phases == ()
    assert seen.no_phases is not None
    assert (seen.prompt_weights, seen.weighed_by) == ({"sim:0": 0.1}, {"sim:0": 0.0})


def test_what_is_learned_weighs_in_later_shares() -> None:
    """Three at a time, until enough is known; the fit replaces the assumption and says by how many answers it did.

    The assumption is 0.1 and the truth 0.15.
    """
    provider = Writing()
    one = provider.meter = metered(provider, Sim(Booked(provider, exact=True)), room=3)
    chance = random.Random(4)
    for _ in range(30):
        questions = [
            Request(messages=({"role": "user", "content": f"{chance.randint(1, 900)} {chance.randint(1, 40)}"},))
            for _ in range(chance.randint(1, 3))
        ]
        energies([one.submit(question) for question in questions])
    one.close()
    (seen,) = one.meterings
    assert seen.weighed_by["sim:0"] >= 8
    assert seen.prompt_weights["sim:0"] == pytest.approx(0.15, abs=0.02)
    assert joules(seen.served) + joules(seen.load) + joules(seen.idle) == pytest.approx(joules(seen.total), rel=1e-6)


def test_one_at_a_time_is_measured_and_not_shared() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)), room=1)
    assert {energy.provenance for energy in energies(ask(one, 3))} == {"measured"}
    one.close()


def test_who_else_uses_the_device_is_told_of_and_nothing_is_measured_as_the_answers_own() -> None:
    class Crowded(Ticking):
        def others(self) -> str | None:
            return "other processes compute on the board (pid 4242)"

    provider = Sleeper()
    one = metered(provider, Sim(Crowded(provider)), room=1)
    (energy,) = energies(ask(one, 1))
    one.close()
    assert "contended" in energy.flags
    assert (energy.scope, energy.provenance) == ("device", "measured_shared")


def test_a_fault_reaches_who_asked_and_its_joules_are_on_no_answer() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider)))
    energies(ask(one, 2))
    failing = one.submit(Request(messages=({"role": "user", "content": "fail"},)))
    with pytest.raises(RungError, match="it broke"):
        failing.result(timeout=30)
    energies(ask(one, 2))
    one.close()
    assert joules(one.meterings[0].lost) > 0


def test_a_request_that_nobody_waits_for_is_cancelled_at_the_provider() -> None:
    provider = Sleeper(seconds=30.0)
    one = metered(provider, Sim(Ticking(provider)), room=1)
    first, second = ask(one, 2)
    while not provider.asked:
        time.sleep(0.001)
    assert second.cancel()
    assert first.cancel()
    one.close()
    assert len(provider.asked) == 1
    assert provider.closed


def test_a_counter_that_stands_still_ends_in_a_reason_and_not_in_silence() -> None:
    provider = Sleeper()
    one = metered(provider, Sim(Ticking(provider, stuck=True)))
    (future,) = ask(one, 1)
    while not provider.asked or provider.now_at_once:
        time.sleep(0.001)
    time.sleep(0.02)
    one.close()
    (energy,) = energies([future])
    assert energy.joules is None
    assert energy.reason == "the session ended before the counter's next tick"


def test_a_meter_that_cannot_be_opened_keeps_no_answer_back() -> None:
    provider = Sleeper()
    (energy,) = energies(ask(metered(provider, Sim(fault="the board is gone")), 1))
    assert energy.reason == "the board is gone"


def test_a_meter_with_a_bug_keeps_no_answer_back() -> None:
    class Broken(Ticking):
        def read(self) -> float:
            raise ZeroDivisionError("a bug")

    provider = Sleeper()
    one = metered(provider, Sim(Broken(provider)))
    (energy,) = energies(ask(one, 1))
    assert energy.reason == "the counter failed (ZeroDivisionError: a bug)"
    one.close()


class AtOnce(Sleeper):
    """Answers within the call, without a thread."""

    def submit(self, request: Request) -> Future[Reply]:
        self.asked.append(request)
        future: Future[Reply] = Future()
        tokens = Tokens(prompt=5, completion=10, source="counted")
        future.set_result(Reply(text=str(request.messages[0]["content"]), seconds=self.seconds, tokens=tokens))
        return future


def test_answers_that_come_at_once_are_not_calls_within_calls(caplog: pytest.LogCaptureFixture) -> None:
    """Those that queue up while idle power is learned begin together; a Future logs what its callbacks raise."""
    provider = AtOnce()
    one = metered(provider, Sim(Ticking(provider)), idle_s=0.2)
    count = 400
    futures = ask(one, count)
    assert [future.result(timeout=60).text for future in futures] == [f"q{number}" for number in range(count)]
    one.close()
    assert not caplog.records


def test_repetitions_that_come_at_once_are_not_calls_within_calls() -> None:
    """So short a request is repeated thousands of times within its budget, and each answer comes back."""
    provider = AtOnce(seconds=0.00002)
    one = metered(provider, Sim(Ticking(provider)), budget_s=5.0)
    repeats = [0]
    while len(provider.asked) < 2 * sys.getrecursionlimit():
        repeats += [energy.repeats for energy in energies(ask(one, 1))]
    assert max(repeats) > sys.getrecursionlimit()
    one.close()


def test_a_meter_that_breaks_before_a_repetition_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Sleeper(seconds=0.02)
    one = metered(provider, Sim(Ticking(provider)), budget_s=2.0)
    planned, rows = Repeater.plan, []

    def plan_and_break(self: Repeater, *arguments: Any) -> None:
        planned(self, *arguments)
        if self.is_busy:
            rows.append(self)
            monkeypatch.setattr(one._open, "_failure", "the meter failed")

    monkeypatch.setattr(Repeater, "plan", plan_and_break)
    while not rows:
        # The counter's period has to be known first: the first requests find it.
        energies(ask(one, 1))
    assert {energy.reason for energy in energies(ask(one, 8))} == {"the meter failed"}
    one.close()


def test_a_meter_without_counters_tells_of_each_answer() -> None:
    (energy,) = energies(ask(metered(Sleeper(), Sim()), 1))
    assert (energy.joules, energy.meter) == (3.0, "sim of 2")


def test_an_answer_that_had_been_recorded_keeps_what_it_has() -> None:
    provider = Sleeper(replayed=True)
    one = metered(provider, Sim(Ticking(provider)))
    (future,) = ask(one, 1)
    assert future.result(timeout=30).energy is None
    one.close()


def test_a_short_request_is_repeated_until_its_energy_can_be_resolved() -> None:
    provider = Sleeper(seconds=0.02)
    one = metered(provider, Sim(Ticking(provider)), budget_s=2.0)
    while True:
        # The counter's period has to be known first: the first requests find it.
        (energy,) = energies(ask(one, 1))
        if "repeated" in energy.flags:
            break
    assert energy.repeats >= 3
    assert energy.repeats % 3 == 0
    assert provider.most_at_once == 1
    assert provider.forgotten >= energy.repeats
    low, high = energy.bounds or (0, 0)
    assert low <= (energy.joules or 0) <= high
    one.close()
    assert joules(one.meterings[0].repeated) > 0


@pytest.mark.parametrize(
    ("seconds", "ticks", "budget_s", "per_block"),
    [
        (0.05, [0.1], 10.0, 14),  # 2 s in all, 40 repetitions, in three blocks
        (0.05, [0.1], 0.5, 3),
        (0.05, [0.1], 0.1, 0),
        (5.0, [0.1], 10.0, 0),
        (0.05, [0.0], 10.0, 0),
        (None, [0.1], 10.0, 0),
        (0.05, [0.1], 0.0, 0),
    ],
)
def test_how_often_a_request_is_repeated(
    seconds: float | None, ticks: list[float], budget_s: float, per_block: int
) -> None:
    assert rows_needed(seconds, ticks, budget_s=budget_s) == per_block


def test_the_mean_of_blocks_holds_what_the_counter_allows_and_what_they_differ_by() -> None:
    blocks = [Energy(joules=j, low=j - 1, high=j + 1, provenance="measured") for j in (9.0, 10.0, 14.0)]
    mean = combined(blocks, per_block=10)
    assert mean is not None
    assert mean.joules == pytest.approx(1.1)
    assert mean.low == 0.0 or (mean.low or 0) < 0.5
    assert (mean.high or 0) > 1.5
    assert mean.repeats == 30
    assert combined([*blocks, Energy(reason="x")], per_block=10) is None


def test_two_processes_measure_a_device_in_turns(tmp_path: Path) -> None:
    one, other, elsewhere = (DeviceLock([device], folder=tmp_path) for device in ("gpu:0", "gpu:0", "gpu:1"))
    assert one.acquire(busy=False)
    assert not other.acquire(busy=False)
    assert elsewhere.acquire(busy=False)
    one.release()
    assert other.acquire(busy=False)
    assert not one.acquire(busy=False)


def test_a_turn_ends_when_it_has_lasted_long_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.meters.attribution.exclusive._TURN_S", 0.0)
    one, other = (DeviceLock(["gpu:0"], folder=tmp_path) for _ in range(2))
    assert one.acquire(busy=False)
    assert not one.acquire(busy=True)
    assert not other.acquire(busy=False)
    assert not one.acquire(busy=False)
    assert other.acquire(busy=False)


class Warming(Ticking):
    """A board that grows warmer while it computes."""

    degrees = 40.0

    def celsius(self) -> float:
        return self.degrees


def test_idle_power_is_found_again_when_a_board_has_grown_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.meters.attribution.sampler._OTHERS_EVERY_S", 0.0)
    provider = Sleeper()
    counter = Warming(provider)
    one = metered(provider, Sim(counter), idle_s=0.1)
    energies(ask(one, 2))
    counter.degrees = 46.0
    energies(ask(one, 2))
    window: Any = one._open
    while len(window._idling.powers) < 3:
        time.sleep(0.01)
    one.close()
    (seen,) = one.meterings
    assert [power.state for power in seen.idle_powers] == ["cold", "resident", "resident"]


def test_a_counter_that_breaks_when_asked_about_its_device_keeps_no_answer_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pytest_rightsize.meters.attribution.sampler._OTHERS_EVERY_S", 0.0)

    class Broken(Warming):
        def celsius(self) -> float:
            raise AttributeError("no such call")

        def others(self) -> str | None:
            raise OSError("gone")

    provider = Sleeper()
    one = metered(provider, Sim(Broken(provider)))
    found = energies(ask(one, 3))
    assert all(energy.joules for energy in found)
    assert all("contended" in energy.flags for energy in found)  # somebody else might be there
    one.close()
    (seen,) = one.meterings
    assert "nobody knows who else uses sim:0 (OSError: gone)" in seen.notes


class Logged(Ticking):
    """Says who reads it, and when."""

    def __init__(self, provider: Sleeper) -> None:
        super().__init__(provider)
        self.facts = replace(self.facts, poll_s=0.005, period_s=0.005)
        self.readings: list[tuple[float, int]] = []

    def read(self) -> float:
        self.readings.append((time.monotonic(), threading.get_ident()))
        return super().read()


def test_while_nothing_is_asked_a_fast_counter_is_read_seldom_and_again_before_the_next_request() -> None:
    provider = Sleeper()
    counter = Logged(provider)
    one = metered(provider, Sim(counter))
    energies(ask(one, 3))
    settled = len(counter.readings)
    while len(counter.readings) < settled + 7:
        time.sleep(0.01)
    at = [moment for moment, _ in counter.readings[-3:]]
    assert all(later - earlier > 0.2 for earlier, later in pairwise(at))
    before = len(counter.readings)
    futures = ask(one, 2)
    assert threading.get_ident() in [thread for _, thread in counter.readings[before:]]
    assert energies(futures)
    one.close()


def test_metering_takes_less_than_a_millisecond_of_processor_time_for_an_answer() -> None:
    """What the meter's own thread and the callbacks take, on a provider that answers at once."""

    class AtOnce(Sleeper):
        def submit(self, request: Request) -> Future[Reply]:
            future: Future[Reply] = Future()
            tokens = Tokens(prompt=5, completion=10, source="counted")
            future.set_result(Reply(text="x", seconds=0.0001, tokens=tokens))
            return future

    provider = AtOnce()
    one = metered(provider, Sim(Ticking(provider, exact=True)), room=16)
    energies(ask(one, 10))
    started = time.process_time()
    energies(ask(one, 300))
    taken = time.process_time() - started
    one.close()
    assert taken / 300 < 0.005  # five times the aim, as the machine may be busy; bench_energy shows the figure
