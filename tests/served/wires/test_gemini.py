"""Google's generateContent: parts become messages of the chat API, and a reply parts again."""

from typing import Any

import pytest

from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import CONTEXT_EXCEEDED, Asked, UnservedError, wire_of
from pytest_rightsize.served.wires.gemini import Gemini
from tests.served.wires.replies import CALL, CALLS, CITY, TEXT, TOOL, events_in

WIRE = Gemini()
PATH = "/v1beta/models/gemini-x:generateContent"
STREAM = "/v1beta/models/gemini-x:streamGenerateContent"
HI = {"role": "user", "parts": [{"text": "hi"}]}
OPEN_API = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
WEATHER = {"functionDeclarations": [{"name": "weather", "description": "The weather.", "parameters": OPEN_API}]}


def read(path: str = PATH, **body: Any) -> Asked:
    return WIRE.read(path, {"contents": [HI], **body})


def config(**values: Any) -> dict[str, Any]:
    return {"generationConfig": values}


@pytest.mark.parametrize(
    "path", [PATH, STREAM, "/v1/projects/p/locations/l/publishers/google/models/gemini-x:generateContent"]
)
def test_its_paths(path: str) -> None:
    wire = wire_of(path)
    assert isinstance(wire, Gemini)
    assert wire.read(path, {"contents": [HI]}).model == "gemini-x"


def test_other_verbs_are_not_served() -> None:
    assert wire_of("/v1beta/models/gemini-x:countTokens") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"messages": ({"role": "user", "content": "hi"},), "stream": False, "extra": {}}),
        (
            {"systemInstruction": {"parts": [{"text": "Be "}, {"text": "brief."}]}},
            {"messages": ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"})},
        ),
        (
            config(maxOutputTokens=9, temperature=0.5, topP=0.9, topK=5.0, seed=7, stopSequences=["END"]),
            {
                "max_tokens": 9,
                "temperature": 0.5,
                "top_p": 0.9,
                "seed": 7,
                "extra": {"top_k": 5, "stop": ["END"]},
            },
        ),
        (
            {"generation_config": {"max_output_tokens": 9, "presence_penalty": 0.5}},
            {"max_tokens": 9, "extra": {"presence_penalty": 0.5}},
        ),
        (config(responseMimeType="text/plain", candidateCount=1, responseModalities=["TEXT"]), {"extra": {}}),
        (config(responseMimeType="application/json"), {"extra": {"response_format": {"type": "json_object"}}}),
        (config(responseMimeType="application/json", responseSchema=OPEN_API), {"schema": CITY, "extra": {}}),
        (config(responseMimeType="application/json", responseJsonSchema=CITY), {"schema": CITY, "extra": {}}),
        ({"tools": [WEATHER]}, {"tools": (TOOL,), "extra": {}}),
        (
            {
                "tools": [
                    {
                        "function_declarations": [
                            {"name": "weather", "description": "The weather.", "parameters_json_schema": CITY}
                        ]
                    }
                ]
            },
            {"tools": (TOOL,)},
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "now"}]}]},
            {
                "tools": (
                    {
                        "type": "function",
                        "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
                    },
                )
            },
        ),
        (
            {"tools": [WEATHER], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            {"extra": {"tool_choice": "required"}},
        ),
        (
            {
                "tools": [WEATHER],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
            },
            {"extra": {"tool_choice": {"type": "function", "function": {"name": "weather"}}}},
        ),
        ({"tools": [WEATHER], "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}, {"extra": {}}),
        (config(thinkingConfig={"thinkingBudget": 0}), {"extra": {"reasoning_effort": "none"}}),
        (config(thinkingConfig={"thinkingBudget": -1, "includeThoughts": True}), {"extra": {}}),
        (config(thinkingConfig={"thinkingBudget": 8192}), {"extra": {"reasoning_effort": "medium"}}),
        (config(thinkingConfig={"thinkingLevel": "LOW"}), {"extra": {"reasoning_effort": "low"}}),
        ({"safetySettings": [{"category": "x"}], "labels": {"a": "b"}}, {"extra": {}}),
    ],
    ids=str,
)
def test_a_parameter_is_carried_to_the_rung_or_changes_no_answer(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    asked = read(**given)
    assert {name: getattr(asked, name) for name in expected} == expected


def test_what_a_function_gives_is_told_in_its_description() -> None:
    function = {"name": "now", "response": {"type": "STRING"}}
    [tool] = read(tools=[{"functionDeclarations": [function]}]).tools or ()
    assert tool["function"]["description"] == 'Returns: {"type": "string"}'


def test_the_verb_says_whether_it_is_a_stream() -> None:
    assert read(STREAM).stream


def test_googles_schemas_become_json_schemas() -> None:
    schema = {
        "type": "OBJECT",
        "propertyOrdering": ["type", "sizes"],
        "properties": {
            "type": {"type": "STRING", "enum": ["A"], "nullable": True},
            "sizes": {"type": "ARRAY", "minItems": "1", "items": {"anyOf": [{"type": "INTEGER"}, {"type": "NULL"}]}},
        },
    }
    assert read(**config(responseMimeType="application/json", responseSchema=schema)).schema == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["A", None]},
            "sizes": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        },
    }


