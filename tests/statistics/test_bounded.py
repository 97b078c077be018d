"""Exact p values of bounded means, against exact arithmetic, draws and sums over all outcomes."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from math import comb

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_rightsize.statistics import (
    bounded,
)
from pytest_rightsize.statistics.bounded import binary_p, gaffke_p, gaffke_ps, pooled_p


def exact_gaffke_p(values: Sequence[Fraction], at: Fraction) -> float:
    """P(a Dirichlet mean of distinct values and 0 is at most `at`): a divided difference, without rounding."""
    knots = [Fraction(0), *values]
    above = Fraction(0)
    for place, knot in enumerate(knots):
        if knot > at:
            gaps = Fraction(1)
            for other in [*knots[:place], *knots[place + 1 :]]:
                gaps *= knot - other
            above += (knot - at) ** len(values) / gaps
    return float(1 - above)


@given(
    values=st.lists(st.integers(1, 200).map(lambda number: Fraction(number, 200)), min_size=1, max_size=9, unique=True),
    at=st.integers(1, 199).map(lambda number: Fraction(number, 200)),
)
def test_gaffkes_p_value_is_that_of_exact_arithmetic(values: list[Fraction], at: Fraction) -> None:
    found = gaffke_p([float(value) for value in values], [1.0] * len(values), float(at))
    assert found == pytest.approx(exact_gaffke_p(values, at), abs=1e-11)


@given(passed=st.integers(0, 2000), failed=st.integers(0, 2000), at=st.floats(0.001, 0.999))
def test_the_integral_agrees_with_the_binomial_tail(passed: int, failed: int, at: float) -> None:
    """Cases that pass or fail, by the integral that they do not need."""
    assume(passed + failed > 0)
    found = gaffke_ps([1.0, 0.0], [[passed, failed]], at)[0]
    assert found == pytest.approx(binary_p(passed, failed, at), abs=1e-11)


def test_gaffkes_p_value_of_draws() -> None:
    """Against 200,000 draws of the spacings it is defined by; the error of a share of 5 % is then 0.0005."""
    numpy = pytest.importorskip("numpy")
    source = numpy.random.default_rng(5)
    values = [1.0] * 12 + [0.9] * 5 + [0.7] * 2 + [0.2]
    spacings = source.dirichlet([1.0] * 21, 200_000)
    drawn = (spacings[:, :20] @ values <= 0.8).mean()
    assert gaffke_p(values, [1.0] * 20, 0.8) == pytest.approx(drawn, abs=0.002)


@pytest.mark.parametrize("at", [0.6, 0.8, 0.9])
def test_the_pooled_p_value_is_the_largest_chance_over_shares_of_failing_cases(at: float) -> None:
    """Against the sum over how many of twelve cases of three samples fail always, for 33 or more passed samples."""
    found = 0.0
    for part in range(33):
        share = part / 32 * (1 - at)
        rate = at / (1 - share)
        chance = 0.0
        for failing in range(13):
            rest = 3 * (12 - failing)
            tail = sum(
                comb(rest, passed) * rate**passed * (1 - rate) ** (rest - passed) for passed in range(33, rest + 1)
            )
            chance += comb(12, failing) * share**failing * (1 - share) ** (12 - failing) * tail
        found = max(found, chance)
    assert pooled_p({3: 12}, 1, at) == pytest.approx(found, abs=1e-12)
    assert pooled_p({3: 12}, 4 / 3, at) == 1  # more than a tenth failed: it does not speak there


@pytest.mark.parametrize("at", [0.5, 0.8, 0.9])
def test_mixed_numbers_of_samples_are_pooled_exactly(at: float) -> None:
    """The two ways to add up agree where they can, and with a sum over all outcomes where the numbers differ."""
    same, mixed = (partial(bounded._few_failures_of_mixed, cases, 1.0) for cases in ({3: 12}, {1: 6, 2: 8}))
    numpy = pytest.importorskip("numpy")
    shares = numpy.linspace(0, 1 - at, 33)[:, None]
    rates = at / (1 - shares)
    assert same(shares, rates) == pytest.approx(bounded._few_failures({3: 12}, 1.0, shares, rates), abs=1e-12)
    found = []
    for share, rate in zip(shares[:, 0], rates[:, 0], strict=True):
        single, double = share + (1 - share) * (1 - rate), share + (1 - share) * (1 - rate) ** 2
        half, neither = (1 - share) * 2 * rate * (1 - rate), (1 - share) * rate**2
        chance = 0.0
        for ones, halves, twos in product(range(2), range(3), range(2)):
            if ones + halves / 2 + twos <= 1:
                ways = comb(6, ones) * comb(8, halves) * comb(8 - halves, twos)
                chance += (
                    ways
                    * single**ones
                    * (1 - single) ** (6 - ones)
                    * half**halves
                    * double**twos
                    * neither ** (8 - halves - twos)
                )
        found.append(chance)
    assert mixed(shares, rates) == pytest.approx(numpy.array(found), abs=1e-12)
    assert pooled_p({1: 6, 2: 8}, 1, at) == pytest.approx(max(found), abs=1e-12)
