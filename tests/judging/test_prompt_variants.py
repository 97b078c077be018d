"""What is said of several prompts of one task."""

import pytest

from pytest_rightsize.judging.prompt_variants import confidence_over, variant_task
from pytest_rightsize.judging.verdict import judge
from tests.runs import make_run


def note_of(**variants: dict[str, str]) -> tuple[str, str]:
    """The variant with the note, and the note."""
    run = make_run({variant_task("t", name): outcomes for name, outcomes in variants.items()}, pass_rate=0.9)
    (found,) = [
        (verdict.task.removeprefix("t @ "), verdict.notes[-1])
        for verdict in judge(run)
        if "prompt" in str(verdict.notes)
    ]
    return found


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
