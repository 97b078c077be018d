"""Tells this package's own work from the application's: which thread asks for a connection.

Own are the threads that name themselves here, what a thread does within `own_work`, and, between `follow_starts` and
`stop_following`, every thread that either starts. All else is not own. Beside that it knows which threads run code of
the user as a rung that says that it stays on this machine.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from weakref import WeakSet

__all__ = [
    "follow_starts",
    "is_own",
    "is_own_thread",
    "own_this_thread",
    "own_work",
    "stay_on_this_machine",
    "stays_on_this_machine",
    "stop_following",
]

_own: "WeakSet[threading.Thread]" = WeakSet()
_staying: "WeakSet[threading.Thread]" = WeakSet()
_depth = threading.local()
_originals: list[Callable[[threading.Thread], None]] = []


def own_this_thread() -> None:
    """Whatever the current thread does from now on is this package's own work."""
    _own.add(threading.current_thread())


class _OwnWork(ContextDecorator):
    """No generator, which would be made anew for each request."""

    def __enter__(self) -> None:
        _depth.value = getattr(_depth, "value", 0) + 1

    def __exit__(self, *_: object) -> None:
        _depth.value -= 1


def own_work() -> _OwnWork:
    """What the current thread does within is this package's own work, and so is what it starts there."""
    return _OwnWork()


@contextmanager
def stay_on_this_machine() -> Iterator[None]:
    """Within, a rung runs that says that it stays here: a session with private tasks holds it to that."""
    before = stays_on_this_machine()
    _depth.stays = True
    try:
        yield
    finally:
        _depth.stays = before


def stays_on_this_machine() -> bool:
    """Whether the current thread runs such a rung, or was started by one."""
    return getattr(_depth, "stays", False) or threading.current_thread() in _staying


def is_own(thread: threading.Thread) -> bool:
    """Whether everything that the thread does is this package's own work."""
    return thread in _own


def is_own_thread() -> bool:
    """Whether what the current thread does now is this package's own work."""
    return getattr(_depth, "value", 0) > 0 or threading.current_thread() in _own


def follow_starts() -> None:
    """From now on threads know who started them.

    Python tells nobody: its audit event for that came after 3.11, and so `Thread.start` is replaced.
    """
    if threading.Thread.start is not _start:
        _originals.append(threading.Thread.start)
        threading.Thread.start = _start  # type: ignore[assignment,method-assign]  # see above


def stop_following() -> None:
    """Let threads start as they did before, unless somebody else has replaced it since."""
    if threading.Thread.start is _start:
        threading.Thread.start = _originals[-1]  # type: ignore[assignment,method-assign]  # what was there


def _start(thread: threading.Thread) -> None:
    if is_own_thread():
        _own.add(thread)
    if stays_on_this_machine():
        _staying.add(thread)
    _originals[-1](thread)
