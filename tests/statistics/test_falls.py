"""Exact tests of a fallen pass rate keep their error whenever a run stops."""

import random
from collections import defaultdict
from fractions import Fraction
from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.statistics import fall_cases_needed, fall_power, fell, fell_in_order, mcnemar


@pytest.mark.parametrize(("lost", "won"), [(5, 0), (12, 3), (0, 4), (3, 3), (0, 0)])
def test_single_samples_are_mcnemar(lost: int, won: int) -> None:
    assert fell([-1] * lost + [0] * 7 + [1] * won) == pytest.approx(mcnemar(won, lost, alternative="a worse"))


@given(changes=st.lists(st.integers(-3, 3), max_size=9), data=st.data())
def test_several_samples_are_all_signs_counted(changes: list[int], data: st.DataObject) -> None:
    sums = [
        sum(sign * change for sign, change in zip(signs, changes, strict=True))
        for signs in product((-1, 1), repeat=len(changes))
    ]
    p = sum(total <= sum(changes) for total in sums) / len(sums)
    assert fell(changes) == pytest.approx(p)
    if changes:  # what is won never makes a fall more likely
        place = data.draw(st.integers(0, len(changes) - 1))
        assert fell([*changes[:place], changes[place] + 1, *changes[place + 1 :]]) >= p - 1e-12


@pytest.mark.parametrize("places", [(1, 2, 3, 4, 5, 6), (5, 10, 15, 20, 25, 30, 35, 40), (3, 4, 20, 38, 39, 40)])
@pytest.mark.parametrize("error", [0.05, 0.2])
def test_a_walk_keeps_its_error_wherever_it_stops(places: tuple[int, ...], error: float) -> None:
    """All signs of the changed cases, each walk stopped where it looks worst."""
    wrong = 0
    for signs in product((-1, 1), repeat=len(places)):
        walk = [0] * 40
        for place, sign in zip(places, signs, strict=True):
            walk[place - 1] = sign
        wrong += min(fell_in_order(walk[:stop], 40) for stop in (*places, 40)) <= error
    assert wrong / 2 ** len(places) <= error


def test_a_walk_that_saw_everything_loses_little() -> None:
    assert fell_in_order([0] * 35 + [-1] * 5, 40) == pytest.approx(1 / 32, rel=1e-3)
    assert fell_in_order([-1] * 5 + [0] * 5, 40) > 0.1  # a quarter of the cases may spend a quarter of the error
    assert fell_in_order([], 40) == 1.0
    assert fell_in_order([1] * 10, 10) == 1.0


def test_power_is_the_sum_over_all_pairs_of_runs() -> None:
    lost, won = 0.9 * 0.4, 0.1 * 0.6
    exact = sum(
        comb(12, a) * comb(12 - a, b) * lost**a * won**b * (1 - lost - won) ** (12 - a - b)
        for a in range(13)
        for b in range(13 - a)
        if mcnemar(b, a, alternative="a worse") < 0.05
    )
    assert fall_power(12, rate_before=0.9, rate_now=0.6) == pytest.approx(exact)


def test_how_many_cases_show_a_fall() -> None:
    needed = fall_cases_needed(rate_before=0.97, rate_now=0.87)
    assert needed is not None
    assert fall_power(needed, rate_before=0.97, rate_now=0.87) >= 0.8
    assert fall_power(needed // 2, rate_before=0.97, rate_now=0.87) < 0.8
    assert fall_cases_needed(rate_before=0.9, rate_now=0.9) is None
    assert fall_cases_needed(rate_before=0.9, rate_now=0.89, limit=50) is None


@pytest.mark.parametrize("changes", [[1, -1, -1, -1, -1], [-1] * 6, [-1, 0, -1, 0, -1, -1], [-1] * 4 + [0] * 4])
def test_a_walk_to_the_end_is_as_sure_as_mcnemar_where_nothing_was_spent_before(changes: list[int]) -> None:
    assert fell_in_order(changes, len(changes)) == pytest.approx(fell(changes), rel=1e-3)


@pytest.mark.parametrize("seed", range(12))
def test_a_walk_is_held_against_the_boundary_that_all_signs_give(seed: int) -> None:
    """Against exact sums over every sequence of signs, for walks with cases that did not change."""
    source = random.Random(seed)
    planned = source.randint(3, 11)
    changes = [source.choice((-1, -1, -1, 0, 1)) for _ in range(planned - source.choice((0, 0, 1)))]
    p = fell_in_order(changes, planned)
    for error in (Fraction(1, 100), Fraction(1, 20), Fraction(1, 7), Fraction(1, 3), Fraction(3, 5)):
        assert (p <= float(error)) == reaches_exactly(changes, planned, error), (changes, planned, p, error)


def reaches_exactly(changes: list[int], planned: int, error: Fraction) -> bool:
    """Whether the losses reach the boundary that spends `error` in proportion to the cases seen."""
    paths, spent, needed, losses = {0: Fraction(1)}, Fraction(0), 1, 0
    for place, change in enumerate(changes, 1):
        if not change:
            continue
        losses += change < 0
        stepped: dict[int, Fraction] = defaultdict(Fraction)
        for lost, chance in paths.items():
            stepped[lost] += chance / 2
            stepped[lost + 1] += chance / 2
        paths = stepped
        at = paths.get(needed, Fraction(0))
        if at <= error * Fraction(place, planned) - spent:
            spent += paths.pop(needed, Fraction(0))
        else:
            needed += 1
        if losses >= needed:
            return True
    rest = sum((chance for lost, chance in paths.items() if lost >= losses), Fraction(0))
    return len(changes) == planned and any(changes) and rest <= error - spent


def test_losses_at_once_are_surer_than_as_many_spread_out() -> None:
    """Four losses in a row have a chance of 1/16, which may be spent once four fifths of the error may."""
    assert fell_in_order([-1, -1, -1, -1, 1], 5) == pytest.approx(5 / 4 / 16, rel=1e-3)


@pytest.mark.parametrize(("rate_before", "rate_now"), [(0.97, 0.87), (0.95, 0.7), (0.99, 0.6), (1.0, 0.93)])
def test_no_fewer_cases_show_a_fall_as_often(rate_before: float, rate_now: float) -> None:
    needed = fall_cases_needed(rate_before=rate_before, rate_now=rate_now)
    assert needed is not None
    powers = [fall_power(cases, rate_before=rate_before, rate_now=rate_now) for cases in (needed - 1, needed)]
    assert powers[0] < 0.8 <= powers[1]
