"""Values that make no sense are told before a token is decoded, and every spelling of a schema is understood."""

from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.llama_cpp.request_checks import check_request, wanted_schema
from pytest_rightsize.records import Request, Rung

RUNG = Rung(name="local", provider="llama_cpp")
TOOLS = ({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},)
SCHEMA = {"type": "integer"}


def request(**values: Any) -> Request:
    return Request(messages=({"role": "user", "content": "?"},), **values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_tokens": 0}, "max_tokens = 0 cannot be: give 1 or more"),
        ({"max_tokens": -1}, "max_tokens = -1 cannot be"),
        ({"max_tokens": 1.5}, "max_tokens = 1.5 cannot be"),
        ({"temperature": -0.1}, "temperature = -0.1 cannot be: give 0 or more"),
        ({"temperature": float("nan")}, "temperature = nan cannot be"),
        ({"top_p": 1.1}, "top_p = 1.1 cannot be: give 0 or more, at most 1"),
        ({"extra": {"stop": ""}}, "stop = '' cannot be: give a text, or a list of texts, none of them empty"),
        ({"extra": {"stop": ["a", ""]}}, "none of them empty"),
        ({"extra": {"stop": [1]}}, "stop = "),
        ({"extra": {"logit_bias": {"-1": 5}}}, "logit_bias names the token '-1', .* its tokens are 0 to 99"),
        ({"extra": {"logit_bias": {"100": 5}}}, "logit_bias names the token '100'"),
        ({"extra": {"logit_bias": {"abc": 1}}}, "logit_bias names the token 'abc'"),
        ({"extra": {"logit_bias": {"1": "x"}}}, "logit_bias of the token 1 cannot be 'x'"),
        ({"extra": {"logit_bias": [1]}}, "logit_bias = "),
        ({"extra": {"top_k": "many"}}, "top_k = 'many' cannot be: give a number"),
        ({"extra": {"nonsense": 1}}, "does not know nonsense; it takes chat_template_kwargs, "),
        ({"extra": {"chat_template_kwargs": 1}}, "chat_template_kwargs = 1 cannot be"),
        ({"extra": {"tool_choice": "always"}, "tools": TOOLS}, "tool_choice = 'always' cannot be: give auto"),
        ({"extra": {"tool_choice": "required"}}, "needs tools=, and there are none"),
        (
            {"extra": {"tool_choice": {"type": "function", "function": {"name": "g"}}}, "tools": TOOLS},
            "tool_choice names 'g', which is none of the tools: f",
        ),
        ({"extra": {"response_format": {"type": "xml"}}}, "response_format = .* cannot be: give the type text"),
        ({"extra": {"response_format": {"type": "json_schema", "json_schema": {}}}}, "and no schema"),
        ({"extra": {"response_format": {"type": "json_object"}}, "schema": SCHEMA}, "keep one"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RungError, match=words) as caught:
        check_request(request(**values), RUNG, vocabulary=100)
    assert caught.value.reason == "request"
    assert not caught.value.permanent


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file", None])
def test_images_and_sound_are_refused_as_the_model_would_not_see_them(kind: str | None) -> None:
    messages = ({"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": kind}]},)
    with pytest.raises(RungError, match=rf"a part of the type {kind}, and this llama_cpp rung reads text alone"):
        check_request(Request(messages=messages), RUNG, vocabulary=100)


def test_parts_of_text_pass() -> None:
    messages = ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},)
    check_request(Request(messages=messages), RUNG, vocabulary=100)


def test_what_makes_sense_passes() -> None:
    extra = {"stop": ["a"], "logit_bias": {"1": -100, 99: 0.5}, "top_k": 0, "response_format": {"type": "text"}}
    check_request(request(max_tokens=1, temperature=0, top_p=1, extra=extra), RUNG, vocabulary=100)
    check_request(request(extra={"tool_choice": "auto"}), RUNG, vocabulary=100)
    named = {"type": "function", "function": {"name": "f"}}
    check_request(request(tools=TOOLS, extra={"tool_choice": named}), RUNG, vocabulary=100)


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ({}, None),
        ({"schema": SCHEMA}, SCHEMA),
        ({"extra": {"response_format": {"type": "text"}}}, None),
        ({"extra": {"response_format": {"type": "json_object"}}}, {"type": "object"}),
        ({"extra": {"response_format": {"type": "json_object", "schema": SCHEMA}}}, SCHEMA),
        ({"extra": {"response_format": {"type": "json_schema", "schema": SCHEMA}}}, SCHEMA),
        (
            {"extra": {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}},
            SCHEMA,
        ),
    ],
)
def test_every_spelling_of_a_schema_is_understood(values: dict[str, Any], schema: Any) -> None:
    asked = request(**values)
    check_request(asked, RUNG, vocabulary=100)
    assert wanted_schema(asked) == schema
