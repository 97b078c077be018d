"""pydantic-ai, over chat completions and Responses."""

import pytest
from conftest import Place
from pydantic_ai import Agent, NativeOutput

CHAT, RESPONSES = "openai-chat:gpt-4o-mini", "openai-responses:gpt-4o-mini"


def with_weather(name):
    agent = Agent(name)

    @agent.tool_plain
    def weather(city: str) -> str:
        return f"sun in {city}"

    return agent


def test_ask(said):
    assert Agent(CHAT).run_sync("hi").output == said("hi")


@pytest.mark.asyncio
async def test_stream(said):
    async with Agent(CHAT).run_stream("hi") as result:
        assert await result.get_output() == said("hi")


def test_tool_call(said):
    assert with_weather(CHAT).run_sync("hi").output == said("sun in Oslo")


def test_json_schema(model):
    assert Agent(CHAT, output_type=NativeOutput(Place)).run_sync("hi").output == Place(city="Oslo")


def test_json_schema_by_a_tool(model):
    assert Agent(CHAT, output_type=Place).run_sync("hi").output == Place(city="Oslo")


@pytest.mark.asyncio
async def test_async(said):
    assert (await Agent(CHAT).run("hi")).output == said("hi")


def test_responses(said):
    assert Agent(RESPONSES).run_sync("hi").output == said("hi")


def test_responses_tool_call(said):
    assert with_weather(RESPONSES).run_sync("hi").output == said("sun in Oslo")


@pytest.mark.asyncio
async def test_responses_stream(said):
    async with Agent(RESPONSES).run_stream("hi") as result:
        assert await result.get_output() == said("hi")
