"""OpenAI's chat completions: what is asked, what is refused, and the answers, whole and streamed."""

from typing import Any

import pytest

from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import CONTEXT_EXCEEDED, Asked, UnservedError, wire_of
from pytest_rightsize.served.wires.chat_completions import ChatCompletions
from tests.served.wires.replies import CALL, CALLS, CITY, TEXT, TOOL, UNKNOWN, events_in

PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
WIRE = ChatCompletions()


def read(**body: Any) -> Asked:
    return WIRE.read(PATH, {"model": "gpt-x", "messages": HI, **body})


@pytest.mark.parametrize(
    "path", [PATH, "/t/token/v1/chat/completions", "/openai/deployments/gpt-4o/chat/completions", "/chat/completions"]
)
def test_its_paths(path: str) -> None:
    wire = wire_of(path)
    assert isinstance(wire, ChatCompletions)


def test_azure_names_the_model_in_the_path() -> None:
    asked = WIRE.read("/openai/deployments/gpt-4o/chat/completions", {"messages": HI})
    assert asked.model == "gpt-4o"


def test_a_plain_question() -> None:
    assert read() == Asked(messages=(HI[0],), model="gpt-x", body={"model": "gpt-x", "messages": HI})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"seed": 7}, {"seed": 7}),
        ({"stream": True}, {"stream": True}),
        ({"tools": [TOOL]}, {"tools": (TOOL,)}),
        ({"tools": []}, {"tools": None}),
        ({"stop": "END"}, {"extra": {"stop": ["END"]}}),
        ({"stop": ["a", "b"]}, {"extra": {"stop": ["a", "b"]}}),
        ({"logit_bias": {"50256": -100}}, {"extra": {"logit_bias": {"50256": -100}}}),
        ({"frequency_penalty": 0.5}, {"extra": {"frequency_penalty": 0.5}}),
        ({"reasoning_effort": "low"}, {"extra": {"reasoning_effort": "low"}}),
        ({"verbosity": "low"}, {"extra": {"verbosity": "low"}}),
        ({"guided_choice": ["a", "b"]}, {"extra": {"guided_choice": ["a", "b"]}}),
        ({"response_format": {"type": "text"}}, {"extra": {}, "schema": None}),
        ({"response_format": {"type": "json_object"}}, {"extra": {"response_format": {"type": "json_object"}}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": CITY}}},
            {"schema": CITY, "extra": {}},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "description": "A place.", "schema": CITY},
                }
            },
            {"schema": {**CITY, "description": "A place."}},
        ),
        # What a client writes beside its tools by default is no other question.
        ({"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True}, {"extra": {}}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"extra": {}}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"extra": {"tool_choice": "required"}}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"extra": {"tool_choice": "none"}}),
        ({"tools": [TOOL], "parallel_tool_calls": False}, {"extra": {"parallel_tool_calls": False}}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
            {"extra": {"tool_choice": {"type": "function", "function": {"name": "weather"}}}},
        ),
        # They change no answer, or ask for what is given anyway.
        (
            {
                "user": "u",
                "metadata": {"a": "b"},
                "store": True,
                "service_tier": "flex",
                "n": 1,
                "prompt_cache_key": "k",
                "safety_identifier": "s",
                "stream_options": {"include_usage": True},
                "logprobs": False,
                "modalities": ["text"],
                "temperature": None,
                "logit_bias": None,
            },
            {"extra": {}, "temperature": None},
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
    ("given", "words"),
    [
        ({"n": 2}, "n: each answer is a question of its own"),
        ({"logprobs": True}, "logprobs: rungs do not tell probabilities"),
        ({"top_logprobs": 3}, "top_logprobs: rungs do not tell probabilities"),
        ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio: rungs do not speak"),
        ({"modalities": ["text", "audio"]}, "modalities: rungs answer with text alone"),
        ({"web_search_options": {"user_location": {}}}, "web_search_options: a rung has no web search"),
        ({"schema": CITY}, "schema: no parameter of chat completions; a JSON schema goes into response_format"),
        ({"functions": [{"name": "f"}]}, "functions: the form before 2024; use tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, r"tools\[0\].type: a rung has no tools of the type"),
        ({"tool_choice": "required"}, "tool_choice asks for a call, and there are no tools"),
        # A body that the vendor would refuse too.
        ({"messages": []}, "messages: there is none"),
        ({"messages": None}, "messages: there is none"),
        ({"messages": "hi"}, "messages must be a list, not 'hi'"),
        ({"messages": ["hi"]}, r"messages\[0\] must be an object, not 'hi'"),
        ({"messages": [{"content": "hi"}]}, r"messages\[0\].role is missing"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, r"messages\[0\].role: there is no role 'robot'"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content is missing"),
        ({"messages": [{"role": "user", "content": 5}]}, r"messages\[0\].content must be a list, not 5"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, r"content\[0\].type is missing"),
        ({"messages": [{"role": "tool", "content": "sun"}]}, "tool_call_id is missing"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}]},
            r"tool_calls\[0\].function.arguments is missing",
        ),
        ({"temperature": "hot"}, "temperature must be a number, not 'hot'"),
        ({"temperature": True}, "temperature must be a number, not True"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number, not 1.5"),
        ({"stream": "yes"}, "stream must be true or false, not 'yes'"),
        ({"tools": {"a": 1}}, "tools must be a list, not an object"),
        ({"response_format": {"schema": CITY}}, "response_format.type is missing"),
        ({"response_format": "json"}, "response_format must be an object, not 'json'"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema is missing"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "json_schema.schema is missing"),
        ({"tool_choice": "always", "tools": [TOOL]}, "tool_choice must be auto, none, required or a tool"),
        ({"stop": [5]}, "stop must be a list of texts, not 5"),
        ({"stop": ["a", None]}, "stop must be a list of texts, not null"),
    ],
    ids=str,
)
def test_what_is_refused_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UnservedError, match=words) as caught:
        read(**given)
    assert caught.value.status == 400


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"role": "developer", "content": "Be brief."}, {"role": "system", "content": "Be brief."}),
        ({"role": "user", "content": "hi", "name": "ann"}, {"role": "user", "content": "hi", "name": "ann"}),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "a\nb"},
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE, AUDIO]},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE, AUDIO]},
        ),
        # An answer as the openai SDK hands it back.
        (
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "annotations": [],
                "audio": None,
                "function_call": None,
                "reasoning_content": "Hm.",
                "tool_calls": [{**CALL, "index": 0}],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "Hm."},
        ),
        (
            {"role": "assistant", "content": "x", "reasoning": "Hm."},
            {"role": "assistant", "content": "x", "reasoning_content": "Hm."},
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL], "function_call": CALL["function"]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "assistant", "content": "No."},
        ),
        (
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sun"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        ),
    ],
)
def test_a_message_for_the_rung(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(messages=[given]).messages == (expected,)


def test_a_whole_answer() -> None:
    asked = read()
    whole = WIRE.whole(TEXT, asked)
    assert whole.pop("id").startswith("chatcmpl-")
    assert whole == {
        "object": "chat.completion",
        "created": 0,
        "model": "gpt-x",
        "service_tier": "default",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is sunny.", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 5,
            "total_tokens": 16,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 2,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_calls_in_an_answer() -> None:
    choice = WIRE.whole(CALLS, read())["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert (choice["message"]["content"], choice["message"]["tool_calls"]) == (None, [CALL])


def test_unknown_counts_are_0_on_the_wire_alone() -> None:
    assert WIRE.whole(UNKNOWN, read())["usage"]["total_tokens"] == 0
    assert UNKNOWN.tokens.total is None


@pytest.mark.parametrize(
    ("reason", "calls", "expected"),
    [
        *[(None, (), "stop"), ("stop", (), "stop"), ("length", (), "length"), ("malformed", (), "stop")],
        *[
            ("content_filter", (), "content_filter"),
            ("a vendor's own word", (), "stop"),
            ("stop", (CALL,), "tool_calls"),
        ],
        ("length", (CALL,), "length"),
    ],
)
def test_the_reason_to_stop_is_one_that_clients_know(reason: str | None, calls: Any, expected: str) -> None:
    reply = Reply(text="x", finish_reason=reason, tool_calls=calls)
    assert WIRE.whole(reply, read())["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize("arguments", ['{"city": "Os', "", "Oslo", None, {"city": "Oslo"}, 5])
def test_arguments_that_are_no_json_reach_the_application_as_the_model_wrote_them(arguments: Any) -> None:
    reply = Reply(text="", tool_calls=({"function": {"name": "weather", "arguments": arguments}},))
    sent = WIRE.whole(reply, read())["choices"][0]["message"]["tool_calls"][0]
    expected = {None: "", 5: "5"}.get(arguments, arguments) if not isinstance(arguments, dict) else '{"city": "Oslo"}'
    assert sent["function"] == {"name": "weather", "arguments": expected}
    assert sent["id"].startswith("call_")


def test_ids_are_those_of_question_and_answer() -> None:
    asked, other = read(), read(messages=[{"role": "user", "content": "bye"}])
    assert WIRE.whole(TEXT, asked)["id"] == WIRE.whole(TEXT, read(user="u"))["id"]
    assert len({WIRE.whole(reply, a)["id"] for reply in (TEXT, CALLS) for a in (asked, other)}) == 4


def test_a_stream_of_words() -> None:
    names, chunks = zip(*events_in(WIRE.events(TEXT, read(stream=True))), strict=True)
    assert set(names) == {None}
    assert chunks[-1] == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks[:-1]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "It is sunny."},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, "stop"]
    assert {chunk["id"] for chunk in chunks[:-1]} == {WIRE.whole(TEXT, read())["id"]}
    assert not any("usage" in chunk for chunk in chunks[:-1])


def test_a_stream_of_calls() -> None:
    deltas = [event["choices"][0]["delta"] for _, event in events_in(WIRE.events(CALLS, read(stream=True)))[:-1]]
    assert deltas == [
        {"role": "assistant", "content": None, "refusal": None},
        {"tool_calls": [{"index": 0, **CALL, "function": {"name": "weather", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Oslo"}'}}]},
        {},
    ]


def test_a_stream_counts_tokens_if_it_is_asked_to() -> None:
    asked = read(stream=True, stream_options={"include_usage": True})
    *before, last, done = [event for _, event in events_in(WIRE.events(TEXT, asked))]
    assert all(chunk["usage"] is None for chunk in before)
    assert (last["choices"], last["usage"]["total_tokens"], done) == ([], 16, "[DONE]")


def test_an_error() -> None:
    assert WIRE.error(400, "no") == {
        "error": {"message": "no", "type": "invalid_request_error", "param": None, "code": "rightsize"}
    }
    too_long = WIRE.error(400, "too long", CONTEXT_EXCEEDED)["error"]
    assert (too_long["code"], too_long["param"]) == ("context_length_exceeded", "messages")
