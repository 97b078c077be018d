"""Watches what tests connect to while their application is served, and tells the user of a `base_url` in its code.

In come the starts of tests; out go warnings, and the faults of trials that went for a vendor though nothing may leave
this machine. The listening itself is `served/guard.py`.
"""

from typing import TYPE_CHECKING

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.errors import RungError
from pytest_rightsize.records import Policy
from pytest_rightsize.session.state import SessionState

if TYPE_CHECKING:
    from pytest_rightsize.served.guard import Contact

__all__ = ["Watching"]


class Watching:
    """The watch over one session's tests, one start after the other."""

    def __init__(self, state: SessionState) -> None:
        """Start to listen."""
        from pytest_rightsize.served.guard import Guard

        self._offline = state.settings.offline
        self._notices = state.notices
        self._test = ""
        self._transcript = Transcript()
        self._told: set[tuple[str, str]] = set()
        self._guard = Guard(on_contact=self._met)
        self._guard.open()
        state.config.add_cleanup(self._guard.close)

    def begin(self, item: pytest.Item, policy: Policy, transcript: Transcript) -> None:
        """A start of the item begins; what happens now is its own."""
        self._test, self._transcript = item.nodeid, transcript
        self._guard.begin(f"the task {policy.task!r} is private" if policy.private else self._why_offline)

    def end(self) -> None:
        """The start is over."""
        self._guard.end()

    @property
    def _why_offline(self) -> str | None:
        return "--rightsize-offline" if self._offline else None

    def _met(self, contact: "Contact") -> None:
        """The test, or its application, went for a host; in whatever thread."""
        test, reason = self._test, contact.reason
        if reason is None:
            text = (
                f"{test} looked up {contact.host}: the application may have a fixed base_url there, and what it asks "
                f"that host is asked of no rung. Let it take base_url from the environment or from the test, see [app]"
            )
        else:
            text = f"{test} was refused a connection to {contact.host}: {reason}"
            refused = RungError(f"{text}: what it then did says nothing of the model", reason="unserved", alone=True)
            self._transcript.refused = self._transcript.refused or refused
            if contact.is_vendor:
                self._transcript.fault = self._transcript.fault or refused
        # Of the cases of one function only the first is told.
        key = (contact.host, test.partition("[")[0])
        if key not in self._told:
            self._told.add(key)
            self._notices.put(text)
