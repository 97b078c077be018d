"""Pass rates against the bar, and when a rung is settled."""

from fractions import Fraction
from itertools import product
from math import comb

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.records import State
from pytest_rightsize.statistics import (
    bounds_whatever_comes,
    counts_at_the_stop,
    more_cases,
    more_trials,
    passes_needed,
    settled,
    settled_counts,
    stand,
)
from tests.statistics.outcomes import cases, ends, enumerate_names


@pytest.mark.parametrize(
    ("results", "pass_rate", "state"),
    [
        (["1"] * 9 + ["0"], 0.9, "passes"),
        (["1"] * 8 + ["0"] * 2, 0.9, "fails"),
        (["1"] * 10, 1.0, "passes"),
        (["1"] * 2 + ["0"], 0.67, "fails"),
        (["1"] * 2 + ["0"], 0.66, "passes"),
        (["0"], 0.0, "passes"),
        (["1"] * 7 + ["0"] * 3, 0.7, "passes"),  # 7/10 >= 0.7 must not fall to floating point
        (["1"] * 5 + ["0"], 5 / 6, "passes"),  # the float is above five sixths
        (["1"] * 3 + ["0"] * 7, 0.1 + 0.2, "passes"),
        (["1"] * 9 + ["0"], 1.1 - 0.2, "passes"),
        (["1"] * 9 + ["0"], 0.90000001, "fails"),
        (["1"] * 9 + ["0"], 0.89999999, "passes"),
        (["110", "111", "000"], 0.55, "passes"),  # 5/9 = 0.5556
        (["110", "111", "000"], 0.56, "fails"),
    ],
)
def test_the_rate_against_the_bar(results: list[str], pass_rate: float, state: str) -> None:
    planned = sum(map(len, results))
    assert stand(cases(*results), pass_rate=pass_rate, planned=planned).state == state


@given(passed=st.integers(0, 400), more=st.integers(0, 400))
def test_a_bar_that_is_a_quotient_is_reached_by_just_that_share(passed: int, more: int) -> None:
    trials = max(1, passed + more)
    bar = passed / trials
    assert settled_counts(passed, trials - passed, 0, pass_rate=bar) == "passes"
    if passed:
        assert settled_counts(passed - 1, trials - passed + 1, 0, pass_rate=bar) == "fails"


def test_a_bar_a_hair_from_the_rate_ends_the_search_for_more_cases() -> None:
    seen = cases("1", "1", "0")
    nearest: list[tuple[State, float]] = [
        ("passes", 2 / 3),
        ("passes", 0.6666666666),
        ("fails", 0.6666666667),
        ("fails", 2 / 3),
    ]
    assert {more_cases(seen, {}, state=state, pass_rate=bar) for state, bar in nearest} == {None}
    assert more_trials(seen, pass_rate=0.6666666666) is None
    # 1.645 ** 2 * (2 / 9) / (2 / 3 - 0.6666) ** 2, and so many are still told.
    assert more_cases(seen, {}, state="passes", pass_rate=0.6666) == pytest.approx(135_280_000, rel=2e-3)


@pytest.mark.parametrize("confidence", [0.51, 0.64, 0.75, 0.8, 0.9, 0.9375, 0.95, 0.96, 0.99])
def test_states_and_plans_are_those_of_exact_arithmetic(confidence: float) -> None:
    """Also where a bound is just the bar: 1 of 1 shows 0.1 at 0.9, and 0 of 2 do not miss 0.9 at 0.99."""
    level = 1 - Fraction(str(confidence))
    for cases_, bar in product(range(1, 13), ("0.05", "0.1", "0.2", "0.25", "0.5", "0.75", "0.8", "0.9", "0.95")):
        rate = Fraction(bar)
        chances = [comb(cases_, n) * rate**n * (1 - rate) ** (cases_ - n) for n in range(cases_ + 1)]
        exact: list[State] = [
            "passes" if sum(chances[n:]) <= level else "fails" if sum(chances[: n + 1]) < level else "undecided"
            for n in range(cases_ + 1)
        ]
        found = [
            settled_counts(n, cases_ - n, 0, pass_rate=float(rate), confidence=confidence) for n in range(cases_ + 1)
        ]
        assert found == exact, (cases_, bar)
        needed = passes_needed(cases_, pass_rate=float(rate), confidence=confidence)
        assert needed == (exact.index("passes") if "passes" in exact else None)


def test_each_case_weighs_the_same() -> None:
    """One case of four failed samples counts as much as one with a single passed one."""
    standing = stand(cases("0000", "1"), pass_rate=0.5, planned=5)
    assert standing.rate == 0.5
    assert standing.passed == 1
    assert standing.trials == 5
    assert standing.state == "passes"


def test_nothing_tried_is_no_rate() -> None:
    standing = stand({}, pass_rate=0.0, planned=4)
    assert standing.state == "not_run"
    assert standing.rate is None


def test_a_fault_leaves_it_undecided() -> None:
    standing = stand(cases("1", "1"), pass_rate=0.5, planned=3, faults=1)
    assert standing.state == "undecided"
    assert standing.reason == "1 of 3 trials had no answer"


