"""Reads an answer of Anthropic's messages: the blocks of one, whole or put together from its stream. Pure."""

from collections.abc import Iterable

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.partial import BrokenAnswerError, Partial, written

__all__ = ["read_message", "read_message_events"]

_ENDS = {"max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


def read_message(body: Json) -> Reply:
    """The blocks of a message."""
    partial = Partial()
    for index, block in enumerate(body.get("content") or ()):
        _begin(partial, index, block)
    partial.end = _end(body.get("stop_reason"))
    return partial.reply()


def read_message_events(events: Iterable[Json]) -> Reply:
    """The blocks, put together from their deltas."""
    partial = Partial()
    for event in events:
        kind = event.get("type")
        if kind == "error":
            raise BrokenAnswerError("broke off with an error")
        if kind == "content_block_start":
            _begin(partial, event["index"], event["content_block"], streamed=True)
        elif kind == "content_block_delta":
            delta = event["delta"]
            partial.text += delta.get("text") or ""
            partial.reasoning += delta.get("thinking") or ""
            if "partial_json" in delta:
                partial.call(event["index"], arguments=delta["partial_json"])
        elif kind == "message_delta":
            partial.end = _end(event["delta"].get("stop_reason")) or partial.end
    for call in partial.calls.values():
        call["arguments"] = call["arguments"] or "{}"
    return partial.reply()


def _begin(partial: Partial, index: int, block: Json, *, streamed: bool = False) -> None:
    kind = block.get("type")
    if kind == "text":
        partial.text += block.get("text") or ""
    elif kind == "tool_use":
        given = "" if streamed else written(block.get("input"))
        partial.call(index, ident=block.get("id"), name=block.get("name"), arguments=given)
    elif kind == "thinking":
        partial.reasoning += block.get("thinking") or ""
    elif kind != "redacted_thinking":
        raise BrokenAnswerError(f"has a block of the type {kind}, which no rung gives")


def _end(reason: Json) -> str | None:
    return _ENDS.get(reason, "stop") if isinstance(reason, str) else None
