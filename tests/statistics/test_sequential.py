"""Early stopping keeps its error, depends on order and outcomes alone, and its bounds cover the true rate."""

import random
from collections.abc import Sequence
from itertools import pairwise
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.records import Policy, Trial, TrialKey
from pytest_rightsize.running.schedule import EarlyProgress
from pytest_rightsize.statistics import Walk, cases_in_order, chances, decide, design_bounds, design_for
from pytest_rightsize.statistics.sequential import Design
from tests.running.test_schedule import search

BARS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
CONFIDENCES = st.sampled_from([0.6, 0.8, 0.95, 0.99])
OUTCOMES = st.integers(1, 30).flatmap(
    lambda cases: st.lists(st.sampled_from([True, True, True, False, None]), min_size=cases, max_size=cases)
)


def crossing(needed: Sequence[int], rate: float) -> float:
    """The chance that successes of that rate ever reach what is needed, by a recursion over dicts of its own."""
    paths, crossed = {0: 1.0}, 0.0
    for seen in range(1, len(needed)):
        after: dict[int, float] = {}
        for successes, chance in paths.items():
            after[successes + 1] = after.get(successes + 1, 0.0) + chance * rate
            after[successes] = after.get(successes, 0.0) + chance * (1 - rate)
        crossed += sum(chance for successes, chance in after.items() if successes >= needed[seen])
        paths = {successes: chance for successes, chance in after.items() if successes < needed[seen]}
    return crossed


@settings(max_examples=60)
@given(cases=st.integers(1, 120), skipped=st.integers(0, 10), bar=BARS, confidence=CONFIDENCES)
def test_each_boundary_keeps_its_error_at_the_bar(cases: int, skipped: int, bar: float, confidence: float) -> None:
    design = design_for(cases, pass_rate=bar, confidence=confidence, planned=cases + skipped)
    assert crossing(design.passes_at, bar) <= (1 - confidence) * (1 + 1e-9)
    assert crossing(design.fails_at, 1 - bar) <= (1 - confidence) * (1 + 1e-9)


@settings(max_examples=60)
@given(cases=st.integers(2, 200), bar=BARS, confidence=CONFIDENCES)
def test_boundaries_never_fall_before_the_last_case_and_rise_by_one_at_most(
    cases: int, bar: float, confidence: float
) -> None:
    design = design_for(cases, pass_rate=bar, confidence=confidence)
    for needed in (design.passes_at, design.fails_at):
        steps = [after - before for before, after in pairwise(needed)]
        assert set(steps[:-1]) <= {0, 1}
        assert steps[-1] <= 1


@settings(max_examples=40)
@given(cases=st.integers(2, 100), skipped=st.integers(1, 20), bar=BARS)
def test_a_boundary_does_not_move_when_cases_turn_out_to_be_skipped(cases: int, skipped: int, bar: float) -> None:
    known = design_for(cases, pass_rate=bar, planned=cases + skipped)
    hoped = design_for(cases + skipped, pass_rate=bar)
    assert known.passes_at[:cases] == hoped.passes_at[:cases]
    assert known.fails_at[:cases] == hoped.fails_at[:cases]


@pytest.mark.parametrize(
    ("rates", "cases", "calls", "right"),
    [
        ((0.6, 0.8, 0.99), 200, 167, 0.99),
        ((0.97, 0.99), 200, 96, 0.99),
        ((0.5, 0.7, 0.85, 0.97), 200, 260, 0.67),
        ((0.3, 0.5, 0.7, 0.99), 200, 124, 1.0),
        ((0.6, 0.8, 0.99), 100, 123, 0.87),
        ((0.97, 0.99), 100, 69, 0.85),
        ((0.5, 0.95, 0.99), 100, 94, 0.51),
        ((0.6, 0.8, 0.99), 50, 76, 0.57),
    ],
)
def test_the_published_ladders(rates: Sequence[float], cases: int, calls: int, right: float) -> None:
    """STATISTICS.md section 8, where a rung that stays open ends the climb."""
    found = [chances(design_for(cases, pass_rate=0.9), rate) for rate in rates]
    reached = [prod(chance.fails for chance in found[:place]) for place in range(len(rates))]
    expected = sum(share * chance.expected_cases for share, chance in zip(reached, found, strict=True))
    smallest = next(place for place, rate in enumerate(rates) if rate >= 0.9)
    assert expected == pytest.approx(calls, abs=0.5)
    assert reached[smallest] * found[smallest].passes == pytest.approx(right, abs=0.005)


