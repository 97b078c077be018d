"""openai, found by its variables, as an application has it."""

import asyncio
import json

import openai
import pytest
from conftest import CITY, HI, PNG, TOOL, Place

client = openai.OpenAI()  # once, at import, before any test runs
CHAT = {"model": "gpt-4o-mini", "messages": HI}
FUNCTION = {"type": "function", "name": "weather", "parameters": CITY, "strict": True}


def words(completion):
    return completion.choices[0].message.content


def test_ask(said):
    completion = client.chat.completions.create(**CHAT)
    assert words(completion) == said("hi")
    assert completion.usage.total_tokens == 9


def test_ask_with_raw_response(said):
    assert words(client.chat.completions.with_raw_response.create(**CHAT).parse()) == said("hi")


def test_ask_with_streaming_response(said):
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        assert said("hi") in response.read().decode()


def test_ask_azure(said):
    azure = openai.AzureOpenAI(api_version="2024-10-21")
    assert words(azure.chat.completions.create(**CHAT)) == said("hi")


def test_ask_image(said):
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    asked = client.chat.completions.create(model="x", messages=[{"role": "user", "content": parts}])
    assert words(asked) == said("What is it? image_url")


def test_ask_audio(said):
    parts = [
        {"type": "text", "text": "What is said?"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    asked = client.chat.completions.create(model="x", messages=[{"role": "user", "content": parts}])
    assert words(asked) == said("What is said? input_audio")


def test_ask_reasoning(said):
    message = (
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "think"}]).choices[0].message
    )
    assert (message.content, message.reasoning_content) == (said("think"), "Hm.")


def test_ask_models(model):
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    assert client.models.list().data
    assert words(client.chat.completions.create(**CHAT))


def test_stream(said):
    chunks = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == said("hi")
    assert chunks[-1].usage.total_tokens == 9


def test_stream_helper(model):
    with client.chat.completions.stream(**CHAT, tools=[openai.pydantic_function_tool(Place)]) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.parsed_arguments == Place(city="Oslo")


def test_tool_call(said):
    message = client.chat.completions.create(**CHAT, tools=[TOOL]).choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sun"}
    assert words(client.chat.completions.create(model="x", messages=[*HI, message, result], tools=[TOOL])) == said(
        "sun"
    )


def test_json_schema(model):
    completion = client.chat.completions.parse(**CHAT, response_format=Place)
    assert completion.choices[0].message.parsed == Place(city="Oslo")


async def _ask(text):
    async with openai.AsyncOpenAI() as own:
        return words(await own.chat.completions.create(model="x", messages=[{"role": "user", "content": text}]))


@pytest.mark.asyncio
async def test_async(said):
    assert await _ask("hi") == said("hi")


@pytest.mark.asyncio
async def test_async_gather(said):
    assert await asyncio.gather(*map(_ask, "abc")) == [said("a"), said("b"), said("c")]


@pytest.mark.asyncio
async def test_async_task_group(said):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask(text)) for text in "ab"]
    assert [task.result() for task in tasks] == [said("a"), said("b")]


@pytest.mark.asyncio
async def test_async_stream(said):
    async with openai.AsyncOpenAI() as own:
        stream = await own.chat.completions.create(**CHAT, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == said("hi")


def test_responses(said):
    assert client.responses.create(model="x", input="hi", instructions="Be brief.").output_text == said("hi")


def test_responses_image(said):
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    parts = [{"type": "input_text", "text": "What is it?"}, image]
    asked = client.responses.create(model="x", input=[{"role": "user", "content": parts}])
    assert asked.output_text == said("What is it? image_url")


def test_responses_stream(said):
    events = client.responses.create(model="x", input="hi", stream=True)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == said("hi")


def test_responses_stream_helper(model):
    with client.responses.stream(model="x", input="hi", text_format=Place) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_parsed == Place(city="Oslo")


def test_responses_tool_call(said):
    first = client.responses.create(model="x", input="hi", tools=[FUNCTION])
    call = first.output[0]
    assert json.loads(call.arguments) == {"city": "Oslo"}
    items = [*HI, *first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}]
    assert client.responses.create(model="x", input=items, tools=[FUNCTION]).output_text == said("sun")


def test_responses_json_schema(model):
    assert client.responses.parse(model="x", input="hi", text_format=Place).output_parsed == Place(city="Oslo")


@pytest.mark.asyncio
async def test_responses_async(said):
    async with openai.AsyncOpenAI() as own:
        assert (await own.responses.create(model="x", input="hi")).output_text == said("hi")


def test_refused_two_answers(model, refused):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**CHAT, n=2)
    refused(caught.value)


def test_refused_embeddings(model, refused):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="x", input="x")
    refused(caught.value)
