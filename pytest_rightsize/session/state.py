"""The state that the plugins of a session share: what was asked for, what is planned, and the trials so far.

In come settings and resources that were checked before any test; out goes the run as far as it is known. It decides
nothing about rungs or verdicts.
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rightsize.config.policies import Policies
from pytest_rightsize.config.settings import Settings
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.judge_checks import rests_on_calibrated
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import Policy, Run, Tokens, Trial, TrialKey
from pytest_rightsize.results.kept_media import media_beside
from pytest_rightsize.results.results_file import ResultsFile
from pytest_rightsize.results.session_head import SessionHead
from pytest_rightsize.results.stored_texts import without_texts
from pytest_rightsize.running.schedule import EarlyProgress, Progress, visiting_order
from pytest_rightsize.session.keeping import Keeping
from pytest_rightsize.session.live_progress import LiveProgress
from pytest_rightsize.session.notices import Notices
from pytest_rightsize.session.outputs import check_outputs
from pytest_rightsize.session.rehearsal import rehearse_end
from pytest_rightsize.session.resources import Resources
from pytest_rightsize.session.tally import Tally
from pytest_rightsize.strength_records import Strength

if TYPE_CHECKING:
    from pytest_rightsize.judging.baseline import Baseline

__all__ = ["TRIAL_KEY", "SessionState", "case_of"]

TRIAL_KEY = pytest.StashKey[TrialKey]()
"""Which trial an item is; an item without it is no trial of a ladder."""


def case_of(item: pytest.Item) -> str:
    """An item's name on any rung and for any sample."""
    return item.stash[TRIAL_KEY].case if TRIAL_KEY in item.stash else item.nodeid


