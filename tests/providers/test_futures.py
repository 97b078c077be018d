"""Replies, errors and cancellations are passed on, and a waiter that has cancelled gets nothing."""

from concurrent.futures import Future
from dataclasses import replace

import pytest

from pytest_rightsize.providers.futures import fail, pass_cancellation, pass_outcome, resolve
from pytest_rightsize.records import Reply

FOUR = Reply(text="4")


def test_a_cancelled_waiter_cancels_what_it_waits_for_and_an_answered_one_does_not() -> None:
    outer, inner = Future[Reply](), Future[Reply]()
    pass_cancellation(outer, inner)
    assert outer.cancel()
    assert inner.cancelled()
    outer, inner = Future[Reply](), Future[Reply]()
    pass_cancellation(outer, inner)
    outer.set_result(FOUR)
    assert not inner.cancelled()


def test_what_is_waited_for_is_not_kept_by_its_waiter() -> None:
    outer, inner = Future[Reply](), Future[Reply]()
    pass_cancellation(outer, inner)
    del inner
    assert outer.cancel()


def test_a_reply_is_changed_on_its_way() -> None:
    outer, inner = Future[Reply](), Future[Reply]()
    inner.set_result(FOUR)
    pass_outcome(inner, outer, lambda reply: replace(reply, text="5"))
    assert outer.result(timeout=0).text == "5"


def test_errors_and_cancellations_are_passed_on() -> None:
    outer, inner = Future[Reply](), Future[Reply]()
    inner.set_exception(RuntimeError("down"))
    pass_outcome(inner, outer, lambda reply: reply)
    with pytest.raises(RuntimeError, match="down"):
        outer.result(timeout=0)
    outer, inner = Future[Reply](), Future[Reply]()
    inner.cancel()
    pass_outcome(inner, outer, lambda reply: reply)
    assert outer.cancelled()


def test_a_waiter_that_has_cancelled_gets_nothing() -> None:
    outer = Future[Reply]()
    outer.cancel()
    resolve(outer, FOUR)
    assert outer.cancelled()
    outer = Future[Reply]()
    outer.cancel()
    fail(outer, RuntimeError("down"))
    assert outer.cancelled()
