"""Token counts and what tokens cost: frozen nouns, as in `records.py`. A count that nobody took is None, never 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Price", "Tokens"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Token counts of one answer; None where neither the endpoint nor a tokenizer gave one.

    `cached` is part of `prompt`, `reasoning` is part of `completion`. `characters` counts those of answer and
    reasoning, as tokens of two models do not compare. `source` says where the counts come from, `reasoning_source`
    where that of `reasoning` does, if elsewhere.

    >>> Tokens.together([Tokens(prompt=14, completion=5), Tokens(prompt=9)])
    Tokens(prompt=23, cached=None, completion=None, reasoning=None, ...)
    >>> Tokens(prompt=14, completion=5).total
    19
    """

    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    characters: int | None = None
    source: Literal["reported", "counted", "unknown"] = "unknown"
    reasoning_source: Literal["reported", "counted", "unknown"] | None = None

    @property
    def total(self) -> int | None:
        """Prompt plus completion, or None if either is unknown."""
        if self.prompt is None or self.completion is None:
            return None
        return self.prompt + self.completion

    @classmethod
    def together(cls, counts: "Sequence[Tokens]") -> "Tokens":
        """The counts of several answers together, each None where one of the answers lacks it.

        `source` is theirs where they have one in common, else `unknown`.
        """
        names = ("prompt", "cached", "completion", "reasoning", "characters")
        columns = {name: [getattr(one, name) for one in counts] for name in names}
        sums = {name: None if None in column else sum(column) for name, column in columns.items()}
        sources = {one.source for one in counts}
        return cls(**sums, source=sources.pop() if len(sources) == 1 else "unknown")


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD per million tokens; `cached` is the price of cached prompt tokens and defaults to that of the prompt.

    It holds for prompts of `up_to_prompt_tokens`; longer ones cost more, and their cost is unknown. `source` says where
    it was looked up, and is None for a price that the user wrote.

    >>> Price(prompt=0.05, completion=0.4).cost_usd(Tokens(prompt=1_000_000, completion=100_000))
    0.09
    """

    prompt: float
    completion: float
    cached: float | None = None
    up_to_prompt_tokens: int | None = None
    source: str | None = None

    def cost_usd(self, tokens: Tokens) -> float | None:
        """The cost of one answer, or None where a count it needs is unknown: unknown is never free.

        Where prompts have a price of 0 at any length, the cost does not depend on their tokens.
        """
        if tokens.completion is None:
            return None
        if tokens.prompt is None:
            is_any_prompt_free = not self.prompt and not self.cached and self.up_to_prompt_tokens is None
            return tokens.completion * self.completion / 1e6 if is_any_prompt_free else None
        if self.up_to_prompt_tokens is not None and tokens.prompt > self.up_to_prompt_tokens:
            return None
        cached = tokens.cached or 0
        cached_price = self.prompt if self.cached is None else self.cached
        fresh = tokens.prompt - cached
        return (fresh * self.prompt + cached * cached_price + tokens.completion * self.completion) / 1e6
