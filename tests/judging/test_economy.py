"""Ratios of what a typical case takes on two rungs, and why there is none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.economy import Economy, economy
from pytest_rightsize.records import AnswerRecord, Tokens, Trial, TrialKey


def trial(rung: str, case: int, cost_usd: float | None) -> Trial:
    answer = AnswerRecord(text="x", tokens=Tokens(), cost_usd=cost_usd)
    return Trial(key=TrialKey(task="t", case=f"c{case}", rung=rung), outcome="passed", answers=(answer,))


def costs(a: Sequence[float | None], b: Sequence[float | None]) -> Economy:
    """The economy of A against B where each case costs so much."""
    cases_a, cases_b = (
        {f"c{case}": [trial(rung, case, cost)] for case, cost in enumerate(amounts)}
        for rung, amounts in (("a", a), ("b", b))
    )
    return economy(cases_a, cases_b, names=("a", "b"))


@pytest.mark.parametrize(
    ("a", "b", "value", "n"),
    [
        ([2.0, 8.0], [1.0, 2.0], 8**0.5, 2),  # twice and four times
        ([3.0, 5.0, 0.0], [1.5, 0.0, 2.0], 2.0, 1),  # a case that one of them gets for nothing has no ratio
        ([3.0, None], [1.5, 1.0], 2.0, 1),  # nor has one whose cost is unknown
        ([3.0, 9.0], [1.5], 2.0, 1),  # nor one that only one of them had
    ],
)
def test_the_ratio_is_of_cases_that_cost_something_on_both(
    a: list[float | None], b: list[float | None], value: float, n: int
) -> None:
    ratio = costs(a, b).ratios["cost"]
    assert ratio.value == pytest.approx(value)
    assert ratio.n == n
    assert (ratio.low is None) is (n == 1)


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ([0.0], [1.0], "not known: every case has an amount of 0"),
        ([None], [None], "not known: neither has cost"),
        ([None], [1.0], "not known: a has no cost"),
        ([1.0], [None], "not known: b has no cost"),
        ([None, 1.0], [1.0, None], "not known: no case has the cost of both"),
    ],
)
def test_why_there_is_no_ratio(a: list[float | None], b: list[float | None], why: str) -> None:
    assert costs(a, b).unknown["cost"] == why


def test_the_spread_has_the_ratio_of_totals_and_that_of_the_extreme_cases() -> None:
    found = costs([2.0, 8.0], [1.0, 2.0]).to_dict()["cost"]
    assert (found["of_totals"], found["min"], found["max"]) == (pytest.approx(10 / 3), 2.0, 4.0)


BOARD = Energy(joules=4.0, low=4.0, high=4.0, provenance="measured", boundary=frozenset({"gpu.board"}))
PACKAGE = replace(BOARD, boundary=frozenset({"cpu.package"}))
KINDS = sorted(str(energy.kind) for energy in (BOARD, PACKAGE))


def joules(a: Sequence[Sequence[Sequence[Energy | None]]], b: Sequence[Sequence[Sequence[Energy | None]]]) -> Economy:
    """The economy where each case has these samples, each of which has answers of these energies."""
    cases_a, cases_b = (
        {
            f"c{case}": [
                Trial(
                    key=TrialKey(task="t", case=f"c{case}", rung=rung, sample=sample),
                    outcome="passed",
                    answers=tuple(AnswerRecord(text="x", energy=energy) for energy in energies),
                )
                for sample, energies in enumerate(samples)
            ]
            for case, samples in enumerate(cases)
        }
        for rung, cases in (("a", a), ("b", b))
    )
    return economy(cases_a, cases_b, names=("a", "b"))


def test_the_joules_of_a_case_are_the_mean_of_its_samples_each_with_all_its_answers() -> None:
    found = joules([[[BOARD, BOARD], [BOARD]]], [[[BOARD]]])
    assert found.ratios["energy"].value == pytest.approx(6.0 / 4.0)


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ([[[BOARD, None]]], [[[BOARD]]], "not known: a has no energy"),
        ([[[BOARD], [None]]], [[[BOARD]]], "not known: a has no energy"),
        ([[[BOARD]]], [[[]]], "not known: b has no energy"),
        (
            [[[BOARD]]],
            [[[PACKAGE]]],
            f"not comparable: that of a is {BOARD.kind}, that of b is {PACKAGE.kind}",
        ),
        (
            [[[BOARD]], [[PACKAGE]]],
            [[[BOARD]], [[PACKAGE]]],
            f"not comparable: some is {KINDS[0]}, some is {KINDS[1]}",
        ),
        (
            [[[BOARD], [PACKAGE]]],
            [[[BOARD]]],
            f"not comparable: one case has energy that is {KINDS[0]} and energy that is {KINDS[1]}",
        ),
    ],
)
def test_joules_of_different_kinds_are_never_compared(a: Any, b: Any, why: str) -> None:
    found = joules(a, b)
    assert "energy" not in found.ratios
    assert found.unknown["energy"] == why


def test_joules_of_different_kinds_in_one_answer_are_no_error() -> None:
    assert joules([[[BOARD, PACKAGE]]], [[[BOARD]]]).unknown["energy"].startswith("not comparable: ")
