"""What a run has changed against an earlier one, as lines for a terminal: changed cases with both answers. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_rightsize.escaping import visible
from pytest_rightsize.judging.run_changes import CaseChange, RunChanges, TaskChange
from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.side_by_side import case_lines
from pytest_rightsize.verdict_records import Verdict

__all__ = ["change_lines", "shown_keys"]

_WORDS = {"passed": "passed", "failed": "too small", "mixed": "mixed", "error": "no answer"}
_BEFORE, _NOW = "before", "now"


def shown_keys(changes: RunChanges, most: int) -> frozenset[tuple[str, str, str]]:
    """Task, case and rung of the changed cases whose answers are shown."""
    return frozenset((change.task, change.case, change.rung) for change in changes.cases[:most])


def change_lines(
    changes: RunChanges,
    trials: Sequence[Trial],
    earlier_trials: Sequence[Trial],
    *,
    names: tuple[str, str],
    most: int,
    width: int,
) -> Iterator[str]:
    """The changes; `names` are those of the earlier run and of this one.

    The answers of the `most` first changed cases are shown side by side, from the trials that have their texts.
    """
    earlier, now = names
    tasks = [change for change in changes.tasks if change.is_change]
    yield f"{now} against {earlier}: {_sum(changes, len(tasks))}"
    yield from (f"  {line}" for change in tasks for line in [_task_line(change)])
    by_key, by_key_before = _by_key(trials), _by_key(earlier_trials)
    for change in changes.cases[:most]:
        yield ""
        yield _heading(change)
        key = (change.task, change.case, change.rung)
        pair = _pair(by_key_before.get(key, ()), by_key.get(key, ()))
        yield from case_lines(pair, width=width) if pair else [f"{change.task}: {readable_case(change.case)}"]
    if len(changes.cases) > most:
        yield ""
        yield f"{len(changes.cases) - most} changed cases more: --cases {len(changes.cases)} shows all"
    if changes.surroundings:
        yield ""
        yield from (visible(f"also different: {line}") for line in changes.surroundings)


def _sum(changes: RunChanges, tasks: int) -> str:
    worse = sum(change.is_worse for change in changes.cases)
    better = len(changes.cases) - worse
    parts = [
        f"{worse} worse, {better} better, {changes.same} the same (a case on a rung)",
        *([f"{changes.only_after} only now"] if changes.only_after else []),
        *([f"{changes.only_before} only before"] if changes.only_before else []),
        f"{tasks} task{'' if tasks == 1 else 's'} with another result" if tasks else "every task has the same result",
    ]
    return "; ".join(parts)


def _task_line(change: TaskChange) -> str:
    if change.before is None:
        return f"{change.task}: new: {_result(change.after)}"
    if change.after is None:
        return f"{change.task}: not in this run; before: {_result(change.before)}"
    return f"{change.task}: {_result(change.before)} before, {_result(change.after)} now"


def _result(verdict: Verdict | None) -> str:
    """The verdict in words: the smallest model, and what that says of the chosen one."""
    if verdict is None:
        return "none"
    chosen = f", chosen {verdict.chosen}" if verdict.chosen else ""
    return f"{verdict.verdict} (smallest {verdict.smallest or 'none'}{chosen})"


def _heading(change: CaseChange) -> str:
    direction = "worse" if change.is_worse else "better"
    prompt = "; the prompt is another too" if change.asked_differently else ""
    return f"{direction}: {change.rung}: {_WORDS[change.before]} before, {_WORDS[change.after]} now{prompt}"


def _by_key(trials: Sequence[Trial]) -> Mapping[tuple[str, str, str], list[Trial]]:
    found: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        found.setdefault((trial.key.task, trial.key.case, trial.key.rung), []).append(trial)
    return found


def _pair(before: Sequence[Trial], after: Sequence[Trial]) -> list[Trial]:
    """The sample that changed, of both runs, each under the name of its run."""
    after_by_sample = {trial.key.sample: trial for trial in after}
    both = [(one, after_by_sample[one.key.sample]) for one in before if one.key.sample in after_by_sample]
    changed = next((pair for pair in both if pair[0].outcome != pair[1].outcome), both[0] if both else None)
    if changed is None:
        return []
    return [
        replace(trial, key=TrialKey(task=trial.key.task, case=trial.key.case, rung=name, sample=trial.key.sample))
        for trial, name in zip(changed, (_BEFORE, _NOW), strict=True)
    ]
