"""Anthropic's messages: blocks become messages of the chat API, and a reply blocks again."""

from typing import Any

import pytest

from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import CONTEXT_EXCEEDED, Asked, UnservedError, wire_of
from pytest_rightsize.served.wires.anthropic_messages import AnthropicMessages
from tests.served.wires.replies import CALL, CALLS, CITY, TEXT, TOOL, events_in

WIRE = AnthropicMessages()
HI = {"role": "user", "content": "hi"}
WEATHER = {"name": "weather", "description": "The weather.", "input_schema": CITY}
USE = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
CITED = {"type": "document", "citations": {"enabled": True}, "source": {"type": "text"}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}


def read(**body: Any) -> Asked:
    return WIRE.read("/v1/messages", {"model": "claude-x", "max_tokens": 9, "messages": [HI], **body})


def test_its_path() -> None:
    assert isinstance(wire_of("/v1/messages"), AnthropicMessages)
    assert wire_of("/v1/messages/count_tokens") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"model": "claude-x", "max_tokens": 9, "messages": (HI,), "extra": {}, "stream": False}),
        ({"system": "Be brief."}, {"messages": ({"role": "system", "content": "Be brief."}, HI)}),
        (
            {
                "system": [
                    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": "b"},
                ]
            },
            {"messages": ({"role": "system", "content": "a\nb"}, HI)},
        ),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "extra": {"top_k": 5}}),
        ({"stop_sequences": ["END"]}, {"extra": {"stop": ["END"]}}),
        ({"tools": [WEATHER]}, {"tools": (TOOL,), "extra": {}}),
        ({"tools": [{**WEATHER, "type": "custom", "cache_control": {}}]}, {"tools": (TOOL,)}),
        ({"tools": [WEATHER], "tool_choice": {"type": "auto"}}, {"extra": {}}),
        ({"tools": [WEATHER], "tool_choice": {"type": "any"}}, {"extra": {"tool_choice": "required"}}),
        ({"tools": [WEATHER], "tool_choice": {"type": "none"}}, {"extra": {"tool_choice": "none"}}),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}},
            {
                "extra": {
                    "tool_choice": {"type": "function", "function": {"name": "weather"}},
                    "parallel_tool_calls": False,
                }
            },
        ),
        ({"output_config": {"format": {"type": "json_schema", "schema": CITY}}}, {"schema": CITY}),
        ({"output_format": {"type": "json_schema", "schema": CITY}}, {"schema": CITY}),
        ({"thinking": {"type": "disabled"}}, {"extra": {}}),
        ({"thinking": {"type": "adaptive"}}, {"extra": {}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"extra": {"reasoning_effort": "low"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, {"extra": {"reasoning_effort": "medium"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 20000}}, {"extra": {"reasoning_effort": "high"}}),
        ({"output_config": {"effort": "max"}}, {"extra": {"reasoning_effort": "xhigh"}}),
        (
            {"metadata": {"user_id": "u"}, "service_tier": "auto", "speed": "fast", "cache_control": {"type": "e"}},
            {"extra": {}},
        ),
    ],
    ids=str,
)
def test_a_parameter_is_carried_to_the_rung_or_changes_no_answer(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    asked = read(**given)
    assert {name: getattr(asked, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (
            [
                HI,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                        {"type": "redacted_thinking", "data": "x"},
                        {"type": "text", "text": "I look."},
                        USE,
                        {**USE, "id": "call_2"},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "call_1", "content": "sun"},
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_2",
                            "is_error": True,
                            "content": [{"type": "text", "text": "no such city"}, PNG],
                        },
                        {"type": "text", "text": "And now?"},
                    ],
                },
            ],
            [
                HI,
                {
                    "role": "assistant",
                    "content": "I look.",
                    "reasoning_content": "Hm.",
                    "tool_calls": [CALL, {**CALL, "id": "call_2"}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
                {"role": "tool", "tool_call_id": "call_2", "content": "Error: no such city"},
                {"role": "user", "content": [PNG_PART, {"type": "text", "text": "And now?"}]},
            ],
        ),
        (
            [
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1"}]},
            ],
            [
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": ""},
            ],
        ),
        # Turns of one role are one turn.
        (
            [HI, {"role": "user", "content": [{"type": "text", "text": "there"}]}],
            [{"role": "user", "content": "hi\nthere"}],
        ),
        (
            [HI, {"role": "user", "content": [PNG]}],
            [{"role": "user", "content": [{"type": "text", "text": "hi"}, PNG_PART]}],
        ),
        (
            [HI, {"role": "assistant", "content": "The answer is"}],
            [HI, {"role": "assistant", "content": "The answer is"}],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                        {
                            "type": "document",
                            "title": "a.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                        },
                        {
                            "type": "document",
                            "title": "Terms",
                            "context": "Of 2026.",
                            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                        },
                    ],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                        {
                            "type": "file",
                            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                        },
                        {"type": "text", "text": "Terms\nOf 2026.\nwords"},
                    ],
                }
            ],
        ),
    ],
)
def test_blocks_become_messages(turns: list[Any], expected: list[Any]) -> None:
    assert list(read(messages=turns).messages) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, r"tools\[0\]: a rung has no tools of the"),
        ({"tools": [{**WEATHER, "input_examples": [{}]}]}, r"tools\[0\].input_examples: the chat API has no place"),
        ({"tools": [{**WEATHER, "defer_loading": True}]}, "defer_loading: rungs see all tools"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers: a rung calls no servers"),
        ({"container": "c"}, "container: a rung has no container"),
        ({"context_management": {"edits": []}}, "context_management: rungs do not shorten"),
        ({"stop": ["x"]}, "stop: not known here"),
        ({"messages": []}, "messages: there is none"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content is missing"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "there is no role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "blocks of the type search_result"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "a rung cannot read images from file; send the data",
        ),
        ({"tool_choice": {"type": "any"}}, "tool_choice asks for a call, and there are no tools"),
        ({"tool_choice": {"type": "some"}, "tools": [WEATHER]}, "tool_choice.type must be auto, any, tool or none"),
        ({"thinking": {"type": "deep"}}, "thinking.type must be enabled, adaptive or disabled"),
        (
            {"messages": [{"role": "user", "content": [CITED]}]},
            "citations: rungs do not cite",
        ),
        ({"max_tokens": "9"}, "max_tokens must be a number, not '9'"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema is missing"),
        ({"output_config": {"format": {"type": "xml"}}}, "no output format but json_schema"),
    ],
    ids=str,
)
def test_what_is_refused_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UnservedError, match=words):
        read(**given)


