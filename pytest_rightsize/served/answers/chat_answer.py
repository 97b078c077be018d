"""Reads an answer of chat completions: the first choice of a completion, or of its chunks. Pure."""

from collections.abc import Iterable

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.partial import BrokenAnswerError, Partial, text_in

__all__ = ["read_chat", "read_chat_events"]


def read_chat(body: Json) -> Reply:
    """The first choice of a completion."""
    partial = Partial()
    choice = (body.get("choices") or [None])[0]
    if choice is None:
        raise BrokenAnswerError("has no choice")
    _add(partial, choice.get("message") or {}, in_pieces=False)
    partial.end = choice.get("finish_reason") or "stop"
    return partial.reply()


def read_chat_events(events: Iterable[Json]) -> Reply:
    """The first choice, put together from chunks."""
    partial = Partial()
    for chunk in events:
        if chunk.get("error"):
            raise BrokenAnswerError("broke off with an error")
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                _add(partial, choice.get("delta") or {}, in_pieces=True)
                partial.end = choice.get("finish_reason") or partial.end
    return partial.reply()


def _add(partial: Partial, message: Json, *, in_pieces: bool) -> None:
    partial.text += text_in(message.get("content")) or text_in(message.get("refusal"))
    partial.reasoning += text_in(message.get("reasoning_content") or message.get("reasoning"))
    for place, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") or {}
        # A piece says to which call it belongs; some servers send whole calls without an index.
        key = (call["index"] if "index" in call else call.get("id") or place) if in_pieces else place
        partial.call(key, ident=call.get("id"), name=function.get("name"), arguments=text_in(function.get("arguments")))