def test_chances_add_up_and_are_those_of_draws() -> None:
    design, source = design_for(40, pass_rate=0.8), random.Random(3)
    found = chances(design, 0.85)
    assert found.passes + found.fails + found.undecided == pytest.approx(1)
    draws = [decide(design, [source.random() < 0.85 for _ in range(40)]) for _ in range(4000)]
    decided = [decision for decision in draws if decision is not None]
    assert sum(one.state == "passes" for one in decided) / 4000 == pytest.approx(found.passes, abs=0.025)
    assert sum(one.at for one in decided) / 4000 == pytest.approx(found.expected_cases, abs=0.6)


@pytest.mark.parametrize(
    ("bar", "outcomes", "state", "at"),
    [
        (1.0, [True, False, True], "fails", 2),
        (0.0, [False, True], "passes", 1),
        (0.9, [True] * 10, "undecided", 7),  # ten passes show nothing, and four failures would have
        (0.5, [True] * 10, "passes", 6),
        (0.5, [False] * 10, "fails", 6),
    ],
)
def test_decisions(bar: float, outcomes: list[bool], state: str, at: int) -> None:
    decision = decide(design_for(len(outcomes), pass_rate=bar), outcomes)
    assert decision is not None
    assert (decision.state, decision.at) == (state, at)


@given(outcomes=OUTCOMES, bar=BARS, confidence=CONFIDENCES, data=st.data())
def test_what_is_decided_no_missing_answer_changes_and_a_pass_never_lowers_it(
    outcomes: list[bool | None], bar: float, confidence: float, data: st.DataObject
) -> None:
    design = design_for(len(outcomes), pass_rate=bar, confidence=confidence)
    decision = decide(design, outcomes)
    whole = [data.draw(st.booleans()) if outcome is None else outcome for outcome in outcomes]
    final = decide(design, whole)
    assert final is not None
    if decision is not None:
        assert decision.state == final.state
    place = data.draw(st.integers(0, len(whole) - 1))
    better = decide(design, [*whole[:place], True, *whole[place + 1 :]])
    rank = ["fails", "undecided", "passes"]
    assert better is not None
    assert rank.index(better.state) >= rank.index(final.state)


@given(outcomes=OUTCOMES, bar=BARS, confidence=CONFIDENCES, order=st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_and_what_is_in_flight_is_harmless(
    outcomes: list[bool | None], bar: float, confidence: float, order: random.Random
) -> None:
    """Answers come in any order; what is decided on the way is what all of them decide."""
    design = design_for(len(outcomes), pass_rate=bar, confidence=confidence)
    names = [str(place) for place in range(len(outcomes))]
    walk, arrivals = Walk(design, names), list(zip(names, outcomes, strict=True))
    order.shuffle(arrivals)
    decided = None
    for name, outcome in arrivals:
        walk.add(name, outcome)
        decided = decided or (walk.state if any(passed is not None for passed in outcomes) else None)
    final = decide(design, outcomes)
    assert decided == (final.state if final else None)


@pytest.mark.parametrize("bar", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("so_far", ["", "1", "0", "1101", "0111111111", "111011111111111101", "0000"])
def test_it_is_known_how_many_answers_like_the_next_would_decide(bar: float, so_far: str) -> None:
    """The least number with which `state` decides, tried one by one."""
    design = design_for(cases=40, pass_rate=bar, confidence=0.95)
    order = [f"c{place}" for place in range(40)]
    walk = Walk(design, order)
    for case, mark in zip(order, so_far, strict=False):
        walk.add(case, mark == "1")
    if walk.state is not None:
        return
    passes, failures = so_far.count("1"), so_far.count("0")
    for passed in (True, False):
        tried = [
            design.state(passes + more * passed, failures + more * (not passed)) for more in range(1, 41 - len(so_far))
        ]
        assert walk.cases_until(passed=passed) == 1 + next(n for n, state in enumerate(tried) if state is not None)


@settings(max_examples=40)
@given(outcomes=OUTCOMES, bar=BARS, data=st.data())
def test_bounds_agree_with_the_decision_and_rise_with_a_pass(
    outcomes: list[bool | None], bar: float, data: st.DataObject
) -> None:
    design = design_for(len(outcomes), pass_rate=bar)
    bounds, decision = design_bounds(design, outcomes), decide(design, outcomes)
    if bounds is None:
        assert all(outcome is None for outcome in outcomes)
        return
    assert 0 <= bounds.low <= bounds.high <= 1
    if decision is not None and decision.state == "passes":
        assert bounds.low >= bar - 1e-9
    if decision is not None and decision.state == "fails":
        assert bounds.high <= bar + 1e-9
    place = data.draw(st.integers(0, len(outcomes) - 1))
    better = design_bounds(design, [*outcomes[:place], True, *outcomes[place + 1 :]])
    assert better is not None
    assert better.low >= bounds.low - 1e-9
    assert better.high >= bounds.high - 1e-9 or outcomes[place] is None


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.88, 0.93, 0.99])
def test_bounds_hold_the_true_rate_of_a_stopped_sample(rate: float) -> None:
    design, source = design_for(60, pass_rate=0.9), random.Random(5)
    found = [design_bounds(design, [source.random() < rate for _ in range(60)]) for _ in range(1500)]
    assert sum(one is not None and one.low <= rate for one in found) / 1500 >= 0.95 - 0.015
    assert sum(one is not None and one.high >= rate for one in found) / 1500 >= 0.95 - 0.015


