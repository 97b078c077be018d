"""Reads an answer of OpenAI's responses: the items of one, whole or at the end of its stream. Pure."""

from collections.abc import Iterable

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.partial import BrokenAnswerError, Partial, text_in

__all__ = ["read_response", "read_response_events"]

_ENDS = ("response.completed", "response.incomplete")


def read_response(body: Json) -> Reply:
    """The messages and the calls of a response, in one Reply."""
    partial = Partial()
    if body.get("status") not in ("completed", "incomplete"):
        raise BrokenAnswerError(f"has the status {body.get('status')!r}")
    for place, item in enumerate(body.get("output") or ()):
        kind = item.get("type")
        if kind == "message":
            contents = item.get("content") or ()
            partial.text += "".join(text_in(part.get("text") or part.get("refusal")) for part in contents)
        elif kind == "function_call":
            partial.call(place, ident=item.get("call_id"), name=item.get("name"), arguments=item.get("arguments") or "")
        elif kind == "reasoning":
            partial.reasoning += text_in(item.get("summary"))
        else:
            raise BrokenAnswerError(f"has an item of the type {kind}, which no rung gives")
    reason = (body.get("incomplete_details") or {}).get("reason")
    cut_off = "length" if reason == "max_output_tokens" else reason
    partial.end = cut_off or ("tool_calls" if partial.calls else "stop")
    return partial.reply()


def read_response_events(events: Iterable[Json]) -> Reply:
    """The response in the last event."""
    for event in events:
        if event.get("type") in _ENDS:
            return read_response(event["response"])
        if event.get("type") in ("response.failed", "error"):
            raise BrokenAnswerError("broke off with an error")
    raise BrokenAnswerError("broke off before its end")