class SessionState:
    """Everything that more than one plugin of a session knows.

    | attribute | what it is | written by |
    | --- | --- | --- |
    | `settings`, `notices`, `resources`, `policies` | what was asked for, and what there is to do it | `__init__` |
    | `turn` | when each rung's turn comes, by the strategy | `__init__` |
    | `baseline`, `to_be_finished` | the earlier run, and the tasks and rungs that it wants asked whole | `__init__` |
    | `planned`, `progress` | the trials of each task and rung, and how many have ended | collecting, distributing |
    | `deselected` | how many trials -k, -m and the like took out | collecting |
    | `suite` | of a shard, the plan of the whole suite | collecting, distributing |
    | `trials` | each trial that has ended, by task and key, without its texts | trying, through `keep` |
    | `contradicted` | tests that are shown as failed although their trials have passed | trying |
    | `reads_texts` | whether a report will read the texts of trials again | finishing |
    | `metered`, `fingerprints` | what meters saw, and which models answered | distributing, finishing |
    | `strengths` | how many wrong answers each task let pass | playing, distributing |
    | `keeping` | the file of this run in `.rightsize/runs` | `begin`, finishing |
    | `about`, `results` | the head of the results file, and the file | collecting, distributing, through `begin` |
    """

    def __init__(self, config: pytest.Config) -> None:
        """Read and check what the user asked for; raises ConfigError before any model is called."""
        self.config = config
        self.settings = Settings.from_config(config)
        self.notices = Notices()
        self.resources = Resources(config, self.settings, self.notices)
        self.policies = Policies(self.settings, self.resources.ladder)
        order = visiting_order([rung.name for rung in self.resources.rungs], self.settings.strategy)
        self.turn = {rung: turn for turn, rung in enumerate(order)}
        self.baseline: Baseline | None = None
        self.to_be_finished: frozenset[tuple[str, str]] = frozenset()
        if self.settings.baseline:
            from pytest_rightsize.judging.baseline import read_baseline, to_be_finished

            self.baseline = read_baseline(self.settings.baseline)
            self.to_be_finished = to_be_finished(self.baseline)
        self.planned: Counter[tuple[str, str]] = Counter()
        self.progress: dict[tuple[str, str], Progress] = {}
        self.deselected = 0
        self.suite: list[dict[str, Any]] = []
        self.trials: dict[str, dict[TrialKey, Trial]] = defaultdict(dict)
        self.metered: list[Metering] = []
        self.strengths: dict[str, Strength] = {}
        self.fingerprints: dict[str, Any] = {}
        self.contradicted: dict[str, None] = {}
        self.reads_texts = False
        self._known_tokens: dict[Tokens, Tokens] = {}
        goes_by = self.resources.ladder.order
        by = {} if goes_by == "params" else {"order": goes_by}
        judges = [calibration.to_dict() for calibration in self.resources.calibrations]
        known = {"calibrations": judges} if judges else {}
        self.about = SessionHead({**self.settings.to_dict(), **by, **known}, self.settings.rootdir)
        self.results: ResultsFile | None = None
        self.keeping = Keeping(self.settings, self.notices.put)
        check_outputs(self.settings, config)
        engine, plugins = self.resources.engine, config.pluginmanager

        def in_flight(rung: str) -> int | None:
            """The controller of xdist does not know what its workers have asked."""
            return None if plugins.has_plugin("dsession") else engine.in_flight(rung)

        self.tally = Tally([rung.name for rung in self.resources.rungs], in_flight, loading=engine.loading)
        self.live_progress = LiveProgress(config, self.tally)
        self.notices.pause = self.live_progress.paused

    @property
    def tasks(self) -> list[str]:
        """The tasks that have a trial in this session, in the order they were collected."""
        return list(dict.fromkeys(task for task, _ in self.planned))

    @property
    def is_run(self) -> bool:
        """Whether there is a run to be judged and written; that of a shard may be empty."""
        return bool(self.planned) or (self.settings.shard is not None and bool(self.resources.rungs))

    @property
    def gives_up(self) -> bool:
        """Whether a task may stop within a rung, before all its cases were asked."""
        return self.settings.strategy != "full" and self.settings.stopping != "none"

    # --- the plan ---------------------------------------------------------------------------------------------------

    def plan(self, keys: Iterable[TrialKey]) -> None:
        """Count the trials of each task on each rung, and of each case."""
        cases: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for key in keys:
            cases[key.task, key.rung][key.case] += 1
        for (task, rung), planned in cases.items():
            self.planned[task, rung] += planned.total()
            self.progress[task, rung] = _progress(self.policies[task], planned)

    def begin(self) -> None:
        """The plan is known and nothing has been asked yet: what the end needs is made ready, and the file opened."""
        if self.resources.collect_only or not self.is_run:
            return
        try:
            asked_for = [self.policies[task].confidence or 0.0 for task in self.tasks]
            rehearse_end(self.resources.rungs, confidence=max(asked_for, default=0.0) or None)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None
        self.tally.plan(self.planned)
        self.live_progress.begin()
        path = self.settings.results or self.keeping.begin() or (self._temporary_file() if self.reads_texts else None)
        if path is not None:
            self.results = self._open_results(path)
            self.results.plan((self.policies[task] for task in self.tasks), self.planned)

    def _temporary_file(self) -> Path:
        """Where the texts of trials wait for the reports of a session that keeps no results file."""
        folder = tempfile.TemporaryDirectory(prefix="rightsize-", ignore_cleanup_errors=True)
        self.config.add_cleanup(folder.cleanup)
        return Path(folder.name) / "run.jsonl"

    def _open_results(self, path: Path) -> ResultsFile:
        """The results file; one that cannot be written ends the session here, where nothing has been paid for."""
        try:
            results = ResultsFile(
                path,
                rungs=self.resources.rungs,
                about=self.about,
                private=self.settings.results is None or any(self.policies[task].private for task in self.tasks),
                on_trouble=self.notices.put,
                is_read_again=self.reads_texts,
            )
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None
        if results.texts is not None:
            self.config.add_cleanup(results.texts.close)
        return results

    # --- the run ----------------------------------------------------------------------------------------------------

    def keep(self, trial: Trial) -> None:
        """Take in a trial that has ended, and write it down."""
        self.notices.show(self.config)
        if trial.key not in self.trials[trial.key.task]:
            self.tally.add(trial)
            progress = self.progress.get((trial.key.task, trial.key.rung))
            if progress is not None:
                if rests_on_calibrated(trial, self.resources.calibrations):
                    progress.ask_all()
                progress.add(trial)
        if self.results is not None:
            if self.settings.results is not None:
                self.write_down()  # first what a trial rests on: a trial in the file is never asked for again
            self.results.trial(trial)
        self.trials[trial.key.task][trial.key] = self._to_be_kept(trial)

    def write_down(self) -> None:
        """Wait until every answer that has come is recorded on disk; not for longer than a disk may take."""
        if self.resources.recorder is not None:
            self.resources.recorder.flush()

    def _to_be_kept(self, trial: Trial) -> Trial:
        """The trial without its texts, unless a report needs them and no file can give them."""
        if self.reads_texts and (self.results is None or self.results.texts is None):
            return trial
        return without_texts(trial, keeps_prompts=self.baseline is not None, known=self._known_tokens)

    @property
    def plan_only(self) -> Run:
        """The rungs and the plan as a run without trials, which costs the same however many tasks there are."""
        resources = self.resources
        return Run(
            rungs=resources.rungs,
            planned=self.planned,
            strategy=self.settings.strategy,
            calibrations=resources.calibrations,
        )

    def run(self, *, interrupted: bool = False) -> Run:
        """The run as far as it is known."""
        return Run(
            rungs=self.resources.rungs,
            trials=tuple(trial for trials in self.trials.values() for trial in trials.values()),
            policies={task: self.policies[task] for task in self.tasks},
            planned=self.planned,
            strategy=self.settings.strategy,
            interrupted=interrupted,
            meters=tuple(self.metered),
            strengths=self.strengths,
            calibrations=self.resources.calibrations,
            about=self.about,
            read_texts=None if self.results is None or self.results.texts is None else self.results.texts.whole,
            read_data=None if self.results is None else media_beside(self.results.path).read,
        )


def _progress(policy: Policy, planned: Counter[str]) -> Progress:
    """How the trials of a task on one rung come along; `planned` counts those of each case."""
    if policy.stops_early and policy.confidence is not None:
        return EarlyProgress(
            planned,
            task=policy.task,
            seed=policy.shuffle_seed or 0,
            pass_rate=policy.pass_rate,
            confidence=policy.confidence,
        )
    return Progress(planned, pass_rate=policy.pass_rate, confidence=policy.confidence)
