"""The contenders of `bench_local`: each answers the same prompts, given as tokens, and says how many tokens it wrote.

The engine is the provider; `Llama` takes one prompt after the other; the bare loop is the least code around
`llama_decode`; llama-server is that of the prebuilt package xllamacpp, in a process of its own.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pytest_rightsize.providers.llama_cpp import native
from pytest_rightsize.providers.llama_cpp.chat_formats import CompletionNeededError, response_of
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.records import Request, Rung

__all__ = ["BareLoop", "Contender", "Engine", "LlamaServer", "OneAtATime", "Settings", "Work"]

# Loaded as the provider loads it, for all: without code that would crash here, and with threads that do not spin long.
llama_cpp = native.load()
native.native_log()
low_level = llama_cpp.llama_cpp

BATCH = 512
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all contenders are started with: `context` tokens for each of `sequences`."""

    path: Path
    threads: int
    sequences: int
    context: int
    chat_format: str | None = None
    flash: bool = False


@dataclass(frozen=True, kw_only=True)
class Work:
    """A question, and how many tokens answer it at most; a model may end before."""

    text: str
    tokens: int
    system: str = ""


class Contender(Protocol):
    """One way to answer."""

    def run(self, work: Sequence[Work]) -> int:
        """Answer all; returns how many tokens were written."""

    def cpu_s(self) -> float:
        """Processor seconds that it has used so far; only differences mean anything."""

    def close(self) -> None:
        """Free the memory."""


def _messages(work: Work) -> list[dict[str, str]]:
    system = [{"role": "system", "content": work.system}] if work.system else []
    return [*system, {"role": "user", "content": work.text}]


class Engine:
    """The provider, with all prompts submitted at once."""

    def __init__(self, settings: Settings) -> None:
        options: dict[str, Any] = {
            "n_threads": settings.threads,
            "n_parallel": settings.sequences,
            "n_ctx": settings.context,
            "flash_attn": settings.flash,
        }
        if settings.chat_format:
            options["chat_format"] = settings.chat_format
        self._provider = LlamaCpp(Rung(name="bench", provider="llama_cpp", model=str(settings.path), options=options))

    def run(self, work: Sequence[Work]) -> int:
        """As described."""
        futures = [
            self._provider.submit(Request(messages=tuple(_messages(each)), max_tokens=each.tokens)) for each in work
        ]
        return sum(future.result().tokens.completion or 0 for future in futures)

    def cpu_s(self) -> float:
        """Of this process."""
        return time.process_time()

    def close(self) -> None:
        """As described."""
        self._provider.close()


class OneAtATime:
    """`llama_cpp.Llama`, one prompt after the other."""

    def __init__(self, settings: Settings) -> None:
        self._model: Any = llama_cpp.Llama(
            str(settings.path),
            n_ctx=settings.context,
            n_threads=settings.threads,
            n_threads_batch=settings.threads,
            flash_attn=settings.flash,
            chat_format=settings.chat_format,
            verbose=False,
        )
        self._tokens: dict[str, list[int]] = {}

    def run(self, work: Sequence[Work]) -> int:
        """As described."""
        made = 0
        for each in work:
            self._model.reset()
            reply: Any = self._model.create_chat_completion(
                messages=_messages(each), temperature=0, max_tokens=each.tokens
            )
            made += reply["usage"]["completion_tokens"]
        return made

    def tokens_of(self, work: Work) -> list[int]:
        """The tokens of the prompt, written once: contenders that take tokens get them for nothing."""
        if work.text not in self._tokens:
            self._tokens[work.text] = self._written(work)
        return self._tokens[work.text]

    def _written(self, work: Work) -> list[int]:
        try:
            response_of(self._model, {"messages": _messages(work)}, [])
        except CompletionNeededError as needed:
            prompt: Any = needed.arguments["prompt"]
            if isinstance(prompt, str):
                begin = [self._model.token_bos()] if self._model._model.add_bos_token() else []
                prompt = begin + self._model.tokenize(prompt.encode(), add_bos=False, special=True)
            return list(prompt)
        raise RuntimeError("the chat format asked for no completion")

    def cpu_s(self) -> float:
        """Of this process."""
        return time.process_time()

    def close(self) -> None:
        """As described."""
        self._model.close()


