"""Continuous batching over llama.cpp's low-level API: prompts in, completions out, many at a time.

A `Batch` has slots, one sequence of the context each; every step decodes, in one call, one token of each sequence that
writes and a piece of each prompt that is read. It knows nothing of requests, Futures and rungs, and is used by one
thread only.
"""

import ctypes
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_rightsize import clocks
from pytest_rightsize.providers.llama_cpp.completions import Answer, Completion, Piece, Prompt
from pytest_rightsize.providers.llama_cpp.decode_rows import DecodeRows
from pytest_rightsize.providers.llama_cpp.layout import Layout, open_context
from pytest_rightsize.providers.llama_cpp.sampling import Sampler
from pytest_rightsize.providers.llama_cpp.slots import Slot, common_prefix_tokens

__all__ = ["Batch", "open_batch"]

# A shorter prefix is decoded again: copying it and waiting for it cost about as much.
_SHORTEST_SHARED_TOKENS = 8
_NO_ROOM = 1
# So many steps in a row that decode nothing although something waits: there is no way on.
_MOST_IDLE_STEPS = 100


def open_batch(
    native: Any,
    *,
    context_tokens: int,
    batch_tokens: int,
    slots: int | None,
    deterministic: bool = False,
    has_vision: bool = False,
) -> "Batch":
    """Give `native` (a `llama_cpp.Llama`) a context with slots; ValueError if they do not fit memory.

    With `deterministic` each prompt is read alone, from its first token and in the same pieces: its logits then depend
    on nothing else. With `has_vision` a step takes as many tokens as a batch: some models read an image at once.
    """
    slots = 1 if deterministic else slots
    layout = open_context(
        native, context_tokens=context_tokens, batch_tokens=batch_tokens, slots=slots, is_one_step=has_vision
    )
    batch = Batch(native, context_tokens=context_tokens, layout=layout)
    batch.keeps_prefixes = batch.keeps_prefixes and not deterministic
    return batch


