"""Tokens per second of the llama_cpp provider, against `Llama` one at a time and a bare `llama_decode` loop.

    python -m tests.benchmarks.bench_local --json bench-local.json

Prints the ratios of one run on a model of random weights and writes them as JSON. It sets no limit: machines differ.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from pytest_rightsize.providers.llama_cpp import LlamaCpp
from pytest_rightsize.records import Request, Rung
from tests.random_gguf import Shape, write_model

SHAPE = Shape(width=1024, layers=12, heads=16, hidden=2816, vocabulary=32000)
CONTEXT = 512


def prompts(count: int, tokens: int) -> list[str]:
    """Prompts of that many tokens (a byte is one) that share no beginning."""
    return [chr(ord("a") + number % 26) * 8 + f"{number:04d}" + "." * (tokens - 13) for number in range(count)]


class Engine:
    """The provider, with all prompts submitted at once."""

    def __init__(self, path: Path, threads: int, sequences: int) -> None:
        options = {"n_threads": threads, "n_parallel": sequences, "n_ctx": CONTEXT}
        self._provider = LlamaCpp(Rung(name="bench", provider="llama_cpp", model=str(path), options=options))

    def run(self, texts: Sequence[str], tokens: int) -> int:
        requests = [Request(messages=({"role": "user", "content": text},), max_tokens=tokens) for text in texts]
        replies = [future.result() for future in [self._provider.submit(request) for request in requests]]
        return sum(reply.tokens.completion or 0 for reply in replies)

    def close(self) -> None:
        self._provider.close()


class OneAtATime:
    """`llama_cpp.Llama`, one prompt after the other."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model: Any = llama_cpp.Llama(
            str(path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def run(self, texts: Sequence[str], tokens: int) -> int:
        made = 0
        for text in texts:
            self._model.reset()
            message = {"role": "user", "content": text}
            reply: Any = self._model.create_chat_completion(messages=[message], temperature=0, max_tokens=tokens)
            made += reply["usage"]["completion_tokens"]
        return made

    def tokens_of(self, text: str) -> list[int]:
        return list(self._model.tokenize(text.encode(), add_bos=False, special=True))

    def close(self) -> None:
        self._model.close()


class BareLoop:
    """As little as can be around `llama_decode`: all prompts in one batch, then a token of each at a time."""

    def __init__(self, path: Path, threads: int, sequences: int) -> None:
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.n_batch = sequences * CONTEXT, sequences, 512
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        self._batch = llama_cpp.llama_batch_init(512, 0, 1)

    def run(self, prompted: Sequence[Sequence[int]], tokens: int) -> int:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        rows = [
            (token, place, sequence, place == len(prompt) - 1)
            for sequence, prompt in enumerate(prompted)
            for place, token in enumerate(prompt)
        ]
        latest: dict[int, int] = {}
        for start in range(0, len(rows), 512):
            piece = rows[start : start + 512]
            self._decode(piece)
            # The logits of a piece are gone after the next one.
            latest |= {row[2]: self._likeliest(index) for index, row in enumerate(piece) if row[3]}
        for step in range(tokens - 1):
            sequences = sorted(latest)
            self._decode([(latest[each], len(prompted[each]) + step, each, True) for each in sequences])
            latest = {each: self._likeliest(index) for index, each in enumerate(sequences)}
        return tokens * len(prompted)

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _decode(self, rows: Sequence[tuple[int, int, int, bool]]) -> None:
        batch = self._batch
        for index, (token, place, sequence, wants_logits) in enumerate(rows):
            batch.token[index], batch.pos[index], batch.logits[index] = token, place, wants_logits
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
        batch.n_tokens = len(rows)
        if llama_cpp.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")

    def _likeliest(self, row: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(self._context, row)
        return int(np.ctypeslib.as_array(logits, shape=(SHAPE.vocabulary,)).argmax())


def measure(
    path: Path, *, sequences: int, prompt_tokens: int, tokens: int, threads: int, rounds: int
) -> dict[str, Any]:
    """All contenders in turns, so that other load on the machine hits them alike; the ratios are of the best rounds."""
    alone = OneAtATime(path, threads)
    bare = BareLoop(path, threads, sequences)
    engine = Engine(path, threads, sequences)
    texts = prompts(sequences, prompt_tokens)
    prompted = [alone.tokens_of(text) for text in texts]
    contenders: dict[str, Callable[[int], int]] = {
        "one_at_a_time": lambda count: alone.run(texts, count),
        "bare_loop": lambda count: bare.run(prompted, count),
        "engine": lambda count: engine.run(texts, count),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(2)
    for number in range(rounds):
        # Other first characters each round: nobody may remember a prompt.
        texts = [chr(ord("A") + number) + text[1:] for text in texts]
        prompted = [alone.tokens_of(text) for text in texts]
        for name, run in contenders.items():
            started = time.perf_counter()
            made = run(tokens)
            speeds[name].append(made / (time.perf_counter() - started))
            print(f"round {number + 1}: {name} {speeds[name][-1]:.1f} tokens/s", flush=True)
    for contender in (alone, engine, bare):
        contender.close()
    best = {name: max(values) for name, values in speeds.items()}
    return {
        "parameters": SHAPE.parameters,
        "prompt_tokens": len(prompted[0]),
        "completion_tokens": tokens,
        "sequences": sequences,
        "threads": threads,
        "tokens_per_second": speeds,
        "ratio_to_one_at_a_time": best["engine"] / best["one_at_a_time"],
        "ratio_to_bare_loop": best["engine"] / best["bare_loop"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-local.json"), help="where the numbers go")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=48, help="tokens of each answer")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    given = vars(parser.parse_args())
    target = given.pop("json")
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(write_model(Path(folder) / "random.gguf", SHAPE), **given)
    target.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(f"engine / one at a time: {measured['ratio_to_one_at_a_time']:.2f}")
    print(f"engine / bare loop:     {measured['ratio_to_bare_loop']:.2f}")


if __name__ == "__main__":
    main()
