"""Reads an answer of Ollama's chat or generate: one object, or a line of it for each piece. Pure."""

from collections.abc import Iterable

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.partial import BrokenAnswerError, Partial, written

__all__ = ["read_ollama", "read_ollama_lines"]


def read_ollama(body: Json) -> Reply:
    """The answer in one object."""
    return read_ollama_lines([body])


def read_ollama_lines(lines: Iterable[Json]) -> Reply:
    """The answer, put together from its pieces."""
    partial = Partial()
    for piece in lines:
        if piece.get("error"):
            raise BrokenAnswerError("broke off with an error")
        message = piece.get("message") or {"content": piece.get("response"), "thinking": piece.get("thinking")}
        partial.text += message.get("content") or ""
        partial.reasoning += message.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            number, function = len(partial.calls), call.get("function") or {}
            ident = call.get("id") or f"call_{number}"
            partial.call(number, ident=ident, name=function.get("name"), arguments=written(function.get("arguments")))
        if piece.get("done"):
            whole = "tool_calls" if partial.calls else "stop"
            partial.end = "length" if piece.get("done_reason") == "length" else whole
    return partial.reply()
