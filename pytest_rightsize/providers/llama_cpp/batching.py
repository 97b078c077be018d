"""Prompts in, completions out, many at a time: continuous batching over llama.cpp's low-level API.

Each `Batch` has slots, one sequence of the context each; every step decodes one token of all that write and a piece of
those that read, in one call. It knows nothing of requests, futures and rungs, and is used by one thread only.
"""

import ctypes
import importlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_rightsize.providers.llama_cpp.completions import Answer, Completion, Prompt
from pytest_rightsize.providers.llama_cpp.layout import Layout, open_context, padded
from pytest_rightsize.providers.llama_cpp.sampling import Sampler

__all__ = ["Batch", "open_batch"]

# A prefix shorter than this is decoded again: copying and waiting for it cost about as much.
_SHORTEST_SHARED_TOKENS = 8
_NO_ROOM = 1


def open_batch(native: Any, *, context_tokens: int, batch_tokens: int, slots: int | None) -> "Batch":
    """Give `native` (a `llama_cpp.Llama`) slots; ValueError if they fit no memory."""
    layout = open_context(native, context_tokens=context_tokens, batch_tokens=batch_tokens, slots=slots)
    return Batch(native, context_tokens=padded(context_tokens), layout=layout)


class _Rows:
    """The `llama_batch` that is handed to each decode, filled through arrays instead of one item at a time."""

    def __init__(self, llama_cpp: Any, size: int) -> None:
        self._tokens = np.zeros(size, dtype=np.int32)
        self._positions = np.zeros(size, dtype=np.int32)
        self._sequences = np.zeros(size, dtype=np.int32)
        self._wants_logits = np.zeros(size, dtype=np.int8)
        self._ones = np.ones(size, dtype=np.int32)
        int32, int8 = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.c_int8)
        first = self._sequences.ctypes.data
        addresses = [ctypes.cast(first + 4 * row, int32) for row in range(size)]
        self._pointers = (int32 * size)(*addresses)
        self.native = llama_cpp.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(int32),
            embd=None,
            pos=self._positions.ctypes.data_as(int32),
            n_seq_id=self._ones.ctypes.data_as(int32),
            seq_id=self._pointers,
            logits=self._wants_logits.ctypes.data_as(int8),
        )
        self.size = size

    def clear(self) -> None:
        """Begin anew."""
        self.native.n_tokens = 0

    def add(self, sequence: int, position: int, tokens: NDArray[np.int32], *, wants_logits: bool) -> int:
        """Add a piece of a sequence; the row of its last token, whose logits may be wanted."""
        start = self.native.n_tokens
        end = start + len(tokens)
        self._tokens[start:end] = tokens
        self._positions[start:end] = np.arange(position, position + len(tokens), dtype=np.int32)
        self._sequences[start:end] = sequence
        self._wants_logits[start:end] = 0
        self._wants_logits[end - 1] = wants_logits
        self.native.n_tokens = end
        return int(end - 1)


class _Slot:
    """One sequence of the context. `tokens[:decoded]` are in its cells, `tokens[decoded:length]` wait to be."""

    def __init__(self, index: int, context_tokens: int) -> None:
        self.index = index
        self.tokens = np.zeros(context_tokens + 4, dtype=np.int32)
        self.length = 0
        self.decoded = 0
        self.cached = 0
        self.is_started = False
        self.ticket: int | None = None
        self.since = 0.0
        self.prompt: Prompt
        self.answer: Answer
        self.sampler: Sampler

    @property
    def waiting(self) -> int:
        """How many tokens are not decoded yet."""
        return self.length - self.decoded

    def shared_with(self, other: "_Slot") -> int:
        """How many tokens both begin with; the last of this one's does not count, for its logits are needed."""
        most = min(self.length - 1, other.length)
        differs = self.tokens[:most] != other.tokens[:most]
        return int(differs.argmax()) if differs.any() else max(most, 0)


