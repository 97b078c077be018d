"""What the endpoint sends: replies in the form of the wire that was asked, refusals, and what clients look up. Pure."""

import json
from collections.abc import Iterable
from dataclasses import replace

from pytest_rightsize.errors import NoAnswerError, RungError, TooLongError
from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.endpoint import Sent
from pytest_rightsize.served.wires import CONTEXT_EXCEEDED, FILTERED, Asked, Wire, listing

__all__ = ["as_json", "looked_up", "no_answer", "refusal", "reply_sent"]


def as_json(status: int, body: Json) -> Sent:
    """A body; what is no success is not worth another try, as the rung has tried again itself."""
    headers = {} if status == 200 else {"x-should-retry": "false"}
    return Sent(status=status, body=json.dumps(body).encode("utf-8"), headers=headers)


def refusal(wire: Wire, status: int, text: str) -> Sent:
    """Why nothing is answered, in the wire's own form."""
    return as_json(status, wire.error(status, text))


def reply_sent(wire: Wire, asked: Asked, reply: Reply, *, closes: bool = False) -> Sent:
    """The reply, whole or as the events of a stream."""
    if asked.stream:
        events = b"".join(wire.events(reply, asked))
        return Sent(status=200, body=events, content_type=wire.content_type, closes=closes)
    return replace(as_json(200, wire.whole(reply, asked)), closes=closes)


def no_answer(wire: Wire, fault: RungError | NoAnswerError) -> Sent:
    """What the application reads where the rung has not answered."""
    code = CONTEXT_EXCEEDED if isinstance(fault, TooLongError) else None
    if isinstance(fault, NoAnswerError) and fault.reason == "refusal":
        code = FILTERED
    return as_json(400, wire.error(400, str(fault), code))


def looked_up(method: str, path: str, models: Iterable[str]) -> Sent | None:
    """What clients look up before they ask, whether or not a test runs; None for another path."""
    if path == "/" and method in ("GET", "HEAD"):
        return Sent(status=200, body=b"Ollama is running", content_type="text/plain")
    body = listing(method, path, [*models])
    return None if body is None else as_json(200, body)
