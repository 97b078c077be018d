"""One session up a ladder: its hooks in the order pytest calls them.

The same object works in one process and under pytest-xdist, where workers run trials and the controller collects them,
writes the results file, judges and sets the exit status.
"""

import inspect
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.config.policies import Policies, definition_of
from pytest_rightsize.config.settings import Settings
from pytest_rightsize.errors import ConfigError, RightsizeWarning, RungError
from pytest_rightsize.judging.baseline import read_baseline
from pytest_rightsize.judging.verdict import standings
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.model import Model, Transcript
from pytest_rightsize.recorded.fingerprints import fingerprints_of
from pytest_rightsize.records import Policy, Run, Rung, Trial, TrialKey
from pytest_rightsize.reports.junit import trial_properties
from pytest_rightsize.reports.terminal import waiver_lines
from pytest_rightsize.results.redaction import redacted, redacted_case
from pytest_rightsize.results.results_file import ResultsFile, describe_session
from pytest_rightsize.running.engine import Ticket
from pytest_rightsize.running.grading import grade
from pytest_rightsize.running.loop import Loop
from pytest_rightsize.running.outcomes import as_plain, attach, ending, shape, show_fault, status, trial_of
from pytest_rightsize.running.schedule import Progress, reason_not_to_run, visiting_order
from pytest_rightsize.running.sources import SessionSource, Source, WorkerSource
from pytest_rightsize.session.distribution import labelled, read_label, task_scheduling
from pytest_rightsize.session.live_progress import Live, Tally
from pytest_rightsize.session.notices import Notices
from pytest_rightsize.session.presenter import Presenter
from pytest_rightsize.session.resources import Resources
from pytest_rightsize.session.result import session_result

__all__ = ["LadderSession"]

_PARAM = "_rightsize_trial"
_KEY = pytest.StashKey[TrialKey]()
_TRANSCRIPT = pytest.StashKey[Transcript]()
_TICKET = pytest.StashKey[Ticket]()
_TRIAL = pytest.StashKey[Trial]()
_IDLE = pytest.StashKey["_Idle"]()
# Options of pytest that show what a test does while it does it: with them a test must start once.
_WATCHING = ("usepdb", "trace", "setupshow", "setuponly", "setupplan")


@dataclass(frozen=True, kw_only=True)
class _Idle:
    """Why a trial is not run."""

    reason: str
    detail: str


