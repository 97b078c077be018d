"""What providers that wait for sockets share: one event loop thread of this process, and a gate before each rung.

The gate holds requests back while its rung has as many in flight as its `AdaptiveLimit` allows. It sends nothing.
"""

import asyncio
import functools
import threading
import weakref
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pytest_rightsize.providers.openai.adaptive_limit import AdaptiveLimit

__all__ = ["Gate", "Passage", "in_loop", "start"]

T = TypeVar("T")

_starting = threading.Lock()


def start(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run `work` in the event loop thread, from any thread; cancelling the Future cancels it.

    As `asyncio.run_coroutine_threadsafe`, whose Futures refer to themselves: each waits for a search for garbage, and
    these need none.
    """
    future: Future[T] = Future()
    loop = _running_loop()
    loop.call_soon_threadsafe(_begin, loop, work, future)
    return future


# The event loop itself holds its tasks by weak references only.
_tasks: set[asyncio.Task[Any]] = set()


def _begin(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], future: Future[T]) -> None:
    if future.cancelled():
        work.close()
        future.set_running_or_notify_cancel()
        return
    task = loop.create_task(work)
    _tasks.add(task)
    task.add_done_callback(functools.partial(_ended, future))
    future.add_done_callback(functools.partial(_cancel, loop, weakref.ref(task)))


def _ended(future: Future[T], task: asyncio.Task[T]) -> None:
    """Tell the Future what became of the task."""
    _tasks.discard(task)
    error = None if task.cancelled() else task.exception()
    if task.cancelled():
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


def _cancel(
    loop: asyncio.AbstractEventLoop, task: "weakref.ReferenceType[asyncio.Task[Any]]", future: Future[Any]
) -> None:
    """Cancel the task if the Future was; called in whatever thread ended the Future."""
    running = task() if future.cancelled() else None
    if running is not None:
        loop.call_soon_threadsafe(running.cancel)


def in_loop() -> bool:
    """Whether the caller is the event loop thread, which must not wait for itself."""
    try:
        return asyncio.get_running_loop() is _running_loop()
    except RuntimeError:
        return False


def _running_loop() -> asyncio.AbstractEventLoop:
    with _starting:
        return _loop()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    # A daemon, so that a session that dies without closing its rungs still ends.
    threading.Thread(target=loop.run_forever, name="rightsize event loop", daemon=True).start()
    return loop


class Gate:
    """Lets requests through in order, at most `adaptive_limit.limit` at once. For the event loop thread only.

    A request that is refused gives up its place among those that are *sent*, but stays *begun*: it is sent again before
    any newcomer is, or newcomers would take the places that its retries need.
    """

    def __init__(self, adaptive_limit: AdaptiveLimit) -> None:
        self._adaptive_limit = adaptive_limit
        self._begun = 0
        self._sent = 0
        self._newcomers: deque[asyncio.Future[None]] = deque()
        self._again: deque[asyncio.Future[None]] = deque()

    def _admit(self) -> None:
        limit = self._adaptive_limit.limit  # what is begun is never less than what is sent
        while self._again and self._sent < limit:
            self._sent += _granted(self._again.popleft())
        while self._newcomers and self._begun < limit:
            granted = _granted(self._newcomers.popleft())
            self._begun += granted
            self._sent += granted


def _granted(place: asyncio.Future[None]) -> int:
    """1, or 0 if whoever waited has been cancelled."""
    if place.done():
        return 0
    place.set_result(None)
    return 1


class Passage:
    """One request's way through a gate: `begin` once, `depart` and `land` for each attempt, `end` whatever came."""

    __slots__ = ("_departure", "_flying", "_gate", "_underway")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._underway = False
        self._flying = False
        self._departure = 0

    async def begin(self) -> None:
        """Wait for a place behind those who came before."""
        await self._wait(self._gate._newcomers, newcomer=True)
        self._underway = self._flying = True

    async def depart(self) -> None:
        """Wait for a place before all newcomers, unless one is held."""
        if not self._flying:
            await self._wait(self._gate._again, newcomer=False)
            self._flying = True
        self._departure = self._gate._adaptive_limit.departure

    def land(self, *, answered: bool = False, refused: bool = False) -> None:
        """Give up the place until the next `depart`, and tell the limit how it went."""
        if answered:
            self._gate._adaptive_limit.answered(self._departure)
        if refused:
            self._gate._adaptive_limit.refused(self._departure)
        self._flying = False
        self._gate._sent -= 1
        self._gate._admit()

    def end(self) -> None:
        """Give up everything."""
        self._gate._sent -= self._flying
        self._gate._begun -= self._underway
        self._flying = self._underway = False
        self._gate._admit()

    async def _wait(self, queue: "deque[asyncio.Future[None]]", *, newcomer: bool) -> None:
        place = asyncio.get_running_loop().create_future()
        queue.append(place)
        self._gate._admit()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # cancelled between the grant and its being noticed
                self._gate._sent -= 1
                self._gate._begun -= newcomer
                self._gate._admit()
            raise
