"""Starts tests again, when all have ended, with answers that are planted: no model is asked, and nobody hears of it.

Each start is a whole one, with its fixtures and the hooks around it. Its reports and warnings go nowhere, so that
outcomes, the exit status and what other plugins write stay as they are. Fixtures wider than a function are set up once
more for all starts that need them.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from itertools import zip_longest
from typing import Literal

import pluggy
import pytest
from _pytest.junitxml import xml_key
from _pytest.nodes import Node

from pytest_rightsize.part_data import with_references
from pytest_rightsize.records import AnswerRecord, Reply, Request
from pytest_rightsize.running.grading import Grade
from pytest_rightsize.running.held_reports import HoldingRelay
from pytest_rightsize.running.item_state import ItemState
from pytest_rightsize.running.neighbours import REPORTERS
from pytest_rightsize.running.setup_state import KeepingSetupState
from pytest_rightsize.running.ticket import Ticket

__all__ = ["PlantedAnswers", "PlantedStart", "PlantedStarts"]


class PlantedAnswers:
    """The answers of one start: each question gets its own, or else the next one; further questions get the last again.

    `asked` counts the questions; `grade` says how the test took its answers, and is None until it has.
    """

    def __init__(self, answers: Sequence[AnswerRecord]) -> None:
        """`answers` holds at least one."""
        self._answers = answers
        self._left = [*answers]
        self._lock = threading.Lock()
        self.asked = 0
        self.grade: Grade | None = None
        # Of this start alone: that of the test has ended.
        self.ticket = Ticket()

    def take(self, grade: Grade) -> None:
        """Keep how the test took its answers; of a test with subtests the first that did not pass counts."""
        if self.grade is None or self.grade.outcome == "passed":
            self.grade = grade

    def reply(self, request: Request) -> Reply:
        """The answer to the request where it is among those left, else the next one; from any thread."""
        messages = with_references(request.messages)
        with self._lock:
            self.asked += 1
            own = (place for place, answer in enumerate(self._left) if with_references(answer.messages) == messages)
            answer = self._left.pop(next(own, 0)) if self._left else self._answers[-1]
        return Reply(
            text=answer.text,
            seconds=answer.seconds,
            tokens=answer.tokens,
            finish_reason=answer.finish_reason,
            reasoning=answer.reasoning,
            tool_calls=answer.tool_calls,
            replayed=True,
            energy=answer.energy,
            recorded=answer.recorded,
        )


class PlantedStart:
    """One start to come: a test, and what it is answered."""

    def __init__(self, item: pytest.Item, answers: Sequence[AnswerRecord]) -> None:
        self.item = item
        self.answers = PlantedAnswers(answers)


class PlantedStarts:
    """The starts of one session, after its own tests have ended and all their fixtures with them."""

    def __init__(self, session: pytest.Session, plant: Callable[[PlantedAnswers | None], None]) -> None:
        """`plant` has the questions of the start to come answered so; None ends it."""
        self._session = session
        self._plant = plant
        self._setup = KeepingSetupState(self._kept_nodes)
        self._relays: dict[object, HoldingRelay] = {}
        self._is_running = False
        self._following: pytest.Item | None = None

    def run(self, starts: Sequence[PlantedStart]) -> None:
        """Start each in turn; raises nothing but Ctrl-C. Where pytest is to stop, the rest is left."""
        session, plugins = self._session, self._session.config.pluginmanager
        original, session._setupstate = session._setupstate, self._setup
        gethookproxy = session.gethookproxy
        session.gethookproxy = lambda fspath: self._relays.get(fspath) or self._relay(fspath, gethookproxy(fspath))  # type: ignore[method-assign,assignment,return-value]  # a relay by its behaviour
        plugins.register(self, "rightsize-planted-starts")
        try:
            with _unheard(session.config):
                for start, following in zip_longest(starts, starts[1:]):
                    if session.shouldstop or session.shouldfail:
                        break
                    self._start(start, None if following is None else following.item)
                # An early stop leaves something set up; an error of its end is not to be told either.
                pytest.CallInfo.from_call(lambda: self._setup.leave([]), when="teardown", reraise=KeyboardInterrupt)
        finally:
            self._plant(None)
            plugins.unregister(self)
            session.__dict__.pop("gethookproxy", None)
            if not self._setup.stack:
                session._setupstate = original

    def _relay(self, fspath: object, relay: pluggy.HookRelay) -> HoldingRelay:
        """The hooks of a folder, without those that report."""
        return self._relays.setdefault(fspath, HoldingRelay(relay, lambda _: None))

    def _start(self, start: PlantedStart, following: pytest.Item | None) -> None:
        item = start.item
        state = ItemState(item)
        state.restore()  # the instance of its class may be left of the last start
        self._plant(start.answers)
        self._following, self._is_running = following, True
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            self._is_running = False
            state.restore()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Set up, call and tear down the test, once: no plugin is asked to rerun it, to debug it or to report it."""
        has_request = hasattr(item, "_request")
        if has_request:
            item._initrequest()  # type: ignore[attr-defined]  # a function of a test has it
        try:
            if self._phase("setup", item, lambda: item.ihook.pytest_runtest_setup(item=item)):
                self._phase("call", item, lambda: item.ihook.pytest_runtest_call(item=item))
            self._phase("teardown", item, lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=nextitem))
        finally:
            if has_request:
                item._request = False  # type: ignore[attr-defined]  # as pytest leaves it
                item.funcargs = None  # type: ignore[attr-defined]  # as pytest leaves it
        return True

    @staticmethod
    def _phase(when: Literal["setup", "call", "teardown"], item: pytest.Item, function: Callable[[], object]) -> bool:
        """Whether the phase passed; a report is made, as a plugin may fail a test by it, and dropped."""
        # A test that ends its session by pytest.exit does not end this one: it fails by an answer that nobody gave.
        call = pytest.CallInfo.from_call(function, when=when, reraise=KeyboardInterrupt)
        report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
        return report.passed

    def _kept_nodes(self) -> list[Node] | None:
        """The nodes that the next start needs too; None if no start runs."""
        if not self._is_running:
            return None
        return [] if self._following is None else self._following.listchain()[:-1]


@contextmanager
def _unheard(config: pytest.Config) -> Iterator[None]:
    """Keep what tests print off the terminal (`-s`), and what they record out of the JUnit file and other reports."""
    with ExitStack() as stack:
        if config.getoption("capture", None) == "no":
            stack.enter_context(redirect_stdout(StringIO()))
            stack.enter_context(redirect_stderr(StringIO()))
        if xml_key in config.stash:
            stack.callback(config.stash.__setitem__, xml_key, config.stash[xml_key])
            del config.stash[xml_key]
        for name in REPORTERS:
            reporter = config.pluginmanager.get_plugin(name)
            if reporter is not None:
                config.pluginmanager.unregister(reporter)
                stack.callback(config.pluginmanager.register, reporter, name)
        yield
