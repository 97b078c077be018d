"""One start of a test, as the endpoint sees it: what its application may ask, and who waits for replies.

Made by the thread that runs the tests, used by the endpoint's thread too. Nothing is sent here.
"""

import asyncio
import secrets
import threading

from pytest_rightsize.errors import RungError
from pytest_rightsize.model import Model
from pytest_rightsize.running.asker import Asker
from pytest_rightsize.running.ticket import Question

__all__ = ["Attempt"]


class Attempt:
    """One start of a test. `token` names it in URLs; `path` is where they begin.

    `wide_fixture` names the fixture of a wider scope that is being set up: what is asked then belongs to no one test.
    """

    def __init__(self, model: Model, asker: Asker) -> None:
        self.model = model
        self.asker = asker
        self.ticket = asker.ticket
        self.token = secrets.token_urlsafe(9)
        self.is_over = False
        self.is_settling = False
        self.wide_fixture: str | None = None
        self.threads = frozenset(threading.enumerate())
        # Of the endpoint's loop: the requests that wait, and how many are being answered.
        self.waiting: set[asyncio.Future[None]] = set()
        self.asked: list[Question] = []
        self.open_requests = 0
        self.is_pressed = False

    @property
    def path(self) -> str:
        """What the paths of this start begin with."""
        return f"/t/{self.token}"

    @property
    def may_ask_side_by_side(self) -> bool:
        """Whether the test has threads of its own, which may ask more while one of them waits."""
        return threading.active_count() > len(self.threads)

    @property
    def is_dropped(self) -> bool:
        """Whether nothing of this start counts any more."""
        return self.is_over or self.ticket.waiting_for is not None or self.ticket.has_ended

    def has_left(self, thread: threading.Thread) -> bool:
        """Whether the start was left for its replies, and the thread was begun by it."""
        return self.ticket.waiting_for is not None and thread not in self.threads

    def why_refused(self) -> str | None:
        """Why nothing is answered now, or None."""
        if self.is_settling:
            return "this test has ended, but for a thread of it that still asks: let the test wait for its threads"
        if self.is_dropped:
            return "this start of the test has ended: it starts again when its replies are there"
        if self.wide_fixture is not None:
            return (
                f"the fixture {self.wide_fixture} asks a model while it is set up for several tests, and its answer "
                f"would be nobody's: ask in a fixture of function scope"
            )
        return None

    def unserved(self, text: str) -> None:
        """The application asked for what no rung can be asked: the trial is an error, whatever it makes of that."""
        self.model.failed(RungError(text, reason="unserved", alone=True))

    def wake(self) -> None:
        """Let every request that waits look again; in the endpoint's loop."""
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(None)
