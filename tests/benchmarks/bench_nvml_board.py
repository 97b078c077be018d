"""The meter `nvml` against an NVIDIA board: how good its joules are there, as JSON with date, driver and board.

A model that computes on one board of this machine answers the same questions in session after session: a GGUF file in
this process (llama-cpp-python with CUDA), or a server here that nobody else uses (`--base-url`). Measured are how often
the counter moves; whether all that a session accounts for is what the counter shows over it, read beside the meter
(within 1 %); whether the joules of an answer are the same in each of ten sessions (within 3 % of their mean); and the
shortest request whose energy is resolved. The exit status is 1 if one of the two bounds is missed.

    python -m tests.benchmarks.bench_nvml_board --model FILE.gguf [--json FILE]
    python -m tests.benchmarks.bench_nvml_board --base-url http://localhost:8000/v1 --model NAME [--json FILE]

It takes some ten minutes, on a board on which nothing else runs. So far it was run on a simulated board only.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters import Choice, Counter, Site, site_of
from pytest_rightsize.meters.attribution.metered import Metered, measure_period
from pytest_rightsize.meters.nvml import Nvml, _nvml
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Reply, Request, Rung

CONSERVED_WITHIN, REPEATED_WITHIN = 0.01, 0.03
_QUESTION = "Count from {number} upwards in words, separated by commas, and do not stop."


@dataclass(frozen=True, kw_only=True)
class Session:
    """One opening of the rung: joules of an answer on average, what the meter accounts for, and what the board shows.

    `gap` is how far the two are apart, as a fraction of what the board shows; None where a part is not known.
    """

    joules_per_answer: float | None
    accounted_j: float | None
    board_j: float
    unknown_answers: int

    @property
    def gap(self) -> float | None:
        """See above."""
        if self.accounted_j is None or not self.board_j:
            return None
        return abs(self.accounted_j - self.board_j) / self.board_j


def run_session(
    provider: Provider, meter: Nvml, counters: Sequence[Counter], *, answers: int, tokens: int, idle_s: float | None
) -> Session:
    """Ask `answers` questions, eight at once, with the meter's window open; `counters` are read before and after."""
    choice = Choice(rung="board", meters={"nvml": meter}, idle_s=idle_s)
    metered = Metered(provider, lambda: choice, room=lambda: 8, budget_s=0.0, workers=1)
    before = sum(counter.read() for counter in counters)
    asked = [metered.submit(_request(number, tokens)) for number in range(answers)]
    replies = [future.result(600) for future in asked]
    metered.close()
    board_j = sum(counter.read() for counter in counters) - before
    (metering,) = metered.meterings
    parts = [metering.load, metering.served, metering.repeated, metering.lost, metering.others, metering.idle]
    joules = [part.joules for part in parts if part is not None]
    known = [energy.joules for energy in map(_energy, replies) if energy is not None and energy.joules is not None]
    return Session(
        joules_per_answer=fmean(known) if known else None,
        accounted_j=None if None in joules else sum(amount or 0.0 for amount in joules),
        board_j=board_j,
        unknown_answers=answers - len(known),
    )


def _request(number: int, tokens: int) -> Request:
    message = {"role": "user", "content": _QUESTION.format(number=number)}
    return Request(messages=(message,), max_tokens=tokens, temperature=0.0, seed=number)


def _energy(reply: Reply) -> Energy | None:
    return reply.energy


def smallest_resolved(provider: Provider, meter: Nvml, *, lengths: Sequence[int]) -> dict[str, Any] | None:
    """The first of these lengths whose request, asked alone, has joules above 0 at the low end; None if none has."""
    choice = Choice(rung="board", meters={"nvml": meter}, idle_s=0)
    for tokens in lengths:
        metered = Metered(provider, lambda: choice, room=lambda: 1, budget_s=0.0, workers=1)
        reply = metered.submit(_request(tokens, tokens)).result(600)
        metered.close()
        energy = reply.energy
        if energy is not None and energy.low and "below_resolution" not in energy.flags:
            return {
                "tokens": reply.tokens.completion,
                "seconds": reply.seconds,
                "joules": energy.joules,
                "low": energy.low,
                "high": energy.high,
            }
    return None


def measure(
    provider: Provider,
    meter: Nvml,
    *,
    sessions: int = 10,
    answers: int = 64,
    tokens: int = 256,
    idle_s: float | None = None,
    lengths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    today: Callable[[], datetime.date] = datetime.date.today,
) -> dict[str, Any]:
    """All figures of this board."""
    counters = meter.counters()
    period = measure_period(counters[0])
    runs = [
        run_session(provider, meter, counters, answers=answers, tokens=tokens, idle_s=idle_s) for _ in range(sessions)
    ]
    per_answer = [run.joules_per_answer for run in runs if run.joules_per_answer is not None]
    mean = fmean(per_answer) if per_answer else None
    gaps = [run.gap for run in runs if run.gap is not None]
    return {
        "date": today().isoformat(),
        **about_the_board(counters),
        "tick_s": period.tick_s,
        "ticks": period.ticks,
        "read_s": period.read_s,
        "sessions": [asdict(run) | {"gap": run.gap} for run in runs],
        "joules_per_answer": mean,
        "largest_gap": max(gaps) if len(gaps) == len(runs) else None,
        "largest_deviation": (
            max(abs(one - mean) / mean for one in per_answer) if mean and len(per_answer) == len(runs) else None
        ),
        "smallest_resolved": smallest_resolved(provider, meter, lengths=lengths),
    }


def about_the_board(counters: Sequence[Counter]) -> dict[str, Any]:
    """The driver's version, and the name of each board."""
    nvml = _nvml()
    uuids = [counter.facts.device.removeprefix("nvml:") for counter in counters]
    handles = [nvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
    return {
        "driver": _text(nvml.nvmlSystemGetDriverVersion()),
        "boards": [_text(nvml.nvmlDeviceGetName(handle)) for handle in handles],
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def is_within_bounds(figures: dict[str, Any]) -> bool:
    """Whether both bounds are kept; what is not known keeps none."""
    gap, deviation = figures["largest_gap"], figures["largest_deviation"]
    return gap is not None and gap <= CONSERVED_WITHIN and deviation is not None and deviation <= REPEATED_WITHIN


def _provider(model: str, base_url: str | None) -> tuple[Provider, Rung, Site]:
    if base_url is None:
        from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp

        rung = Rung(name="board", provider="llama_cpp", model=model, options={"n_gpu_layers": -1, "n_parallel": 8})
        return LlamaCpp(rung), rung, "process"
    from pytest_rightsize.providers.openai.provider import OpenAI

    rung = Rung(name="board", provider="openai", model=model, options={"base_url": base_url})
    provider = OpenAI(rung)
    return provider, rung, site_of(provider) or "remote"


def main() -> int:
    """Print the figures; 1 if a bound is missed, or if there is no board."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a GGUF file, or with --base-url the name of a model")
    parser.add_argument("--base-url", help="a server on this machine that computes on the board")
    parser.add_argument("--sessions", type=int, default=10, help="how many sessions (default: 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args()
    provider, rung, site = _provider(args.model, args.base_url)
    meter = Nvml(rung, {}, site)
    problem = meter.check()
    if problem is not None:
        print(f"not measured: {problem.what}: {problem.remedy}", file=sys.stderr)
        return 1
    figures = measure(provider, meter, sessions=args.sessions)
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0 if is_within_bounds(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
