"""Two rungs on the same cases: as published, and what holds of their difference."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.statistics import (
    difference,
    holm,
    mcnemar,
    non_inferiority_p,
    tango_interval,
)
from pytest_rightsize.statistics.pairs import non_inferiority_p_of_counts, paired_t
from tests.statistics.outcomes import TEN_BY_THREE, cases, enumerate_names, six_digits


@pytest.mark.parametrize(
    ("only_a", "only_b", "n", "p", "wide", "narrow"),
    [
        (37, 233, 800, 6.2495e-36, (-0.281773, -0.208649), (-0.275821, -0.214483)),
        (41, 111, 800, 1.21622e-08, (-0.117783, -0.058198), (-0.112803, -0.062897)),
        (44, 81, 1319, 0.00119250, (-0.045088, -0.011615), (-0.042264, -0.014267)),
        (19, 42, 1319, 0.00444402, (-0.029747, -0.006022), (-0.027641, -0.007876)),
    ],
)
def test_pairs_as_published(
    only_a: int, only_b: int, n: int, p: float, wide: tuple[float, float], narrow: tuple[float, float]
) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    assert mcnemar(only_a, only_b) == six_digits(p, abs=0)
    for side, alternative in (("two-sided", "two-sided"), ("a worse", "less"), ("a better", "greater")):
        peer = scipy_stats.binomtest(only_a, only_a + only_b, alternative=alternative).pvalue
        assert mcnemar(only_a, only_b, alternative=side) == pytest.approx(peer, rel=1e-9)  # type: ignore[arg-type]  # a Literal from a tuple
    for confidence, expected in ((0.95, wide), (0.9, narrow)):
        interval = tango_interval(only_a, only_b, n, confidence=confidence)
        assert (interval.low, interval.high) == pytest.approx(expected, abs=6e-7)


@given(only_a=st.integers(0, 30), only_b=st.integers(0, 30), same=st.integers(0, 30), margin=st.floats(0.001, 0.5))
def test_non_inferiority_is_the_lower_end_of_the_90_percent_interval(
    only_a: int, only_b: int, same: int, margin: float
) -> None:
    assume(only_a + only_b + same > 0)
    a = cases(*["1"] * only_a, *["0"] * only_b, *["1"] * same)
    b = cases(*["0"] * only_a, *["1"] * only_b, *["1"] * same)
    delta = difference(a, b)
    assume(abs(delta.low90 + margin) > 1e-9)
    assert (non_inferiority_p(a, b, margin=margin) < 0.05) == (delta.low90 > -margin)
    mirrored = difference(b, a)
    assert (mirrored.low, mirrored.high) == pytest.approx((-delta.high, -delta.low), abs=1e-9)
    assert -1 <= delta.low <= delta.low90 <= delta.value <= delta.high90 <= delta.high <= 1


@pytest.mark.parametrize(
    ("only_a", "only_b", "margin", "p"),
    [
        (0, 0, 0.0, 0.5),  # nothing changed, and nothing is allowed: no evidence either way
        (0, 0, 1.0, 0.0),  # worse by all cases, or more, it is not
        (0, 20, 1.0, 0.5),
        (20, 0, -1.0, 0.5),
        (0, 0, -1.0, 1.0),
    ],
)
def test_non_inferiority_is_known_at_its_ends_where_the_score_has_no_variance(
    only_a: int, only_b: int, margin: float, p: float
) -> None:
    assert non_inferiority_p_of_counts(only_a, only_b, 20, margin=margin) == p


def test_several_samples_are_compared_by_case() -> None:
    other = cases("110", "111", "000", "000", "101", "110", "011", "011", "111", "100")
    delta = difference(TEN_BY_THREE, other)
    assert delta.method == "gaffke"
    assert delta.value == pytest.approx(0.23333333333333334)
    assert (delta.low, delta.high) == six_digits((-0.165079, 0.507872))
    assert (delta.low90, delta.high90) == six_digits((-0.105154, 0.471251))


@settings(max_examples=20)
@given(
    results=st.lists(st.tuples(*[st.lists(st.booleans(), min_size=2, max_size=4)] * 2), min_size=1, max_size=8),
    margin=st.floats(0.001, 0.9),
)
def test_non_inferiority_of_several_samples_is_its_interval(
    results: list[tuple[list[bool], list[bool]]], margin: float
) -> None:
    a, b = (dict(enumerate_names([pair[side] for pair in results])) for side in (0, 1))
    delta = difference(a, b)
    assume(abs(delta.low90 + margin) > 1e-9)
    assert (non_inferiority_p(a, b, margin=margin) < 0.05) == (delta.low90 > -margin)
    assert -1 <= delta.low <= delta.low90 <= delta.value + 1e-12
    assert delta.value - 1e-12 <= delta.high90 <= delta.high <= 1
    mirrored = difference(b, a)
    assert (mirrored.low, mirrored.high) == pytest.approx((-delta.high, -delta.low), abs=1e-9)
    a["case0"][:] = [True] * len(a["case0"])
    assert difference(a, b).low90 >= delta.low90 - 1e-9


def test_samples_that_never_differ_still_leave_an_interval() -> None:
    delta = difference(cases("11", "11", "11"), cases("11", "11", "11"))
    assert delta.method == "gaffke"
    assert delta.low90 == six_digits(0.05 ** (1 / 3) - 1)  # the spacing of an unseen case in which B alone passes


def test_students_t_is_that_of_the_case_differences() -> None:
    """Against scipy's own test of one sample, at both confidences."""
    stats = pytest.importorskip("scipy.stats")
    a = {"1": [True, True], "2": [True, False], "3": [False, False], "4": [True, True], "5": [True]}
    b = {"1": [False, True], "2": [True, True], "3": [False, True], "4": [False, False], "5": [True]}
    found = paired_t(a, b)
    assert found is not None
    assert found.method == "paired t"
    assert found.value == pytest.approx(0.1)
    expected = stats.ttest_1samp([0.5, -0.5, -0.5, 1.0, 0.0], 0.0)
    wide, narrow = expected.confidence_interval(0.95), expected.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((wide.low, wide.high))
    assert (found.low90, found.high90) == pytest.approx((narrow.low, narrow.high))


@pytest.mark.parametrize(("of_a", "of_b"), [([False], [True]), ([True], [False]), ([True], [True])])
def test_where_all_cases_differ_alike_students_interval_is_tangos(of_a: list[bool], of_b: list[bool]) -> None:
    a, b = ({str(case): samples for case in range(9)} for samples in (of_a, of_b))
    found = paired_t(a, b)
    assert found is not None
    assert found.value == of_a[0] - of_b[0]
    only_a, only_b = 9 * max(0, int(found.value)), 9 * max(0, -int(found.value))
    wide, narrow = (tango_interval(only_a, only_b, 9, confidence=level) for level in (0.95, 0.9))
    assert (found.low, found.high, found.low90, found.high90) == (wide.low, wide.high, narrow.low, narrow.high)
    halves = {str(case): [True, False] for case in range(9)}
    assert paired_t(halves, {str(case): [True] for case in range(9)}) is None


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
