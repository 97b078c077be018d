"""What the answers of all wires have in common: ids, counts, the reason to stop, and the form of an event; pure."""

import hashlib
import json
from typing import Literal

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.asked import Asked

__all__ = ["Counts", "End", "end_of", "ident", "sse"]

End = Literal["stop", "length", "tool_calls", "content_filter"]


def ident(asked: Asked, reply: Reply) -> str:
    """24 hexadecimal digits for question and answer: a test that starts again, or is replayed, sees the same ids."""
    seen = json.dumps(
        [
            *([dict(message) for message in asked.messages], dict(asked.schema or {}), list(asked.tools or ())),
            *(dict(asked.extra), asked.max_tokens, asked.temperature, asked.top_p, asked.seed),
            *(reply.text, reply.reasoning, list(reply.tool_calls)),
        ],
        default=str,
    )
    return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def end_of(reply: Reply) -> End:
    """Why the model stopped, in the four words of the OpenAI chat API; clients refuse any other.

    A call in an answer that was cut off is a call cut off, so the limit comes first.
    """
    if reply.finish_reason == "length":
        return "length"
    if reply.finish_reason == "content_filter":
        return "content_filter"
    return "tool_calls" if reply.tool_calls else "stop"


class Counts:
    """Token counts as SDKs insist on them: what is unknown is 0 here, and only here."""

    def __init__(self, reply: Reply) -> None:
        tokens = reply.tokens
        self.prompt = tokens.prompt or 0
        self.completion = tokens.completion or 0
        self.total = self.prompt + self.completion
        self.cached = min(tokens.cached or 0, self.prompt)
        self.reasoning = min(tokens.reasoning or 0, self.completion)


def sse(data: Json, event: str | None = None) -> bytes:
    """A server-sent event."""
    return ((f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n").encode()
