"""Keeps quiet about exceptions in threads of starts that were left: their calls are refused, and the test starts again.

Pytest would warn of such an exception in whichever test comes next, and fail that one where warnings are errors.
"""

import threading
from collections.abc import Callable, Iterable
from weakref import WeakSet

__all__ = ["LeftThreads"]


class LeftThreads:
    """Stands before `threading.excepthook` from `open` to `close`.

    `is_of_left_start` says whether the present start was left, and a thread is its own.
    """

    def __init__(self, is_of_left_start: Callable[[threading.Thread], bool]) -> None:
        self._is_of_left_start = is_of_left_start
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._hook = self._on_exception
        self._previous: Callable[[threading.ExceptHookArgs], object] | None = None

    def open(self) -> None:
        """From now on exceptions of such threads are dropped."""
        if self._previous is None:
            self._previous, threading.excepthook = threading.excepthook, self._hook

    def close(self) -> None:
        """Put back what was there, unless somebody else has replaced it since."""
        if self._previous is not None and threading.excepthook is self._hook:
            threading.excepthook, self._previous = self._previous, None

    def keep(self, threads: Iterable[threading.Thread]) -> None:
        """A start has been left, and these were begun by it."""
        self._threads.update(threads)

    def _on_exception(self, args: threading.ExceptHookArgs) -> None:
        thread = args.thread
        if thread is not None and (thread in self._threads or self._is_of_left_start(thread)):
            return
        (self._previous or threading.excepthook)(args)
