"""A verdict that near ties could turn says so, and no other."""

from typing import Any

import pytest

from pytest_rightsize.judging.near_ties import near_tie_notes
from pytest_rightsize.records import AnswerRecord, Policy, Rung, Trial, TrialKey
from pytest_rightsize.verdict_records import Standing


def trials(margins: list[float | None], passed: int) -> list[Trial]:
    return [
        Trial(
            key=TrialKey(task="t", case=str(index), rung="r"),
            outcome="passed" if index < passed else "failed",
            answers=(AnswerRecord(text="x", margin=margin),),
        )
        for index, margin in enumerate(margins)
    ]


def notes(margins: list[float | None], passed: int, state: Any, pass_rate: float = 0.75, **options: Any) -> list[str]:
    standing = {"r": Standing(state=state, passed=passed, trials=len(margins), rate=passed / len(margins))}
    rung = Rung(name="r", provider="llama_cpp", options=options)
    return near_tie_notes(Policy(task="t", pass_rate=pass_rate), trials(margins, passed), standing, [rung])


def test_a_pass_that_hangs_on_a_near_tie_says_so() -> None:
    (note,) = notes([0.05, 3.0, 3.0, 3.0], 3, "passes")
    assert note.startswith("r: 1 of its passed cases are near ties (two tokens within 0.1 logits)")
    assert "deterministic = true" in note


def test_a_failure_that_hangs_on_a_near_tie_says_so() -> None:
    (note,) = notes([3.0, 3.0, 0.05, 3.0], 2, "fails")
    assert note.startswith("r: 1 of its failed cases are near ties")


@pytest.mark.parametrize(
    ("margins", "passed", "state"),
    [
        ([0.05, 3.0, 3.0, 3.0], 4, "passes"),  # three are enough
        ([3.0, 3.0, 3.0, 0.05], 1, "fails"),  # two are too few
        ([3.0, 3.0, 3.0, 0.05], 3, "passes"),  # the near tie failed, and could only have passed
        ([None, 3.0, 3.0, 3.0], 3, "passes"),
        ([0.05, 0.05, 0.05, 0.05], 2, "undecided"),
    ],
)
def test_other_verdicts_say_nothing(margins: list[float | None], passed: int, state: str) -> None:
    assert notes(margins, passed, state) == []


@pytest.mark.parametrize("options", [{"deterministic": True}, {"n_parallel": 1}])
def test_a_rung_that_reads_each_prompt_alone_has_no_near_ties(options: dict[str, Any]) -> None:
    assert notes([0.05, 3.0, 3.0, 3.0], 3, "passes", **options) == []
