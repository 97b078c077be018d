"""What became of each task over several runs: the smallest model that passes in each, and where it changed."""

from collections.abc import Sequence
from itertools import pairwise

from pytest_rightsize.results.kept_runs import number_of
from pytest_rightsize.results.run_summaries import RunSummary, TaskSummary

__all__ = ["last_change", "run_name", "smallest_cell"]

_UNDECIDED, _NONE, _NOT_THERE = "?", "-", ""


def run_name(summary: RunSummary) -> str:
    """The number of a kept run, else the name of its file."""
    number = number_of(summary.path)
    return summary.path.stem if number is None else str(number)


def smallest_cell(task: TaskSummary | None) -> str:
    """The smallest model, with its passes of trials where all were run; empty where the run does not have the task."""
    if task is None:
        return _NOT_THERE
    if task.smallest is None or task.smallest not in task.standing:
        return _answer(task)
    _, passed, trials = task.standing[task.smallest]
    return task.smallest if passed is None else f"{task.smallest} {passed}/{trials}"


def last_change(task: str, runs: Sequence[RunSummary]) -> str:
    """The last change of the smallest model, as in `4b to 1b in 12`; empty where there was none."""
    having = [(each, _answer(each.tasks[task])) for each in runs if task in each.tasks]
    changes = [
        f"{before} to {after} in {run_name(summary)}"
        for (_, before), (summary, after) in pairwise(having)
        if before != after
    ]
    return changes[-1] if changes else ""


def _answer(task: TaskSummary) -> str:
    """The smallest rung that passes, or why there is none."""
    return task.smallest or (_NONE if task.verdict == "unsolved" else _UNDECIDED)
