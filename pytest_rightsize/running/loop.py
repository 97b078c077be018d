"""Runs the items of a session, several at once: an item that waits for a reply gives way to the next one.

An attempt is a whole `pytest_runtest_protocol`, but for the first one of a test that has nothing around it
(`first_start.py`). Its reports are held back (`held_reports.py`): if the item was suspended they are dropped, else they
are passed on in the order of the items, as if each had run once. Fixtures of function scope are finished after every
attempt, wider ones when no item needs them any more (`setup_state.py`).
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from queue import SimpleQueue
from typing import Protocol

import pluggy
import pytest
from _pytest.nodes import Node

from pytest_rightsize.model import Model
from pytest_rightsize.running.first_start import FirstStart
from pytest_rightsize.running.garbage import spare_garbage_search
from pytest_rightsize.running.held_reports import HoldingRelay, not_told_again
from pytest_rightsize.running.setup_state import KeepingSetupState
from pytest_rightsize.running.sources import Source
from pytest_rightsize.running.started import Started
from pytest_rightsize.running.ticket import Ticket
from pytest_rightsize.running.wide_output import WideOutput

__all__ = ["Loop", "Trials"]

Group = tuple[str, str]
"""A task and a rung."""

_WAKE = object()


class Trials(Protocol):
    """What the loop asks about the items it runs."""

    def group(self, item: pytest.Item) -> Group | None:
        """The task and rung of an item that may ask a model."""

    def ticket(self, item: pytest.Item) -> Ticket:
        """The item's questions; the same object at every start."""

    def is_alone(self, item: pytest.Item) -> bool:
        """Whether the item may start only when no other is suspended."""

    def may_start(self, group: Group, waiting: Mapping[Group, int]) -> bool:
        """Whether what is still waited for leaves it open if and where the item runs."""

    def first_start_model(self, item: pytest.Item) -> Model | None:
        """The model for a start that only asks the first question; None if the item may not ask now."""

    def first_start_ended(self) -> None:
        """The start for which `first_start_model` was asked is over."""

    def finished(self, item: pytest.Item) -> None:
        """The item's last attempt has ended."""

    def told(self, item: pytest.Item) -> None:
        """All reports of the item have been passed on."""