def test_a_conversation_with_functions() -> None:
    asked = read(
        contents=[
            HI,
            {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "I "},
                    {"text": "look."},
                    {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "x"},
                    {"functionCall": {"id": "own", "name": "weather", "args": {"city": "Oslo"}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "own", "name": "weather", "response": {"result": "rain"}}},
                    {"function_response": {"name": "weather", "response": {"my_key": "sun"}}},
                    {"text": "And now?"},
                ],
            },
        ]
    )
    assert list(asked.messages) == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Hm.",
            "tool_calls": [CALL, {**CALL, "id": "own"}],
        },
        {"role": "tool", "tool_call_id": "own", "content": '{"result": "rain"}'},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"my_key": "sun"}'},
        {"role": "user", "content": "And now?"},
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "a-_b"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,a+/b"}},
        ),
        (
            {"inline_data": {"mime_type": "audio/wav", "data": "UklG"}},
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE", "displayName": "a.pdf"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        ),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ),
    ],
)
def test_data_becomes_a_part_of_the_chat_api(part: dict[str, Any], expected: dict[str, Any]) -> None:
    asked = read(contents=[{"role": "user", "parts": [{"text": "What is it?"}, part]}])
    assert asked.messages[0]["content"] == [{"type": "text", "text": "What is it?"}, expected]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tools": [{"googleSearch": {}}]}, r"tools\[0\]: a rung has no tool googleSearch"),
        ({"cachedContent": "c"}, "cachedContent: no state is kept"),
        (config(candidateCount=2), "candidateCount: each answer is a question of its own"),
        (config(responseLogprobs=True), "responseLogprobs: rungs do not tell probabilities"),
        (config(responseModalities=["AUDIO"]), "responseModalities: rungs answer with text alone"),
        (config(responseMimeType="text/x.enum"), "responseMimeType: a rung has no answers of the type text/x.enum"),
        (
            config(temprature=1),
            "generationConfig.temprature: not known here, and would be lost .*; leave it out, or name it in ",
        ),
        ({"contents": []}, "contents: there is none"),
        ({"contents": [{"role": "robot", "parts": []}]}, "there is no role 'robot'"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "parts with executableCode cannot be sent"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "gs://b/x.png"}}]}]}, "a rung cannot read this file"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": "x"}}]}]}, "type video/mp4 cannot"),
        ({"contents": [{"parts": [{"text": "a", "inlineData": {}}]}]}, r"parts\[0\].inlineData: not known here"),
        (
            {"contents": [{"parts": [{"text": "a", "mediaResolution": {"level": "x"}}]}]},
            r"parts\[0\].mediaResolution: not known here",
        ),
        ({"contents": [{"parts": [{"text": 5}]}]}, r"parts\[0\].text must be a text, not 5"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "mode must be AUTO, ANY, NONE or VALIDATED"),
    ],
    ids=str,
)
def test_what_is_refused_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UnservedError, match=words):
        read(**given)


def test_a_whole_answer() -> None:
    whole = WIRE.whole(TEXT, read())
    assert len(whole.pop("responseId")) == 24
    assert whole == {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "It is sunny."}]}, "index": 0, "finishReason": "STOP"}
        ],
        "usageMetadata": {
            "promptTokenCount": 11,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 16,
        },
        "modelVersion": "gemini-x",
    }


def test_calls_in_an_answer() -> None:
    [candidate] = WIRE.whole(CALLS, read())["candidates"]
    call = {"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Oslo"}}}
    assert (candidate["content"]["parts"], candidate["finishReason"]) == ([call], "STOP")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(text="x", finish_reason="length"), "MAX_TOKENS"),
        (Reply(text="x", finish_reason="content_filter"), "SAFETY"),
        (Reply(text="x", finish_reason="malformed"), "MALFORMED_FUNCTION_CALL"),
        (
            Reply(text="", tool_calls=({"function": {"name": "weather", "arguments": "{"}},)),
            "MALFORMED_FUNCTION_CALL",
        ),
    ],
)
def test_the_reason_to_stop(reply: Reply, reason: str) -> None:
    assert WIRE.whole(reply, read())["candidates"][0]["finishReason"] == reason


def test_a_stream_has_a_piece_for_each_part() -> None:
    reply = Reply(text="I look.", reasoning="Hm.", tool_calls=(CALL,))
    asked = read(STREAM, generationConfig={"thinkingConfig": {"includeThoughts": True}})
    pieces = [data["candidates"][0] for _, data in events_in(WIRE.events(reply, asked))]
    assert [piece["content"]["parts"] for piece in pieces] == [
        [{"text": "Hm.", "thought": True}],
        [{"text": "I look."}],
        [{"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Oslo"}}}],
    ]
    assert [piece.get("finishReason") for piece in pieces] == [None, None, "STOP"]


def test_an_error() -> None:
    assert WIRE.error(400, "no") == {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
    assert "exceeds the maximum number of tokens" in WIRE.error(400, "no", CONTEXT_EXCEEDED)["error"]["message"]
