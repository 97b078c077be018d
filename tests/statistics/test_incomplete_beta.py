"""The incomplete beta function: what scipy has, and what is known exactly."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc, betaincinv

from pytest_rightsize.statistics.incomplete_beta import beta_probability, beta_quantile

COUNTS = st.integers(1, 5_000) | st.floats(0.3, 5_000)


@given(a=COUNTS, b=COUNTS, x=st.floats(1e-6, 1 - 1e-6))
def test_the_probability_is_that_of_scipy(a: float, b: float, x: float) -> None:
    assert beta_probability(a, b, x) == pytest.approx(float(betainc(a, b, x)), rel=1e-9, abs=1e-280)


@given(a=COUNTS, b=COUNTS, probability=st.floats(1e-6, 1 - 1e-6))
def test_the_quantile_is_that_of_scipy(a: float, b: float, probability: float) -> None:
    assert beta_quantile(a, b, probability) == pytest.approx(float(betaincinv(a, b, probability)), rel=1e-9, abs=1e-280)


@given(
    passed=st.integers(0, 60),
    failed=st.integers(0, 60),
    rate=st.fractions(Fraction(1, 50), Fraction(49, 50), max_denominator=50),
)
def test_it_is_the_tail_of_the_binomial(passed: int, failed: int, rate: Fraction) -> None:
    trials = passed + failed + 1
    tail = sum(
        math.comb(trials, count) * rate**count * (1 - rate) ** (trials - count)
        for count in range(passed + 1, trials + 1)
    )

    assert beta_probability(passed + 1, failed + 1, float(rate)) == pytest.approx(float(tail), rel=1e-11)


@pytest.mark.parametrize(("x", "probability"), [(-0.5, 0.0), (0.0, 0.0), (1.0, 1.0), (1.5, 1.0)])
def test_beyond_the_ends_nothing_is_left(x: float, probability: float) -> None:
    assert beta_probability(2.5, 7, x) == probability


@pytest.mark.parametrize(
    ("a", "b", "probability"),
    [(1, 1, 0.3), (1, 100_000, 0.05), (100_000, 1, 0.05), (50_000, 50_001, 0.025), (3, 99_000, 1e-12), (0.01, 5, 0.05)],
)
def test_large_counts_and_small_probabilities(a: float, b: float, probability: float) -> None:
    assert beta_quantile(a, b, probability) == pytest.approx(float(betaincinv(a, b, probability)), rel=1e-9)
    assert beta_probability(a, b, beta_quantile(a, b, probability)) == pytest.approx(probability, rel=1e-8)


@pytest.mark.parametrize(("a", "b", "probability"), [(0.01, 3, 1e-12), (0.001, 2, 0.05), (1e-9, 2, 0.025)])
def test_a_quantile_too_small_for_a_float_is_0(a: float, b: float, probability: float) -> None:
    assert 0 <= beta_quantile(a, b, probability) < 1e-300


def test_exact_values() -> None:
    assert beta_probability(1, 1, 0.37) == pytest.approx(0.37, rel=1e-15)
    assert beta_probability(2, 2, 0.5) == pytest.approx(0.5, rel=1e-15)
    assert beta_probability(3, 1, 0.5) == pytest.approx(0.125, rel=1e-15)
    assert beta_probability(1, 3, 0.5) == pytest.approx(0.875, rel=1e-15)
    assert beta_quantile(1, 1, 0.37) == pytest.approx(0.37, rel=1e-15)
    assert beta_quantile(2, 1, 0.09) == pytest.approx(0.3, rel=1e-14)
    assert beta_quantile(1, 2, 0.19) == pytest.approx(0.1, rel=1e-14)
    # 18 of 20: the lower 95 % bound of Clopper and Pearson.
    assert beta_quantile(18, 3, 0.05) == pytest.approx(0.7173815, abs=5e-8)
