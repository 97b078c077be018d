"""Tokens per second of the llama_cpp provider, `Llama` one at a time, a bare `llama_decode` loop and llama-server.

    python -m tests.benchmarks.bench_local --model smollm2 --json bench-local.json

Three models: `random` weights, and the real ones `smollm2` and `gemma`. Three cases on each: `equal` prompts and
answers, one for each slot; `mixed` lengths, more than there are slots; and `flash`, which is `equal` with flash
attention for all. All contenders do the same work with the same threads and the same settings, and all but llama-server
in one process: in each round the others run between the two halves of one at a time, so that other load affects them
alike. Ratios are taken within rounds; printed are their median and range, by the clock and by processor time. Then a
round more tells where the time of a token goes in the engine. It sets no limit, as machines differ.
"""

import argparse
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.local_contenders import BareLoop, Contender, Engine, LlamaServer, OneAtATime, Settings, Work
from tests.benchmarks.local_costs import counted
from tests.benchmarks.local_models import MODELS, BenchModel, Case, cases

_CONTEXT = 512


@dataclass(kw_only=True)
class Pace:
    """Tokens and time of one contender in one round, which may have several parts."""

    tokens: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def add(self, contender: Contender, work: Sequence[Work], *, is_endless: bool) -> None:
        """Run and count; raises RuntimeError if it wrote fewer or more tokens than were asked for."""
        started, cpu = time.perf_counter(), contender.cpu_s()
        made = contender.run(work)
        self.wall_s += time.perf_counter() - started
        self.cpu_s += contender.cpu_s() - cpu
        if is_endless and made != (wanted := sum(each.tokens for each in work)):
            raise RuntimeError(f"{made} tokens were written in place of {wanted}: the contenders did not do the same")
        self.tokens += made

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.wall_s

    @property
    def cpu_ms_per_token(self) -> float:
        return self.cpu_s / self.tokens * 1000


def contenders(settings: Settings, names: Sequence[str]) -> dict[str, Contender]:
    """The named contenders; one at a time is always there, as it also writes the prompts of others."""
    alone = OneAtATime(settings)
    makers: dict[str, Callable[[], Contender]] = {
        "bare_loop": lambda: BareLoop(settings, alone),
        "engine": lambda: Engine(settings),
        "llama_server": lambda: LlamaServer(settings, alone),
    }
    return {"one_at_a_time": alone, **{name: make() for name, make in makers.items() if name in names}}


def measure(model: BenchModel, case: Case, settings: Settings, names: Sequence[str], rounds: int) -> dict[str, Any]:
    """Rounds of all contenders, the ratios within each, and the costs of a token in the engine."""
    runners = contenders(settings, names)
    alone = runners["one_at_a_time"]
    batched = {name: runner for name, runner in runners.items() if runner is not alone}
    paces: dict[str, list[Pace]] = {name: [] for name in runners}
    load_before = _load()
    for number in range(-1, rounds):
        work = case.work(number + 1, model)
        assert isinstance(alone, OneAtATime)
        for each in work:
            alone.tokens_of(each)
        if number < 0:  # to warm up
            work = [replace(each, tokens=2) for each in work]
        round_paces = {name: Pace() for name in runners}
        round_paces["one_at_a_time"].add(alone, work[::2], is_endless=model.is_endless)
        for name in sorted(batched, reverse=bool(number % 2)):
            round_paces[name].add(batched[name], work, is_endless=model.is_endless)
        round_paces["one_at_a_time"].add(alone, work[1::2], is_endless=model.is_endless)
        if number < 0:
            continue
        for name, pace in round_paces.items():
            paces[name].append(pace)
        speeds = ", ".join(f"{name} {pace.tokens_per_second:.1f}" for name, pace in round_paces.items())
        print(f"  round {number + 1}: {speeds} tokens/s", flush=True)
    measured = {
        "requests": case.requests,
        "prompt_tokens": list(case.prompt_tokens),
        "completion_tokens": list(case.tokens),
        "flash_attn": case.flash,
        "load_average": {"before": load_before, "after": _load()},
        "tokens": {name: sum(each.tokens for each in pace) for name, pace in paces.items()},
        "tokens_per_second": {name: _spread([each.tokens_per_second for each in pace]) for name, pace in paces.items()},
        "cpu_ms_per_token": {name: _spread([each.cpu_ms_per_token for each in pace]) for name, pace in paces.items()},
        "ratios": {name: _ratios(paces["engine"], paces[name]) for name in runners if name != "engine"},
    }
    if "bare_loop" in runners:
        measured["bare_loop_ratio"] = _ratios(paces["bare_loop"], paces["one_at_a_time"])
    measured["engine_ms_per_token"] = _costs(runners["engine"], case.work(rounds + 1, model))
    for runner in runners.values():
        runner.close()
    return measured


