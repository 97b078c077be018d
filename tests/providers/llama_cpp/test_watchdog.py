"""A rung that decodes nothing is named, once for each standstill."""

import queue
import time

from pytest_rightsize.providers.llama_cpp.watchdog import Watchdog


def test_a_standstill_is_told_once_and_the_next_one_again() -> None:
    told: queue.Queue[str] = queue.Queue()
    watchdog = Watchdog("big", told.put, standstill_s=0.04)
    try:
        watchdog.moved(3)
        assert told.get(timeout=30).startswith("rung big has decoded nothing for 0 s, with 3 requests waiting")
        time.sleep(0.1)
        assert told.empty()
        watchdog.moved(1)
        assert "with 1 requests waiting" in told.get(timeout=30)
    finally:
        watchdog.close()


def test_a_rung_that_is_asked_nothing_stands_still_for_no_one() -> None:
    told: queue.Queue[str] = queue.Queue()
    watchdog = Watchdog("big", told.put, standstill_s=0.04)
    try:
        watchdog.moved(1)
        watchdog.moved(0)
        time.sleep(0.2)
        assert told.qsize() <= 1  # the time between the two calls may be long on a busy machine
    finally:
        watchdog.close()


def test_without_anyone_to_tell_there_is_no_thread() -> None:
    watchdog = Watchdog("big", None)
    watchdog.moved(1)
    assert watchdog._thread is None
