"""Truth of the meters' figures, counted over random traces of simulated hardware, as JSON.

Hypothesis draws loads (idle power, requests with their own power and tokens, alone or together) and counters (period,
phase, gain within the instrument's error, wrap, reset, lost permission, standing still), and the meters' own code reads
them in simulated time. Some answers are measured above an idle power found in a pause, some as one process's part of
that, and the weight of tokens that are read is drawn too. Counted are intervals that hold the true joules of a request,
zeros where energy was spent, sums of energies that may not be added, and answers without a figure although the counter
worked. Then the cost of metering is measured: processor time for each answer, and of the thread that only reads. The
exit status is 1 if a bound is missed.

    python -m tests.benchmarks.bench_energy [--traces=10000] [--json=FILE]
"""

import argparse
import json
import random
import sys
import time
from collections import Counter as Tally
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.nvml import _Board
from pytest_rightsize.meters.rapl import _Package
from tests.meters.simulated import (
    Asked,
    Clock,
    FakeBoard,
    FakeNvml,
    FakeZone,
    Load,
    SimCounter,
    meter_requests,
)

_RANGE_J = 262_143.328850
_SPANS = st.lists(
    st.tuples(
        st.floats(0, 4),
        st.floats(0.005, 5),
        st.floats(0, 600),
        st.integers(1, 400),
        st.integers(0, 4000),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=10,
)
# The pauses before the first request, in which idle power is measured.
_PAUSES_S = st.sampled_from([0.5, 1.0, 3.0])
_FAULTS = st.sampled_from(["none", "none", "none", "none", "wrap", "reset", "denied", "stuck"])


class _Scores:
    """Counts over all traces."""

    def __init__(self) -> None:
        self.tally: Tally[str] = Tally()
        self.widths: list[float] = []
        self.points: list[float] = []
        self.gaps: list[float] = []
        self.unassigned: list[float] = []

    def take(self, energy: Energy | None, truth: float, *, fault: str) -> None:
        self.tally["answers"] += 1
        self.tally[f"answers, {fault}"] += 1
        if energy is None or energy.joules is None:
            self.tally[f"unknown, {fault}: {'not settled' if energy is None else energy.reason}"] += 1
            return
        assert energy.bounds is not None
        low, high = energy.bounds
        self.tally["figures"] += 1
        # Rounding of the simulation's own sums.
        self.tally["held"] += low - 1e-6 <= truth <= high + 1e-6
        self.tally["false zeros"] += truth > 0 and (energy.joules == 0 or high == 0)
        if truth > 0 and energy.provenance == "measured" and "below_resolution" not in energy.flags:
            self.widths.append((high - low) / 2 / truth)
            self.points.append(abs(energy.joules - truth) / truth)


def _board(counter: SimCounter) -> tuple[Any, Facts]:
    board = FakeBoard(uuid="GPU-0", counter=counter)
    reader = _Board(FakeNvml([board]), board, board.uuid, "process", mig=False)
    return reader, reader.facts


def _package(counter: SimCounter) -> tuple[Any, Facts]:
    zone: Any = FakeZone(counter=counter)
    reader = _Package(zone, own_process=False, clock=counter.clock)
    return reader, reader.facts


def _run_trace(data: st.DataObject, scores: _Scores) -> None:
    """Draw one trace, meter it, and count."""
    kind = data.draw(st.sampled_from(["board", "package"]))
    idle_w = data.draw(st.floats(1, 150))
    # No package takes 1,000 W: the meter reads such a rise as a reset of the counter.
    scale = 0.1 if kind == "package" else 1.0
    basis = data.draw(st.sampled_from(["gross", "gross", "marginal", "process"]))
    pause_s = 0.0 if basis == "gross" else data.draw(_PAUSES_S)
    begin = 101 + (pause_s and pause_s + 1.5)
    requests = [
        Asked(
            start=begin + start,
            end=begin + start + length,
            watts=scale * watts,
            tokens=tokens,
            prompt=prompt,
            own=own if basis == "process" else 1.0,
        )
        for start, length, watts, tokens, prompt, own in data.draw(_SPANS)
    ]
    if basis == "process" or data.draw(st.booleans()):
        requests = _one_after_the_other(requests, gap=data.draw(st.floats(0, 1)))
    tick_s = data.draw(st.sampled_from([0.001, 0.01] if kind == "package" else [0.02, 0.1, 0.1, 0.5]))
    fault = data.draw(_FAULTS)
    clock = Clock(100.0)
    load = Load(idle_w, requests)
    end = max(request.end for request in requests)
    at = data.draw(st.floats(100.5, end))
    counter = SimCounter(
        load=load,
        clock=clock,
        tick_s=tick_s,
        phase_s=data.draw(st.floats(0, 1)) * tick_s,
        gain=data.draw(st.floats(0.9525, 1.0475)),
        begins_at_j=_RANGE_J - data.draw(st.floats(0, 2000)) - load.joules(100.0) if fault == "wrap" else 1000.0,
        wrap_j=_RANGE_J if kind == "package" else None,
        reset_at=at if fault == "reset" else None,
        denied=(at, at + data.draw(st.floats(0.05, 3))) if fault == "denied" else None,
        stuck_at=at if fault == "stuck" else None,
    )
    pair = _board(counter) if kind == "board" else _package(counter)
    several = data.draw(st.booleans()) or _overlap(requests)
    energy_by_request, ledger = meter_requests(
        [pair],
        clock,
        requests,
        poll_s=max(tick_s / 4, 0.01),
        until=end + 3 * tick_s + 1.5,
        several=several,
        idle_w=idle_w if basis == "gross" and data.draw(st.booleans()) else None,
        jitter=random.Random(data.draw(st.integers(0, 2**32))),
        marginal=basis != "gross",
        prompt_weight=data.draw(st.floats(0, 2)),
        pause_s=pause_s,
        by_process=basis == "process",
    )
    scores.tally[f"traces, {basis}"] += 1
    if basis != "gross" and ledger.idle_w[0] is None:
        # A session would have no figures here either: the counter broke in the pause.
        scores.tally["traces without an idle power"] += 1
        return
    for number, request in enumerate(requests):
        truth = load.taken_by(number) if basis == "gross" else request.own * load.added_by(number)
        scores.take(energy_by_request.get(number), truth, fault=fault)
    account = ledger.accounts[0]
    parts = account.load + account.served + account.lost + account.others + account.idle
    scores.gaps.append(abs(parts - account.total) / max(account.total, 1e-3))
    joules = [energy.joules for energy in energy_by_request.values() if energy.joules is not None]
    if len(joules) == len(requests):
        scores.unassigned.append(abs(sum(joules) - account.served) / max(account.total, 1e-3))
    _add_up(list(energy_by_request.values()), scores)


def _one_after_the_other(requests: list[Asked], *, gap: float) -> list[Asked]:
    moved, at = [], min((request.start for request in requests), default=101.0)
    for request in requests:
        moved.append(replace(request, start=at, end=at + request.end - request.start))
        at = moved[-1].end + gap
    return moved


def _overlap(requests: list[Asked]) -> bool:
    ordered = sorted(requests, key=lambda request: request.start)
    return any(later.start < earlier.end for earlier, later in pairwise(ordered))


_OTHERS = [
    Energy(joules=5.0, provenance="modelled", boundary=frozenset({"gpu.board"})),
    Energy(joules=5.0, provenance="vendor_declared", boundary=frozenset({"gpu.board", "host", "pue"})),
    Energy(joules=5.0, provenance="measured", boundary=frozenset({"cpu.psys"}), devices=("rapl:psys",), window_s=1.0),
    Energy(joules=5.0, provenance="measured", boundary=frozenset({"gpu.module"}), devices=("nvml:m",), window_s=1.0),
]


def _add_up(energies: list[Energy], scores: _Scores) -> None:
    """Add every answer to every other and to energies of other kinds: a sum across kinds is illegal."""
    for energy in energies:
        for other in [*energies, *_OTHERS]:
            try:
                both = energy + other
            except MixedEnergyError:
                scores.tally["refused sums"] += 1
                continue
            if both.joules is not None:
                alike = (energy.provenance, energy.basis) == (other.provenance, other.basis)
                scores.tally["sums"] += 1
                scores.tally["illegal sums"] += not alike or energy.boundary != other.boundary


def _cost() -> dict[str, float]:
    """Processor time of metering: for each answer, and the share of a core while no request is in flight."""
    from concurrent.futures import Future

    from pytest_rightsize.meters import Choice
    from pytest_rightsize.meters.attribution.metered import Metered
    from pytest_rightsize.records import Reply, Request, Tokens
    from tests.meters.attribution.test_metered import Sim, Sleeper, Ticking

    class AtOnce(Sleeper):
        def submit(self, request: Request) -> Future[Reply]:
            future: Future[Reply] = Future()
            tokens = Tokens(prompt=5, completion=10, source="counted")
            future.set_result(Reply(text="x", seconds=1e-4, tokens=tokens))
            return future

    provider = AtOnce()
    counter = Ticking(provider)
    # As often as the processor's own counters are read.
    counter.facts = replace(counter.facts, poll_s=0.02, hurry_s=0.002, period_s=0.002)
    choice = Choice(rung="x", meters={"sim": Sim(counter)}, idle_s=0)
    metered = Metered(provider, lambda: choice, room=lambda: 16, budget_s=0.0, workers=1)
    request = Request(messages=({"role": "user", "content": "x"},))
    [future.result(60) for future in [metered.submit(request) for _ in range(100)]]
    bare = time.process_time()
    [provider.submit(request).result() for _ in range(2000)]
    started = time.process_time()
    [future.result(60) for future in [metered.submit(request) for _ in range(2000)]]
    ended = time.process_time()
    time.sleep(3.0)
    watched = time.process_time()
    metered.close()
    return {
        "ms of processor time for an answer": round(1000 * ((ended - started) - (started - bare)) / 2000, 4),
        "share of a core while watching": round((watched - ended) / 3.0, 5),
    }


def main() -> int:
    """Print the scores; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=10_000, help="how many random traces (default: 10,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores there too")
    args = parser.parse_args()
    scores = _Scores()

    @settings(
        max_examples=args.traces,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def trace(data: st.DataObject) -> None:
        scores.tally["traces"] += 1
        _run_trace(data, scores)

    trace()
    cost = _cost()
    text = json.dumps(_summary(scores) | cost, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    tally = scores.tally
    missed = tally["held"] < 0.999 * tally["figures"] or tally["false zeros"] or tally["illegal sums"]
    too_dear = [figure > most for figure, most in zip(cost.values(), (1.0, 0.01), strict=True)]
    return 1 if missed or max(scores.gaps + scores.unassigned) > 0.01 or any(too_dear) else 0


def _summary(scores: _Scores) -> dict[str, float]:
    widths, points = sorted(scores.widths), sorted(scores.points)
    return {
        **dict(sorted(scores.tally.items())),
        "coverage": round(scores.tally["held"] / scores.tally["figures"], 6),
        "median half-width, measured alone": round(widths[len(widths) // 2], 4),
        "median error of the point, measured alone": round(points[len(points) // 2], 4),
        "largest gap in conservation": max(scores.gaps),
        "largest gap between all answers and what was served": max(scores.unassigned),
    }


if __name__ == "__main__":
    sys.exit(main())
