"""Naming a rung above a smaller one that stays open: the same under every strategy, and seldom wrong."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.judging.verdict import claimed_standings
from pytest_rightsize.records import State
from pytest_rightsize.statistics import (
    Terms,
    budgets_after,
    chances,
    claim_confidence,
    claimed,
    design_for,
    first_budget,
)
from pytest_rightsize.statistics.planning import passes_needed
from tests.running.test_schedule import SEED, search
from tests.runs import make_run

TABLES = (
    st.integers(4, 40)
    .flatmap(
        lambda cases: st.lists(
            st.lists(st.sampled_from("1111111110"), min_size=cases, max_size=cases).map("".join)
            | st.lists(st.sampled_from("1110"), min_size=cases, max_size=cases).map("".join)
            | st.lists(st.sampled_from("111111111E"), min_size=cases, max_size=cases).map("".join),
            min_size=1,
            max_size=7,
        )
    )
    .map(lambda marks: dict(zip("abmdefg", marks, strict=False)))
)


@settings(max_examples=80)
@given(
    table=TABLES,
    bar=st.sampled_from([0.5, 0.75, 0.9, 1.0]),
    confidence=st.sampled_from([0.6, 0.8, 0.95]),
    seed=st.sampled_from([None, SEED]),
)
def test_every_strategy_names_the_same_smallest(
    table: dict[str, str], bar: float, confidence: float, seed: int | None
) -> None:
    """With open rungs, and with early stopping, where a fault that cannot matter does not."""
    assume(seed is not None or not any("E" in marks for marks in table.values()))
    full, _, every = search(table, "full", pass_rate=bar, confidence=confidence, seed=seed)
    climb, climbed, fewer = search(table, "climb", pass_rate=bar, confidence=confidence, seed=seed)
    bisect, bisected, some = search(table, "bisect", pass_rate=bar, confidence=confidence, seed=seed)
    for found in (climb, bisect):
        assert (found.smallest, found.verdict, found.open_rungs) == (full.smallest, full.verdict, full.open_rungs)
    assert fewer <= some <= every
    assert set(climbed) <= set(bisected)


def test_an_open_rung_does_not_hide_a_larger_one_that_passes() -> None:
    """The issue's own example: 66 of 76, then 76 of 76, and chosen is a third."""
    table = {"a": "1" * 66 + "0" * 10, "b": "1" * 76, "m": "1" * 76}
    verdict, asked, _ = search(table, "climb", pass_rate=0.9, confidence=0.95)
    assert (verdict.smallest, verdict.open_rungs, verdict.verdict) == ("b", ("a",), "over-sized")
    assert asked == ["a", "b"]
    (note,) = verdict.notes
    assert note.startswith("a: needs about ")
    assert note.endswith(" more trials to show 0.9 at this rate, so that it may pass too")
    assert verdict.standing["b"].claim == pytest.approx(0.9989, abs=1e-4)


def test_what_the_chosen_rung_is_worth_is_not_said_where_it_is_open() -> None:
    table = {"m": "1" * 66 + "0" * 10, "b": "1" * 76}
    verdict, _, _ = search(table, "climb", pass_rate=0.9, confidence=0.95)
    assert (verdict.smallest, verdict.verdict) == ("b", "undecided")
    assert verdict.notes[0] == "b passes; whether m, which is chosen, passes too is not shown"


def test_a_rung_that_had_no_answers_still_hides_larger_ones() -> None:
    """What it would have answered may decide it: the climb goes on, as others are worth knowing, and names nothing."""
    verdict, asked, _ = search({"a": "E" * 76, "b": "1" * 76}, "climb", pass_rate=0.9, confidence=0.95)
    assert (verdict.smallest, verdict.verdict, asked) == (None, "undecided", ["a", "b"])


def test_a_rung_that_lacks_some_answers_ends_the_climb() -> None:
    verdict, asked, _ = search({"a": "1" + "E" * 75, "b": "1" * 76}, "climb", pass_rate=0.9, confidence=0.95)
    assert (verdict.smallest, verdict.verdict, asked) == (None, "undecided", ["a"])


