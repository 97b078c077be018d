"""The event loop thread that all OpenAI-compatible rungs share, and the gate before each of them.

Coroutines come in, Futures of their results go out. The gate holds requests back while its rung has as many in flight
as its `AdaptiveLimit` allows; nothing is sent here.
"""

import asyncio
import functools
import threading
import weakref
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from pytest_rightsize import clocks
from pytest_rightsize.providers.locality import look_up_in_this_thread
from pytest_rightsize.providers.openai.adaptive_limit import AdaptiveLimit
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["Gate", "GatePass", "in_loop", "sleep", "start"]

T = TypeVar("T")

_loop_lock = threading.Lock()
# Bound here, as a test may replace it.
sleep = asyncio.sleep


def start(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run `work` in the event loop thread, from any thread; cancelling the Future cancels it.

    Does what `asyncio.run_coroutine_threadsafe` does. The Futures of that function refer to themselves, so that only
    the garbage collector frees them; these are freed as soon as nobody holds them.
    """
    future: Future[T] = Future()
    loop = _shared_loop()
    loop.call_soon_threadsafe(_create_task, loop, work, future)
    return future


# The event loop itself holds only weak references to its tasks.
_tasks: set[asyncio.Task[Any]] = set()


def _create_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], future: Future[T]) -> None:
    if future.cancelled():
        work.close()
        future.set_running_or_notify_cancel()
        return
    task = loop.create_task(work)
    _tasks.add(task)
    task.add_done_callback(functools.partial(_copy_outcome, future))
    future.add_done_callback(functools.partial(_cancel_task, loop, weakref.ref(task)))


def _copy_outcome(future: Future[T], task: asyncio.Task[T]) -> None:
    """Set the Future to the task's result or error, or cancel it."""
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


def _cancel_task(
    loop: asyncio.AbstractEventLoop, task: "weakref.ReferenceType[asyncio.Task[Any]]", future: Future[Any]
) -> None:
    """Cancel the task if the Future was cancelled; runs in whatever thread ended the Future."""
    running = task() if future.cancelled() else None
    if running is not None:
        loop.call_soon_threadsafe(running.cancel)


def in_loop() -> bool:
    """Whether the caller runs in the event loop thread, which must not wait for itself."""
    try:
        return asyncio.get_running_loop() is _shared_loop()
    except RuntimeError:
        return False


def _shared_loop() -> asyncio.AbstractEventLoop:
    with _loop_lock:
        return _start_loop()


@functools.cache
def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    # Time limits go by this; a loop looks up `time.monotonic` whenever it is asked, which a test may have frozen.
    loop.time = clocks.monotonic  # type: ignore[method-assign]  # of this one loop
    # It looks names up in threads; these are known as ours by what they do first.
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="rightsize lookup", initializer=_begin_lookups))

    def run() -> None:
        own_this_thread()
        loop.run_forever()

    # A daemon thread, so that a session that dies without closing its rungs still ends.
    threading.Thread(target=run, name="rightsize event loop", daemon=True).start()
    return loop


def _begin_lookups() -> None:
    own_this_thread()
    look_up_in_this_thread()


class Gate:
    """Lets requests through in order, at most `adaptive_limit.limit` at once. For the event loop thread only.

    A refused request gives up its place among those that are *sent*, but stays *begun*: it is sent again before any new
    request is, or new ones would take the places that its retries need.
    """

    def __init__(self, adaptive_limit: AdaptiveLimit) -> None:
        self._adaptive_limit = adaptive_limit
        self._begun = 0
        self._sent = 0
        self._waiting_to_begin: deque[asyncio.Future[None]] = deque()
        self._waiting_to_retry: deque[asyncio.Future[None]] = deque()

    @property
    def sent(self) -> int:
        """How many requests are in flight."""
        return self._sent

    def _admit(self) -> None:
        limit = self._adaptive_limit.limit  # there are never fewer begun than sent
        while self._waiting_to_retry and self._sent < limit:
            self._sent += _grant(self._waiting_to_retry.popleft())
        while self._waiting_to_begin and self._begun < limit:
            granted = _grant(self._waiting_to_begin.popleft())
            self._begun += granted
            self._sent += granted


def _grant(waiter: asyncio.Future[None]) -> int:
    """Give a place to the one that waits; returns 1, or 0 if it was cancelled."""
    if waiter.done():
        return 0
    waiter.set_result(None)
    return 1


class GatePass:
    """One request's pass through a gate.

    Call `begin` once, `start_attempt` and `end_attempt` around each attempt, and `end` however it went.
    """

    __slots__ = ("_epoch", "_gate", "_is_begun", "_is_sent")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._is_begun = False
        self._is_sent = False
        self._epoch = 0

    async def begin(self) -> None:
        """Wait for a place behind all requests that came earlier."""
        await self._wait(self._gate._waiting_to_begin, is_new=True)
        self._is_begun = self._is_sent = True

    async def start_attempt(self) -> None:
        """Wait for a place ahead of all new requests, unless this one holds a place already."""
        if not self._is_sent:
            await self._wait(self._gate._waiting_to_retry, is_new=False)
            self._is_sent = True
        self._epoch = self._gate._adaptive_limit.epoch

    @property
    def in_flight(self) -> int:
        """How many requests are in flight now, with this one."""
        return self._gate.sent

    def end_attempt(self, *, answered: bool = False, refused: bool = False, crowded: bool = False) -> None:
        """Give up the place until the next `start_attempt`, and report the outcome to the limit."""
        if answered:
            self._gate._adaptive_limit.answered(self._epoch)
        if crowded:
            self._gate._adaptive_limit.crowded(self._epoch, self._gate._sent)
        elif refused:
            self._gate._adaptive_limit.refused(self._epoch)
        self._is_sent = False
        self._gate._sent -= 1
        self._gate._admit()

    def end(self) -> None:
        """Give up everything that is held."""
        self._gate._sent -= self._is_sent
        self._gate._begun -= self._is_begun
        self._is_sent = self._is_begun = False
        self._gate._admit()

    async def _wait(self, queue: "deque[asyncio.Future[None]]", *, is_new: bool) -> None:
        waiter = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        self._gate._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # cancelled after the grant, before the task resumed
                self._gate._sent -= 1
                self._gate._begun -= is_new
                self._gate._admit()
            raise