def test_only_faults_is_undecided_and_no_rate() -> None:
    standing = stand({}, pass_rate=0.0, planned=3, faults=3)
    assert standing.state == "undecided"
    assert standing.rate is None


def test_missing_trials_leave_it_undecided() -> None:
    standing = stand(cases("1", "1"), pass_rate=0.5, planned=40)
    assert standing.state == "undecided"
    assert standing.reason == "only 2 of 40 trials ran"


def test_more_trials_than_were_planned_are_no_lack() -> None:
    assert stand(cases("1", "1", "0"), pass_rate=0.5, planned=2).state == "passes"


@pytest.mark.parametrize(("marks", "state"), [("11", "passes"), ("00", "undecided")])
def test_a_bound_that_is_just_the_bar_reaches_it(marks: str, state: str) -> None:
    """Two of two at 0.75: 0.5 ** 2 is a quarter, so the lower bound is 0.5; of none of two the upper bound is."""
    standing = stand(cases(*marks), pass_rate=0.5, planned=2, confidence=0.75)
    assert (standing.low if state == "passes" else standing.high) == 0.5
    assert standing.state == state


@given(
    results=st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=12),
    bar=st.floats(min_value=0, max_value=1),
)
def test_one_more_pass_never_harms(results: list[list[bool]], bar: float) -> None:
    """Turning a failed sample into a passed one never turns `passes` into `fails`."""
    planned = sum(map(len, results))
    before = stand(dict(enumerate_names(results)), pass_rate=bar, planned=planned)
    results[0][0] = True
    after = stand(dict(enumerate_names(results)), pass_rate=bar, planned=planned)
    assert not (before.state == "passes" and after.state == "fails")
    assert before.rate is not None
    assert after.rate is not None
    assert 0 <= before.rate <= after.rate <= 1


def test_more_trials_are_those_of_further_cases() -> None:
    """Ten cases of two samples that all pass lack 19 cases of 0.9, which are 38 trials."""
    assert more_trials(cases(*["11"] * 10), pass_rate=0.9) == 38
    spread = cases(*["111"] * 8, "110", "110")
    more = more_trials(spread, pass_rate=0.8)
    assert more is not None
    assert more % 3 == 0
    assert more_trials(cases(*["10"] * 10), pass_rate=0.9) is None


def test_bounds_whatever_comes_are_those_of_the_two_ends() -> None:
    bounds = bounds_whatever_comes(cases("11", "10", "1"), {"case2": 1, "case3": 2})
    assert bounds is not None
    assert bounds.low == ends([[True, True], [True, False], [True, False], [False, False]])[0]
    assert bounds.high == ends([[True, True], [True, False], [True, True], [True, True]])[1]


@pytest.mark.parametrize(
    ("passed", "failed", "missing", "state", "expected"),
    [
        (18, 0, 0, "passes", (18, 0)),
        (20, 1, 0, "passes", (18, 1)),  # two came after the eighteenth pass, which settled it
        (18, 1, 3, "passes", (18, 4)),  # what is missing counts against the claim
        (3, 3, 1, "fails", (4, 3)),
        (3, 5, 3, "fails", (6, 3)),
    ],
)
def test_a_sample_is_counted_up_to_what_settled_it(
    passed: int, failed: int, missing: int, state: State, expected: tuple[int, int]
) -> None:
    """Of 20 cases at a bar of 0.9, the eighteenth pass or the third failure."""
    assert counts_at_the_stop(passed, failed, missing, planned=20, state=state, pass_rate=0.9) == expected


@pytest.mark.parametrize(("bar", "trials"), [(0.80, 14), (0.90, 29), (0.95, 59), (0.99, 299)])
def test_the_number_that_proves_a_bar(bar: float, trials: int) -> None:
    assert more_trials(cases("1"), pass_rate=bar) == trials - 1
    assert more_trials(cases(*["1"] * trials), pass_rate=bar) == 0


@pytest.mark.parametrize("bar", [0.9, 0.95, 1.0])
def test_no_number_proves_a_bar_that_the_rate_is_not_above(bar: float) -> None:
    assert more_trials(cases(*["1"] * 9, "0"), pass_rate=bar) is None


@pytest.mark.parametrize(
    ("passes", "fails", "bar", "state", "reason"),
    [
        (29, 0, 0.9, "passes", None),
        (9_000, 999, 0.9, "undecided", "needs more than 20,000 more trials to show 0.9 at this rate"),
        (28, 0, 0.9, "undecided", "needs about 1 more trials to show 0.9 at this rate"),
        (27, 3, 0.95, "undecided", "no number of trials would show 0.95 at this rate"),
        (27, 3, 0.98, "fails", None),
        (3, 1, 1.0, "fails", None),
        (0, 4, 0.0, "passes", None),
    ],
)
def test_three_states_with_a_confidence(passes: int, fails: int, bar: float, state: str, reason: str | None) -> None:
    given_cases = cases(*["1"] * passes, *["0"] * fails)
    standing = stand(given_cases, pass_rate=bar, planned=passes + fails, confidence=0.95)
    assert (standing.state, standing.reason) == (state, reason)
    assert standing.low is not None
    assert standing.high is not None


