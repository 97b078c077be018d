"""Reads the message of a completion: text, reasoning, refusal and calls, by all the names they have; pure.

What cannot be read raises ValueError, and is never taken for an empty answer.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_rightsize.records import Json

__all__ = ["Content", "content_of"]

# DeepSeek, vLLM and SGLang; OpenRouter, Groq and newer vLLM; Ollama; others.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought", "thoughts")
# Lists of parts: OpenRouter, MiniMax; LiteLLM.
_REASONING_PARTS = ("reasoning_details", "thinking_blocks")
# Parts that hold no words of the model: what it cites, encrypted reasoning, pictures it was given.
_SILENT = frozenset(
    {"reference", "redacted_thinking", "reasoning.encrypted", "image_url", "source", "annotation", "citation"}
)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a message says; `reasoning` and `refusal` are None where it has none."""

    text: str
    reasoning: str | None = None
    refusal: str | None = None
    calls: tuple[Mapping[str, Json], ...] = ()


def content_of(message: Json) -> Content:
    """What the message of a choice says; raises ValueError or the like where that cannot be read."""
    found: dict[str, list[Json]] = {"text": [], "reasoning": [], "refusal": [], "call": []}
    for kind, words in _parts(message.get("content")):
        found[kind].append(words)
    refusals, calls = found["refusal"], found["call"]
    reasoning = _reasoning_beside(message) or "\n".join(found["reasoning"]) or None
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        refusals.append(refusal)
    calls += _calls(message)
    json.dumps(calls, allow_nan=False)  # 1e999 is valid JSON, and becomes an infinite float
    return Content(
        text="".join(found["text"]),
        reasoning=reasoning,
        refusal="\n".join(refusals) or None,
        calls=tuple({name: value for name, value in call.items() if value is not None} for call in calls),
    )


def _parts(content: Json) -> Iterator[tuple[str, Json]]:
    """The parts of a message as pairs of their kind and what they hold."""
    if content is None:
        return
    if isinstance(content, str):
        yield "text", content
        return
    if isinstance(content, dict) and "type" in content:
        content = [content]
    if not isinstance(content, list):
        raise ValueError(f"the content is no text but {type(content).__name__}")
    for part in content:
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict):
            yield from _part(part)
        else:
            raise ValueError(f"the content is a list with {type(part).__name__}")


def _part(part: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    kind = part.get("type", "text")
    if kind in _SILENT:
        return
    if kind in ("tool_use", "tool_call", "function"):
        yield "call", _as_call(part)
    elif kind == "refusal":
        yield "refusal", _words(part, "refusal", "text")
    elif isinstance(kind, str) and kind.startswith(("thinking", "reasoning", "thought")):
        yield "reasoning", _words(part, "thinking", "reasoning", "text", "thought", "summary", "content")
    elif kind in ("text", "output_text", "input_text"):
        yield "text", _words(part, "text", "content", "value")
    else:
        raise ValueError(f"the content has a part of the type {kind!r}")


def _words(part: Mapping[str, Json], *names: str) -> str:
    """The words of a part under the first name that it has; they may be parts again."""
    for name in names:
        value = part.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            return _words(value, "value", "text")
        if isinstance(value, list):
            return "".join(words for kind, words in _parts(value) if kind in ("text", "reasoning"))
    raise ValueError(f"a part of the content has none of {', '.join(names)}")


def _reasoning_beside(message: Mapping[str, Json]) -> str | None:
    """The reasoning that stands beside the content."""
    for name in _REASONING:
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and (words := _loose_words(value)):
            return words
    for name in _REASONING_PARTS:
        value = message.get(name)
        pieces = [_loose_words(part) for part in value if isinstance(part, dict)] if isinstance(value, list) else []
        if any(pieces):
            return "\n".join(piece for piece in pieces if piece)
    inner = message.get("provider_specific_fields")
    return _reasoning_beside(inner) if isinstance(inner, dict) else None


def _loose_words(part: Mapping[str, Json]) -> str:
    """The words of a part of reasoning; empty where it has none, as where it is encrypted."""
    try:
        return _words(part, "text", "thinking", "summary", "content", "reasoning")
    except (ValueError, AttributeError):
        return ""


def _calls(message: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The calls of a message; a single one in the form that came before `tool_calls` is among them."""
    calls = message.get("tool_calls") or []
    if isinstance(calls, dict):
        calls = [calls]
    function = message.get("function_call")
    if not calls and isinstance(function, dict) and function.get("name"):
        return [{"type": "function", "function": function}]
    return [*calls]


def _as_call(part: Mapping[str, Json]) -> Mapping[str, Json]:
    """A call among the parts of the content, as in Anthropic's messages, in the form of the OpenAI API."""
    if "function" in part:
        return part
    arguments = part.get("input", part.get("arguments", {}))
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": part.get("id"), "type": "function", "function": {"name": part.get("name"), "arguments": written}}
