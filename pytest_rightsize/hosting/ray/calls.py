"""Calls of replicas and the requests behind them; a call that fails at once ends its Future too. Pure."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pytest_rightsize.hosting.ray.replicas import Asked, Outcome
from pytest_rightsize.providers.environment import error_words

__all__ = ["CallsUnderWay", "broken_words", "called", "settle"]

T = TypeVar("T")


def called(call: Callable[..., "Future[T]"], *arguments: Any) -> "Future[T]":
    """The Future of a call of a replica; what Ray raises at once, in one of its many kinds, ends that too."""
    try:
        return call(*arguments)
    except Exception as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


class CallsUnderWay:
    """The calls that replicas have not answered yet, to be cancelled where nobody waits for them any more."""

    def __init__(self) -> None:
        """None yet."""
        self._calls: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._are_cancelled = False

    def add(self, call: "Future[Any]") -> None:
        """Keep the call until it has ended; one that comes after `cancel` is cancelled at once."""
        with self._lock:
            self._calls.add(call)
            is_late = self._are_cancelled
        call.add_done_callback(self._ended)
        if is_late:
            call.cancel()

    def cancel(self) -> None:
        """Cancel all, each by itself: a replica that is told so stops computing the answer."""
        with self._lock:
            self._are_cancelled = True
            calls = [*self._calls]
        for call in calls:
            call.cancel()

    def _ended(self, call: "Future[Any]") -> None:
        with self._lock:
            self._calls.discard(call)


def broken_words(error: BaseException) -> str:
    """A clause about an error that is neither a death nor a lost connection."""
    return f"is broken: {error_words(error)}"


def settle(asked: Asked, outcome: Outcome) -> None:
    """Hand the outcome out, unless the request was cancelled; called without a lock, as whoever waits goes on here."""
    if asked.future.set_running_or_notify_cancel():
        asked.future.set_result(outcome)