@pytest.mark.parametrize(
    ("samples", "bar", "confidence", "state"),
    [
        (["111", "111", "111", "11"], 0.6, 0.8, "passes"),
        (["111", "111", "111", "11"], 0.6, 0.9, "undecided"),  # eleven independent trials would pass
        (["111", "111", "111", "11"], 0.8, 0.6, "undecided"),
        (["11", "11", "11", "1"], 0.5, 0.8, "passes"),
        (["11", "11", "11", "1"], 0.5, 0.9, None),
        (["000", "000", "00"], 0.3, 0.8, "undecided"),
        (["000", "000", "00"], 0.6, 0.9, "fails"),
        (["00", "00", "0"], 0.5, 0.6, "fails"),
        (["00", "00", "0"], 0.5, 0.8, None),
        (["110", "100", "110", "10"], 0.3, 0.8, "passes"),
        (["110", "100", "110", "10"], 0.5, 0.8, "undecided"),
        (["110", "100", "110", "10"], 0.8, 0.8, "fails"),
        (["110", "100", "110", "10"], 0.55, None, None),
        (["110", "100", "110", "10"], 0.7, None, "fails"),
        (["110", "100", "110", "10"], 0.5, None, "passes"),
    ],
)
def test_several_samples_are_settled_just_where_every_outcome_of_the_rest_agrees(
    samples: list[str], bar: float, confidence: float | None, state: str | None
) -> None:
    so_far, planned = cases(*samples), max(map(len, samples))
    remaining = {name: planned - len(heard) for name, heard in so_far.items() if len(heard) < planned}
    ends = set()
    for extra in product(*(range(left + 1) for left in remaining.values())):
        whole = {name: list(heard) for name, heard in so_far.items()}
        for (name, left), passed in zip(remaining.items(), extra, strict=True):
            whole[name] += [True] * passed + [False] * (left - passed)
        ends.add(stand(whole, pass_rate=bar, planned=planned * len(samples), confidence=confidence).state)
    assert settled(so_far, remaining, pass_rate=bar, confidence=confidence) == state
    assert state == (ends.pop() if len(ends) == 1 else None)


@pytest.mark.parametrize("confidence", [None, 0.6, 0.9])
@pytest.mark.parametrize("bar", [0.0, 0.5, 0.75, 1.0])
@pytest.mark.parametrize(
    ("passed", "failed", "left"), [(0, 0, 0), (0, 0, 3), (4, 1, 0), (12, 0, 2), (0, 9, 2), (5, 5, 9)]
)
def test_counts_are_settled_as_their_cases_are(
    passed: int, failed: int, left: int, bar: float, confidence: float | None
) -> None:
    so_far = cases(*["1"] * passed, *["0"] * failed)
    remaining = {f"later{place}": 1 for place in range(left)}
    expected = settled(so_far, remaining, pass_rate=bar, confidence=confidence)
    assert settled_counts(passed, failed, left, pass_rate=bar, confidence=confidence) == expected


@settings(max_examples=20)
@given(st.data())
def test_what_is_settled_no_outcome_changes(data: st.DataObject) -> None:
    """Against every outcome of what remains, with equal and unequal samples a case."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    so_far = {
        str(place): data.draw(st.lists(st.booleans(), min_size=0, max_size=size)) for place, size in enumerate(sizes)
    }
    remaining = {name: size - len(so_far[name]) for name, size in zip(so_far, sizes, strict=True)}
    left = sum(remaining.values())
    assume(left <= 6)
    bar = data.draw(st.sampled_from([0.1, 0.3, 0.5, 0.8, 0.9, 1.0]))
    confidence = data.draw(st.sampled_from([None, 0.6, 0.8, 0.95]))
    early = settled(so_far, remaining, pass_rate=bar, confidence=confidence)
    states = set()
    for marks in product([True, False], repeat=left):
        rest = iter(marks)
        whole = {name: [*so_far[name], *(next(rest) for _ in range(remaining[name]))] for name in so_far}
        states.add(stand(whole, pass_rate=bar, planned=sum(sizes), confidence=confidence).state)
    assert (early is not None) == (len(states) == 1)  # it is found at once
    assert early is None or states == {early}


@given(
    trials=st.integers(1, 60),
    pass_rate=st.sampled_from([0.0, 0.5, 0.66, 0.9, 0.95, 1.0]),
    confidence=st.sampled_from([0.6, 0.8, 0.95]),
)
def test_counts_alone_decide_as_the_bounds_do(trials: int, pass_rate: float, confidence: float) -> None:
    """The session asks after every trial with the counts only."""
    states = [
        settled_counts(passed, trials - passed, 0, pass_rate=pass_rate, confidence=confidence)
        for passed in range(trials + 1)
    ]

    assert states == [
        stand(
            cases(*["1"] * passed, *["0"] * (trials - passed)),
            pass_rate=pass_rate,
            planned=trials,
            confidence=confidence,
        ).state
        for passed in range(trials + 1)
    ]
    assert [*map(["fails", "undecided", "passes"].index, map(str, states))] == sorted(
        map(["fails", "undecided", "passes"].index, map(str, states))
    )
