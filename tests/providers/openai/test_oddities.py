"""What endpoints do on the wire, each as publicly reported, played to the provider, and what a trial makes of it."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_rightsize.errors import NoAnswerError, RungError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Price, Reply, Request, Rung
from tests.providers.openai.endpoint import Answering, Endpoint, completion, serve

ANSWER = Answering(body=completion("billing"))
PRICE = Price(prompt=1.0, completion=10.0, cached=0.1)
SCHEMA = {"type": "object", "properties": {"queue": {"type": "string"}}, "required": ["queue"]}
STRICT = {**SCHEMA, "additionalProperties": False}


def fails(status: int, message: str = "no", **more: Any) -> Answering:
    headers = more.pop("headers", {})
    return Answering(status=status, body={"error": {"message": message, **more}}, headers=headers)


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """One behaviour: its answers in order (the last one again and again), and what comes of one request.

    `outcome` is the text of the answer, or the reason of its error; `asked` is how often the endpoint was asked.
    """

    reference: str
    answers: list[Answering]
    outcome: str
    asked: int = 1
    is_models_fault: bool = False
    words: str = ""
    reply: dict[str, Any] = field(default_factory=dict)


def refused(reference: str, answer: Answering, outcome: str, words: str = "") -> Oddity:
    """The model's or the prompt's own doing: asked once."""
    return Oddity(reference=reference, answers=[answer], outcome=outcome, is_models_fault=True, words=words)


def once(reference: str, answer: Answering, **more: Any) -> Oddity:
    """An answer follows."""
    return Oddity(reference=reference, answers=[answer, ANSWER], outcome="billing", asked=2, **more)


def fault(reference: str, answer: Answering, outcome: str, asked: int = 3, words: str = "") -> Oddity:
    """A fault that stays, with two retries."""
    return Oddity(reference=reference, answers=[answer], outcome=outcome, asked=asked, words=words)


def whole(message: dict[str, Any], **choice: Any) -> Answering:
    body = completion("x")
    body["choices"] = [{"index": 0, "finish_reason": "stop", "message": message, **choice}]
    return Answering(body=body)


ODDITIES = {
    # A reply that says it was cut off is no wrong answer.
    "finish error": once(
        "maximhq/bifrost#5425", whole({"content": "bil"}, finish_reason="error", error={"code": 502, "message": "lost"})
    ),
    "no resources": once(
        "api-docs.deepseek.com", whole({"content": "bil"}, finish_reason="insufficient_system_resource")
    ),
    "aborted": fault("sgl-project/sglang#2956", whole({"content": "bil"}, finish_reason={"type": "abort"}), "server"),
    "error in 200": fault(
        "nodetool-ai/nodetool#5755",
        Answering(body={"error": {"message": "upstream is gone", "code": 502}}),
        "server",
        words="upstream is gone",
    ),
    "too long in 200": refused(
        "openrouter.ai/docs/errors",
        Answering(body={"error": {"message": "maximum context length is 4096 tokens", "code": 400}}),
        "too_long",
    ),
    "error in a stream": fault(
        "litellm proxy",
        Answering(body=b'data: {"error": {"message": "boom", "code": 500}}\n\ndata: [DONE]\n\n'),
        "server",
        words="boom",
    ),
    "a stream": fault(
        "by the code",
        Answering(body=b'data: {"choices": []}\n\ndata: [DONE]\n\n'),
        "bad_reply",
        words="stream of events",
    ),
    "a page": fault(
        "captive portals", Answering(body=b"<html><title>Sign in</title></html>"), "bad_reply", words="Sign in"
    ),
    # One prompt's own.
    "azure filter": refused(
        "tatsu-lab/alpaca_eval#227", fails(400, "filtered", code="content_filter"), "refusal", words="content filter"
    ),
    "moderation": refused(
        "openrouter.ai/docs/errors",
        fails(403, "This model requires moderation on X. Your input was flagged"),
        "refusal",
    ),
    "no JSON": refused("langchain-ai/langchain#31459", fails(400, code="json_validate_failed"), "format"),
    "limit in reasoning": refused(
        "community.openai.com", fails(400, "Could not finish the message because max_tokens was reached"), "truncated"
    ),
    "code alone": refused(
        "OpenHands/OpenHands#1902", fails(400, "Please reduce", code="context_length_exceeded"), "too_long"
    ),
    "upstream's words": refused(
        "openrouter.ai",
        fails(400, "Provider returned error", metadata={"raw": '{"error": {"message": "prompt is too long"}}'}),
        "too_long",
    ),
    "feature": fault(
        "evalstate/fast-agent#122", fails(404, "No endpoints found that support tool use"), "request", asked=1
    ),
    "template": fault(
        "ggml-org/llama.cpp", fails(500, "Jinja Exception: System role not supported"), "request", asked=1
    ),
    "above a minute's limit": fault(
        "vanna-ai/vanna-flask#11",
        fails(429, "Request too large on tokens per min (TPM): Limit 30000, Requested 342389."),
        "request",
        asked=1,
    ),
    # Waited for.
    "429": once("RFC 6585", fails(429, headers={"retry-after-ms": "1"})),
    "429 in 200": once("openrouter.ai/docs/errors", Answering(body={"error": {"message": "slow", "code": 429}})),
    "529": once("docs.anthropic.com", Answering(status=529, body={"error": {"type": "overloaded_error"}})),
    "498": once("console.groq.com/docs/errors", fails(498, type="capacity_exceeded")),
    "loading": Oddity(
        reference="llama-server", answers=[fails(503, "Loading model")] * 8 + [ANSWER], outcome="billing", asked=9
    ),
    "cache full": Oddity(
        reference="lemonade-sdk/lemonade#3276",
        answers=[fails(500, "Context size has been exceeded.")] * 2 + [ANSWER],
        outcome="billing",
        asked=3,
    ),
    "cache full alone": fault(
        "lemonade-sdk/lemonade#3276", fails(500, "Context size has been exceeded."), "server", words="share a cache"
    ),
    "429 for an hour in 200": fault(
        "openrouter.ai",
        Answering(body={"error": {"message": "Please try again in 1h.", "code": 429}}),
        "rate_limit",
        asked=1,
        words="asks to wait 3,600 s",
    ),
    "429 for an hour": fault(
        "Groq", fails(429, "Please try again in 1h2m3s."), "rate_limit", asked=1, words="asks to wait 3,723 s"
    ),
    # Read as they are.
    "201": Oddity(
        reference="by the code", answers=[Answering(status=201, body=completion("billing"))], outcome="billing"
    ),
    "latin-1": Oddity(
        reference="RFC 9110",
        answers=[
            Answering(
                body=json.dumps(completion("billing é"), ensure_ascii=False).encode("latin-1"),
                headers={"Content-Type": "application/json; charset=iso-8859-1"},
            )
        ],
        outcome="billing é",
    ),
    "byte order mark": Oddity(
        reference="RFC 8259",
        answers=[Answering(body=b"\xef\xbb\xbf" + json.dumps(completion("billing")).encode())],
        outcome="billing",
    ),
    "long header": Oddity(
        reference="aio-libs/aiohttp#2304",
        answers=[Answering(body=completion("billing"), headers={"X-Policy": "x" * 9000})],
        outcome="billing",
    ),
    "gzip": Oddity(
        reference="RFC 9110",
        answers=[
            Answering(
                body=gzip.compress(json.dumps(completion("billing")).encode()), headers={"Content-Encoding": "gzip"}
            )
        ],
        outcome="billing",
    ),
    "gzip that is none": fault(
        "by the code",
        Answering(body=json.dumps(completion("billing")).encode(), headers={"Content-Encoding": "gzip"}),
        "transport",
        words="encoding that cannot be read",
    ),
    "parts": Oddity(
        reference="simonw/llm-mistral#39",
        answers=[
            whole(
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                        {"type": "text", "text": "billing"},
                    ]
                }
            )
        ],
        outcome="billing",
        reply={"reasoning": "hm"},
    ),
    "no message": Oddity(
        reference="bespokelabsai/curator#261",
        answers=[Answering(body={"choices": [{"finish_reason": "content_filter"}]})],
        outcome="",
        reply={"finish_reason": "content_filter"},
    ),
    "model_length": Oddity(
        reference="camel-ai/camel#4266",
        answers=[whole({"content": "bil"}, finish_reason="model_length")],
        outcome="bil",
        reply={"finish_reason": "length"},
    ),
    # Words of what went wrong.
    "error is null": fault(
        "open-webui/computer#293",
        Answering(status=500, body={"error": None, "detail": "model worker is gone"}),
        "server",
        words=r"answered 500 \(model worker is gone; 3 attempts\)",
    ),
    "nginx": fault(
        "nginx",
        Answering(
            status=502,
            body=b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
        ),
        "server",
        words="a web page titled '502 Bad Gateway'",
    ),
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("pytest_rightsize.providers.openai.http._backoff", lambda _: 0.0005)


def provider_at(url: str, **options: Any) -> OpenAI:
    options = {"base_url": url, "retries": 2, **options}
    return OpenAI(Rung(name="far", provider="openai", model="m", price=PRICE, options=options))


def question(text: str = "route", **more: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **more)


def in_turn(answers: list[Answering]) -> Callable[[dict[str, Any]], Answering]:
    """A script of the answers in order, the last one again and again."""
    left = iter(answers)
    return lambda _: next(left, answers[-1])


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_an_oddity_is_what_it_is(oddity: Oddity) -> None:
    with serve(in_turn(oddity.answers)) as endpoint:
        provider = provider_at(endpoint.url)
        future = provider.submit(question())
        error = future.exception(60)
        provider.close()
    assert len(endpoint.requests) == oddity.asked
    if error is None:
        reply = future.result()
        assert reply.text == oddity.outcome
        assert {name: getattr(reply, name) for name in oddity.reply} == oddity.reply
        return
    assert isinstance(error, NoAnswerError if oddity.is_models_fault else RungError)
    assert error.reason == oddity.outcome
    assert re.search(oddity.words, str(error))
    # One request's fault is never known to be the rung's.
    assert isinstance(error, NoAnswerError) or (error.alone and not error.permanent)


# --- one request's fault, or the rung's -------------------------------------------------------------------------------


@pytest.fixture
def odd_only() -> Iterator[Callable[[Answering], Any]]:
    """A server that answers each prompt but `odd`, with what it says to that."""
    servers: list[Any] = []

    def start(answer: Answering) -> tuple[OpenAI, Endpoint]:
        server = serve(lambda asked: answer if asked["messages"][0]["content"].startswith("odd") else ANSWER)
        endpoint = server.__enter__()
        provider = provider_at(endpoint.url, retries=0)
        servers.append((server, provider))
        return provider, endpoint

    yield start
    for server, provider in servers:
        provider.close()
        server.__exit__(None, None, None)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_one_odd_request_takes_no_rung_down(odd_only: Any, status: int) -> None:
    provider, endpoint = odd_only(fails(status))
    for _ in range(5):
        with pytest.raises(RungError) as caught:
            provider.submit(question("odd")).result(60)
        assert caught.value.alone
        assert not caught.value.permanent
    assert len(endpoint.requests) == 10  # each with a plain one that was answered
    assert provider.submit(question()).result(60).text == "billing"


def test_a_server_that_breaks_off_odd_requests_only_stays_up(odd_only: Any) -> None:
    provider, endpoint = odd_only(Answering(status=500, body={}))
    for _ in range(7):
        with pytest.raises(RungError) as caught:
            provider.submit(question("odd")).result(60)
        assert caught.value.alone
    assert len(endpoint.requests) == 9  # with a plain one after each third


@pytest.mark.parametrize(("status", "reason"), [(401, "auth"), (402, "credit"), (403, "auth"), (404, "missing")])
def test_what_is_true_of_a_plain_request_is_true_of_the_rung(status: int, reason: str) -> None:
    with serve(lambda _: fails(status)) as endpoint:
        provider = provider_at(endpoint.url)
        with pytest.raises(RungError) as caught:
            provider.submit(question()).result(60)
        provider.close()
    assert (caught.value.reason, caught.value.permanent) == (reason, True)


def test_a_host_that_is_gone_takes_the_rung_down_at_the_third_fault() -> None:
    with serve(lambda _: ANSWER) as endpoint:
        url = endpoint.url
    provider = provider_at(url, retries=0)
    permanent = []
    for _ in range(3):
        with pytest.raises(RungError, match=r"cannot be reached \(Connection refused\)") as caught:
            provider.submit(question()).result(60)
        permanent.append(caught.value.permanent)
    provider.close()
    assert permanent == [False, False, True]


def test_a_refusal_beside_answers_needs_no_plain_request() -> None:
    def script(asked: dict[str, Any]) -> Answering:
        return fails(403) if asked["messages"][0]["content"] == "odd 0" else ANSWER

    with serve(script) as endpoint:
        provider = provider_at(endpoint.url)
        futures = [provider.submit(question(f"odd {number}")) for number in range(4)]
        errors = [future.exception(60) for future in futures]
        provider.close()
    assert [type(error) for error in errors] == [RungError, type(None), type(None), type(None)]
    assert isinstance(errors[0], RungError)
    assert errors[0].alone


# --- requests that fit ------------------------------------------------------------------------------------------------


def asked_with(provider: OpenAI, request: Request) -> Reply:
    try:
        return provider.submit(request).result(60)
    finally:
        provider.close()


def test_max_completion_tokens_follows_a_refusal_once() -> None:
    """BerriAI/litellm#13432, promptfoo/promptfoo#6153."""

    def script(asked: dict[str, Any]) -> Answering:
        if "max_tokens" in asked:
            message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
            return fails(400, message, code="unsupported_parameter")
        return ANSWER

    with serve(script) as endpoint:
        provider = provider_at(endpoint.url)
        for _ in range(3):
            assert provider.submit(question(max_tokens=7)).result(60).text == "billing"
        provider.close()
    assert [request.get("max_completion_tokens") for request in endpoint.requests] == [None, 7, 7, 7]


