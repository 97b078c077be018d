"""google-genai, found by GOOGLE_GEMINI_BASE_URL."""

import base64

import pytest
from conftest import PNG, Place
from google import genai
from google.genai import types

client = genai.Client()
ASK = {"model": "gemini-2.5-flash", "contents": "hi"}
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


def weather(city: str) -> str:
    """The weather."""
    return f"sun in {city}"


def test_ask(said):
    answer = client.models.generate_content(**ASK, config={"system_instruction": "Be brief.", "temperature": 0})
    assert (answer.text, answer.usage_metadata.prompt_token_count) == (said("hi"), 7)


def test_ask_image(said):
    image = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    answer = client.models.generate_content(model="gemini-2.5-flash", contents=["What is it?", image])
    assert answer.text == said("What is it? image_url")


def test_ask_audio(said):
    sound = types.Part.from_bytes(data=b"RIFF", mime_type="audio/wav")
    answer = client.models.generate_content(model="gemini-2.5-flash", contents=["What is said?", sound])
    assert answer.text == said("What is said? input_audio")


def test_ask_thinking(said):
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    )
    answer = client.models.generate_content(model="gemini-2.5-flash", contents="think", config=config)
    parts = answer.candidates[0].content.parts
    assert [(part.text, bool(part.thought)) for part in parts] == [("Hm.", True), (said("think"), False)]


def test_ask_chat(said):
    chat = client.chats.create(model="gemini-2.5-flash")
    assert chat.send_message("hi").text == said("hi")
    assert chat.send_message("again").text == said("again")


def test_ask_models(said):
    assert client.models.get(model="gemini-2.5-flash").name == "models/gemini-2.5-flash"
    assert [model.name for model in client.models.list()]
    assert client.models.generate_content(**ASK).text == said("hi")


def test_stream(said):
    assert "".join(piece.text for piece in client.models.generate_content_stream(**ASK)) == said("hi")


def test_tool_call(model):
    config = types.GenerateContentConfig(tools=[weather], automatic_function_calling=BY_HAND)
    assert client.models.generate_content(**ASK, config=config).function_calls[0].args == {"city": "Oslo"}


def test_tool_call_automatic(said):
    answer = client.models.generate_content(**ASK, config=types.GenerateContentConfig(tools=[weather]))
    assert answer.text == said('{"result": "sun in Oslo"}')


def test_json_schema(model):
    config = {"response_mime_type": "application/json", "response_schema": Place}
    assert client.models.generate_content(**ASK, config=config).parsed == Place(city="Oslo")


@pytest.mark.asyncio
async def test_async(said):
    own = genai.Client()
    assert (await own.aio.models.generate_content(**ASK)).text == said("hi")
    await own.aio.aclose()


def test_refused_embed(model, refused):
    with pytest.raises(genai.errors.ClientError) as caught:
        client.models.embed_content(model="x", contents="x")
    refused(caught.value)
