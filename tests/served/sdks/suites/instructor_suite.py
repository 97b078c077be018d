"""instructor, over openai's client."""

import instructor
import openai
import pytest
from conftest import HI, Place

ASK = {"model": "gpt-4o-mini", "messages": HI, "response_model": Place}


def test_tool_call(model):
    client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.TOOLS)
    assert client.chat.completions.create(**ASK).city == "Oslo"


def test_json_schema(model):
    client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    assert client.chat.completions.create(**ASK).city == "Oslo"


@pytest.mark.asyncio
async def test_async(model):
    async with openai.AsyncOpenAI() as own:
        client = instructor.from_openai(own, mode=instructor.Mode.TOOLS)
        assert (await client.chat.completions.create(**ASK)).city == "Oslo"
