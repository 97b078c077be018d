"""Writes the answers of Anthropic's `/v1/messages`, whole or as the events of a stream; pure."""

import json
from collections.abc import Iterator, Mapping

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.answering import Counts, end_of, ident, sse
from pytest_rightsize.served.wires.asked import Asked
from pytest_rightsize.served.wires.tools import calls_of

__all__ = ["message_events", "message_of"]

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def message_of(reply: Reply, asked: Asked) -> dict[str, Json]:
    """The whole message."""
    number, counts = ident(asked, reply), Counts(reply)
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": list(_blocks(reply, asked, number)),
        "stop_reason": _STOPS[end_of(reply)],
        "stop_sequence": None,
        "usage": {
            "input_tokens": counts.prompt - counts.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": counts.cached,
            "output_tokens": counts.completion,
            "service_tier": "standard",
        },
    }


def _blocks(reply: Reply, asked: Asked, number: str) -> Iterator[dict[str, Json]]:
    """Reasoning if it was asked for, the words, and the calls.

    Arguments that are no JSON object are wrapped as the vendor advises for those that are handed back
    (platform.claude.com/docs, fine-grained tool streaming).
    """
    calls = list(calls_of(reply, f"toolu_{number}"))
    if reply.reasoning and _wants_thinking(asked):
        yield {"type": "thinking", "thinking": reply.reasoning, "signature": number}
    if reply.text or not calls:
        yield {"type": "text", "text": reply.text, "citations": None}
    for call in calls:
        values = {"INVALID_JSON": call.arguments} if call.values is None else call.values
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": values}


def _wants_thinking(asked: Asked) -> bool:
    thinking = asked.body.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("display") == "omitted":
        return False
    return thinking.get("type") in ("enabled", "adaptive")


def message_events(reply: Reply, asked: Asked) -> Iterator[bytes]:
    """The events of a stream: the message as it begins, each block piece by piece, and how it ended."""
    whole = message_of(reply, asked)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 0}}
    events: list[dict[str, Json]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(whole["content"]):
        empty, deltas = _PIECES[block["type"]](block)
        events.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        events += [{"type": "ping"}] if index == 0 else []
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    counts = {name: value for name, value in whole["usage"].items() if name != "service_tier"}
    events += [{"type": "message_delta", "delta": ended, "usage": counts}, {"type": "message_stop"}]
    for event in events:
        yield sse(event, event["type"])


_Pieces = tuple[dict[str, Json], list[dict[str, Json]]]


def _thinking_pieces(block: Mapping[str, Json]) -> _Pieces:
    return {"thinking": "", "signature": ""}, [
        {"type": "thinking_delta", "thinking": block["thinking"]},
        {"type": "signature_delta", "signature": block["signature"]},
    ]


def _text_pieces(block: Mapping[str, Json]) -> _Pieces:
    return {"text": ""}, [{"type": "text_delta", "text": block["text"]}] if block["text"] else []


def _call_pieces(block: Mapping[str, Json]) -> _Pieces:
    return {"input": {}}, [
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])},
    ]


_PIECES = {"thinking": _thinking_pieces, "text": _text_pieces, "tool_use": _call_pieces}
