"""Threads and tasks that tests have left running: whether one of them may be asking now, in the name of another test.

In come threads and tasks when their test has ended. One that asks waits for its connection at that moment, so that a
task which sleeps, or waits for others, is not it; of a thread it cannot be told that it sleeps.
"""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from pytest_rightsize.served.leftover import may_ask

__all__ = ["Strays"]

# Where a task waits for time to pass, or for another task: by file of asyncio, the functions.
_IDLE = {
    "tasks.py": ("sleep", "wait", "_wait", "wait_for"),
    "queues.py": ("get", "put", "join"),
    "locks.py": ("wait", "acquire"),
    "base_events.py": ("serve_forever",),
}


class Strays:
    """Those of a session, each with the test that left it; kept by the thread of the tests, asked from any."""

    def __init__(self) -> None:
        self._threads: dict[threading.Thread, str] = {}
        self._tasks: dict[asyncio.Task[Any], str] = {}

    def keep(
        self, test: str, *, threads: Iterable[threading.Thread] = (), tasks: "Iterable[asyncio.Task[Any]]" = ()
    ) -> None:
        """The test has ended, and these have not."""
        self._threads |= dict.fromkeys(threads, test)
        self._tasks |= dict.fromkeys(tasks, test)

    def why_ambiguous(self, ours: frozenset[str]) -> str | None:
        """Why it cannot be told whose call it is, or None; threads with code of the files `ours` answer for a rung."""
        for thread, test in [*self._threads.items()]:
            if not thread.is_alive():
                self._threads.pop(thread, None)
            elif may_ask(thread, ours):
                return _sentence(f"the thread {thread.name!r}", test, "threads")
        for task, test in [*self._tasks.items()]:
            if task.done() or task.get_loop().is_closed():
                self._tasks.pop(task, None)
            elif not _is_idle(task):
                return _sentence(f"the task {task.get_name()!r}", test, "tasks")
        return None


def _sentence(name: str, test: str, kind: str) -> str:
    return f"this call may be that of {name}, which {test} has left running: let that test wait for its {kind}"


def _is_idle(task: "asyncio.Task[Any]") -> bool:
    """Whether the task sleeps, or waits for another."""
    coroutine: Any = task.get_coro()
    while hasattr(getattr(coroutine, "cr_await", None), "cr_await"):
        coroutine = coroutine.cr_await
    code = getattr(coroutine, "cr_code", None)
    if code is None or getattr(coroutine, "cr_running", False):
        return False
    path = code.co_filename.replace("\\", "/")
    return "/asyncio/" in path and code.co_name in _IDLE.get(path.rpartition("/")[2], ())
