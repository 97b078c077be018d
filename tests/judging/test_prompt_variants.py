"""What is said of several prompts of one task."""

from dataclasses import replace

import pytest

from pytest_rightsize.judging.prompt_variants import confidence_over, variant_task
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Policy, Run
from tests.runs import make_run


def run_of(variants: dict[str, dict[str, str]], pass_rate: float = 0.9) -> Run:
    outcomes = {variant_task("t", name): by_rung for name, by_rung in variants.items()}
    return make_run(outcomes, pass_rate=pass_rate, strategy="full")


def note_in(run: Run) -> tuple[str, str]:
    """The variant with the note, and the note."""
    (found,) = [
        (verdict.task.removeprefix("t @ "), verdict.notes[-1])
        for verdict in judge(run)
        if "prompt" in str(verdict.notes)
    ]
    return found


def note_of(**variants: dict[str, str]) -> tuple[str, str]:
    return note_in(run_of(variants))


ALL, NONE = "1" * 60, "0" * 60


@pytest.mark.parametrize(
    ("variants", "best", "note"),
    [
        (
            {"v1": {"a": NONE, "b": ALL}, "v2": {"a": ALL, "b": ALL}},
            "v2",
            "this prompt lets a smaller model pass: a; v1 needs b; shown at 95 % over 2 prompts",
        ),
        (
            {"v1": {"a": NONE, "b": ALL}, "v2": {"a": "1" * 10, "b": ALL}, "v3": {"a": NONE, "b": NONE}},
            "v2",
            "this prompt lets a smaller model pass: a; v1 needs b, v3 passes on none; the best of 3 prompts looks "
            "better than it is: its true rate may be as low as 66 %, and the bar is 90 %",
        ),
        (
            {"v1": {"a": ALL}, "v2": {"a": ALL}},
            "v1",
            "no prompt lets a smaller model pass than another: all 2 pass from a on",
        ),
        (
            {"v1": {"a": ALL, "b": ALL}, "v2": {"a": ALL, "b": ALL}, "v3": {"a": NONE, "b": ALL}},
            "v1",
            "this prompt lets a smaller model pass: a (as v2 does); v3 needs b; shown at 95 % over 3 prompts",
        ),
        (
            {"v1": {"a": NONE}, "v2": {"a": NONE}},
            "v1",
            "of 2 prompts none is known to let a model pass: v1 passes on none, v2 passes on none",
        ),
        (
            {"v1": {"a": "E" * 5}, "v2": {"a": ALL}},
            "v2",
            "passes on a, but v1 is undecided: v1 is undecided; shown at 95 % over 2 prompts",
        ),
    ],
)
def test_the_prompts_of_a_task_are_compared(variants: dict[str, dict[str, str]], best: str, note: str) -> None:
    assert note_of(**variants) == (best, note)


def test_one_prompt_alone_and_other_tasks_have_no_such_note() -> None:
    run = make_run({"t @ v1": {"a": "1"}, "u": {"a": "1"}})
    assert not [verdict for verdict in judge(run) if any("prompt" in note for note in verdict.notes)]


def test_all_claims_hold_together_at_the_confidence_that_was_asked_for() -> None:
    assert confidence_over(0.95, 1) == 0.95
    assert confidence_over(0.95, 5) == pytest.approx(0.99)
    assert confidence_over(0.4, 2) == pytest.approx(0.7)


def test_prompts_are_alike_by_the_rung_and_not_by_its_name() -> None:
    note = note_of(v1={"z": NONE, "b": ALL}, v2={"z": ALL, "b": ALL})
    assert note == ("v2", "this prompt lets a smaller model pass: z; v1 needs b; shown at 95 % over 2 prompts")


@pytest.mark.parametrize("marks", ["1" * 18 + "0-", "1" * 17 + "0--", "1" * 17 + "E--", "1" * 16 + "0---"])
def test_passes_after_the_last_one_that_was_needed_count_for_nothing(marks: str) -> None:
    """16 of 20 reach a bar of 80 %: with one failure that is 16 of 17, whose bound at 97.5 % is 71.3 %."""
    _, note = note_in(run_of({"v1": {"a": marks, "b": ALL}, "v2": {"a": NONE, "b": ALL}}, pass_rate=0.8))
    assert note.endswith("its true rate may be as low as 71 %, and the bar is 80 %")


def test_where_all_trials_were_run_all_count() -> None:
    """19 of 20 at 97.5 %: 75.1 %."""
    _, note = note_in(run_of({"v1": {"a": "1" * 19 + "0", "b": ALL}, "v2": {"a": NONE, "b": ALL}}))
    assert note.endswith("its true rate may be as low as 75 %, and the bar is 90 %")


@pytest.mark.parametrize("changed", [{"samples": 2}, {"pass_rate": 0.0}])
def test_no_bound_is_told_that_was_not_computed(changed: dict[str, float]) -> None:
    """That of several samples a case is another, and a bar of 0 is reached by any."""
    run = run_of({"v1": {"a": ALL, "b": ALL}, "v2": {"a": "1" + NONE, "b": ALL}})
    policy: Policy = run.policies["t @ v1"]
    run = replace(run, policies={**run.policies, "t @ v1": replace(policy, **changed)})  # type: ignore[arg-type]
    assert note_in(run) == ("v1", "this prompt lets a smaller model pass: a; v2 needs b")
