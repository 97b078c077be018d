"""The end of a session: judge the run, write what is known, let a failed gate fail the session, show the summary.

In comes the run that `SessionState` holds; out go the results file's last lines, the reports and the exit status.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.recorded.fingerprints import fingerprints_of
from pytest_rightsize.reports.terminal import waiver_lines
from pytest_rightsize.session.explaining import Explaining
from pytest_rightsize.session.presenter import Presenter
from pytest_rightsize.session.result import SessionResult, session_result
from pytest_rightsize.session.state import SessionState

__all__ = ["Finishing"]


class Finishing:
    """The hooks after the last test. Reads all of the state; writes its meterings, its fingerprints and its file's end.

    Made before any test, so that a report that cannot be made costs nothing.
    """

    def __init__(self, state: SessionState, explaining: Explaining) -> None:
        """Raises ConfigError for a report that is unknown or cannot be made."""
        self._state = state
        self._settings = state.settings
        self._resources = state.resources
        self._presenter = Presenter(state.config, state.settings, explaining)
        state.reads_texts = self._presenter.reads_texts and not state.resources.is_worker

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge, write what is known, and let a failed gate fail the session."""
        state = self._state
        self._resources.engine.close()
        self._resources.hosting.close()
        state.notices.show(state.config)
        state.metered += self._resources.meters.seen()
        if self._resources.is_worker:
            self._tell_controller(session)
        if self._resources.is_worker or self._resources.collect_only or not state.is_run:
            return
        if not state.planned and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = exitstatus = pytest.ExitCode.OK  # there are more shards than tasks
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        state.about.identities = self._fingerprints(interrupted=interrupted)
        result = self._judge(interrupted=interrupted)
        fails = self._tell_contradictions() or result.fails
        if fails and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._end_results_file(result, exitstatus=int(session.exitstatus))
        if not self._presenter.present(result) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _tell_contradictions(self) -> bool:
        """Whether tests are shown as failed whose trials have passed: a verdict on them is not to be trusted."""
        tests = list(self._state.contradicted)
        if tests:
            more = f" (and {len(tests) - 1} more like it)" if len(tests) > 1 else ""
            self._state.notices.put(
                f"{tests[0]}{more} is shown as failed by a hook pytest_runtest_logreport, after its trial had passed, "
                f"so verdicts count it as passed: fail it in the test, or in pytest_runtest_makereport"
            )
            self._state.notices.show(self._state.config)
        return bool(tests)

    def _tell_controller(self, session: pytest.Session) -> None:
        """Send the controller of xdist what its own process has not seen."""
        session.config.workeroutput["rightsize"] = {  # type: ignore[attr-defined]  # a worker of xdist has it
            "strengths": [strength.to_dict() for strength in self._state.strengths.values()],
            "metered": [metering.to_dict() for metering in self._state.metered],
            "suite": self._state.suite,
        }

    def _judge(self, *, interrupted: bool) -> SessionResult:
        return session_result(
            self._state.run(interrupted=interrupted),
            objective=self._settings.objective,
            gates=self._settings.gate,
            policies=self._state.policies,
            tasks=self._resources.ladder.tasks,
            baseline=self._state.baseline,
            deselected=self._state.deselected,
            today=clocks.today().isoformat(),
        )

    def _fingerprints(self, *, interrupted: bool) -> Mapping[str, Any]:
        """Each rung that answered, by its content; a model file is not hashed where nobody will read the result."""
        recorder = self._resources.recorder
        known = self._state.fingerprints | ({} if recorder is None else recorder.fingerprints())
        if not interrupted and (self._settings.results is not None or self._settings.reports):
            trials = (trial for by_key in self._state.trials.values() for trial in by_key.values())
            answered = {trial.key.rung for trial in trials if trial.answers}
            known = fingerprints_of(sorted(answered), self._resources.providers, known=known)
        # A worker elsewhere that tells none may have another file than this process could hash.
        return {rung: content for rung, content in known.items() if content is not None}

    def _end_results_file(self, result: SessionResult, *, exitstatus: int) -> None:
        results = self._state.results
        if results is None:
            return
        results.suite(self._state.suite)
        for metering in self._state.metered:
            results.metering(metering)
        for strength in result.run.strengths.values():
            results.strength(strength)
        results.end(
            result.verdicts,
            exitstatus=exitstatus,
            failed=[f"{gate}: {verdict.task}" for gate, verdict in result.failed],
            warned=[f"{gate}: {verdict.task}" for gate, verdict in result.warned],
            totals=result.totals() | {"identities": self._state.about.identities or {}},
            waived=waiver_lines(result.waivers, result.unmet),
            interrupted=result.run.interrupted,
        )
        self._state.keeping.end()
        self._state.notices.show(self._state.config)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table, and for each failed gate what to change."""
        self._presenter.summarise(terminalreporter, self._state.keeping.lines())
