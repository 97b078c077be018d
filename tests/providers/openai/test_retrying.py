"""How often and how long a request is tried again: limits count in time, faults in number; no clock runs here."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pytest_rightsize.providers.openai.connections import open_session
from pytest_rightsize.providers.openai.faults import Fault
from pytest_rightsize.providers.openai.http import Client, Endpoint, HttpError, _AttemptError, _Tries
from tests.providers.openai.endpoint import Answering, completion, serve

BUSY = Fault(kind="rate_limit", words="slow down", status=429)
BROKEN = Fault(kind="server", words="broken", status=500)
FULL = Fault(kind="crowded", words="full", status=500)


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backoff of 1, 2, 4, 8, 8, .. seconds."""
    monkeypatch.setattr("pytest_rightsize.providers.openai.http._backoff", lambda retries: min(2.0**retries, 8.0))


def waits(
    fault: Fault, *, patience_s: float = 300.0, retries: int = 2, alone: bool = False, **failure: Any
) -> list[float]:
    """The waits before each attempt after the first, until the request is given up."""
    tries = _Tries(Endpoint(url="http://x", retries=retries, patience_s=patience_s), started_s=0.0)
    found: list[float] = []
    while len(found) < 1000:
        error = _AttemptError(fault, **failure)
        error.was_alone = alone
        wait_s = tries.wait_s(error, now_s=sum(found), refused_since_s=0.0)
        if wait_s is None:
            break
        found.append(wait_s)
    return found


def test_a_rate_limit_is_waited_for_in_time_and_not_in_number() -> None:
    found = waits(BUSY, retries=0)
    assert found[:5] == [1, 2, 4, 8, 8]
    assert 290 < sum(found) <= 300


@pytest.mark.parametrize("patience_s", [0, 0.5, 30])
def test_patience_can_be_set(patience_s: float) -> None:
    assert sum(waits(BUSY, patience_s=patience_s)) <= patience_s


def test_a_wait_that_is_asked_for_is_kept_and_one_of_nothing_is_believed_three_times() -> None:
    assert waits(BUSY, patience_s=100, wait_s=20.0) == [20] * 5
    assert waits(BUSY, patience_s=10, wait_s=0.0) == [0, 0, 0, 1, 2, 4]


def test_a_wait_beyond_patience_is_not_begun() -> None:
    assert waits(BUSY, wait_s=301.0) == []


def test_faults_count_in_number() -> None:
    assert waits(BROKEN, retries=2) == [1, 2]
    assert waits(BROKEN, retries=2, wait_s=0.1) == [0.1, 0.1]
    assert waits(BROKEN, retries=1000, wait_s=50.0) == [50] * 6  # and no attempt begins after five minutes
    assert waits(BROKEN, retries=2, advice="false") == []
    assert waits(Fault(kind="request", words="no", status=400), retries=2, advice="true") == [1, 2]


def test_a_full_cache_that_one_request_has_alone_is_not_asked_for_ever() -> None:
    assert len(waits(FULL, alone=True)) == 2
    assert len(waits(FULL)) > 10


def test_a_request_after_minutes_without_any_answer_is_given_up_at_once() -> None:
    tries = _Tries(Endpoint(url="http://x"), started_s=1000.0)
    assert tries.wait_s(_AttemptError(BUSY), now_s=1000.0, refused_since_s=0.0) is None
    assert tries.wait_s(_AttemptError(BUSY), now_s=1000.0, refused_since_s=900.0) == 2


def test_time_that_was_waited_for_a_limit_is_no_time_of_retries() -> None:
    tries = _Tries(Endpoint(url="http://x", retries=1), started_s=0.0)
    assert tries.wait_s(_AttemptError(BUSY, wait_s=299.0), now_s=0.0, refused_since_s=0.0) == 299
    assert tries.wait_s(_AttemptError(BROKEN), now_s=310.0, refused_since_s=None) == 1


def posted(answers: list[Answering], **options: Any) -> tuple[Any, list[float]]:
    """What a client with a clock of its own gets, and how long it slept."""
    slept: list[float] = []
    left = iter(answers)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def post(url: str) -> Any:
        client = Client(Endpoint(url=f"{url}/chat/completions", **options), clock=lambda: sum(slept), sleep=sleep)
        try:
            return await client.post(
                {}, lambda answer, _, retries: (answer["choices"][0]["message"]["content"], retries)
            )
        except HttpError as error:
            return error
        finally:
            await client.close()

    with serve(lambda _: next(left, answers[-1])) as endpoint:
        return asyncio.run(post(endpoint.url)), slept


def test_a_client_waits_as_long_as_it_is_asked_to() -> None:
    busy = Answering(status=429, body={}, headers={"Retry-After": "42"})
    answer, slept = posted([busy, busy, Answering(body=completion("hi"))])
    assert (answer, slept) == (("hi", 2), [42, 42])


def test_a_client_that_gives_up_says_how_long_it_waited() -> None:
    error, slept = posted([Answering(status=429, body={"error": {"message": "slow"}})])
    assert isinstance(error, HttpError)
    assert 290 < sum(slept) <= 300
    assert error.fault.words == f"slow; waited {sum(slept):.0f} s"
    assert error.attempts == len(slept) + 1


def test_a_server_that_loads_its_model_is_waited_for() -> None:
    loading = Answering(status=503, body={"error": {"message": "Loading model", "type": "unavailable_error"}})
    answer, slept = posted([loading] * 10 + [Answering(body=completion("hi"))], retries=0)
    assert answer == ("hi", 10)
    assert sum(slept) > 60


def test_a_connection_that_was_kept_and_is_closed_is_replaced_at_once() -> None:
    """A server may end a kept connection at any time, without a word."""
    asked: list[int] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
                number += 1
                asked.append(number)
                if number == 2:
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        finally:
            writer.close()

    async def many() -> list[int]:
        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = Client(Endpoint(url=f"http://127.0.0.1:{port}/", retries=0))
        read: Callable[[Any, float, int], int] = lambda _, __, retries: retries  # noqa: E731
        retries = [await client.post({}, read) for _ in range(4)]
        await client.close()
        server.close()
        return retries

    assert asyncio.run(many()) == [0, 0, 0, 0]
    assert asked == [1, 2, 1, 2, 1, 2, 1]


def test_what_the_first_request_loads_is_no_part_of_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it of those that wait for it: a clock moves on only while a session is opened."""
    now_s = 0.0

    def slow(*args: Any, **options: Any) -> Any:
        nonlocal now_s
        now_s += 100
        return open_session(*args, **options)

    monkeypatch.setattr("pytest_rightsize.providers.openai.http.open_session", slow)
    monkeypatch.setattr("pytest_rightsize.clocks.perf_counter", lambda: now_s)

    async def many(url: str) -> list[float]:
        client = Client(Endpoint(url=f"{url}/chat/completions"))
        read: Callable[[Any, float, int], float] = lambda _, seconds, __: seconds  # noqa: E731
        seconds = await asyncio.gather(*(client.post({}, read) for _ in range(3)))
        await client.close()
        return list(seconds)

    with serve(lambda _: Answering(body=completion("yes"))) as endpoint:
        assert asyncio.run(many(endpoint.url)) == [0, 0, 0]
    assert now_s == 100
