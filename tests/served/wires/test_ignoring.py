"""`[app] ignore` on every wire: the name that an error tells is enough, and so is that of the chat API."""

import re
from typing import Any

import pytest

from pytest_rightsize.config.app_table import parse_app
from pytest_rightsize.served.wires import Asked, UnservedError, read_ignoring, wire_of
from tests.served.wires.bodies import BODIES

WIRES = pytest.mark.parametrize("wire", BODIES)
# How each wire is asked for what no rung gives, or sent what it does not know.
REFUSED: dict[str, list[dict[str, Any]]] = {
    "chat": [{"logprobs": True}, {"top_logprobs": 2}, {"audio": {"voice": "x"}}, {"web_search_options": {"a": 1}}],
    "responses": [{"previous_response_id": "x"}, {"top_logprobs": 2}, {"new_thing": 1}, {"background": True}],
    "anthropic": [{"container": "c"}, {"mcp_servers": [{}]}, {"new_thing": 1, "other": 2}],
    "ollama": [{"logprobs": True}, {"new_thing": 1}, {"options": {"new_thing": 1}}],
    "gemini": [
        {"cachedContent": "c"},
        {"cached_content": "c"},
        {"newThing": 1},
        {"generationConfig": {"mediaResolution": "x"}},
        {"generation_config": {"media_resolution": "x"}},
        {"generation_config": {"response_logprobs": True}},
    ],
}


def read(wire: str, *ignored: str, **more: Any) -> Asked:
    path, body = BODIES[wire]
    found = wire_of(path)
    assert found is not None
    return read_ignoring(found, path, {**body, **more}, ignored)


@pytest.mark.parametrize(("wire", "given"), [(wire, given) for wire, rows in REFUSED.items() for given in rows])
def test_what_is_refused_can_be_left_out_as_the_error_says(wire: str, given: dict[str, Any]) -> None:
    with pytest.raises(UnservedError) as caught:
        read(wire, **given)
    [told] = re.findall(r"leave it out, or name it in \[app\] ignore = \[(.*)\]", str(caught.value))
    names = re.findall(r'"(.*?)"', told)
    table = parse_app({"ignore": names}, rungs=(), where="[app]")
    assert read(wire, *table.ignore, **given).messages == read(wire).messages


# By the name in the chat API: where Asked has it, and which wires can be sent it.
CARRIED: dict[str, tuple[str, str]] = {
    "temperature": ("temperature", "chat responses anthropic ollama gemini"),
    "top_p": ("top_p", "chat responses anthropic ollama gemini"),
    "max_tokens": ("max_tokens", "chat responses anthropic ollama gemini"),
    "seed": ("seed", "chat ollama gemini"),
    "response_format": ("schema", "chat responses anthropic ollama gemini"),
    "stop": ("extra", "chat anthropic ollama gemini"),
    "top_k": ("extra", "anthropic ollama gemini"),
    "reasoning_effort": ("extra", "responses anthropic ollama gemini"),
    "verbosity": ("extra", "responses"),
    "tool_choice": ("extra", "chat responses anthropic gemini"),
    "parallel_tool_calls": ("extra", "anthropic"),
    "logit_bias": ("extra", "chat"),
}


@WIRES
@pytest.mark.parametrize("name", CARRIED)
def test_what_a_rung_is_asked_can_be_left_out_by_its_name_in_the_chat_api(name: str, wire: str) -> None:
    where, wires = CARRIED[name]
    asked, rest = read(wire), read(wire, name)
    held = asked.extra.get(name) if where == "extra" else getattr(asked, where)
    assert (held is not None) == (wire in wires.split())
    assert (rest.extra.get(name) if where == "extra" else getattr(rest, where)) is None
    assert _all_but(rest, name, where) == _all_but(asked, name, where)


def _all_but(asked: Asked, name: str, where: str) -> dict[str, Any]:
    fields = ("messages", "stream", "max_tokens", "temperature", "top_p", "seed", "schema", "tools")
    others = {field: getattr(asked, field) for field in fields if field != where}
    # Anthropic's tool_choice says both.
    left = {name, "parallel_tool_calls"} if name == "tool_choice" else {name}
    return {**others, **{key: value for key, value in asked.extra.items() if key not in left}}


@WIRES
def test_tools_are_left_out_with_the_choice_among_them(wire: str) -> None:
    ignored = ("tools", "tool_choice", "toolConfig", "parallel_tool_calls")
    asked = read(wire, *ignored)
    assert (asked.tools, set(asked.extra) & set(ignored)) == (None, set())


def test_what_is_no_object_is_refused_as_ever() -> None:
    wire = wire_of("/v1/responses")
    assert wire is not None
    with pytest.raises(UnservedError, match="the body must be an object, not a list"):
        read_ignoring(wire, "/v1/responses", [1], ["temperature"])
