"""Work in the event loop thread: what becomes of it reaches who waits, and nothing of it stays."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import pytest

from pytest_rightsize.meters import Choice
from pytest_rightsize.meters.attribution.metered import Metered
from pytest_rightsize.providers.openai import event_loop
from pytest_rightsize.records import Reply, Request
from tests.meters.attribution.test_metered import Sim, Sleeper, Ticking


async def _answer(*, fail: bool = False) -> str:
    await asyncio.sleep(0)
    if fail:
        raise ValueError("no")
    return "yes"


@pytest.fixture
def _no_search() -> Iterator[None]:
    """What dies here dies by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_result_and_an_error_reach_who_waits() -> None:
    assert event_loop.start(_answer()).result(10) == "yes"
    with pytest.raises(ValueError, match="no"):
        event_loop.start(_answer(fail=True)).result(10)


def test_who_cancels_ends_the_work() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    future = event_loop.start(work())
    assert begun.wait(10)
    assert future.cancel()
    assert ended.wait(10)
    with pytest.raises(CancelledError):
        future.result(10)


def test_what_is_cancelled_before_the_thread_comes_to_it_never_begins() -> None:
    begun, free = threading.Event(), threading.Event()

    async def block() -> None:
        begun.set()
        free.wait(10)

    async def work() -> None:
        raise AssertionError("it began")

    event_loop.start(block())
    assert begun.wait(10)
    future = event_loop.start(work())
    assert future.cancel()
    free.set()
    assert event_loop.start(_answer()).result(10) == "yes"
    assert future.cancelled()


def test_work_that_cancels_itself_is_cancelled() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledError):
        event_loop.start(work()).result(10)


@pytest.mark.usefixtures("_no_search")
def test_a_future_that_has_ended_needs_no_search_for_garbage() -> None:
    future = event_loop.start(_answer())
    future.result(10)
    gone = weakref.ref(future)
    del future
    assert event_loop.start(_answer()).result(10) == "yes"  # the thread has let go of the one before
    assert gone() is None


@pytest.mark.usefixtures("_no_search")
@pytest.mark.parametrize("counters", [True, False])
def test_nor_does_a_request_through_a_meter(counters: bool) -> None:
    provider = Sleeper(0.001)
    choice = Choice(rung="1b", meters={"sim": Sim(Ticking(provider) if counters else None)}, idle_s=0.0)
    one = Metered(provider, lambda: choice, room=lambda: 4, budget_s=0.0, workers=1)
    future: Future[Reply] = one.submit(Request(messages=({"role": "user", "content": "q"},)))
    future.result(30)
    gone = weakref.ref(future)
    del future
    one.close()
    for thread in threading.enumerate():
        if thread.name.endswith("(_answer)"):
            thread.join(10)  # it holds what it has just answered until it ends
    assert gone() is None
