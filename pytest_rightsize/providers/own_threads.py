"""Tells this package's own work from the application's: which thread asks for a connection.

Own are the threads that name themselves here, what a thread does within `own_work`, and every thread that either
starts. The last is known from Python's audit events, where `served/guard.py` listens. All else is not own.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

__all__ = ["is_own", "is_own_thread", "note_start", "own_this_thread", "own_work"]

_own: "WeakSet[threading.Thread]" = WeakSet()
_depth = threading.local()


def own_this_thread() -> None:
    """Whatever the current thread does from now on is this package's own work."""
    _own.add(threading.current_thread())


@contextmanager
def own_work() -> Iterator[None]:
    """What the current thread does within is this package's own work, and so is what it starts there."""
    _depth.value = getattr(_depth, "value", 0) + 1
    try:
        yield
    finally:
        _depth.value -= 1


def is_own(thread: threading.Thread) -> bool:
    """Whether everything that the thread does is this package's own work."""
    return thread in _own


def is_own_thread() -> bool:
    """Whether what the current thread does now is this package's own work."""
    return getattr(_depth, "value", 0) > 0 or threading.current_thread() in _own


def note_start(function: object) -> None:
    """Take in that the current thread starts another, which runs `function`: what own threads start is own."""
    started = getattr(function, "__self__", None)
    if isinstance(started, threading.Thread) and is_own_thread():
        _own.add(started)
