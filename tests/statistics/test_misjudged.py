"""Pass rates corrected for a judge's errors: reference values, limits, and what no counts may break."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_rightsize.statistics import (
    Correction,
    is_better_than_chance,
    more_cases,
    pass_rate_interval,
    settled,
    stand,
)
from pytest_rightsize.statistics.misjudged import corrected_bar, corrected_p, corrected_rate
from pytest_rightsize.statistics.tallies import p_value_of

GOOD = Correction(good=50, good_passed=46, bad=50, bad_passed=3)


def cases(passed: int, of: int, samples: int = 1) -> dict[str, list[bool]]:
    return {str(case): [case < passed] * samples for case in range(of)}


def bounds(passed: int, of: int, correction: Correction | None, samples: int = 1) -> tuple[float, float]:
    interval = pass_rate_interval(cases(passed, of, samples), one_sided=True, correction=correction)
    assert interval is not None
    return interval.low, interval.high


@st.composite
def corrections(draw: st.DrawFn) -> Correction:
    """Of judges that are better than chance, as only those are used."""
    good, bad = draw(st.integers(5, 200)), draw(st.integers(5, 200))
    good_passed = draw(st.integers((good + 1) // 2, good))
    bad_passed = draw(st.integers(0, bad * good_passed // (2 * good)))
    return Correction(good=good, good_passed=good_passed, bad=bad, bad_passed=bad_passed)


def test_the_p_value_is_the_mean_over_both_error_rates() -> None:
    """Against a plain sum over 500 x 500 quantiles of the two beta distributions."""
    levels = (np.arange(500) + 0.5) / 500
    good, bad = stats.beta.ppf(levels, 47, 4), stats.beta.ppf(levels, 4, 47)
    for at in (0.7, 0.85, 0.9):
        seen = at * good[:, None] + (1 - at) * bad[None, :]
        expected = stats.binom.sf(37, 40, seen).mean()
        assert corrected_p(p_value_of({(1, 1): 38, (0, 1): 2}), GOOD, 40)(at) == pytest.approx(expected, rel=2e-3)


def test_a_p_value_is_never_above_1_and_that_nobody_passes_more_than_all_is_certain() -> None:
    p = corrected_p(p_value_of({(1, 1): 38, (0, 1): 2}), GOOD, 40)
    assert (p(1.0), p(1.5)) == (1.0, 1.0)
    assert 0.0 <= p(0.0) < 1e-6 < p(0.9999) <= 1.0


@pytest.mark.parametrize(
    ("passed", "of", "correction", "low", "high"),
    [
        # The judge fails 4 of 50 good answers: 38 of 40 is what it says where people pass all.
        (38, 40, GOOD, 0.9002, 1.0),
        (30, 40, GOOD, 0.6251, 0.9743),
        # It passes 20 of 50 bad answers: 30 of 40 may be little.
        (30, 40, Correction(good=50, good_passed=48, bad=50, bad_passed=20), 0.3259, 0.8708),
    ],
)
def test_reference_values(passed: int, of: int, correction: Correction, low: float, high: float) -> None:
    """The 5 % points of four million draws of each of the three confidence distributions, put into the estimate."""
    assert bounds(passed, of, correction) == pytest.approx((low, high), abs=5e-4)


def test_a_judge_that_never_errs_in_very_many_labels_changes_nothing() -> None:
    perfect = Correction(good=10**6, good_passed=10**6, bad=10**6, bad_passed=0)
    for samples in (1, 3):
        assert bounds(27, 30, perfect, samples) == pytest.approx(bounds(27, 30, None, samples), abs=1e-4)


def test_the_estimate_is_that_of_rogan_and_gladen() -> None:
    assert corrected_rate(Fraction(3, 4), 40, GOOD) == pytest.approx((0.75 - 0.06) / (0.92 - 0.06))
    assert corrected_rate(Fraction(38, 40), 40, GOOD) == 1.0
    # Ten of forty failed by another assertion, and were not judged: they are right as they are.
    some = replace(GOOD, unjudged_failed=10)
    assert corrected_rate(Fraction(3, 4), 40, some) == pytest.approx((0.75 - 0.75 * 0.06) / 0.86)
    others = replace(GOOD, unjudged_passed=10)
    assert corrected_rate(Fraction(3, 4), 40, others) == pytest.approx(0.25 + (0.5 - 0.75 * 0.06) / 0.86)
    for correction in (GOOD, some, others):
        seen = corrected_bar(Fraction(4, 5), 40, correction)
        assert corrected_rate(seen, 40, correction) == pytest.approx(0.8)


@given(corrections(), st.integers(1, 60), st.integers(0, 100), st.data())
def test_the_bar_that_is_seen_is_where_the_estimate_is_the_bar(
    correction: Correction, of: int, percent: int, data: st.DataObject
) -> None:
    passed = data.draw(st.integers(0, of))
    correction = replace(correction, unjudged_failed=data.draw(st.integers(0, of - passed)))
    bar = Fraction(percent, 100)
    rate = Fraction(passed, of)
    if 0 < bar < 1 and (estimate := corrected_rate(rate, of, correction)) not in (0.0, 1.0):
        is_reached = rate >= corrected_bar(bar, of, correction)
        assert is_reached == (estimate >= float(bar)) or estimate == pytest.approx(float(bar))


@settings(max_examples=15)
@given(corrections(), st.integers(1, 40), st.data())
def test_bounds_hold_together(correction: Correction, of: int, data: st.DataObject) -> None:
    """Within 0 and 1, in order, never lower with one more pass, and mirrored for failures."""
    passed = data.draw(st.integers(0, of))
    low, high = bounds(passed, of, correction)
    assert 0 <= low <= high <= 1
    if passed < of:
        more = bounds(passed + 1, of, correction)
        assert more[0] >= low - 1e-9
        assert more[1] >= high - 1e-9
    mirrored = bounds(of - passed, of, correction.mirrored)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-6)
    # Passes without the judge are allowed for, and show less than those with it, which may miss good answers.
    assert bounds(passed, of, replace(correction, unjudged_passed=1))[0] <= low + 1e-9
    assert bounds(passed, of, replace(correction, unjudged_failed=1))[1] >= high - 1e-9


@settings(max_examples=15)
@given(corrections(), st.integers(1, 40), st.data())
def test_one_more_pass_never_lowers_a_bound_with_the_judge_or_without(
    correction: Correction, of: int, data: st.DataObject
) -> None:
    """Another case that passes, or a failure that became a pass; the first of all without the judge too.

    Without it, a hair may be lost where the judge misses good answers, but no more: where it misses half, 0.007.
    """
    assume(10 * correction.good_passed >= 8 * correction.good)
    passed = data.draw(st.integers(0, of))
    alone, failed = data.draw(st.integers(0, passed)), data.draw(st.integers(0, of - passed))
    before = replace(correction, unjudged_passed=alone, unjudged_failed=failed)
    without = replace(before, unjudged_passed=alone + 1)
    moves = [(passed + 1, of + 1, before), (passed + 1, of + 1, without)]
    if failed < of - passed:
        moves += [(passed + 1, of, before), (passed + 1, of, without)]
    if failed:
        moves.append((passed + 1, of, replace(without, unjudged_failed=failed - 1)))
    low, high = bounds(passed, of, before)
    for move in moves:
        now, hair = bounds(*move), 1e-7 if move[2] is before else 1e-3
        assert now[0] >= low - hair, move
        assert now[1] >= high - hair, move


def test_trials_without_the_judge_are_seen_as_they_are() -> None:
    """Where all of them passed without it, its misses matter no more, and where none did, as much as before."""
    rarely = Correction(good=10**6, good_passed=7 * 10**5, bad=10**6, bad_passed=0)
    assert bounds(27, 30, replace(rarely, unjudged_passed=27))[0] == pytest.approx(bounds(27, 30, None)[0], abs=1e-3)
    assert bounds(21, 30, rarely)[0] == pytest.approx(bounds(21, 30, None)[0] / 0.7, abs=1e-3)
    # Half of the passes without it: 0.7 of the other good answers are seen.
    assert bounds(24, 30, replace(rarely, unjudged_passed=12))[0] == pytest.approx(
        (bounds(24, 30, None)[0] - 0.4 * 0.3) / 0.7, abs=1e-3
    )


@pytest.mark.parametrize(
    ("correction", "is_better"),
    [
        (Correction(good=10, good_passed=10, bad=10, bad_passed=1), True),
        (Correction(good=10, good_passed=6, bad=10, bad_passed=4), False),
        (Correction(good=10, good_passed=1, bad=10, bad_passed=9), False),
        (Correction(good=20, good_passed=20, bad=0, bad_passed=0), False),
        (Correction(good=0, good_passed=0, bad=20, bad_passed=0), False),
    ],
)
def test_better_than_chance_is_shown_by_labels_of_both_kinds(correction: Correction, is_better: bool) -> None:
    assert is_better_than_chance(correction) is is_better


def test_a_judge_that_passes_too_much_takes_the_pass_away() -> None:
    kind = Correction(good=100, good_passed=98, bad=100, bad_passed=40)
    plain = stand(cases(59, 60), pass_rate=0.9, planned=60, confidence=0.95)
    corrected = stand(cases(59, 60), pass_rate=0.9, planned=60, confidence=0.95, correction=kind)
    assert (plain.state, corrected.state, corrected.passed) == ("passes", "undecided", 59)
    by_rate = stand(cases(54, 60), pass_rate=0.9, planned=60, correction=kind)
    assert by_rate.state == "fails"
    assert by_rate.rate == pytest.approx((0.9 - 0.4) / 0.58)


def test_a_judge_that_fails_too_much_gives_the_pass_back() -> None:
    strict = Correction(good=200, good_passed=160, bad=200, bad_passed=2)
    assert stand(cases(78, 100), pass_rate=0.9, planned=100).state == "fails"
    assert stand(cases(78, 100), pass_rate=0.9, planned=100, correction=strict).state == "passes"
    assert stand(cases(50, 100), pass_rate=0.9, planned=100, confidence=0.95, correction=strict).state == "fails"


def test_few_labels_leave_what_no_number_of_cases_decides() -> None:
    few = Correction(good=10, good_passed=8, bad=10, bad_passed=2)
    shown = stand(cases(33, 40), pass_rate=0.9, planned=40, confidence=0.95, correction=few)
    assert (shown.state, shown.reason) == (
        "undecided",
        "no number of trials would show 0.9 with 20 labels for its judge: label more answers",
    )
    assert more_cases(cases(33, 40), {}, state="passes", pass_rate=0.9, correction=few) is None
    assert more_cases(cases(33, 40), {}, state="passes", pass_rate=0.7, correction=GOOD) == 0


def test_a_rate_of_one_is_never_shown() -> None:
    assert stand(cases(400, 400), pass_rate=1.0, planned=400, confidence=0.95, correction=GOOD).state == "undecided"


def test_trials_that_are_missing_may_turn_out_either_way() -> None:
    assert settled(cases(5, 40), {"more": 1}, pass_rate=0.9, correction=GOOD) == "fails"
    assert settled(cases(34, 40), {str(case): 1 for case in range(40, 50)}, pass_rate=0.9, correction=GOOD) is None
