"""Reads the answer to a question of any wire, by the path that was asked. Pure."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.anthropic_answer import read_message, read_message_events
from pytest_rightsize.served.answers.chat_answer import read_chat, read_chat_events
from pytest_rightsize.served.answers.gemini_answer import read_gemini, read_gemini_pieces
from pytest_rightsize.served.answers.ollama_answer import read_ollama, read_ollama_lines
from pytest_rightsize.served.answers.partial import BrokenAnswerError, events_in, lines_in
from pytest_rightsize.served.answers.response_answer import read_response, read_response_events

__all__ = ["BrokenAnswerError", "read_answer"]


@dataclass(frozen=True, kw_only=True)
class _Form:
    """How one vendor answers."""

    whole: Callable[[Json], Reply]
    pieces: Callable[[Iterable[Json]], Reply]
    split: Callable[[str], Iterator[Json]] = events_in


_FORMS: dict[str, _Form] = {
    r"/chat/completions$": _Form(whole=read_chat, pieces=read_chat_events),
    r"/responses$": _Form(whole=read_response, pieces=read_response_events),
    r"/v1/messages$": _Form(whole=read_message, pieces=read_message_events),
    r"/api/(chat|generate)$": _Form(whole=read_ollama, pieces=read_ollama_lines, split=lines_in),
    r":(generateContent|streamGenerateContent)$": _Form(whole=read_gemini, pieces=read_gemini_pieces),
}


def read_answer(path: str, content_type: str, body: bytes) -> Reply:
    """The answer in the body of a response of status 200 to a question at `path`.

    Raises BrokenAnswerError where it is none, or broke off.
    """
    form = next((form for pattern, form in _FORMS.items() if re.search(pattern, path)), None)
    if form is None:
        raise BrokenAnswerError("is of no form that is known")
    try:
        text = body.decode("utf-8")
        if content_type.startswith(("text/event-stream", "application/x-ndjson")):
            return form.pieces(form.split(text))
        return form.whole(json.loads(text))
    except (ValueError, RecursionError):
        raise BrokenAnswerError("is not JSON in UTF-8") from None
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise BrokenAnswerError(f"has not the form of its kind ({type(error).__name__}: {error})") from None