class BareLoop:
    """The least code around `llama_decode`: as many prompts as fit in one batch, then one token of each at a time.

    Where there are more prompts than sequences, they run in waves: the next one begins when the last has ended.
    """

    def __init__(self, settings: Settings, prompts: OneAtATime) -> None:
        self._sequences = settings.sequences
        self._prompts = prompts
        self._model = low_level.llama_model_load_from_file(
            str(settings.path).encode(), low_level.llama_model_default_params()
        )
        self._vocabulary = low_level.llama_model_get_vocab(self._model)
        self._size = low_level.llama_vocab_n_tokens(self._vocabulary)
        params = low_level.llama_context_default_params()
        params.n_ctx, params.n_seq_max = settings.sequences * settings.context, settings.sequences
        params.n_batch, params.swa_full = BATCH, True
        params.n_threads = params.n_threads_batch = settings.threads
        params.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if settings.flash else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        self._context = low_level.llama_init_from_model(self._model, params)
        self._batch = low_level.llama_batch_init(BATCH, 0, 1)

    def run(self, work: Sequence[Work]) -> int:
        """As described."""
        return sum(self._wave(work[start : start + self._sequences]) for start in range(0, len(work), self._sequences))

    def _wave(self, work: Sequence[Work]) -> int:
        low_level.llama_memory_clear(low_level.llama_get_memory(self._context), True)
        prompted = [self._prompts.tokens_of(each) for each in work]
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
        made, step = 0, 0
        while latest := {each: token for each, token in latest.items() if not self._ends(token)}:
            made, step = made + len(latest), step + 1
            writing = [each for each in latest if work[each].tokens > step]
            if not writing:
                break
            self._decode([(latest[each], len(prompted[each]) + step - 1, each, True) for each in writing])
            latest = {each: self._likeliest(index) for index, each in enumerate(writing)}
        return made

    def cpu_s(self) -> float:
        """Of this process."""
        return time.process_time()

    def close(self) -> None:
        """As described."""
        low_level.llama_batch_free(self._batch)
        low_level.llama_free(self._context)
        low_level.llama_model_free(self._model)

    def _ends(self, token: int) -> bool:
        return bool(low_level.llama_vocab_is_eog(self._vocabulary, token))

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
        return int(np.ctypeslib.as_array(logits, shape=(self._size,)).argmax())


class LlamaServer:
    """llama-server with as many slots, asked for all answers at once, by tokens, as it would write prompts itself."""

    def __init__(self, settings: Settings, prompts: OneAtATime) -> None:
        self._prompts = prompts
        self._slots = settings.sequences
        command = [sys.executable, "-m", "tests.benchmarks.llama_server", str(settings.path)]
        numbers = (settings.sequences * settings.context, settings.sequences, settings.threads, int(settings.flash))
        self._process = subprocess.Popen(
            [*command, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # As in this process: threads that spin while they wait would burn its time on a busy machine.
            env={"GOMP_SPINCOUNT": native.SPINS, **os.environ},
        )
        assert self._process.stdout is not None
        self._url = self._process.stdout.readline().strip()
        if not self._url:
            raise RuntimeError("llama-server did not start")

    def run(self, work: Sequence[Work]) -> int:
        """As described."""
        with ThreadPoolExecutor(self._slots * 2) as pool:
            return sum(pool.map(self._answer, work))

    def _answer(self, work: Work) -> int:
        body = {
            "prompt": self._prompts.tokens_of(work),
            "n_predict": work.tokens,
            "temperature": 0,
            "cache_prompt": False,
        }
        request = urllib.request.Request(
            f"{self._url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            return int(json.load(response)["tokens_predicted"])

    def cpu_s(self) -> float:
        """Of the server's process and of this one, which asks."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return time.process_time() + (int(fields[11]) + int(fields[12])) / _TICKS

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
