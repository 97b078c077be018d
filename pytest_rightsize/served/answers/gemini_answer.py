"""Reads an answer of Google's generateContent: the first candidate of a response, or of the pieces of one. Pure."""

from collections.abc import Iterable

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.partial import BrokenAnswerError, Partial, written

__all__ = ["read_gemini", "read_gemini_pieces"]

_ENDS = {"STOP": "stop", "MAX_TOKENS": "length"}


def read_gemini(body: Json) -> Reply:
    """The first candidate; a stream that is not one of events comes as a list of pieces."""
    return read_gemini_pieces(body if isinstance(body, list) else [body])


def read_gemini_pieces(pieces: Iterable[Json]) -> Reply:
    """The first candidate, put together from its pieces."""
    partial = Partial()
    for piece in pieces:
        if piece.get("error"):
            raise BrokenAnswerError("broke off with an error")
        if (piece.get("promptFeedback") or {}).get("blockReason"):
            partial.end = "content_filter"
        for candidate in (piece.get("candidates") or ())[:1]:
            for part in (candidate.get("content") or {}).get("parts") or ():
                _add(partial, part)
            if candidate.get("finishReason"):
                end = _ENDS.get(candidate["finishReason"], "content_filter")
                partial.end = "tool_calls" if partial.calls and end == "stop" else end
    return partial.reply()


def _add(partial: Partial, part: Json) -> None:
    if "functionCall" in part:
        call, number = part["functionCall"], len(partial.calls)
        arguments = written(call.get("args"))
        partial.call(number, ident=call.get("id") or f"call_{number}", name=call.get("name"), arguments=arguments)
    elif isinstance(part.get("text"), str):
        if part.get("thought"):
            partial.reasoning += part["text"]
        else:
            partial.text += part["text"]
    elif set(part) - {"thoughtSignature"}:
        raise BrokenAnswerError(f"has a part with {', '.join(part)}, which no rung gives")