def test_a_design_without_looks_but_the_last_has_the_bounds_of_clopper_and_pearson() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    never = tuple(range(1, 12))
    design = Design(cases=10, pass_rate=0.5, passes_at=never, fails_at=never)
    bounds = design_bounds(design, [True] * 8 + [False] * 2)
    assert bounds is not None
    exact = scipy_stats.binomtest(8, 10).proportion_ci(0.9)
    assert (bounds.low, bounds.high) == pytest.approx((exact.low, exact.high))


def test_the_order_is_the_same_everywhere_and_keeps_without_some_cases() -> None:
    names = [f"case-{number}" for number in range(6)]
    order = cases_in_order(names, task="t", seed=0)
    assert order == ["case-0", "case-2", "case-1", "case-4", "case-3", "case-5"]
    assert cases_in_order(reversed(names), task="t", seed=0) == order
    assert cases_in_order(names, task="t", seed=1) != order
    assert cases_in_order(names[:4], task="t", seed=0) == [name for name in order if name in names[:4]]


def _trial(case: str, outcome: str, reason: str | None = None) -> Trial:
    key = TrialKey(task="t", case=case, rung="s")
    return Trial(key=key, outcome=outcome, reason=reason)  # type: ignore[arg-type]  # one of the words


def test_a_fault_and_a_skipped_case_do_not_keep_a_decided_task_going() -> None:
    names = [f"c{number}" for number in range(40)]
    progress = EarlyProgress(dict.fromkeys(names, 1), task="t", seed=0, pass_rate=0.9, confidence=0.95)
    order = cases_in_order(names, task="t", seed=0)
    progress.add(_trial(order[0], "error", "transport"))
    progress.add(_trial(order[1], "not_run", "skipped"))
    reasons = []
    for case in order[2:12]:
        progress.add(_trial(case, "failed", "wrong"))
        reasons.append(progress.reason_to_stop())
    assert reasons[0] is None
    assert reasons[-1] is not None
    assert reasons[-1].startswith("settled: fails whatever the remaining ")


def test_fewer_are_in_flight_near_a_decision() -> None:
    names = [f"c{number}" for number in range(200)]
    progress = EarlyProgress(dict.fromkeys(names, 1), task="t", seed=0, pass_rate=0.9, confidence=0.95)
    for case in cases_in_order(names, task="t", seed=0)[:50]:
        progress.add(_trial(case, "passed"))
    assert progress.reason_to_stop() is None
    assert 4 <= progress.room <= 20


def test_a_rung_that_was_the_smallest_is_asked_to_its_end_unless_it_passes() -> None:
    names = [f"c{number}" for number in range(40)]
    for outcome, stops in (("failed", False), ("passed", True)):
        progress = EarlyProgress(dict.fromkeys(names, 1), task="t", seed=0, pass_rate=0.8, confidence=0.95)
        progress.demand([0.95], to_be_finished=True)
        for case in cases_in_order(names, task="t", seed=0)[:39]:
            progress.add(_trial(case, outcome))
        assert (progress.reason_to_stop() is not None) == stops


def test_a_stopped_sample_shows_bounds_of_the_design_and_no_rate() -> None:
    verdict, _, asked = search({"m": "1" * 100}, "climb", pass_rate=0.9, confidence=0.95, seed=7)
    standing = verdict.standing["m"]
    assert (standing.state, standing.rate, standing.trials) == ("passes", None, asked)
    assert standing.decided_at is not None
    assert standing.decided_at <= asked < 100
    assert standing.given_up == 100 - asked
    assert standing.low is not None
    assert standing.low >= 0.9
    whole, _, _ = search({"m": "1" * 100}, "full", pass_rate=0.9, confidence=0.95, seed=7)
    assert (whole.standing["m"].decided_at, whole.standing["m"].rate) == (standing.decided_at, 1.0)


def test_early_stopping_needs_a_confidence_and_single_samples() -> None:
    assert Policy(task="t", confidence=0.9, shuffle_seed=0).stops_early
    assert not Policy(task="t", confidence=0.9).stops_early
    assert not Policy(task="t", shuffle_seed=0).stops_early
    assert not Policy(task="t", confidence=0.9, shuffle_seed=0, samples=2).stops_early
