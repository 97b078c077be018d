"""Calls pass as they are, through a real endpoint to a real server, and what went through is told."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from pytest_rightsize.served import forwarding
from pytest_rightsize.served.forwarding import Forwarding, Passed

Serve = Callable[[Any], Awaitable[web.StreamResponse]]
Ask = Callable[[aiohttp.ClientSession, str], Awaitable[Any]]
QUESTION = {"model": "big", "messages": [{"role": "user", "content": "q"}]}
ANSWER = {"choices": [{"index": 0, "message": {"content": "A"}, "finish_reason": "stop"}]}
PATH = "/to/OPENAI_BASE_URL/v1/chat/completions"
PIECES = (b'data: {"choices": [{"delta": {"content": "A"}, ', b'"finish_reason": "stop"}]}\n\n', b"data: [DONE]\n\n")


def forward(serve: Serve, ask: Ask, *, base: str = "/v1") -> tuple[Any, list[Passed], Forwarding]:
    """What the application got, what was noted, and the endpoint after all."""

    async def run() -> tuple[Any, list[Passed], Forwarding]:
        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        noted: list[Passed] = []
        upstream = f"http://127.0.0.1:{runner.addresses[0][1]}{base}"
        forwarding = Forwarding({"OPENAI_BASE_URL": upstream}, noted.append)
        await forwarding.start()
        try:
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                got = await ask(session, f"{forwarding.root}{PATH}")
                await session.close()
                async with asyncio.timeout(20):
                    while not noted and serve is not refuse_to_be_called:
                        await asyncio.sleep(0.001)
        finally:
            await forwarding.close()
            await runner.cleanup()
        return got, noted, forwarding

    return asyncio.run(run())


async def refuse_to_be_called(request: Any) -> web.StreamResponse:
    raise AssertionError(f"called: {request}")


async def answer(request: Any) -> web.StreamResponse:
    return web.json_response(ANSWER)


async def stream(request: Any) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in PIECES:
        await response.write(piece)
    return response


async def post(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with session.post(url, json=QUESTION) as response:
        return response.status, await response.read()


def test_a_question_and_its_answer_are_told() -> None:
    (status, body), (passed,), _ = forward(answer, post)
    assert (status, json.loads(body)) == (200, ANSWER)
    assert passed.asked is not None
    assert passed.reply is not None
    assert (passed.asked.model, passed.asked.messages[0]["content"], passed.reply.text) == ("big", "q", "A")
    assert passed.call == "POST /v1/chat/completions"


def test_the_request_arrives_as_it_was_sent() -> None:
    seen: dict[str, Any] = {}

    async def serve(request: Any) -> web.StreamResponse:
        seen.update(path=request.raw_path, headers=request.headers, body=await request.read())
        return web.json_response(ANSWER, headers=[("X-Ratelimit", "1"), ("X-Ratelimit", "2")])

    async def ask(session: aiohttp.ClientSession, url: str) -> Any:
        headers = {
            "Authorization": "Bearer sk-secretsecret",
            "User-Agent": "app/1",
            "X-Own": "a",
            "Connection": "close, X-Hop",
            "X-Hop": "b",
            "Accept-Encoding": "br, gzip",
            "Content-Type": "application/json; x=1",
        }
        quoted = URL(f"{url}?key=a%2Fb", encoded=True)
        async with session.post(quoted, data=b'{"x": 1}', headers=headers) as response:
            return response.headers.getall("X-Ratelimit")

    got, (passed,), forwarding = forward(serve, ask)
    headers = seen["headers"]
    assert seen["path"] == "/v1/chat/completions?key=a%2Fb"
    assert seen["body"] == b'{"x": 1}'
    assert headers["Authorization"] == "Bearer sk-secretsecret"
    assert (headers["User-Agent"], headers["X-Own"], headers["Content-Type"]) == ("app/1", "a", "application/json; x=1")
    assert headers["Accept-Encoding"] == "gzip, deflate"
    assert headers["Host"].startswith("127.0.0.1:")
    assert "X-Hop" not in headers
    assert got == ["1", "2"]
    assert "secret" not in repr(passed)
    assert "a%2Fb" not in repr(passed)
    assert "sk-secretsecret" in forwarding.keys


def test_a_stream_comes_piece_by_piece() -> None:
    """The server sends its second piece once the first has arrived at the application."""
    arrived = asyncio.Event()

    async def serve(request: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(PIECES[0])
        await arrived.wait()
        for piece in PIECES[1:]:
            await response.write(piece)
        return response

    async def ask(session: aiohttp.ClientSession, url: str) -> bytes:
        async with session.post(url, json={**QUESTION, "stream": True}) as response:
            first = await response.content.readany()
            arrived.set()
            return first + await response.read()

    got, (passed,), _ = forward(serve, ask)
    assert got == b"".join(PIECES)
    assert passed.reply is not None
    assert passed.reply.text == "A"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_encoded_answer_passes_as_it_is_and_is_read(encoding: str) -> None:
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    packed = packer.compress(json.dumps(ANSWER).encode()) + packer.flush()

    async def serve(request: Any) -> web.StreamResponse:
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        return web.Response(body=packed, headers=headers)

    (_, body), (passed,), _ = forward(serve, post)
    assert body == packed
    assert passed.reply is not None
    assert passed.reply.text == "A"


def test_a_large_question_passes() -> None:
    """The limit of aiohttp itself is a megabyte, which a picture exceeds."""
    seen = []

    async def serve(request: Any) -> web.StreamResponse:
        seen.append(len(await request.content.read()))
        return web.json_response(ANSWER)

    async def ask(session: aiohttp.ClientSession, url: str) -> int:
        async with session.post(url, data=b"x" * 3_000_000) as response:
            return response.status

    assert forward(serve, ask)[0] == 200
    assert seen == [3_000_000]


@pytest.mark.parametrize(
    ("question", "path", "problem"),
    [
        ({**QUESTION, "n": 2}, PATH, "no rung can be asked so (n: "),
        ({"model": "m", "input": "a"}, "/to/OPENAI_BASE_URL/v1/embeddings", None),
    ],
)
def test_what_cannot_be_a_case_passes_all_the_same(question: Any, path: str, problem: str | None) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> int:
        async with session.post(url.removesuffix(PATH) + path, json=question) as response:
            return response.status

    status, (passed,), _ = forward(answer, ask)
    assert status == 200
    assert (passed.asked, passed.reply) == (None, None)
    assert passed.problem is None if problem is None else problem in str(passed.problem)


def test_a_failed_call_is_no_case() -> None:
    async def serve(request: Any) -> web.StreamResponse:
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "1"})

    (status, body), (passed,), _ = forward(serve, post)
    assert (status, json.loads(body)) == (429, {"error": {"message": "slow down"}})
    assert (passed.asked, passed.reply) == (None, None)
    assert passed.problem == f"{passed.host} answered 429"


def test_an_answer_that_breaks_off_does_so_for_the_application() -> None:
    async def serve(request: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(PIECES[0])
        request.transport.abort()
        return response

    async def ask(session: aiohttp.ClientSession, url: str) -> str:
        with pytest.raises(aiohttp.ClientError):
            await post(session, url)
        return "broken"

    _, (passed,), _ = forward(serve, ask)
    assert passed.problem is not None
    assert "broke off its answer" in passed.problem


def test_an_application_that_stops_listening_makes_no_case() -> None:
    async def serve(request: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(PIECES[0] * 100)
        return response

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.post(url, json=QUESTION) as response:
            await response.content.readany()
            response.close()

    _, (passed,), _ = forward(serve, ask)
    assert passed.problem == "the application broke it off"


def test_an_application_that_leaves_after_the_last_word_makes_a_case() -> None:
    """As SDKs do at the last event, whether or not the server ends the stream at once."""
    has_left = asyncio.Event()

    async def serve(request: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in PIECES:
            await response.write(piece)
        await has_left.wait()
        for _ in range(1000):
            await response.write(b": keep-alive\n\n" * 100)
        return response

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.post(url, json=QUESTION) as response:
            await response.content.readuntil(b"[DONE]")
            response.close()
        has_left.set()

    _, (passed,), _ = forward(serve, ask)
    assert passed.reply is not None
    assert passed.reply.text == "A"


def test_an_address_where_nobody_is_gets_words() -> None:
    async def run() -> tuple[int, Any, list[Passed]]:
        noted: list[Passed] = []
        forwarding = Forwarding({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, noted.append)
        await forwarding.start()
        async with aiohttp.ClientSession() as session:
            status, body = await post(session, f"{forwarding.root}{PATH}")
        await forwarding.close()
        return status, json.loads(body), noted

    status, body, (passed,) = asyncio.run(run())
    assert status == 502
    assert body["error"]["message"] == "rightsize record: 127.0.0.1:1 cannot be reached (Connection refused)"
    assert passed.problem == "127.0.0.1:1 cannot be reached (Connection refused)"


@pytest.mark.parametrize(
    ("path", "headers", "words"),
    [
        (PATH, {"Host": "evil.example"}, "rightsize record is not evil.example"),
        (PATH, {"Origin": "http://evil.example"}, "takes no calls from a browser"),
    ],
)
def test_what_is_no_call_of_this_machine_goes_nowhere(path: str, headers: dict[str, str], words: str) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url.removesuffix(PATH) + path, json=QUESTION, headers=headers) as response:
            return response.status, await response.json()

    (status, body), noted, _ = forward(refuse_to_be_called, ask)
    assert status == 404
    assert words in body["error"]["message"]
    assert noted == []


@pytest.mark.parametrize(
    ("path", "headers", "problem"),
    [
        (PATH, {"Upgrade": "websocket", "Connection": "Upgrade"}, "no websocket is passed on"),
        ("/v1/chat/completions?key=secret", {}, "nothing is passed on from /v1/chat/completions"),
    ],
)
def test_what_cannot_be_passed_on_is_told(path: str, headers: dict[str, str], problem: str) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url.removesuffix(PATH) + path, json=QUESTION, headers=headers) as response:
            return response.status, await response.json()

    (status, body), (passed,), _ = forward(refuse_to_be_called, ask)
    assert status == 404
    assert body["error"]["message"] == f"rightsize record: {problem}"
    assert passed.problem == problem
    assert "secret" not in repr(passed)


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    async def proxy(request: Any) -> web.StreamResponse:
        seen.append(request.raw_path)
        return web.json_response(ANSWER)

    async def run() -> int:
        runner = web.ServerRunner(web.Server(proxy))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{runner.addresses[0][1]}")
        monkeypatch.delenv("http_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        forwarding = Forwarding({"OPENAI_BASE_URL": "http://vendor.example/v1"}, lambda _: None)
        await forwarding.start()
        async with aiohttp.ClientSession() as session:
            status, _ = await post(session, f"{forwarding.root}{PATH}")
        await forwarding.close()
        await runner.cleanup()
        return status

    assert asyncio.run(run()) == 200
    assert seen == ["http://vendor.example/v1/chat/completions"]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_answer_that_is_too_large_passes_and_is_no_case(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(forwarding, "_LARGEST_ANSWER", 20_000)
    plain = json.dumps({**ANSWER, "more": "x" * 1_000_000}).encode()
    body = plain if encoding == "identity" else gzip.compress(plain)

    async def large(_: Any) -> web.StreamResponse:
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        return web.Response(body=body, headers=headers)

    async def ask(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, json=QUESTION) as response:
            return await response.read()

    got, (passed,), _ = forward(large, ask)

    assert got == body
    assert passed.reply is None
    assert passed.problem == "the answer has more than 32 MB"