def _costs(engine: Contender, work: Sequence[Work]) -> dict[str, float]:
    with counted() as costs:
        started = time.perf_counter()
        made = engine.run(work)
        return costs.ms_per_token(made, time.perf_counter() - started)


def _ratios(first: Sequence[Pace], other: Sequence[Pace]) -> dict[str, dict[str, float]]:
    """The speed of the first as a multiple of the other's, by the clock and by processor time."""
    pairs = list(zip(first, other, strict=True))
    return {
        "wall": _spread([own.tokens_per_second / others.tokens_per_second for own, others in pairs]),
        "cpu": _spread([others.cpu_ms_per_token / own.cpu_ms_per_token for own, others in pairs]),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}


def _load() -> float | None:
    """The load average of the last minute, where the system has one."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _spread_text(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['least']:.2f} to {spread['most']:.2f})"


def show(measured: Mapping[str, Any]) -> None:
    """Print one case."""
    for name, speed in measured["tokens_per_second"].items():
        cpu_ms = _spread_text(measured["cpu_ms_per_token"][name])
        print(f"  {name:14} {_spread_text(speed)} tokens/s, {cpu_ms} ms CPU a token, {measured['tokens'][name]} tokens")
    ratios = {f"engine / {name}": ratio for name, ratio in measured["ratios"].items()}
    if "bare_loop_ratio" in measured:
        ratios["bare_loop / one_at_a_time"] = measured["bare_loop_ratio"]
    for name, ratio in ratios.items():
        print(f"  {name}: {_spread_text(ratio['wall'])} by the clock, {_spread_text(ratio['cpu'])} by CPU time")
    costs = ", ".join(f"{name} {ms:.3f}" for name, ms in measured["engine_ms_per_token"].items())
    print(f"  a token of the engine takes ms: {costs}")
    load = measured["load_average"]
    print(f"  load average {load['before']} before, {load['after']} after, {os.cpu_count()} processors", flush=True)


def main() -> None:
    """Measure, print and write."""
    known = ("equal", "mixed", "flash")
    others = ["bare_loop", "engine", "llama_server"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(known)} (default: all)")
    parser.add_argument("--model", choices=MODELS, default="random")
    parser.add_argument("--json", type=Path, default=Path("bench-local.json"), help="where the numbers go")
    parser.add_argument("--without", choices=["bare_loop", "llama_server"], action="append", default=[])
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=48, help="tokens of each answer")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    case_by_name = cases(args.sequences, args.prompt_tokens, args.tokens)
    unknown = [name for name in args.cases if name not in case_by_name]
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}; known: {', '.join(case_by_name)}")
    names = [name for name in others if name not in args.without]
    if "llama_server" in names and importlib.util.find_spec("xllamacpp") is None:
        print("without llama-server: xllamacpp is not installed (dependency group `servers`)", flush=True)
        names.remove("llama_server")
    model = MODELS[args.model]
    measured: dict[str, Any] = {"model": args.model, "sequences": args.sequences, "threads": args.threads}
    with tempfile.TemporaryDirectory() as folder:
        path = model.file(Path(folder))
        for name in args.cases or case_by_name:
            case = case_by_name[name]
            print(f"{args.model}, {name}: {case}", flush=True)
            settings = Settings(
                path=path,
                threads=args.threads,
                sequences=args.sequences,
                context=_CONTEXT,
                chat_format=model.chat_format,
                flash=case.flash,
            )
            measured[name] = measure(model, case, settings, names, args.rounds)
            show(measured[name])
    args.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
