"""The values of one sequence: its prompt and sampling, its answer as it grows, and its completion; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_rightsize.providers.reasoning import Marks

__all__ = ["Answer", "Completion", "ImagePiece", "Piece", "Prompt", "Sampling"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn; the defaults are those of `llama_cpp.Llama.create_completion`.

    `grammar` is one of llama.cpp, which only a chat format asks for; `constraint` is a schema's (structured_output.py),
    and holds from the end of `constrained_after` in the text.
    """

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
    constraint: Any = None
    constrained_after: bytes = b""
    seed: int = 0

    @property
    def is_argmax(self) -> bool:
        """Whether the most likely token is always taken, after `logit_bias`; a grammar may still exclude it."""
        return self.temperature == 0.0 and self.is_unpenalised

    @property
    def is_unpenalised(self) -> bool:
        """Whether no token is made less likely because it was written before."""
        return (self.frequency_penalty, self.presence_penalty, self.repeat_penalty) == (0.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class ImagePiece:
    """A piece of an image in a prompt: it stands at `positions` of the sequence from `start` on, and is `tokens` long.

    `decode` takes the position and the sequence, and returns what `llama_decode` did: 0, or why it failed.
    """

    start: int
    positions: int
    tokens: int
    decode: Callable[[int, int], int] = field(compare=False, repr=False)

    @property
    def end(self) -> int:
        """The position after it."""
        return self.start + self.positions


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The tokens a sequence begins with, and when it ends; its `size` and `max_tokens` together fit the context.

    `opened` are the marks of a reasoning that it has begun. At the positions of `images`, `tokens` are below 0.
    """

    tokens: Sequence[int]
    max_tokens: int
    stop: Sequence[bytes] = ()
    sampling: Sampling = field(default_factory=Sampling)
    opened: Marks | None = None
    images: Sequence[ImagePiece] = ()

    @property
    def size(self) -> int:
        """How many tokens the model reads; a piece of an image may be more tokens than positions."""
        return self.size_of(len(self.tokens))

    def size_of(self, positions: int) -> int:
        """How many tokens stand at the first positions."""
        return positions + sum(image.tokens - image.positions for image in self.images if image.end <= positions)

    def text_from(self, position: int) -> int:
        """How many tokens of text follow from a position on, up to the next image; 0 where one begins."""
        starts = [image.start for image in self.images if image.start >= position]
        return min(starts, default=2**31) - position


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What one token adds to a text; a control token adds its name to the marked text only."""

    marked: bytes
    is_control: bool = False


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The result of a prompt. `seconds` run from its start in a slot; `cached_tokens` were not decoded again.

    `marked_text` has the names of control tokens where they were written, `controls` are those names. `margin` is the
    smallest difference of logits between a token that was taken as the likeliest and the next one; None where tokens
    were drawn. `opened` and `constraint` are those of the prompt.
    """

    text: str
    marked_text: str = ""
    controls: frozenset[str] = frozenset()
    margin: float | None = None
    opened: Marks | None = None
    constraint: Any = None
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float

    def without_controls(self, text: str) -> str:
        """A part of the marked text without the names of control tokens."""
        for name in self.controls:
            text = text.replace(name, "")
        return text


class Answer:
    """The answer of one sequence as it grows, and whether it has ended.

    It ends at the same token as in `llama_cpp.Llama`: neither stop strings nor the limit are checked while a character
    of several bytes is incomplete.
    """

    def __init__(self, prompt: Prompt, begin_token: int) -> None:
        self._prompt = prompt
        self._begin_token = begin_token
        self._text = bytearray()
        self._missing_bytes = 0
        self._stopped_at: int | None = None
        self._control_spans: list[tuple[int, int]] = []
        self.tokens: list[int] = []
        self.finish_reason: str | None = None

    @property
    def text(self) -> str:
        """The text so far, without the stop string and without control tokens."""
        text, at = bytearray(), 0
        for start, end in self._control_spans:
            text += self._kept[at:start]
            at = end
        return bytes(text + self._kept[at:]).decode(errors="ignore")

    @property
    def marked_text(self) -> str:
        """The text so far, with the names of control tokens in their places."""
        return bytes(self._kept).decode(errors="ignore")

    @property
    def controls(self) -> frozenset[str]:
        """The names of the control tokens in the text."""
        return frozenset(bytes(self._text[start:end]).decode(errors="ignore") for start, end in self._control_spans)

    @property
    def _kept(self) -> bytearray:
        return self._text if self._stopped_at is None else self._text[: self._stopped_at]

    def end(self) -> None:
        """End the answer because the model has ended it."""
        self.finish_reason = "stop"

    def add(self, token: int, piece: Piece) -> None:
        """Append the next token, and end the answer at a stop string or the limit."""
        self.tokens.append(token)
        if piece.is_control and piece.marked:
            self._control_spans.append((len(self._text), len(self._text) + len(piece.marked)))
        self._text += piece.marked
        if self.tokens[0] == self._begin_token and len(self.tokens) == 2 and piece.marked[:1] == b" ":
            del self._text[len(self._text) - len(piece.marked)]
        if self._is_within_a_character():
            return
        stop_text = next((stop for stop in self._prompt.stop if stop in self._text), None)
        if stop_text is not None:
            self._stopped_at = self._text.index(stop_text)
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._prompt.max_tokens:
            self.finish_reason = "length"

    def _is_within_a_character(self) -> bool:
        for position, byte in enumerate(self._text[-3:]):
            bytes_to_end = 3 - position
            for length, mark in ((2, 0xC0), (3, 0xE0), (4, 0xF0)):
                if length > bytes_to_end and byte & mark == mark:
                    self._missing_bytes = length - bytes_to_end
        if self._missing_bytes == 0:
            return False
        self._missing_bytes -= 1
        return True