def test_one_rung_keeps_the_whole_error_and_few_cases_spend_none() -> None:
    one = Terms(pass_rate=0.9, confidence=0.95, cases=100, rungs=1)
    assert claim_confidence(first_budget(one), one, is_largest=True) == 0.95
    few = Terms(pass_rate=0.9, confidence=0.95, cases=20, rungs=3)
    assert budgets_after([0.05], few) == frozenset([0.05])  # 20 of 20 would not have shown it


@pytest.mark.parametrize(
    ("smaller", "reason", "spent"),
    [
        ("0" * 76, None, [0]),  # it fails, and the next rung has the whole error
        ("1" * 66 + "0" * 10, None, [1]),  # it is open, and may have been named wrongly
        ("", None, [0, 1]),  # it was not asked yet, and may fail or stay open
        ("1" * 40 + "-" * 36, "budget", [0, 1]),  # so may one that lacks cases
        ("-" * 76, "private", [0]),  # it may never be asked
        ("1" * 76, None, []),  # it is the smallest, and this one is not named
    ],
)
def test_a_rung_must_be_as_sure_as_each_way_in_which_the_smaller_one_may_still_turn_out(
    smaller: str, reason: str | None, spent: list[int]
) -> None:
    run = make_run({"t": {"a": smaller, "b": "", "c": ""}}, pass_rate=0.9, planned=76)
    trials = [replace(one, reason=reason) if one.outcome == "not_run" else one for one in run.trials]
    policy = replace(run.policies["t"], confidence=0.95)
    terms = Terms(pass_rate=0.9, confidence=0.95, cases=76, rungs=3)
    budgets = [first_budget(terms), *budgets_after([first_budget(terms)], terms)]
    claims = {claim_confidence(budgets[times], terms, is_largest=False) for times in spent}
    if len(spent) != 1:  # its own confidence applies where a smaller one passes
        claims.add(0.95)
    assert claimed_standings(policy, trials, run)["b"][0] == tuple(sorted(claims))


@pytest.mark.parametrize("samples", [1, 3])
def test_above_an_open_rung_a_task_of_several_samples_takes_all_of_its_error_for_spent(samples: int) -> None:
    run = make_run({"t": {"a": "1" * 66 + "0" * 10, "b": "", "c": ""}}, pass_rate=0.9, planned=76)
    policy = replace(run.policies["t"], confidence=0.95, samples=samples)
    terms = Terms(pass_rate=0.9, confidence=0.95, cases=76, rungs=3, is_single=samples == 1)
    (left,) = budgets_after([first_budget(terms)], terms)
    assert claimed_standings(policy, run.trials, run)["b"][0] == (claim_confidence(left, terms, is_largest=False),)


def test_a_task_that_stops_early_holds_back_a_share_of_its_error() -> None:
    run = make_run({"t": {"a": "", "b": ""}}, pass_rate=0.9, planned=60)
    policy = replace(run.policies["t"], confidence=0.95, shuffle_seed=0)
    assert policy.stops_early
    assert claimed_standings(policy, (), run)["a"][0] == pytest.approx((1 - 0.92 * 0.05,))


@pytest.mark.parametrize("bar", [0.9, 0.4])
def test_a_fixed_number_of_cases_holds_back_what_wrong_failures_would_add(bar: float) -> None:
    """A rung at its bar fails with a chance f, and the next has the budget again: error * (1 + f + f * f) is spent."""
    scipy_stats = pytest.importorskip("scipy.stats")
    tails = [float(scipy_stats.binom.sf(failures - 1, 76, 1 - bar)) for failures in range(77)]
    fails = next(tail for tail in tails if tail <= 0.05)
    terms = Terms(pass_rate=bar, confidence=0.95, cases=76, rungs=3)
    assert first_budget(terms) * (1 + fails + fails**2) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("cases", "claim"),
    [
        (60, 1 - 0.92 * 0.05),
        (50, 1 - 0.85 * 0.05),  # 0.92 would leave 0.005 for the next rung, and 50 of 50 cannot show it at that
    ],
)
def test_a_rung_that_stops_early_uses_a_share_of_the_error_and_less_where_little_would_be_left(
    cases: int, claim: float
) -> None:
    terms = Terms(pass_rate=0.9, confidence=0.95, cases=cases, rungs=3, stops_early=True)
    assert claim_confidence(first_budget(terms), terms, is_largest=False) == pytest.approx(claim)
    (left,) = budgets_after([first_budget(terms)], terms)
    assert left > 0.9**cases


