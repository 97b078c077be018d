"""Writes the answers of Google's `generateContent`, whole or in pieces; pure."""

from collections.abc import Iterator, Mapping

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.answering import Counts, end_of, ident, sse
from pytest_rightsize.served.wires.asked import Asked
from pytest_rightsize.served.wires.gemini_schemas import camel
from pytest_rightsize.served.wires.tools import calls_of

__all__ = ["content_events", "content_of"]

_FINISHES = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


def content_of(reply: Reply, asked: Asked) -> dict[str, Json]:
    """The whole answer."""
    number = ident(asked, reply)
    return _answer(reply, asked, number, _parts(reply, asked, number), is_last=True)


def content_events(reply: Reply, asked: Asked) -> Iterator[bytes]:
    """A piece for each part; the last one tells how it ended."""
    number = ident(asked, reply)
    parts = _parts(reply, asked, number)
    for index, part in enumerate(parts):
        yield sse(_answer(reply, asked, number, [part], is_last=index == len(parts) - 1))
    if not parts:
        yield sse(_answer(reply, asked, number, [], is_last=True))


def _parts(reply: Reply, asked: Asked, number: str) -> list[dict[str, Json]]:
    """Reasoning if it was asked for, the words, and the calls that are whole."""
    calls = list(calls_of(reply, f"call_{number}"))
    thoughts = [{"text": reply.reasoning, "thought": True}] if reply.reasoning and _wants_thoughts(asked) else []
    words = [{"text": reply.text}] if reply.text or not calls else []
    whole = [
        {"functionCall": {"id": call.id, "name": call.name, "args": call.values}}
        for call in calls
        if call.values is not None
    ]
    return [*thoughts, *words, *whole]


def _wants_thoughts(asked: Asked) -> bool:
    config = camel(asked.body.get("generationConfig") or asked.body.get("generation_config"))
    thinking = config.get("thinkingConfig") if isinstance(config, Mapping) else None
    return isinstance(thinking, Mapping) and thinking.get("includeThoughts") is True


def _answer(reply: Reply, asked: Asked, number: str, parts: list[dict[str, Json]], *, is_last: bool) -> dict[str, Json]:
    counts = Counts(reply)
    candidate: dict[str, Json] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if is_last:
        candidate |= _finish(reply)
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": counts.prompt,
            "cachedContentTokenCount": counts.cached,
            "candidatesTokenCount": counts.completion - counts.reasoning,
            "thoughtsTokenCount": counts.reasoning,
            "totalTokenCount": counts.total,
        },
        "modelVersion": asked.model,
        "responseId": number,
    }


def _finish(reply: Reply) -> dict[str, Json]:
    """How it ended; a call whose arguments are no JSON object is left out, and said to be malformed."""
    broken = [f"{call.name}({call.arguments})" for call in calls_of(reply, "") if call.values is None]
    if broken or reply.finish_reason == "malformed":
        message = f"Malformed function call: {', '.join(broken)}" if broken else "Malformed answer"
        return {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": message}
    return {"finishReason": _FINISHES[end_of(reply)]}
