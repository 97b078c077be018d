"""Calls of replicas and the requests behind them; a call that fails at once ends its Future too. Pure."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pytest_rightsize.hosting.ray.replicas import Asked, Outcome
from pytest_rightsize.providers.environment import error_words

__all__ = ["broken_words", "called", "settle"]

T = TypeVar("T")


def called(call: Callable[..., "Future[T]"], *arguments: Any) -> "Future[T]":
    """The Future of a call of a replica; what Ray raises at once, in one of its many kinds, ends that too."""
    try:
        return call(*arguments)
    except Exception as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


def broken_words(error: BaseException) -> str:
    """A clause about an error that is neither a death nor a lost connection."""
    return f"is broken: {error_words(error)}"


def settle(asked: Asked, outcome: Outcome) -> None:
    """Hand the outcome out, unless the request was cancelled; called without a lock, as whoever waits goes on here."""
    if asked.future.set_running_or_notify_cancel():
        asked.future.set_result(outcome)
