"""Ollama's own API: chat and generate, in lines of JSON."""

import json
from typing import Any

import pytest

from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import Asked, UnservedError, wire_of
from pytest_rightsize.served.wires.ollama import Ollama
from tests.served.wires.replies import CALL, CALLS, CITY, TEXT, TOOL

WIRE = Ollama()
HI = {"role": "user", "content": "hi"}
PNG = "iVBORw0KGgo="
PNG_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def read(**body: Any) -> Asked:
    return WIRE.read("/api/chat", {"model": "qwen3", "messages": [HI], **body})


def generate(**body: Any) -> Asked:
    return WIRE.read("/api/generate", {"model": "qwen3", "prompt": "hi", **body})


@pytest.mark.parametrize("path", ["/api/chat", "/t/token/api/generate"])
def test_its_paths(path: str) -> None:
    assert isinstance(wire_of(path), Ollama)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"model": "qwen3", "messages": (HI,), "stream": True, "extra": {}}),
        ({"stream": False}, {"stream": False}),
        (
            {"options": {"num_predict": 9, "temperature": 0.5, "top_p": 0.9, "seed": 7}},
            {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 7},
        ),
        ({"options": {"num_predict": -1}}, {"max_tokens": None}),
        (
            {"options": {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1, "stop": ["a"], "mirostat": 2}},
            {"extra": {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1, "stop": ["a"], "mirostat_mode": 2}},
        ),
        # How the model is loaded is the rung's own.
        ({"options": {"num_ctx": 4096, "num_gpu": 1, "use_mmap": True}, "keep_alive": "5m"}, {"extra": {}}),
        ({"format": "json"}, {"extra": {"response_format": {"type": "json_object"}}, "schema": None}),
        ({"format": ""}, {"extra": {}, "schema": None}),
        ({"format": CITY}, {"extra": {}, "schema": CITY}),
        ({"tools": [TOOL]}, {"tools": (TOOL,)}),
        ({"think": False}, {"extra": {"reasoning_effort": "none"}}),
        ({"think": True}, {"extra": {"reasoning_effort": "medium"}}),
        ({"think": "high"}, {"extra": {"reasoning_effort": "high"}}),
        ({"think": "max"}, {"extra": {"reasoning_effort": "xhigh"}}),
        (
            {"messages": [{**HI, "images": [PNG]}]},
            {"messages": ({"role": "user", "content": [{"type": "text", "text": "hi"}, PNG_PART]},)},
        ),
    ],
    ids=str,
)
def test_a_parameter_is_carried_to_the_rung_or_changes_no_answer(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    asked = read(**given)
    assert {name: getattr(asked, name) for name in expected} == expected


def test_generate_is_a_conversation_of_one_turn() -> None:
    asked = generate(system="Be brief.", images=[PNG])
    assert asked.messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, PNG_PART]},
    )


def test_a_result_finds_the_call_of_its_name() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {"city": "Oslo"}}}

    asked = read(
        messages=[
            HI,
            {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [call("weather"), call("time")]},
            {"role": "tool", "tool_name": "time", "content": "noon"},
            {"role": "tool", "content": "sun"},
            {"role": "assistant", "content": "Again.", "tool_calls": [call("weather")]},
            {"role": "tool", "tool_name": "weather", "content": "rain"},
        ]
    )
    time = {**CALL, "id": "call_2", "function": {**CALL["function"], "name": "time"}}
    assert list(asked.messages) == [
        HI,
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [CALL, time]},
        {"role": "tool", "content": "noon", "tool_call_id": "call_2"},
        {"role": "tool", "content": "sun", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "Again.", "tool_calls": [{**CALL, "id": "call_3"}]},
        {"role": "tool", "content": "rain", "tool_call_id": "call_3"},
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"options": {"temprature": 1}}, "options.temprature: not known here"),
        ({"logprobs": True}, "logprobs: rungs do not tell probabilities"),
        ({"format": "xml"}, "format must be json or a JSON schema, not 'xml'"),
        ({"think": 5}, "think must be true or false, not 5"),
        ({"messages": []}, "messages: there is none"),
        ({"messages": [{**HI, "images": ["QUJD"]}]}, r"messages\[0\].images: an image must be PNG"),
        (
            {"messages": [HI, {"role": "tool", "content": "x", "images": [PNG]}]},
            r"messages\[1\].images: a tool's message",
        ),
        ({"messages": [{"role": "robot"}]}, "there is no role 'robot'"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, r"tool_calls\[0\].function is missing"),
        ({"stream": 1}, "stream must be true or false, not 1"),
    ],
    ids=str,
)
def test_what_is_refused_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UnservedError, match=words):
        read(**given)


@pytest.mark.parametrize("name", ["raw", "template", "context", "suffix"])
def test_generate_refuses_prompts_that_are_no_chat(name: str) -> None:
    with pytest.raises(UnservedError, match=f"{name}: rungs"):
        generate(**{name: [1] if name == "context" else "x"})


STATS = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 500_000_000,
    "load_duration": 0,
    "prompt_eval_count": 11,
    "prompt_eval_duration": 0,
    "eval_count": 5,
    "eval_duration": 500_000_000,
}
ABOUT = {"model": "qwen3", "created_at": "1970-01-01T00:00:00Z"}


def test_a_whole_answer() -> None:
    assert WIRE.whole(TEXT, read(stream=False)) == {
        **ABOUT,
        "message": {"role": "assistant", "content": "It is sunny."},
        **STATS,
    }
    assert WIRE.whole(TEXT, generate(stream=False)) == {**ABOUT, "response": "It is sunny.", **STATS}


def lines(reply: Reply, asked: Asked) -> list[Any]:
    return [json.loads(line) for line in b"".join(WIRE.events(reply, asked)).splitlines()]


def test_a_stream_ends_with_an_empty_piece_that_counts() -> None:
    assert lines(TEXT, read()) == [
        {**ABOUT, "message": {"role": "assistant", "content": "It is sunny."}, "done": False},
        {**ABOUT, "message": {"role": "assistant", "content": ""}, **STATS},
    ]
    assert lines(TEXT, generate()) == [
        {**ABOUT, "response": "It is sunny.", "done": False},
        {**ABOUT, "response": "", **STATS},
    ]


def test_reasoning_and_calls_have_pieces_of_their_own() -> None:
    reply = Reply(text="I look.", reasoning="Hm.", tool_calls=(CALL,))
    call = {"id": "call_1", "function": {"index": 0, "name": "weather", "arguments": {"city": "Oslo"}}}
    assert [piece["message"] for piece in lines(reply, read())] == [
        {"role": "assistant", "content": "", "thinking": "Hm."},
        {"role": "assistant", "content": "I look."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "assistant", "content": ""},
    ]
    assert "thinking" not in WIRE.whole(reply, read(think=False))["message"]
    assert WIRE.whole(CALLS, read())["message"]["tool_calls"] == [call]


def test_a_call_with_broken_arguments_stays_among_the_words() -> None:
    reply = Reply(text="So:", tool_calls=({"function": {"name": "weather", "arguments": '{"city'}}, CALL))
    message = WIRE.whole(reply, read())["message"]
    assert message["content"] == 'So:\nweather {"city'
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather"]


def test_an_answer_that_was_cut_off() -> None:
    assert WIRE.whole(Reply(text="x", finish_reason="length"), read())["done_reason"] == "length"


def test_an_error() -> None:
    assert WIRE.error(400, "no") == {"error": "no"}
