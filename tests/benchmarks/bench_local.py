"""Tokens per second of the llama_cpp provider, against `Llama` one at a time and a bare `llama_decode` loop.

    python -m tests.benchmarks.bench_local --json bench-local.json

Three cases on one model of random weights: `equal` prompts and answers, one for each slot; `mixed` lengths, more than
there are slots; and `flash`, which is `equal` with flash attention for all. All contenders do the same work in one
process, with the same threads and the same llama.cpp settings: in each round the engine and the bare loop run between
the two halves of one at a time, so that other load affects them alike. Ratios are taken within rounds; printed are
their median and range, by the clock and by processor time. It sets no limit, as machines differ.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pytest_rightsize.providers.llama_cpp import native
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.records import Request, Rung
from tests.providers.llama_cpp.random_gguf import Shape, write_model

# Loaded as the provider loads it, for all: without code that would crash here, and with threads that do not spin long.
llama_cpp = native.load()
low_level = llama_cpp.llama_cpp

SHAPE = Shape(width=1024, layers=12, heads=16, hidden=2816, vocabulary=32000)
CONTEXT = 512
BATCH = 512


@dataclass(frozen=True, kw_only=True)
class Work:
    """A prompt, of which a character is a token, and how many tokens answer it."""

    text: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """Prompts and answers of these numbers of tokens, in turn until there are `requests`."""

    requests: int
    prompt_tokens: Sequence[int]
    tokens: Sequence[int]
    flash: bool = False

    def work(self, round_number: int) -> list[Work]:
        """The prompts of a round. No two begin with the same 6 tokens: from 8 on the provider would share prefixes."""
        return [
            Work(
                text=f"{round_number:02d}{number:04d}".ljust(length, "."),
                tokens=self.tokens[number % len(self.tokens)],
            )
            for number in range(self.requests)
            for length in [self.prompt_tokens[number % len(self.prompt_tokens)]]
        ]


class Engine:
    """The provider, with all prompts submitted at once."""

    def __init__(self, path: Path, threads: int, sequences: int, *, flash: bool) -> None:
        options = {"n_threads": threads, "n_parallel": sequences, "n_ctx": CONTEXT, "flash_attn": flash}
        self._provider = LlamaCpp(Rung(name="bench", provider="llama_cpp", model=str(path), options=options))

    def run(self, work: Sequence[Work]) -> int:
        futures = [
            self._provider.submit(
                Request(messages=({"role": "user", "content": each.text},), max_tokens=each.tokens),
            )
            for each in work
        ]
        return sum(future.result().tokens.completion or 0 for future in futures)

    def close(self) -> None:
        self._provider.close()


class OneAtATime:
    """`llama_cpp.Llama`, one prompt after the other."""

    def __init__(self, path: Path, threads: int, *, flash: bool) -> None:
        self._model: Any = llama_cpp.Llama(
            str(path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, flash_attn=flash, verbose=False
        )

    def run(self, work: Sequence[Work]) -> int:
        made = 0
        for each in work:
            self._model.reset()
            reply: Any = self._model.create_chat_completion(
                messages=[{"role": "user", "content": each.text}], temperature=0, max_tokens=each.tokens
            )
            made += reply["usage"]["completion_tokens"]
        return made

    def tokens_of(self, text: str) -> list[int]:
        return list(self._model.tokenize(text.encode(), add_bos=False, special=True))

    def close(self) -> None:
        self._model.close()


class BareLoop:
    """The least code around `llama_decode`: as many prompts as fit in one batch, then one token of each at a time.

    Where there are more prompts than sequences, they run in waves: the next one begins when the last has ended.
    """

    def __init__(
        self, path: Path, threads: int, sequences: int, tokens_of: Callable[[str], list[int]], *, flash: bool
    ) -> None:
        self._sequences = sequences
        self._tokens_of = tokens_of
        self._model = low_level.llama_model_load_from_file(str(path).encode(), low_level.llama_model_default_params())
        params = low_level.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.n_batch = sequences * CONTEXT, sequences, BATCH
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        self._context = low_level.llama_init_from_model(self._model, params)
        self._batch = low_level.llama_batch_init(BATCH, 0, 1)

    def run(self, work: Sequence[Work]) -> int:
        return sum(self._wave(work[start : start + self._sequences]) for start in range(0, len(work), self._sequences))

    def _wave(self, work: Sequence[Work]) -> int:
        low_level.llama_memory_clear(low_level.llama_get_memory(self._context), True)
        prompted = [self._tokens_of(each.text) for each in work]
        rows = [
            (token, place, sequence, place == len(prompt) - 1)
            for sequence, prompt in enumerate(prompted)
            for place, token in enumerate(prompt)
        ]
        latest: dict[int, int] = {}
        for start in range(0, len(rows), BATCH):
            piece = rows[start : start + BATCH]
            self._decode(piece)
            # The next decode overwrites the logits of this piece.
            latest |= {row[2]: self._likeliest(index) for index, row in enumerate(piece) if row[3]}
        made = len(work)
        for step in range(1, max(each.tokens for each in work)):
            writing = [sequence for sequence, each in enumerate(work) if each.tokens > step]
            self._decode([(latest[each], len(prompted[each]) + step - 1, each, True) for each in writing])
            latest = {each: self._likeliest(index) for index, each in enumerate(writing)}
            made += len(writing)
        return made

    def close(self) -> None:
        low_level.llama_batch_free(self._batch)
        low_level.llama_free(self._context)
        low_level.llama_model_free(self._model)

    def _decode(self, rows: Sequence[tuple[int, int, int, bool]]) -> None:
        batch = self._batch
        for index, (token, place, sequence, wants_logits) in enumerate(rows):
            batch.token[index], batch.pos[index], batch.logits[index] = token, place, wants_logits
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
        batch.n_tokens = len(rows)
        if low_level.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")

    def _likeliest(self, row: int) -> int:
        logits = low_level.llama_get_logits_ith(self._context, row)
        return int(np.ctypeslib.as_array(logits, shape=(SHAPE.vocabulary,)).argmax())


@dataclass(kw_only=True)
class Pace:
    """Tokens and time of one contender in one round, which may have several parts."""

    tokens: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def add(self, run: Callable[[Sequence[Work]], int], work: Sequence[Work]) -> None:
        """Run and count; raises RuntimeError if it wrote fewer or more tokens than were asked for."""
        started, cpu = time.perf_counter(), time.process_time()
        made = run(work)
        self.wall_s += time.perf_counter() - started
        self.cpu_s += time.process_time() - cpu
        if made != (wanted := sum(each.tokens for each in work)):
            raise RuntimeError(f"{made} tokens were written in place of {wanted}: the contenders did not do the same")
        self.tokens += made

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.wall_s

    @property
    def cpu_ms_per_token(self) -> float:
        return self.cpu_s / self.tokens * 1000


def measure(path: Path, case: Case, *, sequences: int, threads: int, rounds: int) -> dict[str, Any]:
    """Rounds of all contenders, and the ratios within each."""
    alone = OneAtATime(path, threads, flash=case.flash)
    bare = BareLoop(path, threads, sequences, alone.tokens_of, flash=case.flash)
    engine = Engine(path, threads, sequences, flash=case.flash)
    batched = {"bare_loop": bare.run, "engine": engine.run}
    for run in (alone.run, bare.run, engine.run):
        run([Work(text="warm up", tokens=2)])
    paces: dict[str, list[Pace]] = {"one_at_a_time": [], "bare_loop": [], "engine": []}
    load_before = _load()
    for number in range(rounds):
        work = case.work(number)
        for pace in paces.values():
            pace.append(Pace())
        paces["one_at_a_time"][-1].add(alone.run, work[::2])
        for name in sorted(batched, reverse=bool(number % 2)):
            paces[name][-1].add(batched[name], work)
        paces["one_at_a_time"][-1].add(alone.run, work[1::2])
        speeds = ", ".join(f"{name} {pace[-1].tokens_per_second:.1f}" for name, pace in paces.items())
        print(f"  round {number + 1}: {speeds} tokens/s", flush=True)
    for contender in (alone, engine, bare):
        contender.close()
    return {
        "requests": case.requests,
        "prompt_tokens": list(case.prompt_tokens),
        "completion_tokens": list(case.tokens),
        "flash_attn": case.flash,
        "load_average": {"before": load_before, "after": _load()},
        "tokens_per_second": {name: _spread([each.tokens_per_second for each in pace]) for name, pace in paces.items()},
        "cpu_ms_per_token": {name: _spread([each.cpu_ms_per_token for each in pace]) for name, pace in paces.items()},
        "ratios": {name: _ratios(paces["engine"], paces[name]) for name in ("one_at_a_time", "bare_loop")},
    }


def _ratios(engine: Sequence[Pace], other: Sequence[Pace]) -> dict[str, dict[str, float]]:
    """The speed of the engine as a multiple of the other's, by the clock and by processor time."""
    pairs = list(zip(engine, other, strict=True))
    return {
        "wall": _spread([own.tokens_per_second / others.tokens_per_second for own, others in pairs]),
        "cpu": _spread([others.cpu_ms_per_token / own.cpu_ms_per_token for own, others in pairs]),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}


