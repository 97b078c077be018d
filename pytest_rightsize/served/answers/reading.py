"""Reads the answer to a question of any wire, by the path that was asked. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers.anthropic_answer import read_message, read_message_events
from pytest_rightsize.served.answers.chat_answer import read_chat, read_chat_events
from pytest_rightsize.served.answers.gemini_answer import read_gemini, read_gemini_pieces
from pytest_rightsize.served.answers.ollama_answer import read_ollama, read_ollama_lines
from pytest_rightsize.served.answers.partial import BrokenAnswerError, events_in, lines_in
from pytest_rightsize.served.answers.response_answer import read_response, read_response_events
from pytest_rightsize.served.wires import wire_of
from pytest_rightsize.served.wires.anthropic_messages import AnthropicMessages
from pytest_rightsize.served.wires.chat_completions import ChatCompletions
from pytest_rightsize.served.wires.gemini import Gemini
from pytest_rightsize.served.wires.ollama import Ollama
from pytest_rightsize.served.wires.responses import Responses
from pytest_rightsize.strict_json import loads

__all__ = ["BrokenAnswerError", "read_answer"]

# How the answers of each wire are read, whole and in pieces.
_READERS: Mapping[type, tuple[Callable[[Json], Reply], Callable[[Iterable[Json]], Reply]]] = {
    ChatCompletions: (read_chat, read_chat_events),
    Responses: (read_response, read_response_events),
    AnthropicMessages: (read_message, read_message_events),
    Ollama: (read_ollama, read_ollama_lines),
    Gemini: (read_gemini, read_gemini_pieces),
}
_STREAMS: Mapping[str, Callable[[str], Iterator[Json]]] = {
    "text/event-stream": events_in,
    "application/x-ndjson": lines_in,
}


def read_answer(path: str, content_type: str, body: bytes) -> Reply:
    """The answer in the body of a response of status 200 to a question at `path`.

    Raises BrokenAnswerError where it is none, or broke off.
    """
    wire = wire_of(path)
    if wire is None:
        raise BrokenAnswerError("is of no form that is known")
    whole, pieces = _READERS[type(wire)]
    split = _STREAMS.get(content_type.partition(";")[0].strip().lower())
    try:
        text = body.decode("utf-8")
        return whole(loads(text)) if split is None else pieces(split(text))
    except (ValueError, RecursionError):
        raise BrokenAnswerError("is not JSON in UTF-8") from None
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise BrokenAnswerError(f"has not the form of its kind ({type(error).__name__}: {error})") from None
