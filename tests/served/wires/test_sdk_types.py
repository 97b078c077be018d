"""Vendors' own types read what the wires send, strictly: each is skipped where its SDK is not installed.

The SDKs themselves are lenient: pydantic-ai and others validate what these let pass.
"""

import json
from typing import Any

import pytest

from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import Asked, wire_of
from tests.served.wires.replies import CALL, CALLS, CITY, TEXT, TOOL, UNKNOWN, events_in

HI = [{"role": "user", "content": "hi"}]
REPLIES = {
    "text": TEXT,
    "calls": CALLS,
    "unknown": UNKNOWN,
    "empty": Reply(text=""),
    "both": Reply(text="I look.", reasoning="Hm.", tool_calls=(CALL, {**CALL, "id": "call_2"}), tokens=TEXT.tokens),
    "cut": Reply(text="It", finish_reason="length"),
    "filtered": Reply(text="No.", finish_reason="content_filter"),
    "malformed": Reply(text="", finish_reason="malformed", tool_calls=({"function": {"name": "f", "arguments": "{"}},)),
    "odd": Reply(text="x", finish_reason="a vendor's own word"),
}
replies = pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())


def ask(path: str, **body: Any) -> Asked:
    wire = wire_of(path)
    assert wire is not None
    return wire.read(path, {"model": "m", **body})


def whole(path: str, reply: Reply, **body: Any) -> str:
    wire = wire_of(path)
    assert wire is not None
    return json.dumps(wire.whole(reply, ask(path, **body)))


def stream(path: str, reply: Reply, **body: Any) -> list[Any]:
    wire = wire_of(path)
    assert wire is not None
    return [data for _, data in events_in(wire.events(reply, ask(path, **body))) if data != "[DONE]"]


@replies
def test_chat_completions(reply: Reply) -> None:
    chat = pytest.importorskip("openai.types.chat")
    path = "/v1/chat/completions"
    body = {"messages": HI, "tools": [TOOL], "stream": True, "stream_options": {"include_usage": True}}
    completion = chat.ChatCompletion.model_validate_json(whole(path, reply, **body), strict=True)
    assert completion.usage.total_tokens == (reply.tokens.total or 0)
    for data in stream(path, reply, **body):
        chat.ChatCompletionChunk.model_validate_json(json.dumps(data), strict=True)


@replies
def test_responses(reply: Reply) -> None:
    pytest.importorskip("openai", minversion="2")  # earlier types knew no summary of reasoning
    responses = pytest.importorskip("openai.types.responses")
    pydantic = pytest.importorskip("pydantic")
    path = "/v1/responses"
    body = {
        "input": "hi",
        "instructions": "Be brief.",
        "temperature": 0.5,
        "reasoning": {"summary": "auto"},
        "tools": [{"type": "function", "name": "weather", "parameters": CITY, "strict": False}],
        "text": {"format": {"type": "json_schema", "name": "place", "schema": CITY}},
    }
    response = responses.Response.model_validate_json(whole(path, reply, **body), strict=True)
    assert response.output_text == reply.text
    adapter = pydantic.TypeAdapter(responses.ResponseStreamEvent)
    events = [adapter.validate_json(json.dumps(data), strict=True) for data in stream(path, reply, **body)]
    assert events[-1].response == response


@replies
def test_anthropic_messages(reply: Reply) -> None:
    types = pytest.importorskip("anthropic.types")
    pydantic = pytest.importorskip("pydantic")
    path = "/v1/messages"
    body = {"messages": HI, "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = types.Message.model_validate_json(whole(path, reply, **body), strict=True)
    assert "".join(block.text for block in message.content if block.type == "text") == reply.text
    adapter = pydantic.TypeAdapter(types.RawMessageStreamEvent)
    events = [data for data in stream(path, reply, **body) if data["type"] != "ping"]
    assert [adapter.validate_json(json.dumps(data), strict=True).type for data in events][-1] == "message_stop"


@replies
def test_ollama(reply: Reply) -> None:
    ollama = pytest.importorskip("ollama")
    for path, body, kind in (
        ("/api/chat", {"messages": HI}, ollama.ChatResponse),
        ("/api/generate", {"prompt": "hi"}, ollama.GenerateResponse),
    ):
        answer = kind.model_validate_json(whole(path, reply, **body), strict=True)
        assert answer.done
        wire = wire_of(path)
        assert wire is not None
        lines = b"".join(wire.events(reply, ask(path, **body))).splitlines()
        *pieces, last = [kind.model_validate_json(line, strict=True).done for line in lines]
        assert (any(pieces), last) == (False, True)


@replies
def test_gemini(reply: Reply) -> None:
    types = pytest.importorskip("google.genai.types")
    path = "/v1beta/models/x:generateContent"
    contents = [{"role": "user", "parts": [{"text": "hi"}]}]
    body = {"contents": contents, "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    answer = types.GenerateContentResponse.model_validate_json(whole(path, reply, **body))
    assert (answer.text or "") == reply.text
    for data in stream("/v1beta/models/x:streamGenerateContent", reply, contents=contents):
        types.GenerateContentResponse.model_validate(data)
