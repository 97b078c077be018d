"""What a sequence begins with and how its tokens are drawn, how its answer grows and ends, what is told of it; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Completion", "Prompt", "Sampling"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn; the defaults are those of `llama_cpp.Llama.create_completion`."""

    temperature: float = 0.8
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_k: int = 40
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_penalty: float = 1.0
    mirostat_mode: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    grammar: Any = None
    seed: int = 0

    @property
    def is_argmax(self) -> bool:
        """Whether the likeliest token is taken as it is, the grammar aside."""
        untouched = (self.frequency_penalty, self.presence_penalty, self.repeat_penalty) == (0.0, 0.0, 1.0)
        return self.temperature == 0.0 and untouched and not self.logit_bias


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a sequence begins with, and when it ends; `tokens` and `max_tokens` together fit the context."""

    tokens: Sequence[int]
    max_tokens: int
    stop: Sequence[bytes] = ()
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What became of a prompt. `seconds` run from its start in a slot; `cached_tokens` were not decoded again."""

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float


class Answer:
    """The answer of one sequence as it grows: its text, and whether it has ended.

    It ends where `llama_cpp.Llama` ends it, to the token: neither stop strings nor the limit are looked at while a
    character of several bytes is incomplete.
    """

    def __init__(self, prompt: Prompt, begin_token: int) -> None:
        self._prompt = prompt
        self._begin_token = begin_token
        self._text = bytearray()
        self._bytes_to_come = 0
        self._ended_at: int | None = None
        self.tokens: list[int] = []
        self.finish_reason: str | None = None

    @property
    def text(self) -> str:
        """What was written, without the stop string."""
        text = bytes(self._text if self._ended_at is None else self._text[: self._ended_at])
        return text.decode(errors="ignore")

    def end(self) -> None:
        """The model has ended its answer."""
        self.finish_reason = "stop"

    def add(self, token: int, piece: bytes) -> None:
        """Take the next token."""
        self.tokens.append(token)
        self._text += piece
        if self.tokens[0] == self._begin_token and self._text[:1] == b" ":
            del self._text[0]
        if self._is_within_a_character():
            return
        found = next((stop for stop in self._prompt.stop if stop in self._text), None)
        if found is not None:
            self._ended_at = self._text.index(found)
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._prompt.max_tokens:
            self.finish_reason = "length"

    def _is_within_a_character(self) -> bool:
        for place, byte in enumerate(self._text[-3:]):
            behind = 3 - place
            for length, mark in ((2, 0xC0), (3, 0xE0), (4, 0xF0)):
                if length > behind and byte & mark == mark:
                    self._bytes_to_come = length - behind
        if self._bytes_to_come == 0:
            return False
        self._bytes_to_come -= 1
        return True
