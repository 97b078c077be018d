"""One trial after the other: pytest's hooks around a test, from its setup to the report that carries its trial.

In come items; out go reports with graded trials, and the trials that `SessionState` keeps. A wrong answer is data here
and no failure; nothing is judged.
"""

from collections.abc import Generator
from typing import Any

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.answers import Transcript
from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.model import Model
from pytest_rightsize.records import Trial
from pytest_rightsize.reports.junit import PREFIX, trial_properties
from pytest_rightsize.results.redaction import redacted
from pytest_rightsize.results.stored_texts import without_texts
from pytest_rightsize.running.freed_reports import free_unread
from pytest_rightsize.running.full_story import attach_traceback, is_asked_for
from pytest_rightsize.running.given_fixtures import GivenFixtures
from pytest_rightsize.running.grading import grade
from pytest_rightsize.running.lean_items import ItemKeywords
from pytest_rightsize.running.loop import Loop
from pytest_rightsize.running.outcomes import (
    as_plain,
    attach,
    has_passed,
    shape,
    show_fault,
    status,
    trial_of,
)
from pytest_rightsize.running.setup_state import end_own_quietly
from pytest_rightsize.running.short_failures import short_failure, show_whole
from pytest_rightsize.running.sources import SessionSource, Source, WorkerSource
from pytest_rightsize.session.masking import mask_report
from pytest_rightsize.session.ordering import climb_in_order, climbs_in_order
from pytest_rightsize.session.state import TRIAL_KEY, SessionState
from pytest_rightsize.session.trial_grading import TrialGrading
from pytest_rightsize.session.trials import (
    NOT_RUN,
    TICKET,
    TRANSCRIPT,
    TRIAL,
    WATCHING,
    NotRun,
    SessionTrials,
    transcript_of,
)
from pytest_rightsize.session.unclimbed import Unclimbed
from pytest_rightsize.session.waiting import tell_who_waits

__all__ = ["Trying"]


