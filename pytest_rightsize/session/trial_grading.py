"""Grades the trial of a test that has ended, with what its subtests, its rung and the schedule say of it.

In come the item, its report and its transcript; out goes the Trial. Reports are changed elsewhere (`trying.py`).
"""

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.running.full_story import is_asked_for
from pytest_rightsize.running.grading import Ending, Grade, grade
from pytest_rightsize.running.outcomes import ending, report_subtest
from pytest_rightsize.session.state import TRIAL_KEY, SessionState
from pytest_rightsize.session.trials import NOT_RUN, NotRun, SessionTrials

__all__ = ["TrialGrading"]

_FAILED_SUBTEST = pytest.StashKey[Ending]()
_TRACEBACKS = pytest.StashKey[list[str]]()


class TrialGrading:
    """What is known of trials beside their own answers."""

    def __init__(self, state: SessionState, trials: SessionTrials) -> None:
        self._trials = trials
        self._engine = state.resources.engine
        # For each rung that is down, the one trial that says so for all others.
        self._reported_down: dict[str, TrialKey] = {}

    @staticmethod
    def forget_subtests(item: pytest.Item) -> None:
        """A run of the item begins."""
        if _FAILED_SUBTEST in item.stash:
            del item.stash[_FAILED_SUBTEST], item.stash[_TRACEBACKS]

    @staticmethod
    def tracebacks(item: pytest.Item) -> list[str]:
        """Those of its subtests that failed, where they are asked for."""
        return item.stash.setdefault(_TRACEBACKS, [])

    def note_subtest(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Keep the first subtest that failed: a trial is what the whole test came to. Its own report is data."""
        if report.failed:
            item.stash.setdefault(_FAILED_SUBTEST, ending(call, report, item.config.rootpath))
            self.tracebacks(item).extend([report.longreprtext] if is_asked_for(item.config) else [])
            report_subtest(report)

    @staticmethod
    def ending_of(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Ending:
        """How the whole test ended: a test whose subtest failed has not passed."""
        end = ending(call, report, item.config.rootpath)
        return item.stash[_FAILED_SUBTEST] if end.kind == "passed" and _FAILED_SUBTEST in item.stash else end

    def trial(
        self,
        item: pytest.Item,
        call: pytest.CallInfo[None],
        report: pytest.TestReport,
        transcript: Transcript,
        seconds: float,
    ) -> Trial:
        """The trial that the whole test came to, which took so many seconds."""
        key = item.stash[TRIAL_KEY]
        if NOT_RUN in item.stash:
            not_run = item.stash[NOT_RUN]
            if self._trials.savings.is_taken(key) and not self._is_from_record(key, transcript):
                return self._sampled(key, not_run, grade(self.ending_of(item, call, report), transcript), transcript)
            completed = self._grade_from_record(item, self.ending_of(item, call, report), transcript)
            if completed is None:
                return Trial(key=key, outcome="not_run", reason=not_run.reason, detail=not_run.detail)
            return self._trial(key, completed, seconds, transcript)
        is_down = isinstance(transcript.fault, RungError) and self._engine.down(key.rung) is not None
        if is_down and not self.reports_down(key):
            # What was in flight when the rung went down failed with it.
            return Trial(key=key, outcome="not_run", reason="down", detail=str(transcript.fault))
        return self._trial(key, grade(self.ending_of(item, call, report), transcript), seconds, transcript)

    def _is_from_record(self, key: TrialKey, transcript: Transcript) -> bool:
        """Whether all its answers were recorded in an earlier session, so that the trial is more data."""
        may_be = self._engine.may_have_recorded(key.rung) and bool(transcript.answers)
        return may_be and all(answer.cached for answer in transcript.answers)

    @staticmethod
    def _sampled(key: TrialKey, not_run: NotRun, result: Grade, transcript: Transcript) -> Trial:
        """A trial that was asked for what is saved only: no verdict counts it, and its faults are nobody's."""
        return Trial(
            key=key,
            outcome="not_run",
            reason=not_run.reason,
            detail=not_run.detail,
            answers=tuple(transcript.answers),
            judgements=tuple(transcript.judgements),
            sampled=None if result.outcome == "not_run" else result.outcome,
        )

    def _grade_from_record(self, item: pytest.Item, end: Ending, transcript: Transcript) -> Grade | None:
        """The grade of a settled trial that recorded answers completed; None where they did not, or it broke."""
        ticket, key = self._trials.ticket(item), item.stash[TRIAL_KEY]
        if ticket.lacks_answer or not (ticket.recorded_only or self._trials.savings.is_taken(key)):
            return None
        result = grade(end, transcript)
        # What breaks in a test that need not have run is no fault of this session.
        is_outcome = result.outcome in ("passed", "failed") or result.reason in ("skipped", "xfail")
        return result if is_outcome else None

    @staticmethod
    def _trial(key: TrialKey, result: Grade, seconds: float, transcript: Transcript) -> Trial:
        return Trial(
            key=key,
            outcome=result.outcome,
            reason=result.reason,
            detail=result.detail and known_secrets()(result.detail),
            raised_at=result.raised_at,
            answers=tuple(transcript.answers),
            judgements=tuple(transcript.judgements),
            seconds=round(seconds, 6),
        )

    def reports_down(self, key: TrialKey) -> bool:
        """Whether this trial is the one that says for all others that its rung is down."""
        return self._reported_down.setdefault(key.rung, key) == key
