"""What a later run has changed, against an earlier one."""

from dataclasses import replace

import pytest

from pytest_rightsize.judging.run_changes import CaseChange, RunChanges, Sides, run_changes, summed_outcome
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run, Trial, TrialKey
from tests.runs import make_run


def changes(earlier: Run, later: Run) -> RunChanges:
    return run_changes(later, judge(later), earlier, judge(earlier))


def test_answers_that_became_wrong_come_first_then_lost_ones_then_better_ones() -> None:
    found = changes(
        make_run({"t": {"a": "0111", "b": "1111"}}, chosen="b"), make_run({"t": {"a": "1011", "b": "11E1"}}, chosen="b")
    )
    assert [(one.case, one.rung, one.before, one.after, one.is_worse) for one in found.cases] == [
        ("t-1", "a", "passed", "failed", True),
        ("t-2", "b", "passed", "error", True),
        ("t-0", "a", "failed", "passed", False),
    ]
    assert found.same == 5


def test_a_case_that_one_run_did_not_hear_is_counted_and_is_no_change() -> None:
    found = changes(make_run({"t": {"a": "11", "b": "--"}}), make_run({"t": {"a": "1--", "b": "1--"}}))
    assert found.cases == []
    assert (found.same, found.only_before, found.only_after) == (1, 1, 1)


def test_a_task_changes_by_verdict_smallest_or_chosen_and_not_by_its_counts() -> None:
    found = changes(
        make_run({"s": {"a": "1111", "b": "1111"}, "t": {"a": "0000", "b": "1111"}}, chosen="b"),
        make_run({"t": {"a": "1111", "b": "1111"}, "s": {"a": "1110", "b": "1111"}, "u": {"a": "1"}}, chosen="b"),
    )
    assert {one.task: one.is_change for one in found.tasks} == {"t": True, "s": False, "u": True}
    change = next(one for one in found.tasks if one.task == "t")
    assert change.before is not None
    assert change.after is not None
    assert (change.before.smallest, change.after.smallest) == ("b", "a")


def test_another_prompt_is_told_and_an_unrecorded_one_is_unknown() -> None:
    earlier, later = make_run({"t": {"a": "1"}}), make_run({"t": {"a": "0"}})
    assert changes(earlier, later).cases[0].asked_differently is None

    def asking(run: Run, prompt: str) -> Run:
        asked = ({"role": "user", "content": prompt},)
        return replace(
            run, trials=[replace(one, answers=(replace(one.answers[0], messages=asked),)) for one in run.trials]
        )

    assert changes(asking(earlier, "x"), asking(later, "x")).cases[0].asked_differently is False
    assert changes(asking(earlier, "x"), asking(later, "y")).cases[0].asked_differently is True


@pytest.mark.parametrize(
    ("outcomes", "summed"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "failed"], "mixed"),
        (["failed", "not_run"], "failed"),
        (["passed", "error"], "error"),
        (["not_run"], None),
        ([], None),
    ],
)
def test_samples_are_summed(outcomes: list[str], summed: str | None) -> None:
    key = TrialKey(task="t", case="c", rung="a")
    assert summed_outcome([Trial(key=key, outcome=outcome) for outcome in outcomes]) == summed  # type: ignore[arg-type]  # a table of words


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [("passed", "mixed", True), ("mixed", "failed", True), ("failed", "error", True), ("failed", "mixed", False)],
)
def test_a_case_is_worse_where_fewer_of_its_samples_pass(before: Sides, after: Sides, is_worse: bool) -> None:
    change = CaseChange(task="t", case="c", rung="a", before=before, after=after)
    assert change.is_worse is is_worse
