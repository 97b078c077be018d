"""Reasoning counted by the tokenizer of an endpoint, against a real HTTP server with either dialect or neither."""

import threading
import time
from typing import Any

import pytest

from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.openai.tokenizing import tokenizer_url
from pytest_rightsize.providers.reasoning import reasoning_in
from pytest_rightsize.records import Reply, Request, Rung
from tests.providers.openai.endpoint import Answering, Endpoint, Script, completion, serve

HELLO = Request(messages=({"role": "user", "content": "hello"},))
THOUGHT = "one two three"
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}


def ask(endpoint: Endpoint, times: int = 1, **options: Any) -> list[Reply]:
    given = {"base_url": endpoint.url, "retries": 0, **options}
    provider = OpenAI(Rung(name="far", provider="openai", model="m", options=given))
    try:
        return [provider.submit(HELLO).result(timeout=30) for _ in range(times)]
    finally:
        provider.close()


def thinking(_: Any) -> Answering:
    return Answering(body=completion(f"<think>{THOUGHT}</think>hi", usage=USAGE))


def apart(_: Any) -> Answering:
    return Answering(body=completion("hi", usage=USAGE, reasoning_content=THOUGHT))


def llama_server(asked: dict[str, Any]) -> Answering:
    """As llama-server does: `content` to tokens; whatever else it is given is an empty text."""
    return Answering(body={"tokens": list(range(len(asked.get("content", "").split())))})


def vllm(asked: dict[str, Any]) -> Answering:
    """As vLLM does: `prompt` to count and tokens, anything else is a 400 or a 422."""
    if "prompt" not in asked or asked.get("model") != "m":
        return Answering(status=422, body={"error": {"message": "Field required"}})
    count = len(asked["prompt"].split())
    return Answering(body={"count": count, "max_model_len": 4096, "tokens": list(range(count))})


@pytest.mark.parametrize("script", [thinking, apart], ids=["within the text", "apart"])
@pytest.mark.parametrize("tokenize", [llama_server, vllm])
def test_reasoning_is_counted_with_the_endpoints_own_tokenizer(script: Script, tokenize: Script) -> None:
    with serve(script, aside={"/tokenize": tokenize}) as endpoint:
        tokens = [reply.tokens for reply in ask(endpoint, 3)]
    assert {(one.reasoning, one.reasoning_source, one.completion, one.source) for one in tokens} == {
        (3, "counted", 9, "reported")
    }
    # Found once, then each answer is counted once.
    asked = endpoint.paths.count("/tokenize")
    assert asked == 3 + (1 if tokenize is llama_server else 2)
    texts = [one.get("content", one.get("prompt")) for one in endpoint.requests if "messages" not in one]
    assert texts == ["a"] * (asked - 3) + [THOUGHT] * 3


def missing(_: Any) -> Answering:
    return Answering(status=404, body={"error": "not found"})


def welcoming(_: Any) -> Answering:
    return Answering(body=b"<html>welcome</html>")


def greeting(_: Any) -> Answering:
    return Answering(body={"tokens": "plenty"})


def adding(asked: dict[str, Any]) -> Answering:
    """It puts the beginning of a text into each, whatever it is asked."""
    return Answering(body={"tokens": [1, *asked.get("content", asked.get("prompt", "")).split()]})


def silent(_: Any) -> Answering:
    return Answering(body=None)


def elsewhere(_: Any) -> Answering:
    return Answering(status=307, body={}, headers={"Location": "http://192.0.2.1/tokenize"})


@pytest.mark.parametrize("tokenize", [missing, welcoming, greeting, adding, silent, elsewhere])
def test_where_there_is_no_tokenizer_reasoning_is_unknown_and_it_is_looked_for_once(tokenize: Script) -> None:
    with serve(thinking, aside={"/tokenize": tokenize}) as endpoint:
        tokens = [reply.tokens for reply in ask(endpoint, 3)]
    assert {(one.reasoning, one.reasoning_source, one.completion) for one in tokens} == {(None, "unknown", 9)}
    assert endpoint.paths.count("/tokenize") == 2
    assert all(one.get("content", one.get("prompt")) in ("a", None) for one in endpoint.requests)


def test_what_the_endpoint_reports_is_taken_and_nothing_is_asked() -> None:
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 4}}
    said = Answering(body=completion(f"<think>{THOUGHT}</think>hi", usage=usage))
    with serve(lambda _: said, aside={"/tokenize": llama_server}) as endpoint:
        (reply,) = ask(endpoint)
    assert (reply.tokens.reasoning, reply.tokens.reasoning_source) == (4, None)
    assert endpoint.paths == ["/v1/chat/completions"]


