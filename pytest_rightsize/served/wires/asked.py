"""One request of an application, what may be wrong with it, and what every wire can do with it; pure.

Nothing here knows a vendor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pytest_rightsize.portable import Portable
from pytest_rightsize.records import Json, Reply

__all__ = [
    "CONTEXT_EXCEEDED",
    "FILTERED",
    "NO_PROBABILITIES",
    "NO_SHORTENING",
    "NO_SPEECH",
    "NO_STATE",
    "Asked",
    "UnservedError",
    "Wire",
]

# What `Wire.error` may be told beside the status: the prompt does not fit the rung, or a filter refused it.
CONTEXT_EXCEEDED = "context_length_exceeded"
FILTERED = "content_filter"
# Why a parameter is refused, where several vendors have one of its kind.
NO_PROBABILITIES = "rungs do not tell probabilities"
NO_SHORTENING = "rungs do not shorten a conversation"
NO_SPEECH = "rungs do not speak"
NO_STATE = "no state is kept between requests; send the whole conversation"


class UnservedError(Portable, Exception):
    """What an application sent is no request, or asks for what no rung can be asked; the message names it.

    `status` is the HTTP status that its SDK gets.
    """

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request of an application, in the words of `Request`, which has no say in what it does not change.

    `messages`, `tools` and `extra` are spelled as in the OpenAI chat API, whatever the wire, so that a question has one
    recorded answer. `model` is the name that the application wrote. `body` is the request itself: what an answer
    repeats of it is taken from there.
    """

    messages: tuple[Mapping[str, Json], ...]
    model: str = ""
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    schema: Mapping[str, Json] | None = None
    tools: tuple[Mapping[str, Json], ...] | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    body: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a request that asks nothing, as one whose messages are all empty lists."""
        if not self.messages:
            raise UnservedError("there is no message to answer")


class Wire(Protocol):
    """One vendor's way to ask a model; `content_type` is that of a stream."""

    content_type: str

    def matches(self, path: str) -> bool:
        """Whether a POST to the path, which has no query, is a question in this form."""
        ...

    def read(self, path: str, body: Json) -> Asked:
        """What is asked; raises UnservedError where the body is wrong, or asks for what no rung gives."""
        ...

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """The body of an answer that is not streamed."""
        ...

    def events(self, reply: Reply, asked: Asked) -> Iterator[bytes]:
        """The same answer as the events of a stream, the last one included."""
        ...

    def error(self, status: int, text: str, code: str | None = None) -> Json:
        """The body of an error; `code` is CONTEXT_EXCEEDED or FILTERED where the error is that."""
        ...
