"""The openai provider with many requests in flight, against a server that counts them."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Reply, Request, Rung
from tests.benchmarks.endpoint import Crowded, echo, serve_crowd
from tests.providers.openai.endpoint import Answering

REFUSED = Answering(status=429, body={"error": {"message": "slow down"}}, headers={"retry-after-ms": "1"})


def provider(endpoint: Crowded, max_in_flight: int | None = None, **options: Any) -> OpenAI:
    options = {"base_url": endpoint.url, "retries": 4, **options}
    return OpenAI(Rung(name="far", provider="openai", model="m", max_in_flight=max_in_flight, options=options))


def question(text: object) -> Request:
    return Request(messages=({"role": "user", "content": str(text)},))


def until(true: Callable[[], bool]) -> None:
    """Wait for what a server is about to see."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Door:
    """A handler that answers nobody before so many are there at once, or `open` is called."""

    def __init__(self, crowd: int) -> None:
        self._crowd = crowd
        self._there = 0
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, asked: dict[str, Any]) -> Answering:
        self._there += 1
        if self._there >= self._crowd:
            self.open()
        while not self._open.is_set():
            await asyncio.sleep(0.005)
        return echo(asked)


async def at_once(asked: dict[str, Any]) -> Answering:
    return echo(asked)


def test_two_hundred_requests_are_in_flight_at_once_and_each_gets_its_own_answer() -> None:
    with serve_crowd(Door(200)) as endpoint:
        rung = provider(endpoint, max_in_flight=200)
        futures = [rung.submit(question(number)) for number in range(200)]
        assert [future.result(30).text for future in futures] == [str(number) for number in range(200)]
        rung.close()
    assert endpoint.most_in_flight == 200


def test_an_answer_does_not_wait_for_those_asked_before() -> None:
    async def first_last(asked: dict[str, Any]) -> Answering:
        if asked["messages"][0]["content"] == "slow":
            await asyncio.sleep(3600)
        return echo(asked)

    with serve_crowd(first_last) as endpoint:
        rung = provider(endpoint)
        slow = rung.submit(question("slow"))
        assert rung.submit(question("quick")).result(30).text == "quick"
        assert not slow.done()
        rung.close()


def test_no_more_are_in_flight_than_the_rung_allows_and_they_go_in_order() -> None:
    with serve_crowd(door := Door(1000)) as endpoint:
        rung = provider(endpoint, max_in_flight=5)
        futures = [rung.submit(question(number)) for number in range(40)]
        until(lambda: endpoint.in_flight == 5)
        door.open()
        replies = [future.result(30) for future in futures]
        rung.close()
    assert endpoint.most_in_flight == 5
    assert {int(asked["messages"][0]["content"]) for asked in endpoint.requests[:5]} == set(range(5))
    assert len(replies) == 40


def test_without_a_number_sixty_four_are_in_flight() -> None:
    with serve_crowd(Door(64)) as endpoint:
        rung = provider(endpoint)
        assert all(future.result(30) for future in [rung.submit(question(number)) for number in range(100)])
        rung.close()
    assert endpoint.most_in_flight == 64


def test_waiting_for_a_place_is_not_the_models_time() -> None:
    async def in_a_while(asked: dict[str, Any]) -> Answering:
        await asyncio.sleep(0.2)
        return echo(asked)

    with serve_crowd(in_a_while) as endpoint:
        rung = provider(endpoint, max_in_flight=1)
        started = time.perf_counter()
        replies = [future.result(30) for future in [rung.submit(question(number)) for number in range(6)]]
        waited = time.perf_counter() - started
        rung.close()
    assert sum(reply.seconds or 0 for reply in replies) <= waited


def test_connections_are_kept_and_used_again() -> None:
    with serve_crowd(at_once) as endpoint:
        rung = provider(endpoint, max_in_flight=4)
        for number in range(20):
            rung.submit(question(number)).result(30)
        assert endpoint.connections == 1
        assert all(future.result(30) for future in [rung.submit(question(number)) for number in range(100)])
        rung.close()
    assert endpoint.connections <= 4


