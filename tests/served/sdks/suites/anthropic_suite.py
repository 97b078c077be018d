"""anthropic, found by its variables."""

import anthropic
import pytest
from conftest import CITY, HI, PNG, Place

client = anthropic.Anthropic()
ASK = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": HI}
WEATHER = {"name": "weather", "description": "The weather.", "input_schema": CITY}


def test_ask(said):
    message = client.messages.create(**ASK, system="Be brief.")
    assert message.content[0].text == said("hi")
    assert (message.stop_reason, message.usage.input_tokens) == ("end_turn", 7)


def test_ask_image(said):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    message = client.messages.create(**{**ASK, "messages": [{"role": "user", "content": parts}]})
    assert message.content[0].text == said("image_url What is it?")


def test_ask_document(said):
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    parts = [{"type": "document", "source": source}, {"type": "text", "text": "Who signs?"}]
    message = client.messages.create(**{**ASK, "messages": [{"role": "user", "content": parts}]})
    assert message.content[0].text == said("file Who signs?")


def test_ask_thinking(said):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = {**ASK, "max_tokens": 2048, "messages": [{"role": "user", "content": "think"}]}
    first, second = client.messages.create(**asked, thinking=thinking).content
    assert (first.thinking, second.text) == ("Hm.", said("think"))


def test_ask_models(said):
    assert client.models.retrieve("claude-sonnet-4-5").id == "claude-sonnet-4-5"
    assert client.models.list().data
    assert client.messages.create(**ASK).content[0].text == said("hi")


def test_stream(said):
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == said("hi")
        assert stream.get_final_message().usage.output_tokens == 2


def test_stream_events(said):
    events = client.messages.create(**ASK, stream=True)
    assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == said("hi")


def test_tool_call(said):
    message = client.messages.create(**ASK, tools=[WEATHER])
    assert (message.stop_reason, message.content[0].input) == ("tool_use", {"city": "Oslo"})
    result = {"type": "tool_result", "tool_use_id": message.content[0].id, "content": "sun"}
    turns = [*HI, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    again = client.messages.create(**{**ASK, "messages": turns}, tools=[WEATHER])
    assert again.content[0].text == said("sun")


def test_tool_call_streamed(model):
    with client.messages.stream(**ASK, tools=[WEATHER]) as stream:
        assert stream.get_final_message().content[0].input == {"city": "Oslo"}


def test_json_schema(model):
    assert client.messages.parse(**ASK, output_format=Place).parsed_output == Place(city="Oslo")


@pytest.mark.asyncio
async def test_async(said):
    async with anthropic.AsyncAnthropic() as own:
        assert (await own.messages.create(**ASK)).content[0].text == said("hi")


@pytest.mark.asyncio
async def test_async_stream(said):
    async with anthropic.AsyncAnthropic() as own, own.messages.stream(**ASK) as stream:
        assert "".join([text async for text in stream.text_stream]) == said("hi")


def test_refused_count_tokens(model, refused):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.count_tokens(model="x", messages=HI)
    refused(caught.value)
