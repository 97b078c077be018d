"""Reads JSON Lines with questions and right answers: samples of OpenAI's evals, chats for fine-tuning, prompt pairs.

A line has `input` and `ideal`, or `messages` that end in the answer, or `prompt` and `completion`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pytest_rightsize.authoring.exchanges import Exchange, text_of
from pytest_rightsize.authoring.heard_calls import ask_of
from pytest_rightsize.authoring.yaml_files import read_lines
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json
from pytest_rightsize.served.wires import UnservedError, wire_of
from pytest_rightsize.strict_json import loads

__all__ = ["read_chat_lines"]

_CHAT = "/v1/chat/completions"
_FORMS = '{"input": .., "ideal": ..}, {"messages": [..]} or {"prompt": .., "completion": ..}'


def read_chat_lines(path: Path) -> list[Exchange]:
    """An exchange for each line; raises ConfigError that names a line which is wrong."""
    exchanges = []
    for number, line in read_lines(path):
        try:
            exchanges.append(_exchange(loads(line)))
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}:{number}: this line is not JSON ({error.msg} at column {error.colno})") from None
        except (UnservedError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}:{number}: {error}") from None
    if not exchanges:
        raise ConfigError(f"{path} has no line: give a file of lines such as {_FORMS}")
    return exchanges


def _exchange(plain: Json) -> Exchange:
    """The exchange of a line; ValueError or UnservedError says what is wrong with it."""
    if not isinstance(plain, dict):
        raise ValueError(f"this line is no object such as {_FORMS}")
    if "messages" in plain:
        return _chat(plain)
    if "input" in plain:
        return _sample(plain["input"], plain.get("ideal"), plain)
    if "prompt" in plain:
        return _sample(plain["prompt"], plain.get("completion"), plain)
    raise ValueError(
        f"this line has the keys {', '.join(map(str, plain)) or '(none)'}; known are lines such as {_FORMS}"
    )


def _sample(question: Json, ideal: Json, plain: Mapping[str, Json]) -> Exchange:
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    answers = [ideal] if isinstance(ideal, str) else [] if ideal is None else ideal
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise ValueError("the right answer must be a text, or a list of texts")
    about = {"answer": ideal} if answers else {}
    return Exchange(ask=_ask(messages, plain), answers=tuple(answers), about=about)


def _chat(plain: Mapping[str, Json]) -> Exchange:
    """The messages but the last are the question, if that is one of the assistant."""
    messages = plain["messages"]
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return Exchange(ask=_ask(messages, plain))
    if "function_call" in last and not last.get("tool_calls"):
        raise ValueError("function_call is the form before 2024: write tools and tool_calls")
    answer, calls = text_of(last.get("content")), last.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise ValueError("tool_calls of the last message must be a list of objects")
    about = {"answer": answer} if answer else {}
    return Exchange(ask=_ask(messages[:-1], plain), answers=(answer,), tool_calls=tuple(calls), about=about)


def _ask(messages: Json, plain: Mapping[str, Json]) -> Mapping[str, Json]:
    """The question in the words of `model.ask`, checked as an application's call would be."""
    wire = wire_of(_CHAT)
    if wire is None:  # pragma: no cover  # it is always there
        raise ValueError("chat completions are not known")
    asked_with = {name: plain[name] for name in ("tools", "functions", "response_format") if name in plain}
    body = {"model": "", "messages": messages, **asked_with}
    return ask_of(wire.read(_CHAT, body))