def _load() -> float | None:
    """The load average of the last minute, where the system has one."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _spread_text(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['least']:.2f} to {spread['most']:.2f})"


def show(measured: dict[str, Any]) -> None:
    """Print one case."""
    for name, speed in measured["tokens_per_second"].items():
        cpu_ms = _spread_text(measured["cpu_ms_per_token"][name])
        print(f"  {name:14} {_spread_text(speed)} tokens/s, {cpu_ms} ms CPU a token")
    for name, ratios in measured["ratios"].items():
        wall, cpu = _spread_text(ratios["wall"]), _spread_text(ratios["cpu"])
        print(f"  engine / {name}: {wall} by the clock, {cpu} by CPU time")
    load = measured["load_average"]
    print(f"  load average {load['before']} before, {load['after']} after, {os.cpu_count()} processors", flush=True)


def cases(sequences: int, prompt_tokens: int, tokens: int) -> dict[str, Case]:
    """The cases by name; the mean lengths of `mixed` are about those of `equal`."""
    equal = Case(requests=sequences, prompt_tokens=[prompt_tokens], tokens=[tokens])
    return {
        "equal": equal,
        "mixed": Case(
            requests=2 * sequences,
            # 7 lengths of prompts and 5 of answers: a long prompt does not always have a long answer.
            prompt_tokens=[16, 80, 24, 40, 18, 60, 30],
            tokens=[tokens, tokens // 6, tokens // 2, tokens // 4, tokens],
        ),
        "flash": replace(equal, flash=True),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="some of equal, mixed, flash (default: all)")
    parser.add_argument("--json", type=Path, default=Path("bench-local.json"), help="where the numbers go")
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
    measured = {"parameters": SHAPE.parameters, "sequences": args.sequences, "threads": args.threads}
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(Path(folder) / "random.gguf", SHAPE)
        for name in args.cases or case_by_name:
            print(f"{name}: {case_by_name[name]}", flush=True)
            measured[name] = measure(
                path, case_by_name[name], sequences=args.sequences, threads=args.threads, rounds=args.rounds
            )
            show(measured[name])
    args.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
