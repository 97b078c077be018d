"""Fisher's exact test of two pass rates, against scipy's and against exact arithmetic."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.statistics import fisher_fell

COUNTS = st.integers(0, 60).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@pytest.mark.parametrize(
    ("before", "now"),
    [((40, 40), (34, 40)), ((36, 40), (25, 30)), ((9, 20), (1, 7)), ((3, 5), (3, 5)), ((0, 4), (4, 4))],
)
def test_counts_of_two_runs_are_compared_as_by_fisher(before: tuple[int, int], now: tuple[int, int]) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    table = [[now[0], now[1] - now[0]], [before[0], before[1] - before[0]]]
    assert fisher_fell(before, now) == pytest.approx(scipy_stats.fisher_exact(table, alternative="less").pvalue)


def exactly(before: tuple[int, int], now: tuple[int, int]) -> float:
    passed, trials = before[0] + now[0], before[1] + now[1]
    ways = sum(comb(passed, few) * comb(trials - passed, now[1] - few) for few in range(min(now) + 1))
    return float(Fraction(ways, comb(trials, now[1])))


@settings(max_examples=60)
@given(before=COUNTS, now=COUNTS)
def test_the_p_value_is_that_of_exact_arithmetic(before: tuple[int, int], now: tuple[int, int]) -> None:
    assert fisher_fell(before, now) == pytest.approx(exactly(before, now), rel=1e-11)


@pytest.mark.parametrize(("before", "now"), [((2900, 3000), (2800, 3000)), ((1000, 3000), (500, 3000))])
def test_large_counts_lose_no_digit_that_is_shown(before: tuple[int, int], now: tuple[int, int]) -> None:
    assert fisher_fell(before, now) == pytest.approx(exactly(before, now), rel=1e-9)
