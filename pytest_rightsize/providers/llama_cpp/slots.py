"""The state of one sequence of a model's context: its tokens, how many are decoded, and the prompt it answers.

Only `Batch` changes it; nothing here calls llama.cpp.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_rightsize.providers.llama_cpp.completions import Answer, Prompt
from pytest_rightsize.providers.llama_cpp.sampling import Sampler

__all__ = ["Slot", "common_prefix_tokens"]


class Slot:
    """One sequence of the context. `tokens[:decoded]` are in its cells, `tokens[decoded:length]` wait to be decoded."""

    def __init__(self, index: int, context_tokens: int) -> None:
        self.index = index
        self.tokens = np.zeros(context_tokens + 4, dtype=np.int32)
        self.length = 0
        self.decoded = 0
        self.cached = 0
        self.is_started = False
        self.ticket: int | None = None
        self.changed_at = 0.0
        self.prompt: Prompt
        self.answer: Answer
        self.sampler: Sampler

    @property
    def undecoded(self) -> int:
        """The number of tokens that are not decoded yet."""
        return self.length - self.decoded

    def shared_with(self, other: "Slot") -> int:
        """The number of tokens that both begin with; without the last of this slot, as its logits are needed."""
        limit = min(self.length - 1, other.length)
        differs = self.tokens[:limit] != other.tokens[:limit]
        return int(differs.argmax()) if differs.any() else max(limit, 0)


def common_prefix_tokens(cached: NDArray[np.int32], tokens: Sequence[int]) -> int:
    """The number of tokens that both begin with."""
    limit = min(len(cached), len(tokens))
    differs = cached[:limit] != np.asarray(tokens[:limit], dtype=np.int32)
    return int(differs.argmax()) if differs.any() else limit