def test_a_whole_answer() -> None:
    whole = WIRE.whole(TEXT, read())
    assert whole.pop("id").startswith("msg_")
    assert whole == {
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "It is sunny.", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
            "output_tokens": 5,
            "service_tier": "standard",
        },
    }


def test_calls_in_an_answer() -> None:
    whole = WIRE.whole(CALLS, read())
    assert (whole["stop_reason"], whole["content"]) == ("tool_use", [USE])


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("length", "max_tokens"), ("content_filter", "refusal"), ("malformed", "end_turn"), (None, "end_turn")],
)
def test_the_reason_to_stop(reason: str | None, expected: str) -> None:
    assert WIRE.whole(Reply(text="x", finish_reason=reason), read())["stop_reason"] == expected


@pytest.mark.parametrize("arguments", ['{"city": "Os', "[1]", '{"n": 1e999}', '"Oslo"'])
def test_arguments_that_are_no_object_are_wrapped(arguments: str) -> None:
    reply = Reply(text="", tool_calls=({"function": {"name": "weather", "arguments": arguments}},))
    [block] = WIRE.whole(reply, read())["content"]
    assert block["input"] == {"INVALID_JSON": arguments}
    assert block["id"].startswith("toolu_")


def test_thinking_is_a_block_where_it_was_asked_for() -> None:
    reply = Reply(text="sun", reasoning="Hm.")
    on, off = {"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive", "display": "omitted"}
    kinds = [[block["type"] for block in WIRE.whole(reply, read(thinking=each))["content"]] for each in (on, off, None)]
    assert kinds == [["thinking", "text"], ["text"], ["text"]]


def test_the_events_of_a_stream() -> None:
    reply = Reply(text="I look.", tool_calls=(CALL,), reasoning="Hm.", tokens=TEXT.tokens)
    asked = read(stream=True, thinking={"type": "enabled", "budget_tokens": 1024})
    events = events_in(WIRE.events(reply, asked))
    assert [(name, data.get("index")) for name, data in events] == [
        ("message_start", None),
        ("content_block_start", 0),
        ("ping", None),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert events[0][1]["message"]["content"] == []
    assert [data["delta"] for name, data in events if name == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "signature_delta", "signature": WIRE.whole(reply, asked)["content"][0]["signature"]},
        {"type": "text_delta", "text": "I look."},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'},
    ]
    ended = events[-2][1]
    assert (ended["delta"]["stop_reason"], ended["usage"]["output_tokens"]) == ("tool_use", 5)


def test_an_error() -> None:
    error = {"type": "invalid_request_error", "message": "no"}
    assert WIRE.error(400, "no") == {"type": "error", "error": error, "request_id": None}
    assert WIRE.error(400, "9 of 8", CONTEXT_EXCEEDED)["error"]["message"] == "prompt is too long: 9 of 8"