class Trying:
    """The hooks around each test. Reads the state's resources; writes its trials."""

    def __init__(self, state: SessionState, trials: SessionTrials) -> None:
        self._state = state
        self._trials = trials
        self._resources = state.resources
        self._engine = state.resources.engine
        self._unclimbed = Unclimbed(state)
        self._item: pytest.Item | None = None
        # When the present phase of the test began: pytest's own durations are in the time that a test freezes.
        self._began_s = 0.0
        # The item of the last report that this process made.
        self._reported: pytest.Item | None = None
        # The item one of whose phases runs: what is reported of it meanwhile is a subtest.
        self._running: pytest.Item | None = None
        self._is_ending = False
        # Known when tests begin, as every conftest.py is loaded then.
        self._given: GivenFixtures | None = None
        self._grading = TrialGrading(state, trials)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the items with many requests in flight, unless every test is to start once."""
        config = session.config
        self._register_last(config.pluginmanager)
        self._given = GivenFixtures(config)
        if not self._resources.is_worker and not climbs_in_order(self._state, session.items):
            climb_in_order(self._state, session.items)  # sorted once more since they were collected
        broken = session.testsfailed and not config.option.continue_on_collection_errors
        watched = any(config.getoption(option, False) for option in WATCHING)
        if self._resources.collect_only or broken or watched:
            return None
        one_at_a_time = self._state.settings.concurrency == 1
        tell_who_waits(session, self._trials, self._state.notices, one_at_a_time=one_at_a_time)
        if one_at_a_time:
            return None
        source = self._source(session)
        if source is None:
            return None
        if not any(map(self._trials.may_start_again, session.items)):
            return None  # pytest's own loop does the same, and shows it while it happens
        self._trials.suspends = True
        try:
            Loop(session, trials=self._trials, source=source, room=self._resources.room).run()
        except (session.Failed, session.Interrupted):
            # A worker of xdist only stops; the controller hears of the failures and says why.
            if not self._resources.is_worker:
                raise
        return True

    def _register_last(self, plugins: pytest.PytestPluginManager) -> None:
        """Stand around the hooks of whoever came after, such as a conftest.py of a folder: they may fail a test too."""
        name = plugins.get_name(self)
        plugins.unregister(self)
        plugins.register(self, name)

    def _source(self, session: pytest.Session) -> Source | None:
        """Where this process gets its items from; None for the controller of xdist, which runs none."""
        if self._resources.is_worker:
            plugins = session.config.pluginmanager.get_plugins()
            interactor = next((plugin for plugin in plugins if type(plugin).__name__ == "WorkerInteractor"), None)
            return None if interactor is None else WorkerSource(session, interactor)
        return None if session.config.pluginmanager.has_plugin("dsession") else SessionSource(session)

    # --- one test ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip what cannot change a verdict, or may not or cannot be asked."""
        self._item = self._running = item
        self._began_s = clocks.perf_counter()
        if self._given is not None:
            self._given.give(item)
        self._grading.forget_subtests(item)
        if self._trials.planted is not None:
            item.stash[TRANSCRIPT] = Transcript()
            self._trials.begin(item)
            return
        ticket = self._trials.ticket(item)
        ticket.next_run()
        if TRANSCRIPT in item.stash:
            item.stash[TRANSCRIPT] = item.stash[TRANSCRIPT].restarted(ticket.run)
        self._skip_or_ask(item)
        self._trials.begin(item)

    def _skip_or_ask(self, item: pytest.Item) -> None:
        if TRIAL_KEY not in item.stash:
            return
        key, transcript = item.stash[TRIAL_KEY], transcript_of(item)
        not_run = item.stash[NOT_RUN] if NOT_RUN in item.stash else self._trials.why_not_run(item, key)
        fault = self._engine.down(key.rung)
        if not_run is None and fault is not None and not self._trials.has_asked(item):
            if self._grading.reports_down(key):
                transcript.fault = fault
                pytest.skip(str(fault))
            not_run = NotRun(reason="down", detail=str(fault))
        if not_run is not None:
            item.stash[NOT_RUN] = not_run
            if not self._trials.starts_all_the_same(item, key, not_run):
                pytest.skip(not_run.detail)

    @pytest.fixture
    def model(self, _rightsize_trial: None) -> Model:
        """One rung of the ladder, to ask: `model.ask(prompt)` returns the answer as a string."""
        return self._model()

    @pytest.fixture
    def rightsize_model(self, _rightsize_trial: None) -> Model:
        """The same as `model`, for projects that have a fixture `model` of their own."""
        return self._model()

    def _model(self) -> Model:
        # Without the fixture `request`, which pytest makes anew for each that takes it: a tenth of a test's cost.
        assert self._item is not None
        self._unclimbed.asks(self._item)
        try:
            return self._trials.model_for(self._item)
        except ConfigError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Know when the test function runs; that of an async test can be left while it waits."""
        self._running = item
        self._began_s = clocks.perf_counter()
        function = self._trials.restartable(item)
        original = getattr(item, "obj", None)
        if function is not None:
            item.obj = function  # type: ignore[attr-defined]  # an async test has it
        try:
            return (yield)
        finally:
            self._running = None
            if function is not None:
                item.obj = original  # type: ignore[attr-defined]  # as it was

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """A fixture that ends waits for its answers; after that, nothing is asked for the test."""
        is_asked = self._trials.planted is None and TICKET in item.stash
        ticket = item.stash[TICKET] if is_asked else None
        self._running, self._is_ending = item, True
        if ticket is not None:
            ticket.in_teardown = True
        try:
            return (yield)
        finally:
            self._running, self._is_ending = None, False
            if ticket is not None:
                ticket.end_run()

    @pytest.hookimpl(specname="pytest_runtest_teardown", tryfirst=True)
    def pytest_runtest_teardown_of_its_own(self, item: pytest.Item) -> None:
        """What breaks at the end of a test that need not have run is no fault of this session, as in its call."""
        if NOT_RUN in item.stash and self._trials.planted is None:
            end_own_quietly(item)

    # --- its report -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Grade the trial when its test has ended, and let a wrong answer be data rather than a failure."""
        self._reported = item
        if call.when == "setup":
            self._running = None
        seconds = clocks.perf_counter() - self._began_s
        if call.excinfo is None:
            report = yield
        else:
            # What breaks after the test is no wrong answer, but an error of the session.
            is_data = TRIAL_KEY in item.stash and call.when != "teardown" and not self._is_ending
            with short_failure(item, call, item.stash.get(TRANSCRIPT, None) if is_data else None):
                report = yield
        if TICKET in item.stash:
            ticket = item.stash[TICKET]
            if ticket.waiting_for is not None:
                return report
            remembered = ticket.take_remembered_seconds()
            report.duration += remembered
            seconds += remembered
        ended = report.when == "call" or (report.when == "setup" and not report.passed)
        if not ended or TRANSCRIPT not in item.stash:
            return report
        transcript = item.stash[TRANSCRIPT]  # looked up here, as pytest-retry runs the test again meanwhile
        if item is self._running and TRIAL_KEY in item.stash:
            if not self._is_ending:  # an error then is pytest's own, as that of a fixture is
                self._grading.note_subtest(item, call, report)
            return report
        kept_s = sum(answer.seconds or 0.0 for answer in transcript.take_earlier())
        report.duration += kept_s
        seconds += kept_s
        if self._trials.planted is not None:
            self._trials.planted.take(grade(self._grading.ending_of(item, call, report), transcript))
            return report
        if TRIAL_KEY in item.stash:
            trial = redacted(self._grading.trial(item, call, report, transcript, seconds), self._state.settings.redact)
            item.stash[TRIAL] = trial
            self._trials.savings.add(trial)
            others = [
                one for one in item.user_properties if not str(one[0]).startswith(PREFIX)
            ]  # not those of a run before
            item.user_properties.clear()  # an empty list takes no more room than it is given
            item.user_properties.extend((*others, *trial_properties(trial)))
            if trial.outcome == "error":
                show_whole(report, item, call)
                mask_report(report)
            if trial.outcome == "failed" and not self._state.settings.redact and is_asked_for(item.config):
                attach_traceback(report, item.config, self._grading.tracebacks(item))
            if not self._is_read_by_others(item):
                shape(report, trial)
            attach(report, trial)
        elif isinstance(transcript.fault, RungError):
            show_fault(report, str(transcript.fault))
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Generator[None, tuple[str, str, Any] | None, tuple[str, str, Any] | None]:
        """Give each outcome that pytest does not have a status of its own; others may look at the report before."""
        told = yield
        if told is not None and told[0] == "failed" and has_passed(report):
            self._state.contradicted.setdefault(report.nodeid)
        return status(report) or told

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Let a trial leave this process."""
        data = yield
        return None if data is None else as_plain(data)

    def _is_read_by_others(self, item: pytest.Item) -> bool:
        """Whether a plugin decides by the report whether it is the last; only that one says what the trial came to."""
        rule = self._trials.waiting(item)
        return rule is not None and rule.reads_outcome

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        """Collect the trial; the controller of a distributed session sees its workers' here too.

        Pytest keeps every report to the end: the texts of the trial need not be kept with it.
        """
        own, trial = self._reported, getattr(report, "rightsize", None)
        if own is not None and own.nodeid != report.nodeid:
            own = None
        if own is not None and isinstance(trial, Trial) and self._is_read_by_others(own):
            shape(report, trial)
        yield
        trial = trial_of(report, known=self._state.trials)
        if trial is not None:
            self._state.keep(trial)
        if own is not None:
            report.keywords = ItemKeywords(own)
        if isinstance(attached := getattr(report, "rightsize", None), Trial):
            attach(report, self._state.trials[attached.key.task].get(attached.key) or without_texts(attached))
        free_unread(self._state.config, report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Forget what a test has asked when it has ended; where tests are suspended, the loop says when that is."""
        self._trials.recall(item)
        result = yield
        if not self._trials.suspends:
            self._trials.forget(item)
            self._trials.told(item)
        return result
