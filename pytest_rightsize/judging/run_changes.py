"""Changes between an earlier run and a later one: verdicts by task, and outcomes by case and rung; pure.

A case is compared on the rungs that heard it in both runs; what only one run has is counted, and is no change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_rightsize.judging.differences import prompts_differ, what_differs
from pytest_rightsize.records import Run, Trial
from pytest_rightsize.verdict_records import Verdict

__all__ = ["CaseChange", "RunChanges", "Sides", "TaskChange", "run_changes", "summed_outcome"]

Sides = Literal["passed", "mixed", "failed", "error"]
"""The outcome of all samples of a case on a rung; `mixed` if some passed and some failed."""
_RANK: Mapping[Sides, int] = {"passed": 0, "mixed": 1, "failed": 2, "error": 3}
_Heard = Mapping[tuple[str, str, str], Sequence[Trial]]


@dataclass(frozen=True, kw_only=True)
class TaskChange:
    """One task in both runs; `before` or `after` is None where only the other run has it."""

    task: str
    before: Verdict | None
    after: Verdict | None

    @property
    def is_change(self) -> bool:
        """Whether the verdict, the smallest model or the chosen one is another."""
        return _shape(self.before) != _shape(self.after)


@dataclass(frozen=True, kw_only=True)
class CaseChange:
    """A case whose outcome on a rung is another than before.

    `asked_differently` says whether the prompt changed too; None where a prompt was not recorded.
    """

    task: str
    case: str
    rung: str
    before: Sides
    after: Sides
    asked_differently: bool | None = None

    @property
    def is_worse(self) -> bool:
        """Whether fewer of its samples pass than before, or none of them answers any more."""
        return _RANK[self.after] > _RANK[self.before]


@dataclass(frozen=True, kw_only=True)
class RunChanges:
    """Everything that is another in the later run: `cases` has the worse ones first.

    `same` counts the cases on rungs that have the same outcome, `only_before` and `only_after` those that only one run
    heard. `surroundings` are sentences on what else differs: models, cases, bars, machine.
    """

    tasks: Sequence[TaskChange]
    cases: Sequence[CaseChange]
    same: int
    only_before: int
    only_after: int
    surroundings: Sequence[str] = ()


def run_changes(run: Run, verdicts: Sequence[Verdict], earlier: Run, earlier_verdicts: Sequence[Verdict]) -> RunChanges:
    """The changes from `earlier` to `run`."""
    before, after = _heard(earlier), _heard(run)
    both = [key for key in after if key in before]
    cases = [change for key in both if (change := _case_change(key, before[key], after[key])) is not None]
    rungs = {rung.name: place for place, rung in enumerate(run.rungs)}
    tasks = [verdict.task for verdict in verdicts]
    of_before = {verdict.task: verdict for verdict in earlier_verdicts}
    of_after = {verdict.task: verdict for verdict in verdicts}
    return RunChanges(
        tasks=[
            TaskChange(task=task, before=of_before.get(task), after=of_after.get(task))
            for task in dict.fromkeys([*of_after, *of_before])
        ],
        cases=sorted(
            cases,
            key=lambda one: (
                _urgency(one),
                tasks.index(one.task) if one.task in tasks else len(tasks),
                one.case,
                rungs[one.rung],
            ),
        ),
        same=len(both) - len(cases),
        only_before=len(before.keys() - after.keys()),
        only_after=len(after.keys() - before.keys()),
        surroundings=what_differs(earlier, run, ("the earlier run", "this run"), rungs),
    )


def summed_outcome(trials: Sequence[Trial]) -> Sides | None:
    """The outcome of a case on a rung over its samples; None where none of them was run."""
    outcomes = {trial.outcome for trial in trials} - {"not_run"}
    if "error" in outcomes:
        return "error"
    if outcomes == {"passed", "failed"}:
        return "mixed"
    return "passed" if "passed" in outcomes else "failed" if outcomes else None


def _heard(run: Run) -> _Heard:
    """The trials of each case on each rung that were run."""
    names = {rung.name for rung in run.rungs}
    trials: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in run.trials:
        if trial.outcome != "not_run" and trial.key.rung in names:
            trials.setdefault((trial.key.task, trial.key.case, trial.key.rung), []).append(trial)
    return trials


def _case_change(key: tuple[str, str, str], before: Sequence[Trial], after: Sequence[Trial]) -> CaseChange | None:
    was, now = summed_outcome(before), summed_outcome(after)
    if was is None or now is None or was == now:
        return None
    task, case, rung = key
    differ = prompts_differ(before, after)
    return CaseChange(task=task, case=case, rung=rung, before=was, after=now, asked_differently=differ)


def _urgency(change: CaseChange) -> int:
    """Answers that are wrong now come first, then those that no longer come, then what is better."""
    return 2 if not change.is_worse else 1 if change.after == "error" else 0


def _shape(verdict: Verdict | None) -> tuple[str | None, ...]:
    return (None,) if verdict is None else (verdict.verdict, verdict.smallest, verdict.chosen)
