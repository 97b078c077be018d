"""Answers of vendors, whole and streamed, read back: what the wires write, and what vendors send."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.answers import reading
from pytest_rightsize.served.answers.reading import BrokenAnswerError, read_answer
from pytest_rightsize.served.wires import WIRES, Asked, wire_of

JSON, EVENTS, LINES = "application/json", "text/event-stream; charset=utf-8", "application/x-ndjson"
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
OLLAMA, GENERATE = "/api/chat", "/api/generate"
GEMINI, GEMINI_STREAM = "/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent"


def call(name: str = "get_weather", arguments: str = '{"city": "Oslo"}', ident: str = "call_1") -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def body(value: Json) -> bytes:
    return json.dumps(value).encode()


def events(*data: Json) -> bytes:
    return b"".join(b"event: x\ndata: " + body(each) + b"\n\n" for each in data)


def lines(*data: Json) -> bytes:
    return b"".join(body(each) + b"\n" for each in data)


# --- what the wires write ---------------------------------------------------------------------------------------------

_NAMES = st.text("abc_", min_size=1, max_size=8)
_CALLS = st.builds(
    lambda name, city: call(name, json.dumps({"city": city})), _NAMES, st.text(st.characters(codec="utf-8"), max_size=9)
)
_REPLIES = st.builds(
    Reply,
    text=st.text(st.characters(codec="utf-8"), max_size=30),
    tool_calls=st.lists(_CALLS, max_size=2).map(tuple),
    finish_reason=st.sampled_from(["stop", "length"]),
)


def _same(read: Reply, given_reply: Reply) -> None:
    assert read.text == given_reply.text
    functions = [each["function"] for each in read.tool_calls]
    assert [each["name"] for each in functions] == [each["function"]["name"] for each in given_reply.tool_calls]
    assert [json.loads(each["arguments"]) for each in functions] == [
        json.loads(each["function"]["arguments"]) for each in given_reply.tool_calls
    ]


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, OLLAMA, GENERATE, GEMINI, GEMINI_STREAM])
@settings(max_examples=40)
@given(reply=_REPLIES)
def test_what_a_wire_writes_is_read_back(path: str, reply: Reply) -> None:
    wire = wire_of(path)
    assert wire is not None
    messages = ({"role": "user", "content": "q"},)
    asked = Asked(messages=messages, model="m", body={} if path == GENERATE else {"messages": messages})
    if path == GENERATE:  # which knows no tools
        reply = replace(reply, tool_calls=())
    _same(read_answer(path, JSON, body(wire.whole(reply, asked))), reply)
    stream = b"".join(wire.events(reply, asked))
    _same(read_answer(path, wire.content_type, stream), reply)


def test_each_wire_has_a_reader() -> None:
    assert set(reading._READERS) == {type(wire) for wire in WIRES}


# --- what the vendors send --------------------------------------------------------------------------------------------


def chunk(delta: Json, end: str | None = None, **more: Json) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": end}], **more}


def part(index: int, arguments: str, **more: Json) -> Json:
    return chunk({"tool_calls": [{"index": index, **more, "function": {"arguments": arguments}}]})


_CHAT_STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "It is "}),
    chunk({"content": "warm"}),
    {"choices": [], "usage": {}},
    chunk({}, "stop"),
]
_CHAT_CALLS = [
    chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
    part(0, '{"x"'),
    chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}}]}),
    part(0, ": 1}"),
    part(1, "{}"),
    chunk({}, "tool_calls"),
]
_NAME_IN_EACH = [
    {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": text}}]} for text in ("{", "}")
]
_TEXT_BLOCK = [
    {"type": "message_start", "message": {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "It is "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "warm"}},
    {"type": "content_block_stop", "index": 1},
]
_TOOL_BLOCKS = [
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "a", "name": "f"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"x"'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "b", "name": "g"}},
]
_STOP = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
_RESPONSE = {
    "status": "completed",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "It is warm"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x": 1}'},
    ],
}
_OLLAMA_CALL = {"function": {"name": "f", "arguments": {"x": 1}}}
_CANDIDATE = {"content": {"parts": [{"text": "hm", "thought": True}, {"text": "It is "}]}}
_LAST = {"content": {"parts": [{"text": "warm"}, {"functionCall": {"name": "f", "args": {"x": 1}}}]}}
F = call("f", '{"x": 1}', "a")
G = call("g", "{}", "b")
TEXT_AND_CALL = Reply(text="It is warm", reasoning="hm", tool_calls=(F,), finish_reason="tool_calls")
# Without ids, as two vendors send them.
NUMBERED = replace(TEXT_AND_CALL, tool_calls=(call("f", '{"x": 1}', "call_0"),))


@pytest.mark.parametrize(
    ("path", "kind", "answer", "reply"),
    [
        (CHAT, EVENTS, events(*_CHAT_STREAM) + b"data: [DONE]\n\n", Reply(text="It is warm", finish_reason="stop")),
        (CHAT, EVENTS, events(*_CHAT_CALLS), Reply(text="", tool_calls=(F, G), finish_reason="tool_calls")),
        # llama-cpp-python repeats id and name in each piece
        (
            CHAT,
            EVENTS,
            events(*map(chunk, _NAME_IN_EACH), chunk({}, "tool_calls")),
            Reply(text="", tool_calls=(call("f", "{}", "a"),), finish_reason="tool_calls"),
        ),
        (
            CHAT,
            JSON,
            body({"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}),
            Reply(text="no", finish_reason="stop"),
        ),
        (
            CHAT,
            JSON,
            body({"choices": [{"message": {"content": "a", "reasoning_content": "hm"}, "finish_reason": "length"}]}),
            Reply(text="a", reasoning="hm", finish_reason="length"),
        ),
        (
            RESPONSES,
            JSON,
            body(_RESPONSE),
            TEXT_AND_CALL,
        ),
        (
            RESPONSES,
            EVENTS,
            events({"type": "response.created"}, {"type": "response.completed", "response": _RESPONSE}),
            TEXT_AND_CALL,
        ),
        (
            RESPONSES,
            JSON,
            body({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}),
            Reply(text="", finish_reason="length"),
        ),
        (
            MESSAGES,
            EVENTS,
            events(*_TEXT_BLOCK, *_STOP),
            Reply(text="It is warm", reasoning="hm", finish_reason="stop"),
        ),
        (
            MESSAGES,
            EVENTS,
            events(*_TEXT_BLOCK, *_TOOL_BLOCKS, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
            Reply(text="It is warm", reasoning="hm", tool_calls=(F, G), finish_reason="tool_calls"),
        ),
        (
            MESSAGES,
            JSON,
            body(
                {
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                    ],
                    "stop_reason": "max_tokens",
                }
            ),
            Reply(text="a", tool_calls=(F,), finish_reason="length"),
        ),
        (
            OLLAMA,
            LINES,
            lines(
                {"message": {"content": "It is ", "thinking": "hm"}, "done": False},
                {"message": {"content": "warm", "tool_calls": [_OLLAMA_CALL]}, "done": False},
                {"message": {"content": ""}, "done": True, "done_reason": "stop"},
            ),
            NUMBERED,
        ),
        (
            GENERATE,
            JSON,
            body({"response": "a", "done": True, "done_reason": "length"}),
            Reply(text="a", finish_reason="length"),
        ),
        (
            GEMINI_STREAM,
            EVENTS,
            events({"candidates": [_CANDIDATE]}, {"candidates": [{**_LAST, "finishReason": "STOP"}]}),
            NUMBERED,
        ),
        # without alt=sse a stream is a list
        (
            GEMINI_STREAM,
            JSON,
            body([{"candidates": [_CANDIDATE]}, {"candidates": [{"finishReason": "MAX_TOKENS"}]}]),
            Reply(text="It is ", reasoning="hm", finish_reason="length"),
        ),
        (
            GEMINI,
            JSON,
            body({"promptFeedback": {"blockReason": "SAFETY"}}),
            Reply(text="", finish_reason="content_filter"),
        ),
    ],
)
def test_an_answer(path: str, kind: str, answer: bytes, reply: Reply) -> None:
    assert read_answer(path, kind, answer) == reply


def test_a_stream_may_end_its_lines_as_it_likes() -> None:
    stream = events(*_CHAT_STREAM).replace(b"\n", b"\r\n") + b": a comment\r\n\r\n"
    assert read_answer(CHAT, EVENTS, stream).text == "It is warm"


def test_a_separator_of_unicode_ends_no_line() -> None:
    stream = b'data: {"choices": [{"delta": {"content": "a\xe2\x80\xa8b"}, "finish_reason": "stop"}]}\n\n'
    assert read_answer(CHAT, EVENTS, stream).text == "a\u2028b"


@pytest.mark.parametrize(
    ("path", "kind", "answer", "problem"),
    [
        (CHAT, EVENTS, events(*_CHAT_STREAM[:-1]), "broke off before its end"),
        (CHAT, EVENTS, events(*_CHAT_STREAM, {"error": {"message": "x"}}), "broke off with an error"),
        (CHAT, EVENTS, b"data: {\n\n", "has an event that is not JSON"),
        (CHAT, JSON, body({"choices": []}), "has no choice"),
        (CHAT, JSON, b"<html>", "is not JSON in UTF-8"),
        (CHAT, JSON, b"\xff", "is not JSON in UTF-8"),
        (CHAT, JSON, body([1]), "has not the form of its kind"),
        (RESPONSES, JSON, body({"status": "failed"}), "has the status 'failed'"),
        (RESPONSES, EVENTS, events({"type": "response.created"}), "broke off before its end"),
        (RESPONSES, EVENTS, events({"type": "response.failed"}), "broke off with an error"),
        (RESPONSES, JSON, body({**_RESPONSE, "output": [{"type": "web_search_call"}]}), "of the type web_search_call"),
        (MESSAGES, EVENTS, events(*_TEXT_BLOCK), "broke off before its end"),
        (MESSAGES, EVENTS, events(*_TEXT_BLOCK, {"type": "error"}), "broke off with an error"),
        (MESSAGES, JSON, body({"content": [{"type": "server_tool_use"}]}), "of the type server_tool_use"),
        (OLLAMA, LINES, lines({"message": {"content": "a"}, "done": False}), "broke off before its end"),
        (OLLAMA, LINES, lines({"error": "x"}), "broke off with an error"),
        (GEMINI, JSON, body({"candidates": [_CANDIDATE]}), "broke off before its end"),
        (GEMINI, JSON, body({"candidates": [{"content": {"parts": [{"inlineData": {}}]}}]}), "a part with inlineData"),
        (GEMINI, JSON, body({"error": {"code": 500}}), "broke off with an error"),
        ("/v1/embeddings", JSON, body({}), "is of no form that is known"),
    ],
)
def test_what_is_no_whole_answer_says_why(path: str, kind: str, answer: bytes, problem: str) -> None:
    with pytest.raises(BrokenAnswerError, match=problem):
        read_answer(path, kind, answer)


_ANY = st.recursive(
    st.sampled_from([None, True, 1, "x", "stop", "completed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "message",
                        "delta",
                        "content",
                        "text",
                        "type",
                        "output",
                        "status",
                        "candidates",
                        "parts",
                    ),
                    *("finish_reason", "finishReason", "done", "tool_calls", "function", "arguments", "index"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(path=st.sampled_from([CHAT, RESPONSES, MESSAGES, OLLAMA, GEMINI]), pieces=st.lists(_ANY, max_size=3))
def test_whatever_a_server_sends_is_an_answer_or_none(path: str, pieces: list[Any]) -> None:
    for kind, sent in ((JSON, body(pieces[0] if pieces else None)), (EVENTS, events(*pieces)), (LINES, lines(*pieces))):
        try:
            reply = read_answer(path, kind, sent)
        except BrokenAnswerError:
            continue
        assert isinstance(reply.text, str)
