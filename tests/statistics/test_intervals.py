"""Bounds of a pass rate: as published, and what holds of them whatever the results."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.statistics import (
    clopper_pearson,
    pass_rate_interval,
    settled,
)
from pytest_rightsize.statistics.bounded import gaffke_p, lowest
from tests.statistics.outcomes import TEN_BY_THREE, cases, ends, enumerate_names, six_digits


@pytest.mark.parametrize(
    ("passed", "trials", "one_sided", "two_sided"),
    [
        (10, 10, (0.741134, 1), (0.691503, 1)),
        (20, 20, (0.860892, 1), (0.831567, 1)),
        (29, 29, (0.901855, 1), (0.880555, 1)),
        (59, 59, (0.950492, 1), (0.939391, 1)),
        (27, 30, (0.761402, 0.972184), (0.734712, 0.978883)),
        (45, 50, (0.801167, 0.959763), (0.781865, 0.966725)),
        (97, 100, (0.924289, 0.991774), (0.914824, 0.993770)),
        (0, 10, (0, 0.258866), (0, 0.308497)),
    ],
)
def test_clopper_pearson_as_published(
    passed: int, trials: int, one_sided: tuple[float, float], two_sided: tuple[float, float]
) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    for interval, expected in (
        (clopper_pearson(passed, trials, one_sided=True), one_sided),
        (clopper_pearson(passed, trials), two_sided),
    ):
        assert interval is not None
        assert (interval.low, interval.high) == six_digits(expected)
    assert interval is not None
    peer = scipy_stats.binomtest(passed, trials).proportion_ci(0.95)
    assert (interval.low, interval.high) == pytest.approx((peer.low, peer.high), abs=1e-12)


# Cases of one to four samples: few of any kind, or more of which nearly all pass.
RESULTS = st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=12) | st.lists(
    st.sampled_from([[False, True, True], [False], [True], *[[True] * 3] * 5, *[[True] * 4] * 5]).map(list),
    min_size=10,
    max_size=35,
)


CONFIDENCES = st.sampled_from([0.6, 0.8, 0.95])


def test_several_samples_a_case() -> None:
    """Reference values, by the integral; those of exact arithmetic and of draws are held against it below."""
    one_sided = pass_rate_interval(TEN_BY_THREE, one_sided=True)
    two_sided = pass_rate_interval(TEN_BY_THREE)
    assert one_sided is not None
    assert two_sided is not None
    assert (one_sided.low, one_sided.high) == six_digits((0.530839, 0.932731))
    assert (two_sided.low, two_sided.high) == six_digits((0.486001, 0.945768))


def test_many_samples_of_few_cases_prove_no_more_than_the_cases() -> None:
    """A kind of case that always fails may exist although none of ten was drawn, however many samples they had."""
    assert ends([[True] * 10] * 10) == pytest.approx(ends([[True]] * 10), abs=1e-12)
    assert ends([[True] * 10] * 28)[0] < 0.9 < ends([[True] * 10] * 29)[0]


@pytest.mark.parametrize(
    ("results", "low"),
    [(["1" * 10] * 29 + ["1" * 9 + "0"], 0.904966), (["1" * 10] * 24 + ["1111111110"] * 6, 0.896549)],
)
def test_the_pooled_samples_help_where_nearly_all_pass(results: list[str], low: float) -> None:
    """Thirty cases can prove 0.9 with some failed samples; by the case means alone they could not."""
    interval = pass_rate_interval(cases(*results), one_sided=True)
    assert interval is not None
    assert interval.low == six_digits(low)
    means = [text.count("1") / 10 for text in results]
    assert interval.low > lowest(lambda at: gaffke_p(means, [1.0] * 30, at), 0.05, sum(means) / 30)


@settings(max_examples=25)
@given(results=RESULTS, confidence=CONFIDENCES, data=st.data())
def test_a_failure_turned_into_a_pass_never_lowers_a_bound(
    results: list[list[bool]], confidence: float, data: st.DataObject
) -> None:
    case = data.draw(st.integers(0, len(results) - 1))
    better = [[*results[case][1:], True] if place == case else samples for place, samples in enumerate(results)]
    assume(not results[case][0])
    before, after = ends(results, confidence), ends(better, confidence)
    assert after[0] >= before[0] - 1e-9
    assert after[1] >= before[1] - 1e-9


ORDER = ("fails", "undecided", "passes")


@settings(max_examples=25)
@given(results=RESULTS, confidence=CONFIDENCES, size=st.integers(1, 4), bar=st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.95]))
def test_a_further_case_that_passes_entirely_never_makes_a_standing_worse(
    results: list[list[bool]], confidence: float, size: int, bar: float
) -> None:
    more = [*results, [True] * size]
    before, after = ends(results, confidence), ends(more, confidence)
    assert after[0] >= before[0] - 1e-9
    assert after[1] >= before[1] - 1e-9
    stood, stands = (
        settled(dict(enumerate_names(all_of)), {}, pass_rate=bar, confidence=confidence) or ""
        for all_of in (results, more)
    )
    assert ORDER.index(stands) >= ORDER.index(stood)


@settings(max_examples=25)
@given(results=RESULTS, confidence=CONFIDENCES, bar=st.sampled_from([0.3, 0.5, 0.8, 0.9]), data=st.data())
def test_bounds_hold_the_rate_decide_the_state_and_know_no_order(
    results: list[list[bool]], confidence: float, bar: float, data: st.DataObject
) -> None:
    low, high = ends(results, confidence)
    rate = sum(sum(samples) / len(samples) for samples in results) / len(results)
    assert 0 <= low <= rate + 1e-12
    assert rate - 1e-12 <= high <= 1
    state = settled(dict(enumerate_names(results)), {}, pass_rate=bar, confidence=confidence)
    if min(abs(low - bar), abs(high - bar)) > 1e-9:
        assert state == ("passes" if low > bar else "fails" if high < bar else "undecided")
    shuffled = data.draw(st.permutations([data.draw(st.permutations(samples)) for samples in results]))
    assert ends(shuffled, confidence) == pytest.approx((low, high), abs=1e-11)
    flipped = ends([[not sample for sample in samples] for samples in results], confidence)
    assert (1 - flipped[1], 1 - flipped[0]) == pytest.approx((low, high), abs=1e-11)


@given(passes=st.lists(st.booleans(), min_size=1, max_size=40), confidence=CONFIDENCES)
def test_one_sample_a_case_is_clopper_pearson_and_agreeing_samples_nearly(
    passes: list[bool], confidence: float
) -> None:
    whole = clopper_pearson(sum(passes), len(passes), confidence=confidence, one_sided=True)
    assert whole is not None
    assert ends([[passed] for passed in passes], confidence) == (whole.low, whole.high)
    low, high = ends([[passed] * 3 for passed in passes], confidence)
    assert low >= whole.low - 1e-9
    assert high <= whole.high + 1e-9


def test_no_trials_have_no_interval() -> None:
    assert clopper_pearson(0, 0) is None
    assert pass_rate_interval({}) is None


@given(passed=st.integers(0, 60), more=st.integers(1, 60), confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_bounds_rise_with_passes_are_symmetric_and_stay_in_range(passed: int, more: int, confidence: float) -> None:
    trials = passed + more
    here = clopper_pearson(passed, trials, confidence=confidence)
    above = clopper_pearson(passed + 1, trials, confidence=confidence)
    mirrored = clopper_pearson(more, trials, confidence=confidence)
    assert here is not None
    assert above is not None
    assert mirrored is not None
    assert 0 <= here.low <= passed / trials <= here.high <= 1
    assert here.low < above.low
    assert here.high < above.high
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - here.high, 1 - here.low), abs=1e-9)