def test_an_answer_without_reasoning_has_nothing_counted() -> None:
    with serve(lambda _: Answering(body=completion("hi")), aside={"/tokenize": llama_server}) as endpoint:
        (reply,) = ask(endpoint)
    assert (reply.tokens.reasoning, reply.tokens.reasoning_source) == (None, "unknown")
    assert endpoint.paths == ["/v1/chat/completions"]


def test_more_reasoning_than_answer_is_no_count() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    said = Answering(body=completion(f"<think>{THOUGHT}</think>hi", usage=usage))
    with serve(lambda _: said, aside={"/tokenize": llama_server}) as endpoint:
        (reply,) = ask(endpoint)
    assert reply.tokens.reasoning is None


def test_reasoning_is_counted_where_the_endpoint_counts_nothing() -> None:
    said = Answering(body=completion(f"<think>{THOUGHT}</think>hi", usage=None))
    with serve(lambda _: said, aside={"/tokenize": llama_server}) as endpoint:
        (reply,) = ask(endpoint)
    tokens = reply.tokens
    assert (tokens.reasoning, tokens.reasoning_source, tokens.completion, tokens.source) == (
        3,
        "counted",
        None,
        "unknown",
    )


def test_counting_is_no_time_of_the_answer_and_keeps_nobody_else_waiting() -> None:
    """Each count takes 0.2 s; eight answers are in flight one at a time, and their counts overlap."""

    def slow(asked: dict[str, Any]) -> Answering:
        time.sleep(0.2)
        return llama_server(asked)

    with serve(thinking, aside={"/tokenize": slow}) as endpoint:
        given = {"base_url": endpoint.url}
        provider = OpenAI(Rung(name="far", provider="openai", model="m", max_in_flight=1, options=given))
        provider.submit(HELLO).result(timeout=30)
        started = time.monotonic()
        replies = [future.result(timeout=30) for future in [provider.submit(HELLO) for _ in range(8)]]
        taken = time.monotonic() - started
        provider.close()
    assert taken < 8 * 0.2
    for reply in replies:
        assert reply.seconds is not None
        assert reply.seconds < 0.2 <= reply.after_s


def test_closing_loses_no_answer_that_was_being_counted() -> None:
    asked = threading.Event()
    go_on = threading.Event()

    def stuck(_: Any) -> Answering:
        asked.set()
        go_on.wait(30)
        return Answering(body=None)

    with serve(thinking, aside={"/tokenize": stuck}) as endpoint:
        provider = OpenAI(Rung(name="far", provider="openai", model="m", options={"base_url": endpoint.url}))
        future = provider.submit(HELLO)
        assert asked.wait(30)
        provider.close()
        reply = future.result(timeout=30)
        go_on.set()
    assert (reply.text, reply.tokens.reasoning) == (f"<think>{THOUGHT}</think>hi", None)


def test_the_key_goes_with_it_as_to_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    with serve(thinking, aside={"/tokenize": llama_server}) as endpoint:
        ask(endpoint, api_key_env="MY_KEY")
    assert set(endpoint.keys) == {"Bearer sk-1"}


def test_the_vendors_own_endpoint_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with serve(thinking, aside={"/tokenize": llama_server}) as endpoint:
        monkeypatch.setattr("pytest_rightsize.providers.openai.provider._VENDOR", endpoint.url)
        provider = OpenAI(Rung(name="far", provider="openai", model="m"))
        reply = provider.submit(HELLO).result(timeout=30)
        provider.close()
    assert reply.tokens.reasoning is None
    assert endpoint.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://localhost:8080/v1", "http://localhost:8080/tokenize"),
        ("http://localhost:8080/v1/", "http://localhost:8080/tokenize"),
        ("http://localhost:8080", "http://localhost:8080/tokenize"),
        # Another prefix of a gateway may be anybody's.
        ("https://gate.example/team/v1?api-version=2", "https://gate.example/team/tokenize?api-version=2"),
    ],
)
def test_the_tokenizer_is_beside_the_endpoint_and_nowhere_else(base_url: str, expected: str) -> None:
    assert tokenizer_url(base_url) == expected


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<think>hm</think>yes", "hm"),
        ("hm</think>yes", "hm"),
        ("well <think>hm</think>yes", "hm"),
        ("<think>cut off", "cut off"),
        ("yes", ""),
        ("<think></think>yes", ""),
    ],
)
def test_what_is_reasoning_in_a_text(text: str, reasoning: str) -> None:
    assert reasoning_in(text) == reasoning


def test_a_recorded_answer_keeps_whose_count_its_reasoning_is() -> None:
    from pytest_rightsize.recorded.keys import plain_reply

    with serve(thinking, aside={"/tokenize": llama_server}) as endpoint:
        (reply,) = ask(endpoint)
    plain = plain_reply(reply)
    assert plain["tokens"]["reasoning_source"] == "counted"
    assert "after_s" not in plain
