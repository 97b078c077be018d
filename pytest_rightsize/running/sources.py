"""Where the items of a session come from: the session's own list, or what pytest-xdist sends to a worker."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import pytest

__all__ = ["SessionSource", "Source", "WorkerSource"]


class Source(Protocol):
    """Where items come from, in order: the session's list, or what xdist sends."""

    @property
    def ended(self) -> bool:
        """Whether no item will come after those that `peek` and `pop` gave."""

    @property
    def tells_at_once(self) -> bool:
        """Whether a report may be logged while its item runs, outside `report`."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, from any thread, when there may be another item."""

    def peek(self) -> pytest.Item | None:
        """The next item, or None if there is none, or none yet."""

    def pop(self) -> pytest.Item:
        """Take the next item."""

    def report(self, item: pytest.Item, tell: Callable[[], None]) -> None:
        """Call `tell`, which logs all reports of an item, with what the source must do around it."""


class SessionSource:
    """The items of a session in one process."""

    def __init__(self, session: pytest.Session) -> None:
        """Start at the first."""
        self._items = deque(session.items)
        self.ended = True
        self.tells_at_once = True

    def listen(self, wake: Callable[[], None]) -> None:
        """See `Source`."""

    def peek(self) -> pytest.Item | None:
        """See `Source`."""
        return self._items[0] if self._items else None

    def pop(self) -> pytest.Item:
        """See `Source`."""
        return self._items.popleft()

    def report(self, item: pytest.Item, tell: Callable[[], None]) -> None:  # noqa: ARG002  # the protocol has it
        """See `Source`."""
        tell()


class WorkerSource:
    """The items that a worker of pytest-xdist is sent; it does what xdist's own loop does around each."""

    def __init__(self, session: pytest.Session, interactor: Any) -> None:
        """`interactor` is xdist's plugin `WorkerInteractor`."""
        # A worker runs xdist.remote as a script, so its classes are not those that an import gives.
        self._shutdown = type(interactor).handle_command.__globals__["Marker"].SHUTDOWN
        self._items = session.items
        self._interactor = interactor
        self._next: int | None = None
        self._index_of: dict[pytest.Item, int] = {}
        self.ended = False
        self.tells_at_once = False

    def listen(self, wake: Callable[[], None]) -> None:
        """See `Source`."""

        def on_command(command: Any) -> None:
            self._interactor.handle_command(command)
            wake()

        self._interactor.channel.setcallback(on_command, endmarker=self._shutdown)

    def peek(self) -> pytest.Item | None:
        """See `Source`."""
        if self._next is None and not self.ended:
            # One at a time, so that xdist can still give the others to another worker.
            with self._interactor.torun.lock() as waiting:
                index_or_end = waiting.popleft() if waiting else None
            if isinstance(index_or_end, int):
                self._next = index_or_end
            elif index_or_end is not None:
                self.ended = True
        return None if self._next is None else self._items[self._next]

    def pop(self) -> pytest.Item:
        """See `Source`."""
        assert self._next is not None
        item = self._items[self._next]
        self._index_of[item], self._next = self._next, None
        return item

    def report(self, item: pytest.Item, tell: Callable[[], None]) -> None:
        """See `Source`."""
        index = self._interactor.item_index = self._index_of.pop(item)
        tell()
        self._interactor.sendevent("runtest_protocol_complete", item_index=index, duration=0.0)
