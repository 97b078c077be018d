"""Waits for the threads that a start has begun, so that none of them asks in the name of the next test.

In come the threads that were there before; out go those that still run. Threads that idle, or answer for a rung, count
for nothing.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType

from pytest_rightsize import clocks
from pytest_rightsize.providers.own_threads import is_own

__all__ = ["may_ask", "settle", "timers"]

# So long a start may go on in its threads when it has ended.
LONGEST_S = 5.0
# Where a thread waits for other threads, for work, or for what happens in its event loop.
_IDLE = {
    "threading.py": ("wait", "join", "_wait_for_tstate_lock"),
    "queue.py": ("get",),
    "thread.py": ("_worker",),
    "pool.py": ("worker",),
    "selectors.py": ("select", "poll"),
}


def settle(
    begun: Iterable[threading.Thread], is_answering: Callable[[], bool], ours: frozenset[str]
) -> list[threading.Thread]:
    """Wait until none of the threads may ask any more; returns those that still may after 5 s.

    `is_answering` says whether requests of the start are still being refused. A thread with code of a file of `ours` in
    its stack answers for a rung.
    """
    begun = [*filter(_is_the_tests, begun)]
    if not begun:
        return []
    deadline = clocks.monotonic() + LONGEST_S
    quiet = 0
    while True:
        active = [thread for thread in begun if may_ask(thread, ours)]
        # Twice, as one that was woken just now looks idle once more.
        quiet = 0 if active or is_answering() else quiet + 1
        if quiet == 2:
            return []
        if clocks.monotonic() > deadline:
            return active
        clocks.sleep(0.002)


def timers(begun: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Those that are still to go off: they idle until then, and what they ask is for the test that set them."""
    return [one for one in begun if isinstance(one, threading.Timer) and one.is_alive() and _is_the_tests(one)]


def _is_the_tests(thread: threading.Thread) -> bool:
    """Whether the test or its application has begun the thread, and not a rung or the session."""
    return not (is_own(thread) or thread.name.startswith("rightsize"))


def may_ask(thread: threading.Thread, ours: frozenset[str]) -> bool:
    """Whether the thread runs something that may ask a model."""
    if not thread.is_alive() or thread is threading.current_thread():
        return False
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or _is_idle(frame):
        return False
    while frame is not None:
        if frame.f_code.co_filename in ours:
            return False
        frame = frame.f_back
    return True


def _is_idle(frame: FrameType) -> bool:
    file = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return frame.f_code.co_name in _IDLE.get(file, ())
