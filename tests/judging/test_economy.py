"""Ratios of what a typical case takes on two rungs, and why there is none."""

from collections.abc import Sequence

import pytest

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
