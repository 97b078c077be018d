"""langchain-openai, found by openai's variables."""

import pytest
from conftest import TOOL, Place
from langchain_openai import AzureChatOpenAI, ChatOpenAI

chat = ChatOpenAI(model="gpt-4o-mini")


def test_ask(said):
    assert chat.invoke("hi").content == said("hi")


def test_ask_azure(said):
    assert AzureChatOpenAI(azure_deployment="x", api_version="2024-10-21").invoke("hi").content == said("hi")


def test_ask_batch(said):
    assert [message.content for message in chat.batch(["a", "b", "c"])] == [said("a"), said("b"), said("c")]


def test_stream(said):
    assert "".join(piece.content for piece in chat.stream("hi")) == said("hi")


def test_tool_call(model):
    assert chat.bind_tools([TOOL]).invoke("hi").tool_calls[0]["args"] == {"city": "Oslo"}


def test_json_schema(model):
    assert chat.with_structured_output(Place).invoke("hi") == Place(city="Oslo")


def test_json_schema_by_a_tool(model):
    assert chat.with_structured_output(Place, method="function_calling").invoke("hi") == Place(city="Oslo")


@pytest.mark.asyncio
async def test_async(said):
    assert (await ChatOpenAI(model="gpt-4o-mini").ainvoke("hi")).content == said("hi")


def test_responses(said):
    assert ChatOpenAI(model="gpt-4o-mini", use_responses_api=True).invoke("hi").text == said("hi")


def test_responses_stream(said):
    pieces = ChatOpenAI(model="gpt-4o-mini", use_responses_api=True).stream("hi")
    assert "".join(piece.text for piece in pieces) == said("hi")
