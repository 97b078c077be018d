"""OpenAI's Responses: items become messages of the chat API, and a reply items again."""

from typing import Any

import pytest

from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import Asked, UnservedError, wire_of
from pytest_rightsize.served.wires.responses import Responses
from tests.served.wires.replies import CALL, CALLS, CITY, TEXT, TOOL, events_in

WIRE = Responses()
FUNCTION = {"type": "function", "name": "weather", "description": "The weather.", "parameters": CITY}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'}


def read(**body: Any) -> Asked:
    return WIRE.read("/v1/responses", {"model": "gpt-x", "input": "hi", **body})


def test_its_path() -> None:
    assert isinstance(wire_of("/v1/responses"), Responses)
    assert wire_of("/v1/responses/resp_1") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"messages": ({"role": "user", "content": "hi"},)}),
        (
            {"instructions": "Be brief."},
            {"messages": ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"})},
        ),
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"stream": True}, {"stream": True}),
        ({"tools": [FUNCTION]}, {"tools": (TOOL,), "extra": {}}),
        (
            {"tools": [{**FUNCTION, "strict": True}]},
            {"tools": ({**TOOL, "function": {**TOOL["function"], "strict": True}},)},
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "weather"}},
            {"extra": {"tool_choice": {"type": "function", "function": {"name": "weather"}}}},
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]}},
            {
                "extra": {
                    "tool_choice": {
                        "type": "allowed_tools",
                        "allowed_tools": {
                            "mode": "required",
                            "tools": [{"type": "function", "function": {"name": "weather"}}],
                        },
                    }
                }
            },
        ),
        ({"tools": [FUNCTION], "parallel_tool_calls": False}, {"extra": {"parallel_tool_calls": False}}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"extra": {"reasoning_effort": "low"}}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"extra": {"verbosity": "low"}, "schema": None}),
        ({"text": {"format": {"type": "json_object"}}}, {"extra": {"response_format": {"type": "json_object"}}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "strict": True, "schema": CITY}}},
            {"schema": CITY, "extra": {}},
        ),
        (
            {
                "user": "u",
                "metadata": {},
                "store": False,
                "include": ["reasoning.encrypted_content"],
                "truncation": "disabled",
                "background": False,
                "top_logprobs": 0,
                "previous_response_id": None,
            },
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
    ("items", "expected"),
    [
        ([{"role": "developer", "content": "Be brief."}], [{"role": "system", "content": "Be brief."}]),
        (
            [
                {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "encrypted_content": "x",
                    "summary": [{"type": "summary_text", "text": "Hm."}],
                },
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
                },
                {**ITEM, "id": "fc_1", "status": "completed"},
                {**ITEM, "call_id": "call_2"},
                {
                    "type": "function_call_output",
                    "call_id": "call_1",
                    "output": [
                        {"type": "input_image", "image_url": "https://x/y.png"},
                        {"type": "input_text", "text": "sun"},
                    ],
                },
                {"type": "function_call_output", "call_id": "call_2", "output": "rain"},
                {"role": "user", "content": "And now?"},
            ],
            [
                {"role": "user", "content": "Weather?"},
                {
                    "role": "assistant",
                    "content": "I look.",
                    "reasoning_content": "Hm.",
                    "tool_calls": [CALL, {**CALL, "id": "call_2"}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
                {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
                {"role": "user", "content": "And now?"},
            ],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is it?"},
                        {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "high"},
                        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                    ],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "high"}},
                        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                        {
                            "type": "file",
                            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                        },
                    ],
                }
            ],
        ),
        (
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
            [{"role": "assistant", "content": "No."}],
        ),
    ],
)
def test_items_become_messages(items: list[Any], expected: list[Any]) -> None:
    assert list(read(input=items).messages) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id: no state is kept between requests"),
        ({"conversation": {"id": "c"}}, "conversation: no state is kept"),
        ({"background": True}, "background: no state is kept"),
        ({"prompt": {"id": "p"}}, "prompt: no state is kept"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, r"input\[0\]: no state is kept"),
        ({"tools": [{"type": "web_search"}]}, r"tools\[0\].type: a rung has no tools of the type web_search"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "no tools of the type mcp"),
        ({"tool_choice": {"type": "file_search"}, "tools": [FUNCTION]}, "no tools of the type file_search"),
        ({"truncation": "auto"}, "truncation: rungs do not shorten a conversation"),
        ({"top_logprobs": 2}, "top_logprobs: rungs do not tell probabilities"),
        ({"include": ["message.output_text.logprobs"]}, "include: rungs do not tell probabilities"),
        ({"temprature": 1}, "temprature: not known here"),
        ({"reasoning": {"depth": 3}}, "reasoning.depth: not known here"),
        ({"input": None}, "input: there is none"),
        ({"input": 5}, "input must be a list, not 5"),
        ({"input": [{"role": "user"}]}, r"input\[0\].content is missing"),
        ({"input": [{"type": "computer_call"}]}, "items of the type computer_call cannot be sent"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "file_id: a file that the vendor keeps",
        ),
        ({"text": {"format": {"schema": CITY}}}, "text.format.type is missing"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema is missing"),
    ],
    ids=str,
)
def test_what_is_refused_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UnservedError, match=words):
        read(**given)


