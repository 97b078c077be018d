"""The transcription route of an endpoint: what is sent, what comes back, and what is refused before it is sent."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.content_parts import audio_part
from pytest_rightsize.errors import RightsizeError, RungError
from pytest_rightsize.providers.openai.transcriptions import Transcriptions, form_of
from pytest_rightsize.records import Reply, Request, Rung
from tests.providers.openai.endpoint import Answering, _asked, serve

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \r\n--\x00\xff"


def heard(*texts: str) -> Request:
    content = [*({"type": "text", "text": text} for text in texts), audio_part(WAV)]
    return Request(messages=({"role": "user", "content": content},))


def ask(url: str, request: Request, **options: Any) -> Reply:
    rung = Rung(
        name="ears", provider="transcription", model="whisper-1", options={"base_url": url, "retries": 1, **options}
    )
    provider = Transcriptions(rung)
    try:
        return provider.submit(request).result()
    finally:
        provider.close()


def test_the_sound_goes_out_as_a_file_and_the_words_come_back() -> None:
    with serve(lambda _: Answering(body={"text": " Open the window. "})) as endpoint:
        reply = ask(
            endpoint.url,
            heard("A command for a house."),
            language="en",
            extra_body={"timestamp_granularities[]": ["word"]},
        )
    assert reply.text == "Open the window."
    assert (reply.tokens.prompt, reply.tokens.completion, reply.finish_reason) == (None, None, "stop")
    assert endpoint.paths == ["/v1/audio/transcriptions"]
    assert endpoint.requests == [
        {
            "model": "whisper-1",
            "response_format": "json",
            "language": "en",
            "prompt": "A command for a house.",
            "timestamp_granularities[]": "word",
            "file": ("sound.wav", WAV),
        }
    ]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}, (14, 5)),
        ({"type": "duration", "seconds": 3}, (None, None)),
        ({"type": "tokens", "input_tokens": -1, "output_tokens": 5}, (None, None)),
        ("none", (None, None)),
    ],
)
def test_tokens_are_counted_where_the_endpoint_counts_them(usage: Any, expected: tuple[int | None, int | None]) -> None:
    with serve(lambda _: Answering(body={"text": "yes", "usage": usage})) as endpoint:
        tokens = ask(endpoint.url, heard()).tokens
    assert (tokens.prompt, tokens.completion) == expected


def test_a_fault_is_tried_again_and_is_no_answer() -> None:
    said = iter([Answering(status=500, body={"error": {"message": "oops"}}), Answering(body={"text": "yes"})])
    with serve(lambda _: next(said)) as endpoint:
        reply = ask(endpoint.url, heard())
    assert (reply.text, reply.retries) == ("yes", 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [({"words": []}, "bad_reply"), ({"error": {"message": "Invalid file format.", "code": 400}}, "request")],
)
def test_what_is_no_transcription_is_a_fault(body: Any, reason: str) -> None:
    with serve(lambda _: Answering(body=body)) as endpoint, pytest.raises(RightsizeError) as told:
        ask(endpoint.url, heard())
    assert isinstance(told.value, RungError)
    assert told.value.reason == reason


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            Request(messages=({"role": "user", "content": "hello"},)),
            "takes one sound in a message, and this one has text",
        ),
        (Request(messages=heard().messages, schema={"type": "object"}), "takes neither a schema nor tools"),
    ],
)
def test_what_is_no_sound_is_refused_before_it_is_sent(request_: Request, words: str) -> None:
    with serve(lambda _: Answering(body={"text": "yes"})) as endpoint, pytest.raises(RungError, match=words) as told:
        ask(endpoint.url, request_)
    assert (told.value.reason, endpoint.requests) == ("request", [])


def test_a_rung_is_tried_with_silence_where_its_requests_fail() -> None:
    sent: list[Any] = []

    def script(asked: dict[str, Any]) -> Answering:
        sent.append(asked["file"][1])
        return Answering(status=404, body={"error": {"message": "The model `whisper-1` does not exist"}})

    with serve(script) as endpoint, pytest.raises(RungError) as told:
        ask(endpoint.url, heard())
    assert told.value.permanent
    assert sent[0] == WAV
    assert set(sent[1][44:]) == {0}


def test_its_answers_are_no_answers_of_the_chat_route() -> None:
    contents = [
        Transcriptions(
            Rung(
                name="a", provider="transcription", model="m", options={"base_url": "http://127.0.0.1:1/v1", **options}
            )
        )
        .identity(str)
        .content
        for options in ({}, {"language": "en"})
    ]
    assert [content["route"] for content in contents] == ["audio/transcriptions"] * 2
    assert contents[0] != contents[1]


@given(
    st.dictionaries(st.text("abc_[]", min_size=1), st.text().filter(lambda text: "\r" not in text), max_size=3),
    st.binary(),
)
def test_a_form_holds_any_text_and_any_file(fields: dict[str, str], data: bytes) -> None:
    body = form_of({**fields, "file": ["sound.wav", base64.b64encode(data).decode()]}, "0" * 32)
    assert _asked(body, f"multipart/form-data; boundary={'0' * 32}")["file"] == ("sound.wav", data)
