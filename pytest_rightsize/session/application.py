"""Serves the application of each test while the test runs: around every start, in the hooks of pytest.

In come items and the endpoint of the process; out go the faults of trials whose application asked for what cannot be
served, or whose test leaves threads running.
"""

import sys
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.model import Address
from pytest_rightsize.running.ticket import Ticket
from pytest_rightsize.session.state import SessionState
from pytest_rightsize.session.trials import WATCHING, SessionTrials

if TYPE_CHECKING:
    from pytest_rightsize.served.attempt import Attempt
    from pytest_rightsize.served.clients import Clients
    from pytest_rightsize.served.routing import Routing
    from pytest_rightsize.served.serving import Serving

__all__ = ["SERVING", "Application"]

SERVING: "pytest.StashKey[Serving]" = pytest.StashKey()
"""The endpoint of the process, from the moment it listens."""
_LEFTOVER = pytest.StashKey[str]()


class Application:
    """The hooks that begin and end the starts of tests for the endpoint."""

    def __init__(self, state: SessionState, trials: SessionTrials, serving: "Serving") -> None:
        """The endpoint listens already."""
        self._state = state
        self._trials = trials
        self._serving = serving
        self._clients: Clients | None = None

    @classmethod
    def opened_late(cls, state: SessionState, trials: SessionTrials) -> "Application":
        """One that opens its endpoint now, as a test asks for it; only `model.client` and the like lead there."""
        from pytest_rightsize.served.serving import Serving

        serving = Serving()
        serving.bind()
        state.config.add_cleanup(serving.close)
        application = cls(state, trials, serving)
        state.config.pluginmanager.register(application, "rightsize-application")
        application.start()
        return application

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        """Serve while tests run; the controller of pytest-xdist runs none."""
        if self._state.config.pluginmanager.has_plugin("dsession"):
            return (yield)
        self.start()
        try:
            return (yield)
        finally:
            self._serving.stop()

    def start(self) -> None:
        """Have tests be left while they wait, where they may be."""
        watched = any(self._state.config.getoption(option, False) for option in WATCHING)
        self._serving.start(
            self._routing(),
            on_trouble=self._state.notices.put,
            ours=self._files_of_providers(),
            interrupts=not watched and self._state.settings.concurrency != 1,
        )

    def _routing(self) -> "Routing":
        from pytest_rightsize.served.routing import Routing

        app, known = self._state.resources.ladder.app, self._state.resources.known
        return Routing(
            stands_for=frozenset(app.stands_for),
            others={name: known[rung] for name, rung in app.models.items()},
            ignored=app.ignore,
        )

    def _files_of_providers(self) -> list[str]:
        modules = [sys.modules.get(kind.__module__) for kind in self._state.resources.provider_classes]
        return [file for file in (getattr(module, "__file__", None) for module in modules) if file]

    # --- one start ----------------------------------------------------------------------------------------------------

    def begin(self, item: pytest.Item) -> None:
        """The item starts: what its application asks from now on is its own."""
        from pytest_rightsize.served.attempt import Attempt

        group = self._trials.group(item)
        if group is None:
            return
        if self._serving.current is not None:  # the start in which it was opened late
            self.end()
        try:
            model = self._trials.model_for(item)
        except ConfigError:
            return  # the fixture says so
        attempt = Attempt(model, self._trials.asker_for(item, model.rung_record))
        self._serving.begin(attempt)
        if _LEFTOVER in item.stash:
            attempt.model.failed(RungError(item.stash[_LEFTOVER], reason="unserved", alone=True))

    def end(self) -> None:
        """The start is over."""
        self._serving.end()

    @property
    def leaves_sync_tests(self) -> bool:
        """Whether a sync test can be left where its application waits."""
        return self._serving.why_in_place is None

    def address(self, ticket: Ticket, start: int) -> Address:
        """Where SDKs reach the rung for one start of a test; raises RuntimeError if it is not the present one."""
        from pytest_rightsize.served.clients import Clients, StartAddress

        attempt = self._serving.current
        if attempt is None or attempt.ticket is not ticket or ticket.start_number != start:
            raise RuntimeError(
                f"{ticket.test or 'the test'} has ended, and its model is asked no more: take the fixture `model` anew "
                f"in each test"
            )
        if self._clients is None:
            self._clients = Clients()
            self._state.config.add_cleanup(self._clients.close)
        return StartAddress(self._serving.root(attempt), self._clients)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What is asked while a wider fixture is set up belongs to no one test."""
        attempt = self._serving.current
        if attempt is None or fixturedef.scope == "function":
            return (yield)
        before, attempt.wide_fixture = attempt.wide_fixture, f"{fixturedef.argname} (of scope {fixturedef.scope})"
        try:
            return (yield)
        finally:
            attempt.wide_fixture = before
            if attempt.model.transcript.fault is not None:
                # The next start would not set this fixture up, and pass on what was no answer.
                attempt.ticket.may_suspend = False
            # A server that the fixture starts lives on, and asks for whichever test asks it.
            attempt.threads = frozenset(threading.enumerate())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """A test has not ended while threads that it began may ask."""
        attempt = self._serving.current
        before = frozenset(threading.enumerate())
        try:
            return (yield)
        finally:
            if attempt is not None:
                self._settle(item, attempt, before)

    def _settle(self, item: pytest.Item, attempt: "Attempt", before: frozenset[threading.Thread]) -> None:
        begun = [thread for thread in threading.enumerate() if thread not in before]
        if not begun:
            return
        attempt.is_settling = True
        text = self._serving.settle(attempt, begun)
        attempt.is_settling = False
        if text is not None:
            item.stash[_LEFTOVER] = text
            attempt.ticket.may_suspend = False
            attempt.unserved(text)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        """The start ends when its fixtures have ended."""
        try:
            return (yield)
        finally:
            self.end()