def test_a_storm_of_429_halves_what_is_in_flight_and_ends_with_all_answered() -> None:
    arrived: list[int] = []
    halved, grown = Door(1000), Door(32)

    async def storm(asked: dict[str, Any]) -> Answering:
        arrived.append(1)
        if len(arrived) <= 32:
            while len(arrived) < 32:
                await asyncio.sleep(0.005)
            return REFUSED
        return await (halved if len(arrived) <= 48 else grown)(asked)

    with serve_crowd(storm) as endpoint:
        rung = provider(endpoint, max_in_flight=32)
        futures = [rung.submit(question(number)) for number in range(100)]
        until(lambda: len(arrived) > 32)
        endpoint.most_in_flight = 0
        until(lambda: endpoint.in_flight == 16)
        time.sleep(0.2)  # a seventeenth would have come by now
        assert endpoint.most_in_flight <= 16
        # The refused ones are sent again before any newcomer.
        again = {int(asked["messages"][0]["content"]) for asked in endpoint.requests[32:]}
        assert again <= set(range(32))
        halved.open()  # and nobody behind it is answered before the flight has grown to 32 again
        assert [future.result(30).text for future in futures] == [str(number) for number in range(100)]
        rung.close()
    assert len(endpoint.requests) == 132
    assert endpoint.most_in_flight == 32


def test_an_endpoint_that_always_takes_less_than_the_rung_offers_answers_everything() -> None:
    with serve_crowd(at_once) as endpoint:

        async def eight(asked: dict[str, Any]) -> Answering:
            if endpoint.in_flight > 8:
                return REFUSED
            await asyncio.sleep(0.01)
            return echo(asked)

        endpoint.handler = eight
        rung = provider(endpoint, max_in_flight=64, retries=10)
        futures = [rung.submit(question(number)) for number in range(200)]
        assert all(future.result(60) for future in futures)
        rung.close()


def test_an_endpoint_that_never_answers_is_a_fault_of_time() -> None:
    with serve_crowd(Door(2)) as endpoint:
        rung = provider(endpoint, retries=0, timeout_s=0.2)
        with pytest.raises(RungError, match=r"did not answer within 0\.2 s") as caught:
            rung.submit(question("hello")).result(30)
        rung.close()
    assert caught.value.reason == "timeout"


def test_a_rung_whose_key_is_not_set_says_so_through_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with serve_crowd(at_once) as endpoint:
        rung = provider(endpoint, max_in_flight=1, api_key_env="MY_KEY")
        for _ in range(2):  # the fault gives its place back
            with pytest.raises(RungError, match="MY_KEY with its key is not set") as caught:
                rung.submit(question("hello")).result(30)
            assert caught.value.reason == "missing"
        monkeypatch.setenv("MY_KEY", "sk-now-set")
        assert rung.submit(question("hello")).result(30).text == "hello"
        rung.close()


def test_cancelling_stops_the_request_and_frees_its_place() -> None:
    with serve_crowd(Door(2)) as endpoint:
        rung = provider(endpoint, max_in_flight=1)
        sent, waiting, last = (rung.submit(question(number)) for number in range(3))
        until(lambda: endpoint.in_flight == 1)
        assert waiting.cancel()
        assert sent.cancel()
        assert last.result(30).text == "2"
        with pytest.raises(CancelledError):
            sent.result()
        rung.close()
    assert endpoint.broken_off == 1
    assert [asked["messages"][0]["content"] for asked in endpoint.requests] == ["0", "2"]


def test_closing_ends_what_is_in_flight_and_a_later_request_opens_again() -> None:
    with serve_crowd(Door(4)) as endpoint:
        rung = provider(endpoint, max_in_flight=3)
        futures = [rung.submit(question(number)) for number in range(10)]
        until(lambda: endpoint.in_flight == 3)
        rung.close()
        rung.close()
        for future in futures:
            with pytest.raises(RungError, match="was closed before it answered") as caught:
                future.result(30)
            assert caught.value.reason == "transport"
        until(lambda: endpoint.in_flight == 0)
        assert rung.submit(question("again")).result(30).text == "again"
        rung.close()


def test_a_rung_may_be_closed_where_its_answer_arrives() -> None:
    with serve_crowd(at_once) as endpoint:
        rung = provider(endpoint)
        closed = threading.Event()

        def close(_: Future[Reply]) -> None:
            rung.close()
            closed.set()

        rung.submit(question("hello")).add_done_callback(close)
        assert closed.wait(30)
        assert rung.submit(question("again")).result(30).text == "again"
        rung.close()


def test_requests_come_from_several_threads_and_rungs_share_one_loop() -> None:
    futures: list[Future[Reply]] = []
    with serve_crowd(at_once) as endpoint:
        rungs = [provider(endpoint), provider(endpoint)]

        def ask_many(rung: OpenAI) -> None:
            futures.extend([rung.submit(question(number)) for number in range(50)])

        threads = [threading.Thread(target=ask_many, args=(rungs[number % 2],)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        texts = sorted(int(future.result(30).text) for future in futures)
        for rung in rungs:
            rung.close()
    assert texts == sorted([*range(50)] * 8)
    assert sum(thread.name == "rightsize event loop" for thread in threading.enumerate()) == 1
