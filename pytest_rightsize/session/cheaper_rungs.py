"""Looks at larger rungs for `--rightsize-objective`: one of them may take less for a passed case than the smallest.

In come the trials of a session so far; out goes whether a climb goes on above a rung that passes, and when a rung is
shown to take more, so that the rest of its cases is left out. Neither changes which rung is the smallest.
"""

from collections.abc import Sequence
from dataclasses import replace

from pytest_rightsize.judging.rung_amounts import Quantity, meter_errors, rung_amounts
from pytest_rightsize.judging.rung_ratios import surely_more, why_not_comparable
from pytest_rightsize.judging.savings_sample import FEWEST
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run, Trial, TrialKey
from pytest_rightsize.session.state import SessionState
from pytest_rightsize.verdict_records import Verdict

__all__ = ["CheaperRungs", "verdict_so_far"]

_EVERY = 5
"""A rung is compared anew after so many further trials."""


def verdict_so_far(state: SessionState, task: str) -> tuple[Run, Verdict]:
    """The trials of one task as a run, and its verdict if the session ended now."""
    trials = tuple(state.trials[task].values())
    run = replace(state.plan_only, trials=trials, policies={task: state.policies[task]})
    (verdict,) = judge(run)
    return run, verdict


class CheaperRungs:
    """The larger rungs that are looked at, by task and rung."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._objective: Quantity | None = None if state.settings.objective == "size" else state.settings.objective
        self._looked_at: dict[tuple[str, str], list[str]] = {}
        self._compared: dict[tuple[str, str], int] = {}
        self._reasons: dict[tuple[str, str], str] = {}

    def looks_at(self, key: TrialKey) -> bool:
        """Whether a rung that no verdict needs is run all the same, as it may take less than those that pass."""
        if self._objective is None:
            return False
        _, verdict = verdict_so_far(self._state, key.task)
        passing = [rung for rung, standing in verdict.standing.items() if standing.state == "passes"]
        if verdict.smallest is None or key.rung in passing:
            return False
        self._looked_at[key.task, key.rung] = passing
        return True

    def reason_to_leave(self, key: TrialKey) -> str | None:
        """Why the rest of a rung that is looked at need not be asked, or None while it may take least."""
        group = (key.task, key.rung)
        if group not in self._looked_at or self._objective is None or group in self._reasons:
            return self._reasons.get(group)
        mine = [trial for trial in self._state.trials[key.task].values() if _counts(trial, key.rung)]
        if not mine or (len(mine) < self._compared.get(group, 0) + _EVERY and len(mine) > 1):
            return None
        self._compared[group] = len(mine)
        reason = self._compare(key, mine, self._objective)
        if reason is not None:
            self._reasons[group] = f"settled: {reason}"
        return self._reasons.get(group)

    def _compare(self, key: TrialKey, mine: Sequence[Trial], objective: Quantity) -> str | None:
        run = replace(self._state.plan_only, meters=tuple(self._state.metered))
        errors = meter_errors(run)
        taken = rung_amounts(key.rung, mine, objective, errors)
        if isinstance(taken, str):
            return f"by {objective} it cannot be compared, as {taken}"
        for rung in self._looked_at[key.task, key.rung]:
            trials = [trial for trial in self._state.trials[key.task].values() if _counts(trial, rung)]
            its = rung_amounts(rung, trials, objective, errors)
            if isinstance(its, str):
                continue
            if (why := why_not_comparable(its, taken)) is not None and its.kind != taken.kind:
                return f"by {objective} it cannot be compared: {why}"
            ratio = surely_more(taken, its) if len(taken.cases) >= FEWEST else None
            if ratio is not None:
                return f"it takes {ratio.value:.3g} times the {objective} of {rung} for a passed case"
        return None


def _counts(trial: Trial, rung: str) -> bool:
    return trial.key.rung == rung and trial.outcome in ("passed", "failed")
