"""openai, as `model.client` and `model.async_client` hand it in."""

import json

import pytest
from conftest import HI, TOOL, Place

CHAT = {"model": "gpt-4o-mini", "messages": HI}


def test_ask(model, said):
    assert model.client.chat.completions.create(**CHAT).choices[0].message.content == said("hi")


def test_ask_with_raw_response(model, said):
    raw = model.client.chat.completions.with_raw_response.create(**CHAT)
    assert raw.parse().choices[0].message.content == said("hi")


def test_stream(model, said):
    chunks = model.client.chat.completions.create(**CHAT, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == said("hi")


def test_tool_call(model, said):
    message = model.client.chat.completions.create(**CHAT, tools=[TOOL]).choices[0].message
    call = message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    messages = [*HI, message, {"role": "tool", "tool_call_id": call.id, "content": "sun"}]
    again = model.client.chat.completions.create(model="x", messages=messages, tools=[TOOL])
    assert again.choices[0].message.content == said("sun")


def test_json_schema(model):
    completion = model.client.chat.completions.parse(**CHAT, response_format=Place)
    assert completion.choices[0].message.parsed == Place(city="Oslo")


@pytest.mark.asyncio
async def test_async(model, said):
    completion = await model.async_client.chat.completions.create(**CHAT)
    assert completion.choices[0].message.content == said("hi")


def test_responses(model, said):
    assert model.client.responses.create(model="x", input="hi").output_text == said("hi")


def test_responses_stream(model, said):
    events = model.client.responses.create(model="x", input="hi", stream=True)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == said("hi")
