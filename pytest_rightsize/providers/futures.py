"""Passes replies, errors and cancellations from one future to another; a waiter that has cancelled gets nothing."""

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from pytest_rightsize.records import Reply

__all__ = ["fail", "pass_cancellation", "pass_outcome", "resolve"]


def pass_cancellation(outer: Future[Any], inner: Future[Any]) -> None:
    """Cancel `inner` when `outer` is. They do not hold each other: `inner` is its provider's while it is under way."""
    reference = weakref.ref(inner)

    def cancel(ended: Future[Any]) -> None:
        running = reference() if ended.cancelled() else None
        if running is not None:
            running.cancel()

    outer.add_done_callback(cancel)


def pass_outcome(inner: Future[Reply], outer: Future[Reply], change: Callable[[Reply], Reply]) -> None:
    """End `outer` as `inner` has ended, its reply changed by `change`."""
    if inner.cancelled():
        outer.cancel()
    elif (error := inner.exception()) is not None:
        fail(outer, error)
    else:
        resolve(outer, change(inner.result()))


def resolve(outer: Future[Reply], reply: Reply) -> None:
    """Set the reply, unless the future was cancelled."""
    if outer.set_running_or_notify_cancel():
        outer.set_result(reply)


def fail(outer: Future[Reply], error: BaseException) -> None:
    """Set the error, unless the future was cancelled."""
    if outer.set_running_or_notify_cancel():
        outer.set_exception(error)
