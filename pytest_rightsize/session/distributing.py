"""The session under pytest-xdist: the controller learns the plan from its workers and collects what they saw.

In come xdist's messages; out go the plan, meterings, strengths and fingerprints of `SessionState`, and a trial for
a test that killed its worker. A worker tells with its reports which models answered it.
"""

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import Trial
from pytest_rightsize.reports.junit import PREFIX, trial_properties
from pytest_rightsize.running.outcomes import attach, attached, shape
from pytest_rightsize.session.distribution import (
    VERSION,
    exception_line,
    installed_version,
    read_label,
    task_scheduling,
    what_it_needs,
)
from pytest_rightsize.session.rung_hosts import HOSTS
from pytest_rightsize.session.state import SessionState
from pytest_rightsize.session.workers_models import OwnModels, WorkersModels, are_elsewhere, without_answer
from pytest_rightsize.strength_records import Strength

__all__ = ["Distributing"]

IDENTIFIES = "rightsize_identifies"
"""The key of a worker's input that is set where workers may have other files than the controller."""


class Distributing:
    """The hooks of xdist's controller. Writes the state's plan, policies, meterings, strengths and fingerprints."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._climbs = bool(state.resources.rungs)
        self._has_plan = False
        self._models = WorkersModels()
        worker_input = getattr(state.config, "workerinput", None)
        self._own_models: OwnModels | None = None
        if worker_input is not None:
            self._own_models = OwnModels(state.resources, tells_all=bool(worker_input.get(IDENTIFIES)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object | None:
        """Keep the trials of a task on one worker: only who knows the smaller rungs can stop the climb."""
        return task_scheduling(config, log) if self._climbs else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker this version, and one of this machine where the models are that all share."""
        if (ours := installed_version()) is not None:
            node.workerinput[VERSION] = ours
        address = self._state.resources.hosting.worker_input(on_this_machine=bool(node.gateway.spec.popen))
        if address is not None:
            node.workerinput[HOSTS] = dict(address)
        if are_elsewhere(node.nodemanager.specs):
            node.workerinput[IDENTIFIES] = self._models.must_tell = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn the plan from the first worker that has collected; the others have the same."""
        if self._has_plan or not self._climbs:
            return
        self._has_plan = True
        for label in filter(None, map(read_label, ids)):
            self._state.planned[label.key.task, label.key.rung] += 1
            if label.policy:
                self._state.policies.add(label.policy)
        self._state.begin()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        """A worker tells which models answered; the controller lets no answer count of a rung that is two models.

        Before any other hook takes the trial.
        """
        trial = attached(report)
        if trial is not None:
            self._compare_models(report, trial)
        yield

    def _compare_models(self, report: pytest.TestReport, trial: Trial) -> None:
        if self._own_models is not None:
            if news := self._own_models.news(trial):
                report.rightsize_models = news  # type: ignore[attr-defined]  # as the trial
        elif (node := getattr(report, "node", None)) is not None:
            worker = f"{node.gateway.id} ({node.gateway.spec})"
            why = self._models.take(worker, getattr(report, "rightsize_models", {}), trial)
            self._state.fingerprints = self._models.fingerprints
            if why is not None:
                trial = without_answer(trial, why)
                others = [one for one in report.user_properties if not str(one[0]).startswith(PREFIX)]
                report.user_properties = [*others, *trial_properties(trial)]
                attach(report, trial)
                shape(report, trial)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Collect what the meters of a worker saw, and how strong its tasks are.

        End the session if the worker could not even be configured: xdist would start another for ever.
        """
        if error is not None and not hasattr(node, "workerinfo") and (why := exception_line(error)) is not None:
            raise pytest.UsageError(
                f"worker {node.gateway.id} ({node.gateway.spec}) could not be started: {why}. "
                f"{what_it_needs(why, node.config.rootpath)}"
            )
        output = (getattr(node, "workeroutput", None) or {}).get("rightsize") or {}
        self._state.metered += [Metering.from_dict(plain) for plain in output.get("metered", ())]
        strengths = [Strength.from_dict(plain) for plain in output.get("strengths", ())]
        self._state.strengths |= {strength.task: strength for strength in strengths}
        self._state.suite = self._state.suite or output.get("suite", [])

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker that died took a trial with it: an infrastructure fault, and no answer."""
        label = read_label(crashitem)
        if label is not None:
            report.nodeid = label.nodeid
            report.longrepr = f"a worker process crashed while running {label.nodeid!r}"
            attach(report, Trial(key=label.key, outcome="error", reason="crash", detail=report.longrepr))
