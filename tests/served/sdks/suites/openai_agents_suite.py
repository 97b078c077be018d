"""openai-agents, over Responses and chat completions."""

import pytest
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from conftest import Place
from openai import AsyncOpenAI

set_tracing_disabled(True)  # traces go to the vendor, which is not served
AGENT = {"name": "a", "instructions": "Be brief.", "model": "gpt-4o-mini"}


@function_tool
def weather(city: str) -> str:
    """The weather."""
    return f"sun in {city}"


def test_ask(said):
    chat = OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=AsyncOpenAI())
    assert Runner.run_sync(Agent(**{**AGENT, "model": chat}), "hi").final_output == said("hi")


def test_responses(said):
    assert Runner.run_sync(Agent(**AGENT), "hi").final_output == said("hi")


def test_responses_tool_call(said):
    assert Runner.run_sync(Agent(**AGENT, tools=[weather]), "hi").final_output == said("sun in Oslo")


def test_responses_json_schema(model):
    assert Runner.run_sync(Agent(**AGENT, output_type=Place), "hi").final_output == Place(city="Oslo")


@pytest.mark.asyncio
async def test_responses_async(said):
    assert (await Runner.run(Agent(**AGENT), "hi")).final_output == said("hi")


@pytest.mark.asyncio
async def test_responses_stream(said):
    streamed = Runner.run_streamed(Agent(**AGENT), "hi")
    async for _ in streamed.stream_events():
        pass
    assert streamed.final_output == said("hi")
