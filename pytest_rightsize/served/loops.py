"""Knows which event loops outlive a test: a client that keeps a connection of a loop that has ended cannot use it.

An SDK's client that an application keeps for the session would otherwise fail in the next test with "Event loop is
closed", which is no fault of the model.
"""

import asyncio
import sys
import threading
from weakref import WeakSet

from pytest_rightsize.running.ticket import Ticket

__all__ = ["Loops"]


class Loops:
    """The loops in which tests have run."""

    def __init__(self) -> None:
        self._seen: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._last: tuple[object, asyncio.AbstractEventLoop | None] = (None, None)

    def may_end_with(self, ticket: Ticket) -> bool:
        """Whether the loop in which the test asks may end with it; True while that is not known."""
        task = ticket.task
        if task is None:
            return _main_thread_is_in_loop()
        loop = task.get_loop()
        start = (ticket.test, ticket.start_number)
        if self._last[1] is not None and self._last[0] != start:
            self._seen.add(self._last[1])
        self._last = (start, loop)
        return loop not in self._seen


def _main_thread_is_in_loop() -> bool:
    """Whether the main thread runs an event loop, as by `asyncio.run` in a test."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "run_forever":
            return True
        frame = frame.f_back
    return False
