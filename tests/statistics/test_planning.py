"""How many cases show a rate, or a difference."""

from math import comb, factorial

import pytest

from pytest_rightsize.statistics import (
    cases_needed,
    paired_cases_needed,
    paired_power,
    passes_needed,
    power,
    tango_interval,
)


@pytest.mark.parametrize(("cases", "margin", "changed"), [(12, 0.3, 0.2), (15, 0.25, 0.5), (9, 0.6, 0.1)])
def test_paired_power_is_that_of_all_outcomes(cases: int, margin: float, changed: float) -> None:
    """Against the sum over every count of cases that only one of the two passes."""
    found = 0.0
    for ahead in range(cases + 1):
        for behind in range(cases + 1 - ahead):
            same = cases - ahead - behind
            ways = factorial(cases) / (factorial(ahead) * factorial(behind) * factorial(same))
            likely = ways * (changed / 2) ** (ahead + behind) * (1 - changed) ** same
            found += likely * (tango_interval(ahead, behind, cases, confidence=0.9).low > -margin)
    assert paired_power(cases, margin=margin, changed=changed) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(("margin", "changed"), [(0.05, 0.06), (0.1, 0.1), (0.2, 0.1), (0.2, 0.3), (0.3, 0.5)])
def test_paired_planning_finds_the_number_at_which_the_power_is_reached(margin: float, changed: float) -> None:
    needed = paired_cases_needed(margin=margin, changed=changed)
    assert needed is not None
    before, at = (paired_power(cases, margin=margin, changed=changed) for cases in (needed - 1, needed))
    assert before < 0.8 <= at


def test_no_number_of_pairs_within_the_limit_is_enough_for_a_tiny_margin() -> None:
    assert paired_cases_needed(margin=0.0001, changed=0.5, limit=1000) is None


@pytest.mark.parametrize(("cases", "bar"), [(20, 0.3), (20, 0.9), (9, 0.5), (40, 0.05)])
def test_power_is_the_chance_of_so_many_passes(cases: int, bar: float) -> None:
    needed = passes_needed(cases, pass_rate=bar)
    found = power(cases, true_rate=0.6, pass_rate=bar)
    chances = [comb(cases, passed) * 0.6**passed * 0.4 ** (cases - passed) for passed in range(cases + 1)]
    assert found == pytest.approx(0.0 if needed is None else sum(chances[needed:]), abs=1e-12)


def test_planning() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    assert passes_needed(29, pass_rate=0.9) == 29
    assert passes_needed(28, pass_rate=0.9) is None
    assert [passes_needed(10, pass_rate=bar) for bar in (0.0, 0.005, 0.01)] == [0, 1, 2]
    needed = passes_needed(100, pass_rate=0.8)
    assert needed == 87
    assert power(100, true_rate=0.9, pass_rate=0.8) == pytest.approx(scipy_stats.binom.sf(86, 100, 0.9))
    enough = cases_needed(true_rate=0.9, pass_rate=0.8)
    assert enough is not None
    assert power(enough, true_rate=0.9, pass_rate=0.8) >= 0.8 > power(enough - 1, true_rate=0.9, pass_rate=0.8)
    assert cases_needed(true_rate=0.8, pass_rate=0.8) is None


@pytest.mark.parametrize(("limit", "found"), [(81, None), (82, 82), (83, 82)])
def test_cases_are_looked_for_up_to_the_limit_and_no_further(limit: int, found: int | None) -> None:
    assert cases_needed(true_rate=0.9, pass_rate=0.8, limit=limit) == found
