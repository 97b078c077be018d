"""Watches what leaves this machine in a session that forbids it, and tells the user of a `base_url` in an application.

In come the starts of tests; out go warnings, and the faults of trials whose test went elsewhere though nothing may
leave this machine. The listening itself is `served/guard.py`.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.errors import RungError
from pytest_rightsize.records import Policy
from pytest_rightsize.session.opening import GUARD, OFFLINE, open_guard
from pytest_rightsize.session.state import SessionState

if TYPE_CHECKING:
    from pytest_rightsize.served.guard import Contact, Guard

__all__ = ["Watching"]

_STAYS = "let it use what is on this machine"


class Watching:
    """The watch over one session: over all of it if it is offline, else over one start of a test after the other."""

    def __init__(self, state: SessionState) -> None:
        """Listen at once in an offline session, which began to before."""
        self._state = state
        self._test = ""
        self._transcript: Transcript | None = None
        self._told: set[tuple[str, str]] = set()
        self._guard: Guard | None = None
        if state.settings.offline:
            open_guard(state.config)
            self._guard = state.config.stash[GUARD]
            self._guard.on_contact = self._met
            for contact in self._guard.refused:
                self._met(contact)

    def begin(self, item: pytest.Item, policy: Policy, transcript: Transcript) -> None:
        """A start of the item begins; what happens now is its own."""
        self._test, self._transcript = item.nodeid, transcript
        if not (policy.private or self._state.resources.serves or self._guard is not None):
            return
        if self._guard is None:
            from pytest_rightsize.served.guard import Guard

            self._guard = Guard(on_contact=self._met)
            self._state.config.add_cleanup(self._guard.close)
        self._guard.begin(f"the task {policy.task!r} is private" if policy.private else None)

    def end(self) -> None:
        """The start is over."""
        self._test, self._transcript = "", None
        if self._guard is not None:
            self._guard.end()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        """The start ends when its fixtures have ended."""
        try:
            return (yield)
        finally:
            self.end()

    def _met(self, contact: "Contact") -> None:
        """Somebody went for a host; in whatever thread."""
        test, reason, transcript = self._test, contact.reason, self._transcript
        who = test or "this session"
        if reason is None:
            text = (
                f"{who} looked up {contact.host}: the application may have a fixed base_url there, and what it asks "
                f"that host is asked of no rung. Let it take base_url from the environment or from the test, see [app]"
            )
        else:
            undo = f"take {OFFLINE} off" if reason == OFFLINE else "take private off"
            text = f"{who} was refused a connection to {contact.host}: {reason}. To go on, {_STAYS}, or {undo}"
            # What a rung does is its own fault, and that of the test that asked it.
            if transcript is not None and "leaves_machine" not in reason:
                refused = RungError(f"{text}; the test then says nothing of the model", reason="unserved", alone=True)
                transcript.refused = transcript.refused or refused
                if contact.is_vendor:
                    transcript.fault = transcript.fault or refused
        # Of the cases of one function only the first is told.
        key = (contact.host, test.partition("[")[0])
        if key not in self._told:
            self._told.add(key)
            self._state.notices.put(text)
