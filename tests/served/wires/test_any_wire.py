"""What holds for every wire, whatever a rung answers. `tests/hostile.py` has what it may be sent."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.records import Reply, Tokens
from pytest_rightsize.served.wires import Asked, UnservedError, Wire, body_of, wire_of
from tests.served.wires.replies import CALL, CITY, TOOL

PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}], "tools": [TOOL]},
    "/v1/responses": {"input": "hi", "tools": [{"type": "function", "name": "weather", "parameters": CITY}]},
    "/v1/messages": {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "weather", "input_schema": CITY}],
    },
    "/api/chat": {"messages": [{"role": "user", "content": "hi"}], "tools": [TOOL]},
    "/api/generate": {"prompt": "hi"},
    "/v1beta/models/x:generateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
}
ARGUMENTS = st.sampled_from(['{"city": "Oslo"}', "{", "", "[]", "null", '{"n": 1e999}', None, 5, {"city": "Oslo"}])
CALLS = st.builds(
    lambda ident, name, arguments: {"id": ident, "function": {"name": name, "arguments": arguments}},
    st.sampled_from(["call_1", "", None, 7]),
    st.sampled_from(["weather", "", None]),
    ARGUMENTS,
)
REPLIES = st.builds(
    Reply,
    text=st.sampled_from(["", "It is sunny.", "\ud83d", "a\n\nb"]),
    reasoning=st.sampled_from([None, "", "Hm."]),
    finish_reason=st.sampled_from([None, "stop", "length", "tool_calls", "content_filter", "malformed", "odd"]),
    tool_calls=st.lists(CALLS | st.just({}) | st.just({"function": "x"}), max_size=2).map(tuple),
    tokens=st.builds(
        Tokens,
        prompt=st.none() | st.just(3),
        cached=st.none() | st.integers(0, 9),
        completion=st.none() | st.just(5),
        reasoning=st.none() | st.integers(0, 9),
    ),
)


def the_wire(path: str) -> Wire:
    wire = wire_of(path)
    assert wire is not None
    return wire


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=50)
@given(reply=REPLIES)
def test_any_reply_can_be_sent_whole_and_in_events(path: str, reply: Reply) -> None:
    wire = the_wire(path)
    asked = wire.read(path, PATHS[path])
    whole = json.loads(json.dumps(wire.whole(reply, asked), allow_nan=False))
    stream = b"".join(wire.events(reply, asked))
    assert _streamed(path, stream) == _said(path, whole)


def _said(path: str, whole: Any) -> tuple[str, list[Any], Any]:
    """Words, names of calls, and the end of a whole answer."""
    if path.endswith("completions"):
        choice = whole["choices"][0]
        calls = choice["message"].get("tool_calls", [])
        return choice["message"]["content"] or "", [_named(call) for call in calls], choice["finish_reason"]
    if path.endswith("responses"):
        words = [part["text"] for item in whole["output"] for part in item.get("content", [])]
        calls = [(item["name"], item["arguments"]) for item in whole["output"] if item["type"] == "function_call"]
        return "".join(words), calls, whole["status"]
    if path.endswith("messages"):
        blocks = whole["content"]
        words = [block["text"] for block in blocks if block["type"] == "text"]
        calls = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        return "".join(words), calls, whole["stop_reason"]
    if path.startswith("/api/"):
        message = whole.get("message") or {"content": whole["response"]}
        return message["content"], [_named(call) for call in message.get("tool_calls", [])], whole["done_reason"]
    candidate = whole["candidates"][0]
    return _parts(candidate["content"]["parts"], candidate["finishReason"])


def _named(call: Any) -> Any:
    return call["function"]["name"], call["function"]["arguments"]


def _parts(parts: Any, end: Any) -> tuple[str, list[Any], Any]:
    calls = [(part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part]
    return "".join(part.get("text", "") for part in parts), calls, end


def _streamed(path: str, stream: bytes) -> tuple[str, list[Any], Any]:
    """The same of a stream, put together as a client does."""
    if path.startswith("/api/"):
        return _lines([json.loads(line) for line in stream.splitlines()])
    blocks = [block.rpartition("data: ")[2] for block in stream.decode().split("\n\n")[:-1]]
    events = [json.loads(data) for data in blocks if data != "[DONE]"]
    if path.endswith("completions"):
        assert blocks[-1] == "[DONE]"
        return _chunks([event["choices"][0] for event in events])
    if path.endswith("responses"):
        words = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
        done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
        calls = [(event["name"], event["arguments"]) for event in done]
        return "".join(words), calls, events[-1]["type"].removeprefix("response.")
    if path.endswith("messages"):
        return _blocks(events)
    candidates = [event["candidates"][0] for event in events]
    parts = [part for candidate in candidates for part in candidate["content"]["parts"]]
    return _parts(parts, candidates[-1]["finishReason"])


def _lines(pieces: list[Any]) -> tuple[str, list[Any], Any]:
    messages = [piece.get("message") or {"content": piece["response"]} for piece in pieces]
    calls = [_named(call) for message in messages for call in message.get("tool_calls", [])]
    return "".join(message["content"] for message in messages), calls, pieces[-1]["done_reason"]


def _chunks(choices: list[Any]) -> tuple[str, list[Any], Any]:
    calls: dict[int, list[str]] = {}
    for choice in choices:
        for call in choice["delta"].get("tool_calls", []):
            name, arguments = calls.get(call["index"], ["", ""])
            function = call["function"]
            calls[call["index"]] = [name + function.get("name", ""), arguments + function["arguments"]]
    words = "".join(choice["delta"].get("content") or "" for choice in choices)
    return words, [tuple(call) for call in calls.values()], choices[-1]["finish_reason"]


def _blocks(events: list[Any]) -> tuple[str, list[Any], Any]:
    words, names, inputs = "", {}, {}
    for event in events:
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            names[event["index"]], inputs[event["index"]] = event["content_block"]["name"], ""
        if event["type"] == "content_block_delta":
            words += event["delta"].get("text", "")
            if event["delta"]["type"] == "input_json_delta":
                inputs[event["index"]] += event["delta"]["partial_json"]
    calls = [(name, json.loads(inputs[index])) for index, name in names.items()]
    return words, calls, next(event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta")


def test_every_wire_asks_the_same_question() -> None:
    """So that an answer which was recorded over one wire replays over the others."""
    asked = [the_wire(path).read(path, body) for path, body in PATHS.items()]

    def question(asked: Asked) -> Any:
        return [
            getattr(asked, name)
            for name in ("messages", "max_tokens", "temperature", "top_p", "seed", "schema", "extra")
        ]

    assert all(question(each) == question(asked[0]) for each in asked)
    assert all(_without_description(each) == _without_description(asked[0]) for each in asked[:4])


def _without_description(asked: Asked) -> Any:
    function = dict((asked.tools or ({},))[0]["function"])
    function.pop("description", None)
    return function


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -Infinity}', b"[" * 100_000]
)
def test_a_body_that_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(UnservedError, match="the body is not JSON"):
        body_of(raw)


def test_a_body_that_is_json() -> None:
    assert body_of(b'{"a": [1, 2.5, "x"]}') == {"a": [1, 2.5, "x"]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": [{"type": "reasoning", "summary": []}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": []}]}),
        ("/v1beta/models/x:generateContent", {"contents": [{"parts": []}]}),
    ],
)
def test_a_request_that_asks_nothing_is_refused(path: str, body: Any) -> None:
    with pytest.raises(UnservedError, match="there is no message to answer"):
        the_wire(path).read(path, body)


@pytest.mark.parametrize("path", PATHS)
def test_numbers_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(UnservedError):
        the_wire(path).read(
            path,
            {
                **PATHS[path],
                "temperature": 10**400,
                "options": {"temperature": 10**400},
                "generationConfig": {"temperature": 10**400},
            },
        )


def test_a_call_of_the_reply_is_not_changed() -> None:
    reply = Reply(text="", tool_calls=(CALL,))
    for path, body in PATHS.items():
        wire = the_wire(path)
        list(wire.events(reply, wire.read(path, body)))
    assert reply.tool_calls == (
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
    )