class Batch:
    """The sequences of one loaded model: `start` a prompt when a slot is free, `step` until it has ended."""

    def __init__(self, native: Any, *, context_tokens: int, layout: Layout) -> None:
        """Take over the context of `native`, which nothing else may use from now on."""
        self._llama_cpp: Any = importlib.import_module("llama_cpp")
        self._native = native
        self._memory = self._llama_cpp.llama_get_memory(native.ctx)
        self._rows = DecodeRows(self._llama_cpp, int(self._llama_cpp.llama_n_batch(native.ctx)))
        self._slots = [Slot(index, context_tokens) for index in range(layout.slots)]
        self._pieces: dict[int, Piece | None] = {}
        self._tickets = 0
        self.keeps_prefixes = not _is_recurrent(self._llama_cpp, native)
        # A prompt was put back for lack of cells, and none has ended since.
        self._is_full = False
        self.context_tokens = context_tokens
        self.layout = layout
        self.decoded_tokens = 0
        self._idle_steps = 0

    @property
    def has_room(self) -> bool:
        """Whether a slot is free."""
        return any(slot.ticket is None for slot in self._slots)

    @property
    def is_busy(self) -> bool:
        """Whether a step would do anything."""
        return any(slot.ticket is not None for slot in self._slots)

    def start(self, prompt: Prompt) -> int:
        """Put the prompt into a free slot; returns the ticket that `step` names it by.

        Raises ValueError for a grammar that cannot be parsed, and for a prompt of no tokens.
        """
        if not prompt.tokens:
            raise ValueError("the prompt has no tokens")
        sampler = Sampler(self._native, prompt.sampling)
        slot = self._free_slot(prompt.tokens)
        self._tickets += 1
        slot.ticket = self._tickets
        slot.changed_at = clocks.perf_counter()
        slot.prompt, slot.sampler = prompt, sampler
        slot.answer = Answer(prompt, self._native.token_bos())
        reusable = common_prefix_tokens(slot.tokens[: slot.decoded], prompt.tokens)
        slot.length = len(prompt.tokens)
        slot.tokens[: slot.length] = prompt.tokens
        self._truncate(slot, min(reusable, slot.length - 1))
        slot.is_started = False
        return slot.ticket

    def cancel(self, ticket: int) -> None:
        """Free the slot of a prompt whose answer is not wanted any more."""
        for slot in self._slots:
            if slot.ticket == ticket:
                self._vacate(slot)

    def step(self) -> list[tuple[int, Completion | Exception]]:
        """Decode once and draw the next token of each sequence; returns the tickets of those that ended, and how."""
        busy = self._busy_slots()
        for slot in busy:
            if not slot.is_started:
                self._start_reading(slot)
        if self.layout.unified:
            self._empty_free_slots(keep_latest=True)
        else:
            self._close_gaps()
        decoded = self.decoded_tokens
        self._decode_images(busy)
        rows = self._decode(busy)
        self._idle_steps = 0 if self.decoded_tokens > decoded or not busy else self._idle_steps + 1
        if self._idle_steps > _MOST_IDLE_STEPS:
            self._reset()
            raise RuntimeError(f"nothing was decoded in {_MOST_IDLE_STEPS} steps although prompts wait")
        ended: list[tuple[int, Completion | Exception]] = []
        for slot, row in rows:
            outcome = self._advance(slot, row)
            if outcome is not None and slot.ticket is not None:
                ended.append((slot.ticket, outcome))
                self._vacate(slot)
        return ended

    def close(self) -> None:
        """Free the samplers and the context; the model belongs to the caller."""
        for slot in self._busy_slots():
            self._vacate(slot)
        self._native._ctx.close()

    def _busy_slots(self) -> list[Slot]:
        """The slots in use, in order of arrival."""
        return sorted((slot for slot in self._slots if slot.ticket is not None), key=lambda slot: slot.ticket or 0)

    def _free_slot(self, tokens: Sequence[int]) -> Slot:
        """The free slot that shares most with the prompt, else the first: neighbours are decoded together."""
        free = [slot for slot in self._slots if slot.ticket is None]
        return max(free, key=lambda slot: common_prefix_tokens(slot.tokens[: slot.decoded], tokens))

    def _vacate(self, slot: Slot) -> None:
        """Free the slot for the next prompt. Its decoded tokens stay, for a prompt with the same beginning."""
        slot.sampler.close()
        slot.ticket = None
        slot.length = slot.decoded
        slot.changed_at = clocks.perf_counter()
        self._is_full = False

    def _start_reading(self, slot: Slot) -> None:
        """Copy the prompt's beginning from another slot, wait for one that is decoding it, or read it here."""
        others = [other for other in self._slots if other is not slot and (other.is_started or other.ticket is None)]
        if self._is_full and any(other.ticket is not None for other in others):
            return
        source, shared = None, slot.decoded
        for other in others if self.keeps_prefixes else []:
            common = slot.shared_with(other)
            if common < shared + _SHORTEST_SHARED_TOKENS:
                continue
            if other.decoded >= common:
                source, shared = other, common
            elif other.ticket is not None:
                return
        if source is not None:
            self._copy(source, slot, shared)
        slot.cached = slot.decoded if not slot.answer.tokens else slot.cached
        slot.is_started = True

    def _copy(self, source: Slot, slot: Slot, tokens: int) -> None:
        """Give the slot the first tokens of another slot."""
        self._copy_cells(source, slot)
        slot.decoded = source.decoded
        self._truncate(slot, tokens)

    def _copy_cells(self, source: Slot, slot: Slot) -> None:
        """Copy a sequence whole: with cells of its own it cannot be copied in part."""
        self._llama_cpp.llama_memory_seq_rm(self._memory, slot.index, -1, -1)
        self._llama_cpp.llama_memory_seq_cp(self._memory, source.index, slot.index, -1, -1)

    def _close_gaps(self) -> None:
        """Move sequences into free slots between others, until there is no gap.

        llama.cpp decodes sequences with cells of their own together only where their numbers follow each other; at each
        gap it goes through all weights once more. 8 sequences with a gap after each took three times as long as 8 in a
        row, and a move about a fifth of one pass through the weights.
        """
        while self.keeps_prefixes:
            taken = [slot for slot in self._slots if slot.ticket is not None]
            gap = next((slot for slot in self._slots[taken[0].index :] if slot.ticket is None), None) if taken else None
            if gap is None or gap.index > taken[-1].index:
                return
            self._move(taken[-1], gap)

    def _move(self, slot: Slot, free: Slot) -> None:
        """Continue a sequence in the cells of a free slot; its own cells stay, for a prompt with the same beginning."""
        self._copy_cells(slot, free)
        free.tokens[: slot.decoded] = slot.tokens[: slot.decoded]
        free.length = free.decoded = slot.decoded
        slot.index, free.index = free.index, slot.index
        self._slots.sort(key=lambda other: other.index)

    def _truncate(self, slot: Slot, tokens: int) -> None:
        """Drop what the slot has decoded beyond its first `tokens`."""
        if not self.keeps_prefixes or tokens < _SHORTEST_SHARED_TOKENS:
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
        self._empty_free_slots(keep_latest=False)

    def _empty_free_slots(self, *, keep_latest: bool) -> bool:
        """Empty the free slots, whose cells others may need; returns whether any slot had tokens."""
        idle = sorted(
            (slot for slot in self._slots if slot.ticket is None and slot.decoded), key=lambda slot: slot.changed_at
        )
        for slot in idle[:-1] if keep_latest else idle:
            self._truncate(slot, 0)
            slot.length = 0
        return bool(idle)

    def _decode(self, busy: Sequence[Slot]) -> list[tuple[Slot, int]]:
        """Decode as much as one batch takes; returns the slots whose next token can be drawn, with their rows."""
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
        return [(slot, row) for slot, _, row in planned if slot.undecoded == 0]

    def _decode_images(self, busy: Sequence[Slot]) -> None:
        """Decode the piece of an image that is next in a prompt, one piece of each, in decoding steps of its own."""
        for slot in busy:
            image = next((image for image in slot.prompt.images if image.start == slot.decoded), None)
            if image is None or not slot.is_started:
                continue
            code = image.decode(slot.decoded, slot.index)
            if code == 0:
                slot.decoded += image.positions
                self.decoded_tokens += image.tokens
                continue
            # A part of it may be in cells already.
            self._llama_cpp.llama_memory_seq_rm(self._memory, slot.index, slot.decoded, -1)
            if code != _NO_ROOM or not self._make_room(busy):
                self._reset()
                raise RuntimeError(f"an image could not be decoded ({code})")

    def _plan(self, busy: Sequence[Slot]) -> list[tuple[Slot, int, int]]:
        """Fill the rows in the order of the slots: llama.cpp decodes those together whose numbers rise by one."""
        self._rows.clear()
        planned = []
        for slot, count in sorted(self._token_counts(busy), key=lambda share: share[0].index):
            piece = slot.tokens[slot.decoded : slot.decoded + count]
            row = self._rows.add(slot.index, slot.decoded, piece, wants_logits=count == slot.undecoded)
            planned.append((slot, count, row))
        return planned

    def _token_counts(self, busy: Sequence[Slot]) -> Iterator[tuple[Slot, int]]:
        """The tokens of each slot that fit: first those that write, then those that read, in order of arrival."""
        room = self._rows.size
        for slot in sorted((slot for slot in busy if slot.is_started), key=lambda slot: slot.undecoded > 1):
            count = min(slot.undecoded, room, slot.prompt.text_from(slot.decoded))
            room -= count
            if count:
                yield slot, count

    def _make_room(self, busy: Sequence[Slot]) -> bool:
        """Free cells: those of free slots, else those of the newest prompt, which restarts when another has ended."""
        if self._empty_free_slots(keep_latest=False):
            return True
        started = [slot for slot in busy if slot.is_started]
        if len(started) < 2:
            return False
        last = started[-1]
        self._truncate(last, 0)
        last.is_started = False
        self._is_full = True
        return True

    def _reset(self) -> None:
        """Forget every sequence: after a failed decode the content of the cells is unknown."""
        self._llama_cpp.llama_memory_clear(self._memory, True)
        for slot in self._slots:
            if slot.ticket is not None:
                slot.decoded = 0
                self._vacate(slot)
            slot.decoded = slot.length = 0

    def _advance(self, slot: Slot, row: int) -> Completion | Exception | None:
        """Draw the next token; returns the completion or the error that ended the sequence, None while it goes on."""
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
            slot.sampler.written(piece.marked)
        if answer.finish_reason is None and slot.length >= self.context_tokens:
            answer.finish_reason = "length"
        if answer.finish_reason is None:
            slot.tokens[slot.length] = token
            slot.length += 1
            return None
        return Completion(
            text=answer.text,
            marked_text=answer.marked_text,
            controls=answer.controls,
            margin=slot.sampler.margin,
            opened=slot.prompt.opened,
            constraint=slot.prompt.sampling.constraint,
            finish_reason=answer.finish_reason,
            prompt_tokens=slot.prompt.size,
            cached_tokens=slot.prompt.size_of(slot.cached),
            completion_tokens=len(answer.tokens),
            seconds=clocks.perf_counter() - slot.changed_at,
        )

    def _piece(self, token: int) -> Piece | None:
        """What a token writes, or None if it ends an answer."""
        if token not in self._pieces:
            self._pieces[token] = self._look_up(token)
        return self._pieces[token]

    def _look_up(self, token: int) -> Piece | None:
        vocabulary = self._native._model.vocab
        if self._llama_cpp.llama_vocab_is_eog(vocabulary, token):
            return None
        marked = self._bytes_of(token, with_controls=True)
        return Piece(marked=marked, is_control=marked != self._bytes_of(token, with_controls=False))

    def _bytes_of(self, token: int, *, with_controls: bool) -> bytes:
        vocabulary, size = self._native._model.vocab, 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = self._llama_cpp.llama_token_to_piece(vocabulary, token, buffer, size, 0, with_controls)
            if written >= 0:
                return buffer.raw[:written]
            size = -written


def _is_recurrent(llama_cpp: Any, native: Any) -> bool:
    """Whether the model keeps a state instead of cells; a state cannot be cut back to a prefix."""
    kinds = (getattr(llama_cpp, f"llama_model_is_{kind}", None) for kind in ("recurrent", "hybrid"))
    return any(kind is not None and kind(native.model) for kind in kinds)
