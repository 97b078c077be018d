"""Collection: each test becomes trials, one for each rung and sample, and the trials become the plan.

In come pytest's test functions and items; out go items that know their trial, sorted by rung (`ordering.py`), and the
counts of `SessionState.planned`. No test runs here.
"""

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from pytest_rightsize.config.app_table import why_not_private
from pytest_rightsize.config.task_names import UncollectedFiles, misnamed_tasks
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.running.lean_items import SharedParts
from pytest_rightsize.session.distribution import labelled
from pytest_rightsize.session.forked_tests import why_not_forked
from pytest_rightsize.session.ordering import climb_in_order
from pytest_rightsize.session.sharding import of_this_shard, suite_plan
from pytest_rightsize.session.stand_ins import StandIns
from pytest_rightsize.session.state import TRIAL_KEY, SessionState, case_of
from pytest_rightsize.session.trial_names import PARAM, name_trial, parameter_id, parameter_of
from pytest_rightsize.session.unclimbed import tell_who_is_not_climbed

__all__ = ["Collecting"]


class Collecting:
    """The hooks before the first test. Reads the state's settings, rungs and policies; writes its plan."""

    def __init__(self, state: SessionState, stand_ins: StandIns | None = None) -> None:
        """`stand_ins` knows for which tests of other shards one stands, where only one is made."""
        self._state = state
        self._stand_ins = stand_ins
        self._rungs = state.resources.rungs
        self._policies = state.policies
        self._collected_files: set[str] = set()
        self._is_collected = False
        self._is_sharding = False
        self._shared_parts = SharedParts()

    def pytest_report_header(self) -> list[str]:
        """Say which ladder is climbed and how, and what of it cannot answer on this machine."""
        try:
            return [f"rightsize: {line}" for line in self._state.resources.header()]
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a trial of each test on each rung, for each sample."""
        definition = metafunc.definition
        try:
            if PARAM in metafunc.fixturenames or definition.get_closest_marker("rightsize"):
                policy = self._policies.of(definition)
                self._policies.add_variants(definition)
        except ConfigError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        if PARAM not in metafunc.fixturenames or not self._rungs:
            return
        # Where in the id of a test ours will stand: after those of the parameters that it has already.
        position = len(metafunc._calls[0]._idlist) if metafunc._calls else 0
        trials = [(rung.name, sample, position) for rung in self._rungs for sample in range(policy.samples)]
        ids = [parameter_id(rung, sample, policy.samples) for rung, sample, _ in trials]
        metafunc.parametrize(PARAM, trials, ids=ids, indirect=True)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Make the items of a function smaller before those of the next are there."""
        made = yield
        if isinstance(made, list):
            self._shared_parts.share(item for item in made if parameter_of(item) is not None)
        return made

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note which files were collected whole; --lf passes over a file by giving it nothing."""
        if report.passed and report.result and "::" not in report.nodeid:
            self._collected_files.add(report.nodeid)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the trials that -k, -m, --lf and the like took out: the verdicts do not speak of them."""
        if not self._is_sharding:
            self._state.deselected += sum(parameter_of(item) is not None for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Tell each test which trial it is."""
        self._check_task_names(session, items)
        try:
            self._name_trials(items)
        except ConfigError as error:  # a marker of one parameter contradicts that of another
            _refuse(session, items, str(error))
        self._check_privacy(session, items)
        refusal = None if self._state.resources.collect_only else why_not_forked(session.config, items)
        if refusal is None and self._stand_ins is not None:
            refusal = self._stand_ins.refusal(items)
        if refusal is not None:
            _refuse(session, items, refusal)
        tell_who_is_not_climbed(items, self._state)
        self._leave_to_other_shards(session, items)
        self._is_collected = True

    def _name_trials(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            name_trial(item, self._policies, self._state.settings.redact)

    def _check_task_names(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Warn of tables in the ladder file that no test has; end the session where that would do harm."""
        config, ladder = session.config, self._state.resources.ladder
        files = UncollectedFiles(
            config.rootpath,
            collected=self._collected_files,
            patterns=config.getini("python_files"),
            testpaths=config.getini("testpaths"),
            not_searched=config.getini("norecursedirs"),
        )
        errors = []
        for found in misnamed_tasks(ladder.tasks, self._policies.keys(), files):
            message = found.message(ladder.table_of(found.task, config.rootpath))
            if found.is_error and not self._state.resources.collect_only:
                errors.append(message)
            elif getattr(config, "workerinput", {}).get("workerid", "gw0") == "gw0":
                self._state.notices.put(message)
        self._state.notices.show(config)
        if errors:
            _refuse(session, items, "\n".join(errors))

    def _check_privacy(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """No private task may run where one of the application's models is a rung that leaves this machine."""
        resources = self._state.resources
        if self._state.settings.cache == "replay" or resources.collect_only:
            return
        tasks = dict.fromkeys(item.stash[TRIAL_KEY].task for item in items if TRIAL_KEY in item.stash)
        refusal = why_not_private(
            resources.ladder.app.models,
            [self._policies[task] for task in tasks],
            leaves_machine=lambda rung: not resources.keeps_private(rung),
        )
        if refusal is not None:
            _refuse(session, items, refusal)

    def _leave_to_other_shards(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Keep the items of this shard, and remember what the whole suite plans."""
        shard = self._state.settings.shard
        if shard is None:
            return
        keys = [item.stash.get(TRIAL_KEY, None) for item in items]
        trials = [item for item in items if TRIAL_KEY in item.stash]
        self._state.suite = suite_plan(
            (item.stash[TRIAL_KEY] for item in trials),
            self._policies,
            standing_for=() if self._stand_ins is None else map(self._stand_ins.trials_of, trials),
        )
        items[:], others = of_this_shard(shard, items, keys)
        self._is_sharding = True
        session.config.hook.pytest_deselected(items=others)
        self._is_sharding = False
        if getattr(session.config, "workerinput", {}).get("workerid", "gw0") == "gw0":
            mine = {item.stash[TRIAL_KEY].task for item in items if TRIAL_KEY in item.stash}
            whole = "" if shard.by == "task" else "; its verdicts are of its own cases only: see rightsize merge"
            self._state.notices.put(f"shard {shard}: {len(mine)} of {len(self._state.suite)} tasks{whole}")
            self._state.notices.show(session.config)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Put the tests in order, and make the plan, now that no hook of collection changes them any more.

        Under xdist the controller is told of the plan by the ids that xdist sends there anyway.
        """
        items = session.items
        if not self._is_collected:  # pytest comes here after a usage error too
            return (yield)
        self._name_trials(items)  # another plugin may have added some
        climb_in_order(self._state, items)
        trials = [item for item in items if TRIAL_KEY in item.stash]
        self._shared_parts = SharedParts()  # the tables of items that are gone
        self._state.plan(item.stash[TRIAL_KEY] for item in trials)
        if self._state.resources.recorder is not None:
            self._state.resources.recorder.expect(case_of(item) for item in items)
        if self._state.resources.is_worker:
            keys = [item.stash.get(TRIAL_KEY, None) for item in items]
            session.items = [*labelled(items, keys, self._policies)]
        else:
            self._state.begin()
        try:
            return (yield)
        finally:
            if self._state.resources.is_worker:
                session.items = items


def _refuse(session: pytest.Session, items: list[pytest.Item], message: str) -> None:
    """End the session before a test runs; a worker of xdist can only report it, and has nothing to run then."""
    if not hasattr(session.config, "workerinput"):
        raise pytest.UsageError(message)
    items.clear()
    report = pytest.CollectReport("the ladder file", "failed", message, [])
    session.config.hook.pytest_collectreport(report=report)