class LadderSession:
    """Everything a session knows; made in `pytest_configure`, where bad input still costs nothing."""

    def __init__(self, config: pytest.Config) -> None:
        """Read what the user asked for; raises ConfigError before any model is called."""
        self._settings = Settings.from_config(config)
        self._notices = Notices()
        self._resources = resources = Resources(config, self._settings, self._notices)
        self._is_worker, self._collect_only = resources.is_worker, resources.collect_only
        self._ladder, self._rungs, self._known = resources.ladder, resources.rungs, resources.known
        self._providers, self._recorder, self._engine = resources.providers, resources.recorder, resources.engine
        order = visiting_order([rung.name for rung in self._rungs], self._settings.strategy)
        self._turn = {rung: turn for turn, rung in enumerate(order)}
        self._config = config
        self._policies = Policies(self._settings, self._ladder)
        self._planned: Counter[tuple[str, str]] = Counter()
        self._progress: dict[tuple[str, str], Progress] = {}
        self._deselected = 0
        self._trials: dict[str, dict[TrialKey, Trial]] = defaultdict(dict)
        self._idle: dict[tuple[str, str], _Idle | None] = {}
        self._suspends = False
        self._item: pytest.Item | None = None
        self._said_down: dict[str, TrialKey] = {}
        self._about: Mapping[str, Any] = {}
        self._results: ResultsFile | None = None
        self._metered: list[Metering] = []
        self._fingerprints: dict[str, Any] = {}
        self._baseline = read_baseline(self._settings.baseline) if self._settings.baseline else None
        self._check_results_path()
        self._presenter = Presenter(config, self._settings)
        self._tally = Tally([rung.name for rung in self._rungs], self._engine.in_flight)
        self._live = Live(config, self._tally)
        config.pluginmanager.register(self._live, "rightsize-live")

    # --- before the tests -------------------------------------------------------------------------------------------

    def _check_results_path(self) -> None:
        path = self._settings.results
        if path is not None and (path.is_dir() or path.parent.is_file()):
            raise ConfigError(f"--rightsize-results was given {path}, which is no file that can be written")

    def pytest_report_header(self) -> list[str]:
        """Say which ladder is climbed and how, and what of it cannot answer on this machine."""
        try:
            return [f"rightsize: {line}" for line in self._resources.header()]
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a trial of each test on each rung, for each sample."""
        definition = metafunc.definition
        try:
            if _PARAM in metafunc.fixturenames or definition.get_closest_marker("rightsize"):
                policy = self._policies.of(definition)
        except ConfigError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        if _PARAM not in metafunc.fixturenames or not self._rungs:
            return
        trials = [(rung.name, sample) for rung in self._rungs for sample in range(policy.samples)]
        names = [rung if policy.samples == 1 else f"{rung}-s{sample}" for rung, sample in trials]
        metafunc.parametrize(_PARAM, trials, ids=names, indirect=True)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the trials that -k, -m, --lf and the like took out: the verdicts do not speak of them."""
        self._deselected += sum(_parameter(item) is not None for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Climb rung by rung: all tasks on the smallest, then what is left on the next."""
        for item in items:
            parameter = _parameter(item)
            if parameter is not None:
                item.stash[_KEY] = self._key(item, *parameter)
        items.sort(key=lambda item: self._turn[item.stash[_KEY].rung] if _KEY in item.stash else -1)

    def _key(self, item: pytest.Item, rung: str, sample: int) -> TrialKey:
        """The trial that an item is; its case is the test's id without the rung."""
        policy = self._policies.of(definition_of(item))
        name = rung if policy.samples == 1 else f"{rung}-s{sample}"
        case = item.nodeid
        for old, new in ((f"-{name}]", "]"), (f"[{name}]", ""), (f"[{name}-", "["), (f"-{name}-", "-")):
            if old in case:
                head, _, tail = case.rpartition(old)
                case = head + new + tail
                break
        return TrialKey(task=policy.task, case=redacted_case(case, self._settings.redact), rung=rung, sample=sample)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Make the plan; under xdist tell it to the controller by the ids that xdist sends there anyway."""
        items = session.items
        self._plan([item.stash[_KEY] for item in items if _KEY in item.stash])
        if self._recorder is not None:
            self._recorder.expect(_case(item) for item in items)
        if self._is_worker:
            keys = [item.stash.get(_KEY, None) for item in items]
            session.items = [*labelled(items, keys, self._policies)]
        else:
            self._begin()
        try:
            return (yield)
        finally:
            session.items = items

    def _plan(self, keys: Iterable[TrialKey]) -> None:
        """Count the trials of each task on each rung, and of each case."""
        cases: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for key in keys:
            self._planned[key.task, key.rung] += 1
            cases[key.task, key.rung][key.case] += 1
        for (task, rung), counts in cases.items():
            policy = self._policies[task]
            self._progress[task, rung] = Progress(counts, pass_rate=policy.pass_rate, confidence=policy.confidence)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object | None:
        """Keep the trials of a task on one worker: only who knows the smaller rungs can stop the climb."""
        return task_scheduling(config, log) if self._rungs else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn the plan from the first worker that has collected; the others have the same."""
        if self._planned or not self._rungs:
            return
        for label in filter(None, map(read_label, ids)):
            self._planned[label.key.task, label.key.rung] += 1
            if label.policy:
                self._policies.add(label.policy)
        self._begin()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect what the meters of a worker saw, and who its rungs were."""
        seen = (getattr(node, "workeroutput", None) or {}).get("rightsize") or {}
        self._metered += [Metering.from_dict(plain) for plain in seen.get("metered", ())]
        self._fingerprints |= seen.get("identities", {})

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker that died took a trial with it: an infrastructure fault, and no answer."""
        label = read_label(crashitem)
        if label is not None:
            report.nodeid = label.nodeid
            report.longrepr = f"a worker process crashed while running {label.nodeid!r}"
            attach(report, Trial(key=label.key, outcome="error", reason="crash", detail=report.longrepr))

    def _begin(self) -> None:
        """The plan is known and nothing has been asked yet: open the results file."""
        if self._collect_only or not self._planned:
            return
        self._tally.plan(self._planned)
        self._live.begin()
        self._about = describe_session(self._settings.to_dict(), self._settings.rootdir)
        if self._settings.results is not None:
            self._results = self._open_results(self._settings.results)
            self._results.plan((self._policies[task] for task in self._tasks()), self._planned)

    def _open_results(self, path: Path) -> ResultsFile:
        """The results file; one that cannot be written ends the session here, where nothing has been paid for."""
        try:
            return ResultsFile(
                path,
                rungs=self._rungs,
                about=self._about,
                private=any(self._policies[task].private for task in self._tasks()),
                on_trouble=self._notices.put,
            )
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None

    def _tasks(self) -> list[str]:
        """The tasks that have a trial in this session, in the order they were collected."""
        return list(dict.fromkeys(task for task, _ in self._planned))

    # --- one trial --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the items with many requests in flight, unless every test is to start once."""
        config = session.config
        broken = session.testsfailed and not config.option.continue_on_collection_errors
        watched = any(config.getoption(option, False) for option in _WATCHING)
        if self._collect_only or broken or watched or self._settings.concurrency == 1:
            return None
        source = self._source(session)
        if source is None:
            return None
        self._suspends = True
        try:
            Loop(session, trials=self, source=source, room=self._resources.room).run()
        except (session.Failed, session.Interrupted):
            # A worker of xdist only stops; the controller hears of the failures and says why.
            if not self._is_worker:
                raise
        return True

    def _source(self, session: pytest.Session) -> Source | None:
        """Where this process gets its items from; None for the controller of xdist, which runs none."""
        if self._is_worker:
            plugins = session.config.pluginmanager.get_plugins()
            interactor = next((one for one in plugins if type(one).__name__ == "WorkerInteractor"), None)
            return None if interactor is None else WorkerSource(session, interactor)
        return None if session.config.pluginmanager.has_plugin("dsession") else SessionSource(session)

    def group(self, item: pytest.Item) -> tuple[str, str] | None:
        """The task and rung of a test that has the fixture `model`."""
        if _KEY in item.stash:
            return item.stash[_KEY].task, item.stash[_KEY].rung
        if "model" not in getattr(item, "fixturenames", ()) or self._rungs:
            return None
        try:
            policy = self._policies.of(definition_of(item))
        except ConfigError:
            # The fixture runs into it too, and there it is told as the test's own error.
            return None
        name = policy.chosen or self._ladder.default
        return (policy.task, name) if name in self._providers else None

    def ticket(self, item: pytest.Item) -> Ticket:
        """The test's questions; it may be suspended unless it or its task cannot bear a second start."""
        if _TICKET not in item.stash:
            item.stash[_TICKET] = Ticket(
                case=_case(item),
                test=item.nodeid,
                private=self._is_private(item),
                may_suspend=self._suspends and self._may_start_again(item),
                on_doubt=lambda why: item.warn(
                    RightsizeWarning(f"{item.nodeid} is not suspended any more: {why}. See rightsize(concurrent=False)")
                ),
            )
        return item.stash[_TICKET]

    def _is_private(self, item: pytest.Item) -> bool:
        group = self.group(item)
        return group is not None and self._policies[group[0]].private

    def _may_start_again(self, item: pytest.Item) -> bool:
        group = self.group(item)
        if group is None or inspect.iscoroutinefunction(getattr(item, "obj", None)):
            return False
        return self._policies[group[0]].concurrent and self._resources.room(group[1]) > 1

    def may_start(self, group: tuple[str, str], waiting: Mapping[tuple[str, str], int]) -> bool:
        """A trial starts when its task's trials on earlier rungs have ended and those in flight will hardly settle it.

        And when no rung in use would lose its place in memory.
        """
        task, rung = group
        pending = [place for place, count in waiting.items() if count]
        if self._rungs and any(task == other and self._turn[one] < self._turn[rung] for other, one in pending):
            return False
        gives_up = self._settings.strategy != "full" and group in self._progress
        if gives_up and not self._progress[group].has_room(waiting.get(group, 0)):
            return False
        closing = self._engine.must_close_for(rung)
        return not any(other in closing for _, other in pending)

    def first_start_model(self, item: pytest.Item) -> Model | None:
        """The model for a start of which pytest does not know; None where the test is to be skipped, or fails."""
        key = item.stash.get(_KEY, None)
        if key is not None and (self._why_idle(item, key) is not None or self._engine.down(key.rung) is not None):
            return None
        item.stash[_TRANSCRIPT] = Transcript()
        try:
            return self._model_for(item)
        except ConfigError:
            return None

    def finished(self, item: pytest.Item) -> None:
        """Take in the trial as soon as its test has ended, also where others must be told of before it."""
        trial = item.stash.get(_TRIAL, None)
        if trial is not None:
            self._keep(trial)
        item.stash[_TICKET].close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """A fixture that ends waits for its answers."""
        if _TICKET in item.stash:
            item.stash[_TICKET].in_teardown = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip what cannot change a verdict, or may not or cannot be asked."""
        self._item = item
        self.ticket(item).next_run()
        if _TRANSCRIPT in item.stash:
            del item.stash[_TRANSCRIPT]
        if _KEY not in item.stash:
            return
        key = item.stash[_KEY]
        item.stash[_TRANSCRIPT] = Transcript()
        idle = self._why_idle(item, key)
        fault = self._engine.down(key.rung)
        if idle is None and fault is not None and not self._has_asked(item):
            if self._says_down(key):
                item.stash[_TRANSCRIPT].fault = fault
                pytest.skip(str(fault))
            idle = _Idle(reason="down", detail=str(fault))
        if idle is not None:
            item.stash[_IDLE] = idle
            pytest.skip(idle.detail)

    def _says_down(self, key: TrialKey) -> bool:
        """Whether this trial is the one that says for all others that its rung is down."""
        return self._said_down.setdefault(key.rung, key) == key

    def _why_idle(self, item: pytest.Item, key: TrialKey) -> _Idle | None:
        """Decide once for all trials of a task on a rung, whose earlier rungs have ended; then see what is settled."""
        place = (key.task, key.rung)
        if place not in self._idle:
            self._idle[place] = self._decide(key)
        if self._idle[place] is not None or self._settings.strategy == "full" or self._has_asked(item):
            return self._idle[place]
        detail = self._progress[place].reason_to_stop()
        return None if detail is None else _Idle(reason="settled", detail=detail)

    @staticmethod
    def _has_asked(item: pytest.Item) -> bool:
        """Whether an earlier start of the test asked something: its answer is there or on the way, and paid for."""
        return any(item.stash[_TICKET].runs)

    def _decide(self, key: TrialKey) -> _Idle | None:
        policy = self._policies[key.task]
        if policy.private and self._providers[key.rung].leaves_machine:
            return _Idle(reason="private", detail=f"{key.task} is private, and {key.rung} is not on this machine")
        known = standings(policy, self._trials[key.task].values(), self._snapshot())
        ladder = [rung.name for rung in self._rungs]
        detail = reason_not_to_run(key.rung, ladder=ladder, standings=known, strategy=self._settings.strategy)
        return None if detail is None else _Idle(reason="settled", detail=detail)

    def _snapshot(self, *, interrupted: bool = False) -> Run:
        """The run as far as it is known."""
        return Run(
            rungs=self._rungs,
            trials=tuple(trial for trials in self._trials.values() for trial in trials.values()),
            policies={task: self._policies[task] for task in self._tasks()},
            planned=self._planned,
            strategy=self._settings.strategy,
            interrupted=interrupted,
            meters=tuple(self._metered),
            about=self._about,
        )

    @pytest.fixture
    def model(self, _rightsize_trial: None) -> Model:
        """One rung of the ladder, to ask: `model.ask(prompt)` returns the answer as a string."""
        # Without the fixture `request`, which pytest makes anew for each that takes it: a tenth of a test's cost.
        assert self._item is not None
        try:
            return self._model_for(self._item)
        except ConfigError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    def _model_for(self, item: pytest.Item) -> Model:
        key = item.stash.get(_KEY, None)
        policy = self._policies.of(definition_of(item)) if key is None else self._policies[key.task]
        rung = self._rung(key.rung if key is not None else self._only_rung(policy))
        transcript = item.stash.setdefault(_TRANSCRIPT, Transcript())
        ticket = self.ticket(item)
        return Model(
            rung_record=rung,
            answer=lambda request: self._engine.ask(rung.name, request, ticket),
            transcript=transcript,
            sample=key.sample if key is not None else 0,
            max_tokens=policy.max_tokens,
        )

    def _only_rung(self, policy: Policy) -> str:
        """The rung of a test outside a ladder: the chosen one, else the default."""
        name = policy.chosen or self._ladder.default
        if name is None:
            raise ConfigError(
                f"{policy.task} has no rung to run on: give the task a `chosen` rung, name a `default` in the ladder "
                f"file, or climb a ladder with --rightsize-ladder"
            )
        return name

    def _rung(self, name: str) -> Rung:
        return self._known[name]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Grade the trial when its test has ended, and let a wrong answer be data rather than a failure."""
        report = yield
        transcript = item.stash.get(_TRANSCRIPT, None)
        if _TICKET in item.stash:
            if item.stash[_TICKET].waiting_for is not None:
                return report
            report.duration += item.stash[_TICKET].take_remembered_seconds()
        ended = report.when == "call" or (report.when == "setup" and not report.passed)
        if transcript is None or not ended:
            return report
        if _KEY in item.stash:
            trial = redacted(self._grade(item, call, report, transcript), self._settings.redact)
            item.stash[_TRIAL] = trial
            item.user_properties += trial_properties(trial)
            shape(report, trial)
            attach(report, trial)
        elif isinstance(transcript.fault, RungError):
            show_fault(report, str(transcript.fault))
        return report

    def _grade(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, transcript: Transcript
    ) -> Trial:
        key = item.stash[_KEY]
        idle = item.stash.get(_IDLE, None)
        if idle is not None:
            return Trial(key=key, outcome="not_run", reason=idle.reason, detail=idle.detail)
        is_down = isinstance(transcript.fault, RungError) and self._engine.down(key.rung) is not None
        if is_down and not self._says_down(key):
            # What was in flight when the rung went down failed with it.
            return Trial(key=key, outcome="not_run", reason="down", detail=str(transcript.fault))
        result = grade(ending(call, report), transcript)
        return Trial(
            key=key,
            outcome=result.outcome,
            reason=result.reason,
            detail=result.detail,
            answers=tuple(transcript.answers),
            seconds=round(report.duration, 6),
        )

    def pytest_report_teststatus(self, report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, Any] | None:
        """Give each outcome that pytest does not have a status of its own."""
        return status(report)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Let a trial leave this process."""
        data = yield
        return None if data is None else as_plain(data)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the trial; the controller of a distributed session sees its workers' here too."""
        trial = trial_of(report, known=self._trials)
        if trial is not None:
            self._keep(trial)

    def _keep(self, trial: Trial) -> None:
        self._notices.tell(self._config)
        if trial.key not in self._trials[trial.key.task]:
            self._tally.add(trial)
            progress = self._progress.get((trial.key.task, trial.key.rung))
            if progress is not None:
                progress.add(trial)
        self._trials[trial.key.task][trial.key] = trial
        if self._results is not None:
            self._results.trial(trial)

    # --- after the tests --------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge, write what is known, and let a failed gate fail the session."""
        self._engine.close()
        self._notices.tell(self._config)
        self._metered += self._resources.meters.seen()
        if self._is_worker:
            session.config.workeroutput["rightsize"] = {  # type: ignore[attr-defined]  # a worker of xdist has it
                "metered": [seen.to_dict() for seen in self._metered],
                "identities": {} if self._recorder is None else self._recorder.fingerprints(),
            }
        if self._is_worker or self._collect_only or not self._planned:
            return
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        self._about = {**self._about, "identities": self._fingerprints_of_rungs(interrupted=interrupted)}
        result = session_result(
            self._snapshot(interrupted=interrupted),
            objective=self._settings.objective,
            gates=self._settings.gate,
            policies=self._policies,
            tasks=self._ladder.tasks,
            baseline=self._baseline,
            deselected=self._deselected,
            today=date.today().isoformat(),
        )
        if result.fails and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._results is not None:
            for metering in self._metered:
                self._results.metering(metering)
            self._results.end(
                result.verdicts,
                exitstatus=int(session.exitstatus),
                failed=[f"{gate}: {verdict.task}" for gate, verdict in result.failed],
                totals=result.totals() | {"identities": self._about.get("identities", {})},
                waived=waiver_lines(result.waivers, result.unmet),
            )
            self._notices.tell(self._config)
        if not self._presenter.present(result) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _fingerprints_of_rungs(self, *, interrupted: bool) -> Mapping[str, Any]:
        """Each rung that answered, by its content; who wants to leave, or keeps nothing, waits for no file's hash."""
        known = self._fingerprints | ({} if self._recorder is None else self._recorder.fingerprints())
        if interrupted or (self._settings.results is None and not self._settings.reports):
            return known
        asked = {trial.key.rung for trials in self._trials.values() for trial in trials.values() if trial.answers}
        return fingerprints_of(sorted(asked), self._providers, known=known)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table, and for each failed gate what to change."""
        self._presenter.summarise(terminalreporter)


def _parameter(item: pytest.Item) -> tuple[str, int] | None:
    """The rung and sample of an item that a ladder was made for."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(_PARAM)


def _case(item: pytest.Item) -> str:
    """An item's name on any rung and for any sample."""
    return item.stash[_KEY].case if _KEY in item.stash else item.nodeid