@pytest.mark.parametrize(("model", "name"), [("o3-mini", "max_completion_tokens"), ("gpt-4o", "max_tokens")])
def test_known_models_at_openai_get_their_own_limit(model: str, name: str) -> None:
    rung = Rung(name="r", provider="openai", model=model, options={"base_url": "https://api.openai.com/v1"})
    assert OpenAI(rung)._fitted(question(max_tokens=7))[name] == 7


def test_a_field_that_fastapi_refuses_is_learned_from_its_place() -> None:
    detail = [{"loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}]

    def script(asked: dict[str, Any]) -> Answering:
        return Answering(status=422, body={"detail": detail}) if "max_tokens" in asked else ANSWER

    with serve(script) as endpoint:
        assert asked_with(provider_at(endpoint.url), question(max_tokens=7)).text == "billing"
    assert endpoint.requests[1]["max_completion_tokens"] == 7


def test_a_temperature_that_is_refused_is_left_out_and_told_once() -> None:
    def script(asked: dict[str, Any]) -> Answering:
        message = (
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
        )
        return fails(400, message, code="unsupported_value") if "temperature" in asked else ANSWER

    notes: list[str] = []
    with serve(script) as endpoint:
        provider = provider_at(endpoint.url)
        provider.on_note = notes.append
        for _ in range(3):
            assert provider.submit(question(temperature=0.0)).result(60).text == "billing"
        provider.close()
    assert len(endpoint.requests) == 4
    assert len(notes) == 1
    assert "refuses temperature, which is left out" in notes[0]


@pytest.mark.parametrize(("schema", "strict"), [(SCHEMA, False), (STRICT, True)])
def test_a_schema_is_strict_only_where_it_can_be_and_has_no_key_of_one_server(schema: Any, strict: bool) -> None:
    """spring-projects/spring-ai#2969: OpenAI refuses `response_format.schema`."""
    with serve(lambda _: ANSWER) as endpoint:
        asked_with(provider_at(endpoint.url), question(schema=schema))
    field = endpoint.requests[0]["response_format"]
    assert set(field) == {"type", "json_schema"}
    assert field["json_schema"].get("strict", False) is strict


@pytest.mark.parametrize(
    ("takes", "forms"),
    [
        ("json_schema", ["json_schema"]),
        ("schema", ["json_schema", "schema"]),  # llama_cpp.server, Together, Fireworks
        ("json_object", ["json_schema", "schema", "json_object"]),  # DeepSeek
        ("none", ["json_schema", "schema", "json_object", "none"]),
    ],
)
def test_the_form_of_a_schema_is_found_once(takes: str, forms: list[str]) -> None:
    def form(asked: dict[str, Any]) -> str:
        field = asked.get("response_format")
        return "none" if field is None else "schema" if "schema" in field else str(field["type"])

    def script(asked: dict[str, Any]) -> Answering:
        return ANSWER if form(asked) == takes else fails(400, "response_format of this type is unavailable now")

    with serve(script) as endpoint:
        provider = provider_at(endpoint.url)
        for _ in range(2):
            assert provider.submit(question(schema=SCHEMA)).result(60).text == "billing"
        provider.close()
    assert [form(asked) for asked in endpoint.requests] == [*forms, forms[-1]]


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("json_object", {"type": "json_object"}),
        ("none", None),
        ("json_schema", {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}),
    ],
)
def test_the_form_of_a_schema_can_be_chosen(option: str, field: Any) -> None:
    with serve(lambda _: ANSWER) as endpoint:
        asked_with(provider_at(endpoint.url, structured_output=option), question(schema=SCHEMA))
    assert endpoint.requests[0].get("response_format") == field


def test_a_response_format_of_the_users_own_is_sent_as_it_is() -> None:
    own = {"type": "json_object", "schema": {"type": "object"}}
    with serve(lambda _: ANSWER) as endpoint:
        asked_with(provider_at(endpoint.url), question(schema=SCHEMA, extra={"response_format": own}))
    assert endpoint.requests[0]["response_format"] == own


def test_an_answer_in_brotli_is_read_where_its_library_is() -> None:
    brotli = pytest.importorskip("brotli", reason="the extra `compression` is not installed")
    body = brotli.compress(json.dumps(completion("billing")).encode())
    with serve(lambda _: Answering(body=body, headers={"Content-Encoding": "br"})) as endpoint:
        assert asked_with(provider_at(endpoint.url), question()).text == "billing"
