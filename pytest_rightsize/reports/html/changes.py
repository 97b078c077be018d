"""The page's section on an earlier run: the tasks whose verdict changed, how many cases did, and what else differs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pytest_rightsize.judging.run_changes import CaseChange, RunChanges, run_changes
from pytest_rightsize.records import Json, Run, Trial
from pytest_rightsize.verdict_records import Verdict

__all__ = ["Earlier", "change_view", "earlier_trials"]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier run with its verdicts, to hold a later one against; `name` is how people call it, as `run 3`."""

    run: Run
    verdicts: Sequence[Verdict]
    name: str

    def changes(self, run: Run, verdicts: Sequence[Verdict]) -> RunChanges:
        """What `run` has changed."""
        return run_changes(run, verdicts, self.run, self.verdicts)


def earlier_trials(earlier: Earlier, changes: Sequence[CaseChange]) -> Mapping[tuple[str, str], Sequence[Trial]]:
    """The earlier trials of the cases that changed, on the rungs where they did, with their texts; by task and case."""
    changed = {(change.task, change.case, change.rung) for change in changes}
    trials: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in earlier.run.trials:
        if (trial.key.task, trial.key.case, trial.key.rung) in changed and trial.outcome != "not_run":
            trials[trial.key.task, trial.key.case].append(earlier.run.whole(trial))
    return trials


def change_view(name: str, changes: RunChanges) -> dict[str, Json]:
    """The words of the section: a sentence of counts, a row for each changed task, and sentences on what else differs.

    A case counts once for each rung on which its outcome changed.
    """
    worse = sum(change.is_worse for change in changes.cases)
    better = len(changes.cases) - worse
    other = sum(bool(change.asked_differently) for change in changes.cases)
    parts = [f"{worse:,} {_results(worse)} worse", f"{better:,} better", f"{changes.same:,} the same"]
    unpaired = [
        f"{number:,} only in {which}"
        for number, which in ((changes.only_before, name), (changes.only_after, "this run"))
        if number
    ]
    return {
        "name": name,
        "counts": f"{', '.join([*parts, *unpaired])}. A result is one case on one model.",
        "asked": f"{other:,} of the changed {_results(other)} had another prompt before." if other else "",
        "has_cases": bool(changes.cases),
        "rows": [
            {
                "task": change.task,
                "href": f"#task={quote(change.task.encode('utf-8', 'replace'))}&show=since",
                "before": _shape(change.before),
                "after": _shape(change.after),
            }
            for change in changes.tasks
            if change.is_change
        ],
        "surroundings": [f"{line[0].upper()}{line[1:]}." for line in changes.surroundings],
    }


def _shape(verdict: Verdict | None) -> dict[str, Json] | None:
    """The verdict, the smallest and the chosen model of one side."""
    if verdict is None:
        return None
    return {"verdict": verdict.verdict, "smallest": verdict.smallest, "chosen": verdict.chosen}


def _results(number: int) -> str:
    return "result" if number == 1 else "results"
