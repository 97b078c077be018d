"""Writes the answers of OpenAI's `/responses`, whole or as the events of a stream; pure."""

from collections.abc import Iterator, Mapping

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.answering import Counts, end_of, ident, sse
from pytest_rightsize.served.wires.asked import Asked
from pytest_rightsize.served.wires.tools import calls_of

__all__ = ["response_events", "response_of"]

# What a response repeats of its request, and what it says where the request does not.
_REPEATED: Mapping[str, Json] = {
    "instructions": None,
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "max_output_tokens": None,
    "previous_response_id": None,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
    "text": {"format": {"type": "text"}},
    "store": False,
    "background": False,
    "reasoning": {"effort": None, "summary": None},
    "max_tool_calls": None,
    "service_tier": "default",
    "prompt_cache_key": None,
    "safety_identifier": None,
    "user": None,
    "top_logprobs": 0,
}
_EMPTY: Mapping[str, Mapping[str, Json]] = {
    "message": {"content": [], "status": "in_progress"},
    "function_call": {"arguments": "", "status": "in_progress"},
    "reasoning": {"summary": []},
}
_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_of(reply: Reply, asked: Asked) -> dict[str, Json]:
    """The whole response."""
    number, counts = ident(asked, reply), Counts(reply)
    cut = _CUT.get(end_of(reply))
    given = {name: asked.body.get(name) for name in _REPEATED}
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 0,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "model": asked.model,
        "output": list(_items(reply, asked, number)),
        **{name: default if given[name] is None else given[name] for name, default in _REPEATED.items()},
        "usage": {
            "input_tokens": counts.prompt,
            "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": 0},
            "output_tokens": counts.completion,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.total,
        },
    }


def _items(reply: Reply, asked: Asked, number: str) -> Iterator[dict[str, Json]]:
    """Reasoning if a summary was asked for, the words, and the calls; each item has an id of its own.

    The id of a call's item is not that of the call: clients that stream tell items by the one, and results by the
    other.
    """
    calls = list(calls_of(reply, f"call_{number}"))
    status = "incomplete" if end_of(reply) in _CUT else "completed"
    if reply.reasoning and _wants_summary(asked):
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        yield {"type": "reasoning", "id": f"rs_{number}", "summary": summary}
    if reply.text or not calls:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        about = {"type": "message", "id": f"msg_{number}", "status": status, "role": "assistant"}
        yield {**about, "content": [part]}
    for index, call in enumerate(calls):
        item = {"type": "function_call", "id": f"fc_{number}{index}", "status": status, "call_id": call.id}
        yield {**item, "name": call.name, "arguments": call.arguments}


def _wants_summary(asked: Asked) -> bool:
    reasoning = asked.body.get("reasoning")
    if not isinstance(reasoning, Mapping):
        return False
    return bool(reasoning.get("summary") or reasoning.get("generate_summary"))


def response_events(reply: Reply, asked: Asked) -> Iterator[bytes]:
    """Numbered events: the response as it begins, each item piece by piece, and the response as it ends."""
    whole = response_of(reply, asked)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[dict[str, Json]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": index}
        events.append({"type": "response.output_item.added", "output_index": index, "item": _begun(item)})
        events += _PIECES[item["type"]](item, at)
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": f"response.{whole['status']}", "response": whole})
    for number, event in enumerate(events):
        yield sse({**event, "sequence_number": number}, event["type"])


def _begun(item: dict[str, Json]) -> dict[str, Json]:
    """An item of which nothing has been written yet."""
    return {**item, **_EMPTY[item["type"]]}


def _message_pieces(item: dict[str, Json], at: dict[str, Json]) -> Iterator[dict[str, Json]]:
    part = item["content"][0]
    here = {**at, "content_index": 0}
    yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
    if part["text"]:
        yield {"type": "response.output_text.delta", **here, "delta": part["text"], "logprobs": []}
    yield {"type": "response.output_text.done", **here, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **here, "part": part}


def _call_pieces(item: dict[str, Json], at: dict[str, Json]) -> Iterator[dict[str, Json]]:
    arguments = item["arguments"]
    yield {"type": "response.function_call_arguments.delta", **at, "delta": arguments}
    yield {"type": "response.function_call_arguments.done", **at, "name": item["name"], "arguments": arguments}


def _reasoning_pieces(item: dict[str, Json], at: dict[str, Json]) -> Iterator[dict[str, Json]]:
    part = item["summary"][0]
    here = {**at, "summary_index": 0}
    yield {"type": "response.reasoning_summary_part.added", **here, "part": {**part, "text": ""}}
    yield {"type": "response.reasoning_summary_text.delta", **here, "delta": part["text"]}
    yield {"type": "response.reasoning_summary_text.done", **here, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", **here, "part": part}


_PIECES = {"message": _message_pieces, "function_call": _call_pieces, "reasoning": _reasoning_pieces}
