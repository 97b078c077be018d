"""Refuses requests whose values make no sense before any token is decoded; pure.

A Request comes in; a RungError names the value, what was given, and what may be given.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from pytest_rightsize.errors import RungError
from pytest_rightsize.records import Json, Request, Rung

__all__ = ["check_request", "wanted_schema"]

_NUMBERS = (
    *("frequency_penalty", "min_p", "mirostat_eta", "mirostat_mode", "mirostat_tau", "presence_penalty"),
    *("repeat_penalty", "top_k", "typical_p"),
)
_EXTRA = frozenset(
    [
        *_NUMBERS,
        *("chat_template_kwargs", "logit_bias", "reasoning_effort", "response_format", "stop", "tool_choice"),
    ]
)


_Refuse = Callable[[str], NoReturn]


def check_request(request: Request, rung: Rung, *, vocabulary: int, sees_images: bool = False) -> None:
    """Raise RungError if the request cannot be meant; `vocabulary` is the number of the model's tokens."""
    extra = request.extra

    def refuse(what: str) -> NoReturn:
        raise RungError(f"rung {rung.name!r}: {what}", reason="request")

    _check_messages(request.messages, refuse, sees_images=sees_images)
    unknown = sorted(set(extra) - _EXTRA)
    if unknown:
        refuse(f"a llama_cpp rung does not know {', '.join(unknown)}; it takes {', '.join(sorted(_EXTRA))}")
    if request.max_tokens is not None and (not _is_whole(request.max_tokens) or request.max_tokens < 1):
        refuse(f"max_tokens = {request.max_tokens!r} cannot be: give 1 or more, or leave it out")
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is not None and (not _is_number(value) or value < 0 or (name == "top_p" and value > 1)):
            refuse(f"{name} = {value!r} cannot be: give 0 or more{', at most 1' if name == 'top_p' else ''}")
    for name in _NUMBERS:
        if extra.get(name) is not None and not _is_number(extra[name]):
            refuse(f"{name} = {extra[name]!r} cannot be: give a number")
    stop = extra.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    if stops is not None and not (
        isinstance(stops, list | tuple) and all(isinstance(text, str) and text for text in stops)
    ):
        refuse(f"stop = {stop!r} cannot be: give a text, or a list of texts, none of them empty")
    _check_bias(extra.get("logit_bias"), vocabulary, refuse)
    if not isinstance(extra.get("chat_template_kwargs") or {}, Mapping):
        refuse(f"chat_template_kwargs = {extra['chat_template_kwargs']!r} cannot be: give names and values")
    _check_tool_choice(request, refuse)
    _check_response_format(request, refuse)


def _check_messages(messages: Sequence[Mapping[str, Json]], refuse: _Refuse, *, sees_images: bool) -> None:
    """Refuse images and sound: a template leaves out what it does not know, and the model would never see it."""
    taken, reads = (("text", "image_url"), "text and images") if sees_images else (("text",), "text")
    for index, message in enumerate(messages):
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, Mapping) else "text"
            if kind not in taken:
                needs = "; name the model's vision projector in mmproj, or" if kind == "image_url" else ";"
                refuse(
                    f"messages[{index}] has a part of the type {kind}, and this llama_cpp rung reads {reads} "
                    f"alone{needs} give this case to rungs that take it"
                )


def _check_bias(bias: Json, vocabulary: int, refuse: _Refuse) -> None:
    if bias is None:
        return
    if not isinstance(bias, Mapping):
        refuse(f"logit_bias = {bias!r} cannot be: give tokens and what to add to each")
    for token, added in bias.items():
        if not str(token).isascii() or not str(token).isdigit() or int(str(token)) >= vocabulary:
            refuse(
                f"logit_bias names the token {token!r}, which this model does not have; its tokens are 0 to "
                f"{vocabulary - 1}"
            )
        if not _is_number(added):
            refuse(f"logit_bias of the token {token} cannot be {added!r}: give a number")


def _check_tool_choice(request: Request, refuse: _Refuse) -> None:
    choice, names = request.extra.get("tool_choice"), _tool_names(request)
    if choice is None:
        return
    named = choice.get("function") if isinstance(choice, Mapping) else None
    name = named.get("name") if isinstance(named, Mapping) else None
    if choice not in ("auto", "none", "required") and name is None:
        refuse(
            f"tool_choice = {choice!r} cannot be: give auto, none, required, or "
            '{"type": "function", "function": {"name": ..}}'
        )
    if choice in ("auto", "none"):
        return
    if not names:
        refuse(f"tool_choice = {choice!r} needs tools=, and there are none")
    if name is not None and name not in names:
        refuse(f"tool_choice names {name!r}, which is none of the tools: {', '.join(names)}")


def _tool_names(request: Request) -> list[str]:
    functions = (tool.get("function") or {} for tool in request.tools or ())
    return [str(function.get("name")) for function in functions]


def _check_response_format(request: Request, refuse: _Refuse) -> None:
    form = request.extra.get("response_format")
    if form is None:
        return
    kind = form.get("type") if isinstance(form, Mapping) else None
    inner = form.get("json_schema", {}) if kind == "json_schema" else {}
    if kind not in ("text", "json_object", "json_schema") or not isinstance(inner, Mapping):
        refuse(
            f"response_format = {form!r} cannot be: give the type text, json_object, or json_schema with a json_schema"
        )
    if kind == "json_schema" and "schema" not in inner and "schema" not in form:
        refuse("response_format has the type json_schema and no schema: give json_schema = {name, schema}")
    if request.schema is not None and kind != "text":
        refuse("schema= and response_format= both say what form the answer has: keep one")


def wanted_schema(request: Request) -> Json:
    """The JSON schema that the answer is to follow, however the request spells it; None where it may be any text.

    As in the OpenAI API: `response_format` of the type `json_schema` or `json_object`, and with a `schema` beside the
    type as llama-server has it; or `schema` of the request itself.
    """
    if request.schema is not None:
        return dict(request.schema)
    form = request.extra.get("response_format") or {}
    if form.get("type") == "json_object":
        return form.get("schema", {"type": "object"})
    if form.get("type") == "json_schema":
        return form.get("json_schema", {}).get("schema", form.get("schema"))
    return None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
