"""Suspends async tests: their task is cancelled when what they ask is not there yet, and they start again when it is.

In come the coroutine functions of tests, and the questions that their code awaits; out comes `Suspended` at the end of
a start that was left. Where no task is known, as in an async fixture or under trio, a reply is awaited in place.
"""

import asyncio
import contextlib
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from types import FunctionType
from typing import Any, NoReturn

import pytest
from _pytest.unittest import TestCaseFunction

from pytest_rightsize import clocks
from pytest_rightsize.running.engine import Suspended
from pytest_rightsize.running.ticket import Question, Ticket

__all__ = ["QUIET_S", "answered", "end_here", "is_async", "leave_soon", "may_be_cancelled", "restartable"]

__tracebackhide__ = True  # a traceback ends where the test asks

QUIET_S = 0.003
"""So long nothing more must be asked before a test is left that may ask several questions side by side."""

AsyncTest = Callable[..., Coroutine[Any, Any, object]]


def is_async(item: pytest.Item) -> bool:
    """Whether the test's function is a coroutine function, which some other plugin runs in a loop."""
    function = getattr(item, "obj", None)
    return _is_async(function) if type(function) is FunctionType else inspect.iscoroutinefunction(function)


@functools.lru_cache(maxsize=100)
def _is_async(function: FunctionType) -> bool:
    """Whether it is a coroutine function; the cases of a task are one function, and each is asked twice."""
    return inspect.iscoroutinefunction(function)


def may_be_cancelled(item: pytest.Item) -> bool:
    """Whether an async test may be left; unittest runs its own in a loop that takes a cancelled test for an error."""
    return not isinstance(item, TestCaseFunction)


def restartable(function: AsyncTest, ticket: Ticket) -> AsyncTest:
    """The test's function, so that its task can be left: cancelled by us, it ends as suspended."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> object:
        __tracebackhide__ = True
        task = _current_task()
        if task is None:
            return await function(*args, **kwargs)
        others = asyncio.all_tasks()
        ticket.task = task
        try:
            return await function(*args, **kwargs)
        except asyncio.CancelledError:
            if ticket.waiting_for is None:
                raise
            raise Suspended from None
        finally:
            ticket.task = None
            if ticket.waiting_for is not None:
                # A runner that keeps this task for other tests must not take it for cancelled.
                while task.uncancel():
                    pass
                await _end(asyncio.all_tasks() - others)
            ticket.left_tasks = frozenset(asyncio.all_tasks() - others - {task})

    return run


def _current_task() -> "asyncio.Task[Any] | None":
    """The task of asyncio that runs; None under another framework."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def _end(tasks: "set[asyncio.Task[Any]]") -> None:
    """End what a start that is left has begun: the next start begins it anew."""
    for task in tasks:
        task.cancel()
    for _ in range(3):  # enough for a task that lets itself be cancelled
        if all(task.done() for task in tasks):
            return
        await _give_way()


async def _give_way() -> None:
    """Let the loop run once; its own way of sleeping may be frozen by the test."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    loop.call_soon(woken.set_result, None)
    await woken


async def answered(question: Question, ticket: Ticket) -> None:
    """Wait until the reply is there, or the test is left for it, which cancels its task."""
    if question.future.done() and not (ticket.is_first_start and ticket.may_suspend):
        if _current_task() is not None:  # no model answers before others have their turn, as who may cancel this task
            await _give_way()
        return
    ticket.wait(question)
    try:
        if ticket.task is not None and ticket.task.get_loop() is asyncio.get_running_loop():
            leave_soon(ticket)
        await _done(question)
    finally:
        ticket.wait_no_more(question)


async def _done(question: Question) -> None:
    """Wait for the reply; whoever waits may be cancelled, and the question goes on."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        trio: Any = sys.modules["trio"]
        await trio.to_thread.run_sync(_wait, question, abandon_on_cancel=True)
        return
    woken = loop.create_future()
    question.future.add_done_callback(lambda _: _call_in(loop, _wake, woken))
    await woken


def _wait(question: Question) -> None:
    futures.wait([question.future])


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Call it in the loop's thread, unless the loop is closed: then nobody waits."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *args)


def leave_soon(ticket: Ticket) -> None:
    """Leave the test as soon as it asks no more side by side; called in the loop of its task, for each question."""
    task = ticket.task
    if task is None or task.done() or not ticket.may_be_left:
        return
    if _all_wait(ticket, task) or clocks.perf_counter() - ticket.last_asked_s >= QUIET_S:
        if ticket.leave():
            task.cancel("rightsize: the test starts again when its replies are there")
        return
    # By a timer of its own: the loop's clock may be frozen by the test.
    timer = threading.Timer(QUIET_S, _call_in, (task.get_loop(), leave_soon, ticket))
    timer.name = "rightsize leaves a test"
    timer.daemon = True
    timer.start()


def _all_wait(ticket: Ticket, task: "asyncio.Task[Any]") -> bool:
    """Whether no task is left that could ask something more in this round: each of them waits for one reply."""
    others = len(asyncio.all_tasks(task.get_loop())) - 1
    return len(ticket.pending) >= max(1, others)


def end_here(ticket: Ticket) -> NoReturn:
    """End what still asks in a start that is left, or as pytest wants it of a fixture that ends."""
    if ticket.in_teardown or _current_task() in (None, ticket.task):
        raise Suspended
    raise asyncio.CancelledError
