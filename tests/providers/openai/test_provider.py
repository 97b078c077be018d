"""The openai provider against a real HTTP server that misbehaves on demand."""

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError, RungError, TooLongError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Reply, Request, Rung
from tests.providers.openai.endpoint import Answering, completion, serve

HELLO = Request(messages=({"role": "user", "content": "hello"},))
TOO_LONG = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."


def rung(url: str, **options: Any) -> Rung:
    return Rung(name="far", provider="openai", model="m", options={"base_url": url, "retries": 2, **options})


def ask(url: str, request: Request = HELLO, **options: Any) -> Reply:
    provider = OpenAI(rung(url, **options))
    try:
        return provider.submit(request).result()
    finally:
        provider.close()


def test_an_answer_comes_with_what_the_endpoint_counted() -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    with serve(lambda _: Answering(body=completion("hi", usage=usage, reasoning_content="hm"))) as endpoint:
        reply = ask(endpoint.url)
    assert reply.text == "hi"
    assert reply.reasoning == "hm"
    assert (reply.tokens.prompt, reply.tokens.cached, reply.tokens.completion, reply.tokens.reasoning) == (7, 4, 5, 3)
    assert reply.seconds is not None
    assert reply.seconds > 0


def test_a_count_that_the_endpoint_does_not_give_is_unknown() -> None:
    with serve(lambda _: Answering(body=completion("hi", usage=None))) as endpoint:
        tokens = ask(endpoint.url).tokens
    assert (tokens.prompt, tokens.completion, tokens.source) == (None, None, "unknown")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 5}, (None, None, None)),
        ({"prompt_tokens": 7, "completion_tokens": 0}, (7, None, None)),
        (
            {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 0}},
            (7, 5, None),
        ),
        (
            {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}},
            (7, None, None),
        ),
    ],
    ids=["prompt", "completion", "reasoning", "more reasoning than answer"],
)
def test_a_zero_for_what_is_there_was_not_counted(usage: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    with serve(lambda _: Answering(body=completion("hi", usage=usage, reasoning_content="hm"))) as endpoint:
        tokens = ask(endpoint.url).tokens
    assert (tokens.prompt, tokens.completion, tokens.reasoning) == expected


def test_an_answer_of_nothing_may_well_have_no_token() -> None:
    with serve(
        lambda _: Answering(body=completion("", usage={"prompt_tokens": 7, "completion_tokens": 0}))
    ) as endpoint:
        assert ask(endpoint.url).tokens.completion == 0


def test_only_what_was_asked_for_is_sent() -> None:
    schema = {"type": "object"}
    full = Request(messages=HELLO.messages, sample=2, max_tokens=9, temperature=0.5, seed=1, schema=schema)
    with serve(lambda _: Answering(body=completion("hi"))) as endpoint:
        ask(endpoint.url)
        ask(endpoint.url, full, reasoning_effort="low", extra_body={"top_k": 3})
    assert endpoint.requests[0] == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    sent = endpoint.requests[1]
    assert (sent["max_tokens"], sent["temperature"], sent["seed"], sent["top_k"]) == (9, 0.5, 3, 3)
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert sent["reasoning_effort"] == "low"


def test_the_key_comes_from_the_environment_and_stays_out_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    refused = {"error": {"message": "Incorrect API key provided: sk-very-secret"}}
    said = Answering(status=401, body=refused)
    with serve(lambda _: said) as endpoint, pytest.raises(RungError, match="set MY_KEY to a key that it") as caught:
        ask(endpoint.url, api_key_env="MY_KEY")
    assert set(endpoint.keys) == {"Bearer sk-very-secret"}
    assert len(endpoint.keys) == 2  # the request, and a plain one that decides whether the rung is down
    assert "sk-very-secret" not in str(caught.value)
    assert caught.value.reason == "auth"
    assert caught.value.permanent


def test_a_busy_endpoint_is_asked_again_and_the_wait_is_not_the_models_time() -> None:
    answers = iter(
        [
            Answering(status=429, body={"error": {"message": "slow down"}}, headers={"Retry-After": "1"}),
            Answering(body=completion("hi")),
        ]
    )
    with serve(lambda _: next(answers)) as endpoint:
        reply = ask(endpoint.url)
    assert reply.text == "hi"
    assert len(endpoint.requests) == 2
    assert reply.seconds is not None
    assert reply.seconds < 1


@pytest.mark.parametrize(
    ("said", "reason", "asked"),
    [
        (Answering(status=503, body={"error": {"message": "no"}}, headers={"retry-after-ms": "1"}), "server", 3),
        (Answering(status=404, body={"error": {"message": "no such model"}}), "missing", 2),
        (Answering(status=400, body={"error": {"message": "bad temperature"}}), "request", 1),
        (Answering(status=503, body={"error": "no"}, headers={"x-should-retry": "false"}), "server", 1),
    ],
)
def test_what_goes_wrong_is_a_fault_with_its_reason(said: Answering, reason: str, asked: int) -> None:
    with serve(lambda _: said) as endpoint, pytest.raises(RungError, match=r"rung 'far': http://127") as caught:
        ask(endpoint.url)
    assert caught.value.reason == reason
    assert len(endpoint.requests) == asked


@pytest.mark.parametrize(
    "spoilt", [Answering(body=b"<html>welcome</html>"), Answering(body=None), Answering(body={"choices": []})]
)
def test_an_answer_that_is_none_is_asked_for_again(spoilt: Answering) -> None:
    answers = iter([spoilt, Answering(body=completion("hi"))])
    with serve(lambda _: next(answers)) as endpoint:
        assert ask(endpoint.url).text == "hi"
    assert len(endpoint.requests) == 2


def test_a_prompt_is_not_carried_to_where_a_redirect_points() -> None:
    with serve(lambda _: Answering(body=completion("hi"))) as elsewhere:
        said = Answering(status=307, body={}, headers={"Location": f"{elsewhere.url}/chat/completions"})
        with serve(lambda _: said) as endpoint, pytest.raises(RungError, match="set base_url to it") as caught:
            ask(endpoint.url)
    assert caught.value.permanent
    assert elsewhere.requests == []


def test_an_endpoint_that_is_not_there_is_a_fault_of_transport() -> None:
    with serve(lambda _: Answering(body=completion("hi"))) as endpoint:
        url = endpoint.url
    with pytest.raises(RungError, match=r"cannot be reached .*is the server running") as caught:
        ask(url, retries=0)
    assert caught.value.reason == "transport"


def test_a_connection_that_breaks_is_a_fault_of_transport() -> None:
    with serve(lambda _: Answering(body=None)) as endpoint, pytest.raises(RungError) as caught:
        ask(endpoint.url, retries=0)
    assert caught.value.reason == "transport"


def test_a_prompt_that_does_not_fit_is_too_long_and_no_fault() -> None:
    said = Answering(status=400, body={"error": {"message": TOO_LONG, "code": "context_length_exceeded"}})
    with serve(lambda _: said) as endpoint, pytest.raises(TooLongError, match="longer than the context"):
        ask(endpoint.url)


def test_an_answer_that_does_not_call_itself_json_is_still_read() -> None:
    said = Answering(body=completion("hi"), headers={"Content-Type": "text/plain"})
    with serve(lambda _: said) as endpoint:
        assert ask(endpoint.url).text == "hi"


@pytest.mark.parametrize("body", [[], 7, {"choices": ["x"]}, completion("hi", usage=[1]), completion("", content=[1])])
def test_json_that_is_no_chat_completion_is_a_bad_reply(body: Any) -> None:
    with serve(lambda _: Answering(body=body)) as endpoint, pytest.raises(RungError) as caught:
        ask(endpoint.url, retries=0)
    assert caught.value.reason == "bad_reply"


def test_tool_calls_come_as_the_endpoint_wrote_them() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    with serve(lambda _: Answering(body=completion(None, tool_calls=[{**call, "index": None}]))) as endpoint:
        assert ask(endpoint.url).tool_calls == (call,)


def test_a_refusal_is_told_apart() -> None:
    with serve(lambda _: Answering(body=completion(None, refusal="I will not"))) as endpoint:
        reply = ask(endpoint.url)
    assert (reply.text, reply.finish_reason) == ("I will not", "content_filter")


@pytest.mark.parametrize(
    ("url", "leaves"),
    [
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1/v1", False),
        ("http://[::1]:1/v1", False),
        ("http://gpu-1:8000/v1", True),
        ("http://127.0.0.1.example.com/v1", True),
    ],
)
def test_only_a_loopback_host_is_this_machine(url: str, leaves: bool) -> None:
    assert OpenAI(rung(url)).leaves_machine is leaves


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url_env": "X"}, "both base_url and base_url_env"),
        ({"retries": -1}, "retries must be 0 or more"),
        ({"base_url": "localhost:8000"}, "base_url = 'localhost:8000' is no URL"),
        ({"base_url": "http://127].0.0.1/v1"}, "is no URL"),
        ({"base_url": "http://host:99999999/v1"}, "is no URL"),
        ({"base_url": "http://"}, "is no URL"),
        ({"base_url": "http://me:secret@[host/v1"}, "base_url is no URL"),
        ({"headers": {"X-Api-Key": "sk-secret"}}, "the header X-Api-Key would hold a literal key"),
        ({"base_url": "http://me:secret@host/v1"}, "holds a name, a password or a key"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        OpenAI(rung("http://localhost/v1", **options))


def test_a_variable_that_holds_no_url_is_told_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "http://me:secret@[host/v1")
    provider = OpenAI(Rung(name="r", provider="openai", model="m", options={"base_url_env": "WHERE"}))
    problem = provider.check()
    assert problem is not None
    assert problem.what == "the variable WHERE holds no URL"
    assert provider.leaves_machine
    assert "secret" not in str(provider.identity(lambda _: ""))
    with pytest.raises(RungError, match="the variable WHERE holds no URL") as caught:
        provider.submit(HELLO).result()
    assert caught.value.permanent
    assert "secret" not in str(caught.value)


@pytest.fixture
def dying(suite: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """The suite's ladder with a rung whose server breaks off after two answers."""
    served: list[int] = []

    def script(asked: dict[str, Any]) -> Answering:
        served.append(1)
        if len(served) > 2:
            return Answering(body=None)
        return Answering(body=completion(asked["messages"][-1]["content"].upper()))

    with serve(script) as endpoint:
        with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
            file.write(
                f'\n[ladder.served]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\nretries = 0\n'
            )
        yield suite


def test_a_server_that_dies_half_way_leaves_the_task_undecided(dying: pytest.Pytester) -> None:
    result = dying.runpytest("--rightsize-ladder=served")
    result.stdout.fnmatch_lines(["upper * 2/2[?] * UNDECIDED", "*closed the connection without an answer*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "too small" not in str(result.stdout)


def test_a_wrong_key_is_said_in_a_session_and_is_no_wrong_answer(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-wrong-0123456789")
    refused = Answering(status=401, body={"error": {"message": "Incorrect API key provided: sk-wrong-0123456789"}})
    with serve(lambda _: refused) as endpoint:
        with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
            file.write(
                f'\n[ladder.served]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\n'
                'api_key_env = "TEST_KEY"\n'
            )
        result = suite.runpytest("--rightsize-ladder=tiny,served", "--rightsize-results=r")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = str(result.stdout) + (suite.path / "r").read_text(encoding="utf-8")
    assert "sk-wrong" not in text
    assert set(endpoint.keys) == {"Bearer sk-wrong-0123456789"}
    result.stdout.fnmatch_lines(["upper * UNDECIDED", "*TEST_KEY*"])


def test_a_key_that_is_not_set_is_said_before_any_test_runs(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ladder.served]\nprovider = "openai"\nmodel = "m"\napi_key_env = "TEST_KEY"\n')
    result = suite.runpytest("--rightsize-ladder=served")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = result.stdout.lines
    said = next(number for number, line in enumerate(lines) if "TEST_KEY" in line)
    assert said < next(number for number, line in enumerate(lines) if line.startswith("collected"))
