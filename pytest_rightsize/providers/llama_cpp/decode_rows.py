"""The rows of one `llama_decode` call, filled through arrays instead of one item at a time.

Pieces of sequences come in, a `llama_batch` goes out; nothing is decoded here.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DecodeRows"]


class DecodeRows:
    """The `llama_batch` of at most `size` rows; `native` is what `llama_decode` takes."""

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
        """Remove all rows."""
        self.native.n_tokens = 0

    def add(self, sequence: int, position: int, tokens: NDArray[np.int32], *, wants_logits: bool) -> int:
        """Add a piece of a sequence; returns the row of its last token, whose logits may be wanted."""
        start = self.native.n_tokens
        end = start + len(tokens)
        self._tokens[start:end] = tokens
        self._positions[start:end] = np.arange(position, position + len(tokens), dtype=np.int32)
        self._sequences[start:end] = sequence
        self._wants_logits[start:end] = 0
        self._wants_logits[end - 1] = wants_logits
        self.native.n_tokens = end
        return int(end - 1)
