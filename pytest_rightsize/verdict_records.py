"""Verdicts: how each rung stands in a task, and what is concluded for the task. Frozen nouns, as in `records.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Evidence, Json, State, VerdictName

__all__ = ["BROKEN", "DOWN", "JudgeCheck", "Standing", "Verdict"]

DOWN = "down"
"""Reason of a standing without a single answer: the rung could not give one."""
BROKEN = "broken"
"""Reason of a standing without a single answer: the tests themselves broke."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Result of a rung in a task: `passed` of `trials` trials, and whether that reaches the bar.

    `rate` is the mean over cases of each case's mean; None if nothing was tried, or if the rung was stopped early, as
    the trials up to there are no fair sample. `low` and `high` are its one-sided bounds at the confidence that was
    asked for, else at 0.95; None where nothing was tried. `given_up` counts the trials that were left out because they
    could not change the state, `unanswered` those that had no answer and could not either; the bounds hold whatever the
    outcomes of both would have been. `claim` is how surely the rung must reach the bar to be named, and `is_open` says
    that it is undecided and none of its cases is left to decide it. `decided_at` counts the first cases of the order
    that decided a task which stops early.

    >>> Standing(state="fails", passed=3, trials=4, rate=0.75).could_not_answer
    False
    >>> Standing(state="undecided", reason="down").could_not_answer
    True
    """

    state: State
    passed: int = 0
    trials: int = 0
    rate: float | None = None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    given_up: int = 0
    unanswered: int = 0
    claim: float | None = None
    is_open: bool = False
    decided_at: int | None = None

    @property
    def could_not_answer(self) -> bool:
        """Whether the rung gave no answer to any trial of the task."""
        return self.trials == 0 and self.reason == DOWN


@dataclass(frozen=True, kw_only=True)
class JudgeCheck:
    """The judges that a verdict rests on, and what is known of their errors.

    Pass rates are corrected for those of a `calibrated` one. One that is `uncalibrated` was never held against labels
    of people, or cannot be corrected for, and `why` says what keeps it. One that its labels do not show to be better
    than `chance` decides nothing.

    >>> JudgeCheck(by=("frontier",), state="uncalibrated").to_dict()
    {'by': ['frontier'], 'state': 'uncalibrated', 'why': None, 'calibration': None}
    """

    by: tuple[str, ...]
    state: Literal["calibrated", "uncalibrated", "chance"]
    why: str | None = None
    calibration: Calibration | None = None

    def to_dict(self) -> dict[str, Json]:
        """The check as JSON data."""
        calibration = None if self.calibration is None else self.calibration.to_dict()
        return {"by": list(self.by), "state": self.state, "why": self.why, "calibration": calibration}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Conclusion for one task; `smallest` is the smallest rung that is shown to pass, None where none is.

    `open_rungs` are smaller ones that may pass too: all their cases were asked, and did not decide. `recommended` is
    the rung that the session's objective asks for: the smallest, or the one that takes least.
    `regressed` says how the task is worse than in the baseline, or why that is not known; None where it is not worse,
    or where there is no baseline.
    `evidence` is `shown` where the one-sided 95 % bound of the rate that the verdict rests on, that of
    `evidence_rung`, reaches its bar or misses it (`evidence_bound`), `likely` where the 80 % bound does; None for an
    undecided task. `suspicion` names an exception and its line, where every trial of an unsolved task ended in it.
    `cases_to_likely` and `cases_to_shown` further cases would do; None where no number would. `judge` says how it rests
    on judges, None where it rests on none.

    >>> passing = Standing(state="passes", passed=9, trials=9, rate=1.0)
    >>> verdict = Verdict(task="iso-date", verdict="right-sized", standing={"1b": passing}, smallest="1b", chosen="1b")
    >>> verdict.to_dict()["standing"]["1b"]["passed"]
    9
    """

    task: str
    verdict: VerdictName
    standing: Mapping[str, Standing]
    smallest: str | None = None
    chosen: str | None = None
    chosen_from: str | None = None
    pass_rate: float = 1.0
    confidence: float | None = None
    regressed: str | None = None
    notes: tuple[str, ...] = ()
    recommended: str | None = None
    open_rungs: tuple[str, ...] = ()
    evidence: Evidence | None = None
    evidence_rung: str | None = None
    evidence_bound: float | None = None
    cases_to_likely: int | None = None
    cases_to_shown: int | None = None
    suspicion: str | None = None
    judge: JudgeCheck | None = None

    def to_dict(self) -> dict[str, Json]:
        """The verdict as a line of the results file."""
        lists = {"notes": list(self.notes), "open_rungs": list(self.open_rungs)}
        return {"kind": "verdict", **plain_fields(self), **lists, "judge": self.judge and self.judge.to_dict()}