class Loop:
    """The items of one session on their way from the first attempt to their reports."""

    def __init__(self, session: pytest.Session, *, trials: Trials, source: Source, room: Callable[[str], int]) -> None:
        """`room` tells how many requests may be in flight to a rung."""
        self._session = session
        self._trials = trials
        self._source = source
        self._room = room
        self._setup = KeepingSetupState(self.kept_nodes)
        self._output = WideOutput(session.config)
        self._relays: dict[object, HoldingRelay] = {}
        self._current: Started | None = None
        self._is_told = False
        self._last_ended: pytest.Item | None = None
        self._unreported: deque[Started] = deque()
        self._ready: deque[Started] = deque()
        self._arrivals: SimpleQueue[object] = SimpleQueue()
        # Of the items that are suspended, whether or not their reply has come.
        self._suspended: set[Started] = set()
        self._groups: Counter[Group] = Counter()
        self._nodes: Counter[Node] = Counter()
        self._chains: dict[Node, list[Node]] = {}
        self._params: Counter[tuple[str, int]] = Counter()
        # Of those whose reply has not come.
        self._in_flight: Counter[str] = Counter()
        self._resume_next = False
        self._first_start = FirstStart(session.config, self._setup.stack)
        # Not where replies are there at once: then no start is dropped.
        self._opens = True
        source.listen(lambda: self._arrivals.put(_WAKE))

    # --- one after the other ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run every item of the source."""
        session = self._session
        original, session._setupstate = session._setupstate, self._setup
        gethookproxy = session.gethookproxy
        session.gethookproxy = lambda fspath: self._relays.get(fspath) or self._relay(fspath, gethookproxy(fspath))  # type: ignore[method-assign,assignment,return-value]  # a relay by its behaviour
        session.config.pluginmanager.register(self, "rightsize-loop")
        # What was collected stays to the end, and so does much of what is to come; plugin.py undoes this last of all.
        spare_garbage_search(session.config)
        try:
            while (started := self._next()) is not None:
                self._attempt(started)
                self._pass_on_reports()
            self._leave([])
        except BaseException:
            self._abandon()
            raise
        finally:
            session.config.pluginmanager.unregister(self)
            session.__dict__.pop("gethookproxy", None)
            if not self._setup.stack:
                session._setupstate = original

    def _relay(self, fspath: object, relay: pluggy.HookRelay) -> HoldingRelay:
        """The hooks of a folder; which conftest.py have a say there does not change any more."""
        return self._relays.setdefault(fspath, HoldingRelay(relay, self.hold))

    def _next(self) -> Started | None:
        """What to attempt now: a new item if there is room, or one whose reply has come; None at the end."""
        while True:
            self._collect_arrivals(block=False)
            item = self._source.peek()
            # In turns: new items keep the endpoint busy, and what is paid for gets written down soon.
            self._resume_next = not self._resume_next
            started = (self._resumed() if self._resume_next else None) or self._admitted(item) or self._resumed()
            if started is not None:
                return started
            if item is None and not self._suspended and self._source.ended:
                return None
            self._collect_arrivals(block=True)

    def _collect_arrivals(self, *, block: bool) -> None:
        """Move the items whose reply has come to the ready ones."""
        while block or not self._arrivals.empty():
            arrived = self._arrivals.get()
            block = False
            if isinstance(arrived, Started):
                self._ready.append(arrived)
                if arrived.group is not None:
                    self._in_flight[arrived.group[1]] -= 1

    def _resumed(self) -> Started | None:
        """The first item whose reply has come and whose fixtures fit to what is set up."""
        for started in self._ready:
            if self._fits(started):
                self._ready.remove(started)
                self._suspended.remove(started)
                self._count(started, -1)
                return started
        return None

    def _admitted(self, item: pytest.Item | None) -> Started | None:
        """The next new item, if there is one and it may start now."""
        if item is None:
            return None
        group = self._trials.group(item)
        if group is not None and self._suspended and not self._has_room(group):
            return None
        if self._suspended and self._trials.is_alone(item) and not self._is_stuck():
            return None
        started = Started(item, group, self._trials.ticket(item), self._chain_above(item))
        if not self._fits(started):
            return None
        self._source.pop()
        self._unreported.append(started)
        return started

    def _is_stuck(self) -> bool:
        """Whether every reply has come, and the next item's fixtures are in the way of all that are ready."""
        return len(self._ready) == len(self._suspended) and not any(map(self._fits, self._ready))

    def _chain_above(self, item: pytest.Item) -> list[Node]:
        """The nodes above the item, from the session down; one list for all items of a parent."""
        parent = item.parent
        assert parent is not None  # an item has one
        if parent not in self._chains:
            self._chains[parent] = item.listchain()[:-1]
        return self._chains[parent]

    def _has_room(self, group: Group) -> bool:
        return self._in_flight[group[1]] < self._room(group[1]) and self._trials.may_start(group, self._groups)

    def _fits(self, started: Started) -> bool:
        """Whether the item can run without tearing down what a suspended or later item still needs."""
        upcoming = self._source.peek()
        below = [] if upcoming is None or upcoming is started.item else self._chain_above(upcoming)
        for node in self._setup.stack:
            if node not in started.chain and self._setup.has_state(node) and (self._nodes[node] or node in below):
                return False
        mine = dict(started.shared)
        return not any(count and mine.get(name, index) != index for (name, index), count in self._params.items())

    # --- one attempt ------------------------------------------------------------------------------------------------

    def _attempt(self, started: Started) -> None:
        item = started.item
        self._leave(started.chain)
        first = not started.ticket.runs[0]
        if first and self._opens and started.ticket.may_suspend and self._open(started):
            return
        started.ticket.start()
        self._current = started
        # What is sure to end, and has nothing before it that is still to be told, is told as pytest tells it.
        self._is_told = self._source.tells_at_once and not started.ticket.may_suspend and self._unreported[0] is started
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._following(started, first=first))
        except BaseException:  # Ctrl-C, in its teardown as a rule: what it came to before is known, and paid for
            if started.ticket.waiting_for is None:
                self._end(started)
            raise
        finally:
            self._current, self._is_told = None, False
        if started.ticket.waiting_for is not None:
            self._opens = True
            self._suspend(started)
            return
        self._end(started)
        self._last_ended = item

    def _end(self, started: Started) -> None:
        """The item starts no more: take in its trial, and let its reports be passed on."""
        started.done = True
        started.held[:0] = not_told_again(started.warnings, started.held)
        self._trials.finished(started.item)

    def _open(self, started: Started) -> bool:
        """Have the item ask its first question, if that can be done without pytest; whether it has."""
        ticket = started.ticket
        ticket.start_for_first_question()
        try:
            self._first_start.start(started.item, started.chain, self._trials.first_start_model)
        finally:
            self._trials.first_start_ended()
        waiting_for = ticket.waiting_for
        if waiting_for is None:
            started.forget_attempt()
            if ticket.asks_in_threads:
                # It ran to its end for nothing, and so would the other cases of its function.
                self._first_start.leave_out(started.item)
            return False
        self._opens = not waiting_for.done()
        self._suspend(started)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
        """Make no full report of an attempt that is dropped."""
        if self._current is not None and self._current.sections:
            self._current.add_sections(call.when)
        if self._current is None or self._current.ticket.waiting_for is None or type(item) is not pytest.Function:
            return None  # of a unittest.TestCase there is more to clear away
        return pytest.TestReport(item.nodeid, item.location, {}, "skipped", ("", 0, "suspended"), call.when)  # type: ignore[arg-type]  # no collection here

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """Know that this start sets up what outlasts it, and what that writes."""
        if self._current is None or fixturedef.scope == "function":
            return (yield)
        self._current.sets_up = True
        with self._output.heard(self._current.written):
            return (yield)

    def _following(self, started: Started, *, first: bool) -> pytest.Item | None:
        """The item that plugins are told comes next; before a first attempt has ended, its own second one may be it."""
        upcoming = self._source.peek() or next((other.item for other in self._suspended), None)
        return upcoming or (started.item if first and started.ticket.may_suspend else None)

    def _leave(self, chain: list[Node]) -> None:
        """Tear down what the next attempt is not part of; an error of that belongs to the item that ended last."""
        if all(node in chain for node in self._setup.stack):
            return
        call = pytest.CallInfo.from_call(lambda: self._setup.leave(chain), when="teardown", reraise=KeyboardInterrupt)
        if call.excinfo is not None and self._last_ended is not None:
            report = pytest.TestReport.from_item_and_call(self._last_ended, call)
            self._session.config.hook.pytest_runtest_logreport(report=report)

    def kept_nodes(self) -> list[Node] | None:
        """The nodes above the current item that stay set up after it; None if there is no current item to ask about."""
        started = self._current
        if started is None:
            return None
        if self._session.shouldfail or self._session.shouldstop:
            return []
        if started.ticket.waiting_for is not None:
            return started.chain
        upcoming = self._source.peek()
        if upcoming is None and not self._source.ended:
            return started.chain
        if not self._suspended and self._is_told:
            return None
        needed = [] if upcoming is None else self._chain_above(upcoming)
        return [node for node in started.chain if node in needed or self._nodes[node]]

    def hold(self, tell: Callable[[], object]) -> None:
        """Keep a report of an attempt until the attempt is known to be the last, and its turn has come."""
        if self._current is None or self._is_told:
            tell()
        else:
            self._current.hold(tell)

    # --- suspended items --------------------------------------------------------------------------------------------

    def _suspend(self, started: Started) -> None:
        started.forget_attempt()
        self._count(started, 1)
        self._suspended.add(started)
        if started.group is not None:
            self._in_flight[started.group[1]] += 1
        assert started.ticket.waiting_for is not None
        started.ticket.waiting_for.add_done_callback(lambda _: self._arrivals.put(started))

    def _count(self, started: Started, change: int) -> None:
        for node in started.chain:
            self._nodes[node] += change
        for param in started.shared:
            self._params[param] += change
        if started.group is not None:
            self._groups[started.group] += change

    # --- reports ----------------------------------------------------------------------------------------------------

    def _pass_on_reports(self) -> None:
        """Pass on the reports of items that have ended, in the order of the items; stop where pytest says so."""
        while self._unreported and self._unreported[0].done:
            self._pass_on_reports_of(self._unreported.popleft())
            if self._session.shouldfail:
                raise self._session.Failed(self._session.shouldfail)
            if self._session.shouldstop:
                raise self._session.Interrupted(self._session.shouldstop)

    def _pass_on_reports_of(self, started: Started) -> None:
        self._source.report(started.item, started.tell)
        self._trials.told(started.item)

    def _abandon(self) -> None:
        """The session ends early: forget what waits, and pass on the known reports unless a failure ended it."""
        for started in self._suspended:
            started.ticket.close()  # the engine waits for what is about to come, and records it
        if self._session.shouldfail or self._session.shouldstop:
            return
        for started in self._unreported:
            if started.done:
                self._pass_on_reports_of(started)
