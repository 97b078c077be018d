"""A verdict that near ties could turn says so, and no other."""

from dataclasses import replace
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
    (note,) = notes([0.05, 3.0, 3.0, 3.0, 3.0], 4, "passes", pass_rate=0.8)
    assert note.startswith("r: 1 of its passed cases are near ties")


def test_a_failure_that_hangs_on_a_near_tie_says_so() -> None:
    (note,) = notes([3.0, 3.0, 0.05, 3.0], 2, "fails")
    assert note.startswith("r: 1 of its failed cases are near ties")
    (note,) = notes([3.0, 3.0, 3.0, 0.05, 3.0], 3, "fails", pass_rate=0.8)
    assert note.startswith("r: 1 of its failed cases are near ties")


def test_near_ties_of_another_rung_turn_nothing() -> None:
    near, far = trials([0.05, 0.05, 0.05, 0.05], 3), trials([3.0] * 4, 3)
    others = [replace(trial, key=replace(trial.key, rung=name)) for name in ("a", "z") for trial in near]
    standing = {"r": Standing(state="passes", passed=3, trials=4, rate=0.75)}
    rung = Rung(name="r", provider="llama_cpp")
    assert near_tie_notes(Policy(task="t", pass_rate=0.75), [*others, *far], standing, [rung]) == []


@pytest.mark.parametrize(
    ("margins", "passed", "state"),
    [
        ([0.05, 3.0, 3.0, 3.0], 4, "passes"),  # three are enough
        ([3.0, 3.0, 3.0, 0.05], 1, "fails"),  # two are too few
        ([3.0] * 7 + [0.05], 4, "fails"),  # one more makes five of eight, and six are needed
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