def test_of_several_samples_every_error_is_taken_for_spent() -> None:
    """No chances are known there: a rung takes its whole share, and 5 % of it again for a wrong failure."""
    terms = Terms(pass_rate=0.9, confidence=0.95, cases=30, rungs=3, is_single=False)
    assert claim_confidence(0.05, terms, is_largest=False) == pytest.approx(1 - 0.92 * 0.05)
    (left,) = budgets_after([0.05], terms)
    assert left == pytest.approx(0.05 - 1.05 * 0.92 * 0.05)


@pytest.mark.parametrize(
    ("own", "strict", "state"),
    [
        ("passes", "passes", "passes"),
        ("passes", "undecided", "undecided"),
        ("fails", None, "fails"),
        ("undecided", "undecided", "undecided"),
        ("passes", None, None),
        (None, "undecided", None),
    ],
)
def test_a_rung_is_named_at_the_stricter_confidence(
    own: State | None, strict: State | None, state: State | None
) -> None:
    assert claimed(own, strict) == state


@cache
def _rung(terms: Terms, claim: float, rate: float) -> tuple[float, float, float]:
    """How likely a rung of that rate passes, fails, and stays open."""
    if terms.stops_early:
        design = design_for(terms.cases, pass_rate=terms.pass_rate, confidence=terms.confidence, claim_confidence=claim)
        found = chances(design, rate)
        return found.passes, found.fails, found.undecided
    from scipy.special import bdtr, bdtrc

    needed = passes_needed(terms.cases, pass_rate=terms.pass_rate, confidence=claim) if claim < 1 else None
    failures = passes_needed(terms.cases, pass_rate=round(1 - terms.pass_rate, 9), confidence=terms.confidence)
    passes = float(bdtrc(needed - 1, terms.cases, rate)) if needed is not None else 0.0
    fails = float(bdtr(terms.cases - failures, terms.cases, rate)) if failures is not None else 0.0
    return passes, fails, 1 - passes - fails


def worst_false_name(terms: Terms, rates: Sequence[float]) -> float:
    """The chance that a rung below its bar is named, the true rate of each rung chosen for the worst."""

    @cache
    def worst(place: int, budget: float) -> float:
        if place == terms.rungs:
            return 0.0
        claim = claim_confidence(budget, terms, is_largest=place == terms.rungs - 1)
        (left,) = budgets_after([budget], terms)
        above_failed, above_open = worst(place + 1, budget), worst(place + 1, left)
        return max(
            passes + fails * above_failed + stays_open * above_open
            for passes, fails, stays_open in (_rung(terms, claim, rate) for rate in rates)
        )

    return worst(0, first_budget(terms))


@pytest.mark.parametrize("stops_early", [False, True])
@pytest.mark.parametrize(("cases", "bar"), [(30, 0.9), (59, 0.9), (76, 0.9), (100, 0.9), (60, 0.8)])
def test_a_rung_below_its_bar_is_seldom_named(cases: int, bar: float, stops_early: bool) -> None:
    """Eight rungs, each as bad for the promise as a rate below the bar can be; rungs err independently."""
    terms = Terms(pass_rate=bar, confidence=0.95, cases=cases, rungs=8, stops_early=stops_early)
    rates = [bar - gap for gap in (1e-9, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.4)]
    assert worst_false_name(terms, rates) <= 0.05
