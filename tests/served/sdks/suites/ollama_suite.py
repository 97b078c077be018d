"""ollama, found by OLLAMA_HOST."""

import base64

import ollama
import pytest
from conftest import HI, PNG, TOOL, Place


def test_ask(said):
    assert ollama.Client().chat(model="qwen3", messages=HI).message.content == said("hi")


def test_ask_by_the_module(said):
    assert ollama.chat(model="qwen3", messages=HI).message.content == said("hi")


def test_ask_generate(said):
    answer = ollama.Client().generate(model="qwen3", prompt="hi", options={"temperature": 0})
    assert (answer.response, answer.eval_count) == (said("hi"), 2)


def test_ask_image(said):
    message = {"role": "user", "content": "What is it?", "images": [base64.b64decode(PNG)]}
    assert ollama.Client().chat(model="qwen3", messages=[message]).message.content == said("What is it? image_url")


def test_ask_thinking(said):
    message = ollama.Client().chat(model="qwen3", messages=[{"role": "user", "content": "think"}], think=True).message
    assert (message.content, message.thinking) == (said("think"), "Hm.")


def test_ask_list(said):
    client = ollama.Client()
    assert client.list().models
    assert client.chat(model="qwen3", messages=HI).message.content == said("hi")


def test_stream(said):
    pieces = list(ollama.Client().chat(model="qwen3", messages=HI, stream=True))
    assert "".join(piece.message.content for piece in pieces) == said("hi")
    assert (pieces[-1].done, pieces[-1].prompt_eval_count) == (True, 7)


def test_tool_call(said):
    message = ollama.Client().chat(model="qwen3", messages=HI, tools=[TOOL]).message
    assert message.tool_calls[0].function.arguments == {"city": "Oslo"}
    turns = [*HI, message, {"role": "tool", "tool_name": "weather", "content": "sun"}]
    assert ollama.Client().chat(model="qwen3", messages=turns, tools=[TOOL]).message.content == said("sun")


def test_json_schema(model):
    message = ollama.Client().chat(model="qwen3", messages=HI, format=Place.model_json_schema()).message
    assert Place.model_validate_json(message.content) == Place(city="Oslo")


@pytest.mark.asyncio
async def test_async(said):
    assert (await ollama.AsyncClient().chat(model="qwen3", messages=HI)).message.content == said("hi")


def test_refused_embed(model, refused):
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.Client().embed(model="x", input="x")
    refused(caught.value)
