"""litellm, over the forms of four vendors."""

import json

import litellm
import pytest
from conftest import HI, TOOL, Place

every = pytest.mark.parametrize(
    "name",
    ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "ollama_chat/qwen3"],
    ids=["openai", "anthropic", "gemini", "ollama_chat"],
)


@every
def test_ask(said, name):
    assert litellm.completion(model=name, messages=HI).choices[0].message.content == said("hi")


@every
def test_stream(said, name):
    chunks = litellm.completion(model=name, messages=HI, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == said("hi")


@every
def test_tool_call(said, name):
    message = litellm.completion(model=name, messages=HI, tools=[TOOL]).choices[0].message
    call = message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    result = {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": "sun"}
    again = litellm.completion(model=name, messages=[*HI, message, result], tools=[TOOL])
    assert again.choices[0].message.content.startswith(said("")[:-1])
    assert "sun" in again.choices[0].message.content


@every
def test_json_schema(model, name):
    message = litellm.completion(model=name, messages=HI, response_format=Place).choices[0].message
    assert Place.model_validate_json(message.content) == Place(city="Oslo")


@every
@pytest.mark.asyncio
async def test_async(said, name):
    assert (await litellm.acompletion(model=name, messages=HI)).choices[0].message.content == said("hi")


def test_responses(said):
    assert litellm.responses(model="openai/gpt-4o-mini", input="hi").output[0].content[0].text == said("hi")