def test_chat_and_responses_ask_the_same_question() -> None:
    """So that they have one recorded answer."""
    chat = wire_of("/chat/completions")
    assert chat is not None
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    one = chat.read(
        "/chat/completions",
        {
            "messages": messages,
            "tools": [TOOL],
            "tool_choice": "auto",
            "max_tokens": 9,
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": CITY}},
        },
    )
    other = read(
        input=messages,
        tools=[FUNCTION],
        max_output_tokens=9,
        text={"format": {"type": "json_schema", "name": "b", "schema": CITY}},
    )
    fields = ("messages", "max_tokens", "temperature", "top_p", "seed", "schema", "tools", "extra")
    assert [getattr(one, name) for name in fields] == [getattr(other, name) for name in fields]


def test_a_whole_answer() -> None:
    whole = WIRE.whole(TEXT, read(instructions="Be brief.", temperature=0.5))
    assert (whole["status"], whole["created_at"], whole["model"]) == ("completed", 0, "gpt-x")
    assert (whole["instructions"], whole["temperature"], whole["tool_choice"]) == ("Be brief.", 0.5, "auto")
    [message] = whole["output"]
    assert message["content"] == [{"type": "output_text", "text": "It is sunny.", "annotations": [], "logprobs": []}]
    assert whole["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
        ("malformed", "completed", None),
    ],
)
def test_how_it_ended(reason: str, status: str, details: Any) -> None:
    asked, reply = read(stream=True), Reply(text="x", finish_reason=reason)
    whole = WIRE.whole(reply, asked)
    assert (whole["status"], whole["incomplete_details"]) == (status, details)
    assert events_in(WIRE.events(reply, asked))[-1][0] == f"response.{status}"


def test_an_item_has_another_id_than_its_call() -> None:
    [item] = WIRE.whole(CALLS, read())["output"]
    assert item["id"].startswith("fc_")
    assert item["call_id"] == "call_1"


def test_reasoning_is_an_item_where_a_summary_was_asked_for() -> None:
    reply = Reply(text="sun", reasoning="Hm.")
    kinds = [item["type"] for item in WIRE.whole(reply, read(reasoning={"summary": "auto"}))["output"]]
    assert kinds == ["reasoning", "message"]
    assert [item["type"] for item in WIRE.whole(reply, read())["output"]] == ["message"]


def test_the_events_of_a_stream() -> None:
    reply = Reply(text="I look.", tool_calls=(CALL,), reasoning="Hm.")
    events = events_in(WIRE.events(reply, read(stream=True, reasoning={"summary": "auto"})))
    assert [name for name, _ in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(data["type"] == name for name, data in events)
    assert events[0][1]["response"]["output"] == []
    assert events[-1][1]["response"] == WIRE.whole(reply, read(reasoning={"summary": "auto"}))
    done = [data["item"] for name, data in events if name == "response.output_item.done"]
    assert done == events[-1][1]["response"]["output"]