class Batch:
    """The sequences of one loaded model. `start` a prompt when there is a free slot, `step` until it has ended."""

    def __init__(self, native: Any, *, context_tokens: int, layout: Layout) -> None:
        """Take over the context of `native`, which nobody else may use from now on."""
        self._llama_cpp: Any = importlib.import_module("llama_cpp")
        self._native = native
        self._memory = self._llama_cpp.llama_get_memory(native.ctx)
        self._rows = _Rows(self._llama_cpp, int(self._llama_cpp.llama_n_batch(native.ctx)))
        self._slots = [_Slot(index, context_tokens) for index in range(layout.slots)]
        self._pieces: dict[int, bytes | None] = {}
        self._tickets = 0
        self._keeps_prefixes = not _is_recurrent(self._llama_cpp, native)
        # Somebody was put back for want of cells, and nobody has ended since.
        self._is_full = False
        self.context_tokens = context_tokens
        self.layout = layout
        self.decoded_tokens = 0

    @property
    def has_room(self) -> bool:
        """Whether a slot is free."""
        return any(slot.ticket is None for slot in self._slots)

    @property
    def is_busy(self) -> bool:
        """Whether a step would do anything."""
        return any(slot.ticket is not None for slot in self._slots)

    def start(self, prompt: Prompt) -> int:
        """Put the prompt into a free slot; the ticket that its end is told with. ValueError for a bad grammar."""
        sampler = Sampler(self._native, prompt.sampling)
        slot = self._free_slot(prompt.tokens)
        self._tickets += 1
        slot.ticket = self._tickets
        slot.since = time.perf_counter()
        slot.prompt, slot.sampler = prompt, sampler
        slot.answer = Answer(prompt, self._native.token_bos())
        kept = _same_beginning(slot.tokens[: slot.decoded], prompt.tokens)
        slot.length = len(prompt.tokens)
        slot.tokens[: slot.length] = prompt.tokens
        self._keep(slot, min(kept, slot.length - 1))
        slot.is_started = False
        return slot.ticket

    def cancel(self, ticket: int) -> None:
        """Free the slot of a prompt that nobody waits for any more."""
        for slot in self._slots:
            if slot.ticket == ticket:
                self._vacate(slot)

    def step(self) -> list[tuple[int, Completion | Exception]]:
        """Decode once, take the next token of each sequence, and tell which have ended and how."""
        busy = self._busy()
        for slot in busy:
            if not slot.is_started:
                self._begin(slot)
        if self.layout.unified:
            self._forget_idle(but_latest=True)
        else:
            self._close_gaps()
        rows = self._decode(busy)
        ended: list[tuple[int, Completion | Exception]] = []
        for slot, row in rows:
            end = self._advance(slot, row)
            if end is not None and slot.ticket is not None:
                ended.append((slot.ticket, end))
                self._vacate(slot)
        return ended

    def close(self) -> None:
        """Free the samplers and the context; the model is its owner's."""
        for slot in self._busy():
            self._vacate(slot)
        self._native._ctx.close()

    def _busy(self) -> list[_Slot]:
        """The slots in use, first come first."""
        return sorted((slot for slot in self._slots if slot.ticket is not None), key=lambda slot: slot.ticket or 0)

    def _free_slot(self, tokens: Sequence[int]) -> _Slot:
        """The free slot that holds most of the prompt already, else the first: neighbours are decoded together."""
        free = [slot for slot in self._slots if slot.ticket is None]
        return max(free, key=lambda slot: _same_beginning(slot.tokens[: slot.decoded], tokens))

    def _vacate(self, slot: _Slot) -> None:
        """Let the next prompt have the slot. What it has decoded stays, for a prompt that begins the same."""
        slot.sampler.close()
        slot.ticket = None
        slot.length = slot.decoded
        slot.since = time.perf_counter()
        self._is_full = False

    def _begin(self, slot: _Slot) -> None:
        """Take the beginning of the prompt from another slot, or wait for one that is decoding it, or begin alone."""
        others = [other for other in self._slots if other is not slot and (other.is_started or other.ticket is None)]
        if self._is_full and any(other.ticket is not None for other in others):
            return
        source, shared = None, slot.decoded
        for other in others if self._keeps_prefixes else []:
            alike = slot.shared_with(other)
            if alike < shared + _SHORTEST_SHARED_TOKENS:
                continue
            if other.decoded >= alike:
                source, shared = other, alike
            elif other.ticket is not None:
                return
        if source is not None:
            self._copy(source, slot, shared)
        slot.cached = slot.decoded if not slot.answer.tokens else slot.cached
        slot.is_started = True

    def _copy(self, source: _Slot, slot: _Slot, tokens: int) -> None:
        """Give the slot the first tokens of another's."""
        self._copy_cells(source, slot)
        slot.decoded = source.decoded
        self._keep(slot, tokens)

    def _copy_cells(self, source: _Slot, slot: _Slot) -> None:
        """Sequences with cells of their own can only be copied whole."""
        self._llama_cpp.llama_memory_seq_rm(self._memory, slot.index, -1, -1)
        self._llama_cpp.llama_memory_seq_cp(self._memory, source.index, slot.index, -1, -1)

    def _close_gaps(self) -> None:
        """Move sequences into free slots between others, which no prompt waits for, until none is left.

        llama.cpp decodes sequences with cells of their own together only where their numbers follow each other; at each
        gap it goes through all weights once more. 8 sequences with a gap after each took three times as long as 8 in a
        row, and a move about a fifth of one time through the weights.
        """
        while self._keeps_prefixes:
            taken = [slot for slot in self._slots if slot.ticket is not None]
            gap = next((slot for slot in self._slots[taken[0].index :] if slot.ticket is None), None) if taken else None
            if gap is None or gap.index > taken[-1].index:
                return
            self._move(taken[-1], gap)

    def _move(self, slot: _Slot, free: _Slot) -> None:
        """Let a sequence go on in the cells of a free slot; its own ones stay as they are, for a prompt like it."""
        self._copy_cells(slot, free)
        free.tokens[: slot.decoded] = slot.tokens[: slot.decoded]
        free.length = free.decoded = slot.decoded
        slot.index, free.index = free.index, slot.index
        self._slots.sort(key=lambda each: each.index)

    def _keep(self, slot: _Slot, tokens: int) -> None:
        """Forget what the slot has decoded beyond its first `tokens`."""
        if not self._keeps_prefixes or tokens < _SHORTEST_SHARED_TOKENS:
            tokens = 0
        if slot.decoded == tokens:
            return
        memory = self._memory
        if not self._llama_cpp.llama_memory_seq_rm(memory, slot.index, tokens or -1, -1):
            self._llama_cpp.llama_memory_seq_rm(memory, slot.index, -1, -1)
            tokens = 0
        slot.decoded = tokens

    def forget(self) -> None:
        """Empty the free slots, so that the next prompt is read from its first token."""
        self._forget_idle(but_latest=False)

    def _forget_idle(self, *, but_latest: bool) -> bool:
        """Empty the free slots, whose cells would only be in the way of the others; whether there was anything."""
        idle = sorted((slot for slot in self._slots if slot.ticket is None and slot.decoded), key=lambda s: s.since)
        for slot in idle[:-1] if but_latest else idle:
            self._keep(slot, 0)
            slot.length = 0
        return bool(idle)

    def _decode(self, busy: Sequence[_Slot]) -> list[tuple[_Slot, int]]:
        """Decode what waits, as much as one batch takes; the slots whose next token can be drawn, with their rows."""
        while True:
            planned = self._plan(busy)
            if not planned:
                return []
            code = self._llama_cpp.llama_decode(self._native.ctx, self._rows.native)
            if code == 0:
                break
            if code != _NO_ROOM or not self._make_room(busy):
                self._reset()
                raise RuntimeError(f"llama_decode returned {code}")
        self.decoded_tokens += int(self._rows.native.n_tokens)
        for slot, count, _ in planned:
            slot.decoded += count
        return [(slot, row) for slot, _, row in planned if slot.waiting == 0]

    def _plan(self, busy: Sequence[_Slot]) -> list[tuple[_Slot, int, int]]:
        """Fill the rows, in the order of the slots: llama.cpp decodes those together whose numbers rise by one."""
        self._rows.clear()
        planned = []
        for slot, count in sorted(self._shares(busy), key=lambda share: share[0].index):
            piece = slot.tokens[slot.decoded : slot.decoded + count]
            row = self._rows.add(slot.index, slot.decoded, piece, wants_logits=count == slot.waiting)
            planned.append((slot, count, row))
        return planned

    def _shares(self, busy: Sequence[_Slot]) -> Iterator[tuple[_Slot, int]]:
        """How many tokens of each there is room for: first those that write, then those that read, first come first."""
        room = self._rows.size
        for slot in sorted((slot for slot in busy if slot.is_started), key=lambda slot: slot.waiting > 1):
            count = min(slot.waiting, room)
            room -= count
            if count:
                yield slot, count

    def _make_room(self, busy: Sequence[_Slot]) -> bool:
        """Free cells: of slots that nobody uses, else of the last comer, who begins again when another has ended."""
        if self._forget_idle(but_latest=False):
            return True
        started = [slot for slot in busy if slot.is_started]
        if len(started) < 2:
            return False
        last = started[-1]
        self._keep(last, 0)
        last.is_started = False
        self._is_full = True
        return True

    def _reset(self) -> None:
        """Forget every sequence: after a failed decode nobody knows what is in the cells."""
        self._llama_cpp.llama_memory_clear(self._memory, True)
        for slot in self._slots:
            if slot.ticket is not None:
                slot.decoded = 0
                self._vacate(slot)
            slot.decoded = slot.length = 0

    def _advance(self, slot: _Slot, row: int) -> Completion | Exception | None:
        """Draw the next token; how the sequence ended, or None while it goes on."""
        try:
            token = slot.sampler.draw(row)
            piece = self._piece(token)
        except Exception as error:
            return error
        answer = slot.answer
        if piece is None:
            answer.end()
        else:
            answer.add(token, piece)
        if answer.finish_reason is None and slot.length >= self.context_tokens:
            answer.finish_reason = "length"
        if answer.finish_reason is None:
            slot.tokens[slot.length] = token
            slot.length += 1
            return None
        return Completion(
            text=answer.text,
            finish_reason=answer.finish_reason,
            prompt_tokens=len(slot.prompt.tokens),
            cached_tokens=slot.cached,
            completion_tokens=len(answer.tokens),
            seconds=time.perf_counter() - slot.since,
        )

    def _piece(self, token: int) -> bytes | None:
        """The bytes of a token, or None if it ends an answer."""
        if token not in self._pieces:
            self._pieces[token] = self._look_up(token)
        return self._pieces[token]

    def _look_up(self, token: int) -> bytes | None:
        vocabulary = self._native._model.vocab
        if self._llama_cpp.llama_vocab_is_eog(vocabulary, token):
            return None
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = self._llama_cpp.llama_token_to_piece(vocabulary, token, buffer, size, 0, False)
            if written >= 0:
                return buffer.raw[:written]
            size = -written


def _same_beginning(held: NDArray[np.int32], tokens: Sequence[int]) -> int:
    """How many tokens both begin with."""
    most = min(len(held), len(tokens))
    differs = held[:most] != np.asarray(tokens[:most], dtype=np.int32)
    return int(differs.argmax()) if differs.any() else most


def _is_recurrent(llama_cpp: Any, native: Any) -> bool:
    """Whether the model keeps a state instead of cells, which cannot be cut back to a prefix."""
    kinds = (getattr(llama_cpp, f"llama_model_is_{kind}", None) for kind in ("recurrent", "hybrid"))
    return any(kind is not None and kind(native.model) for kind in kinds)
