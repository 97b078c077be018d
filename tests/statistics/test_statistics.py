"""Pass rates and standings, two rungs on the same cases, ratios and planning."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from math import comb, factorial

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_rightsize.records import State
from pytest_rightsize.statistics import (
    bounded,
    bounds_whatever_comes,
    cases_needed,
    clopper_pearson,
    counts_at_the_stop,
    difference,
    geometric_mean_ratio,
    holm,
    mcnemar,
    more_trials,
    non_inferiority_p,
    paired_cases_needed,
    paired_power,
    pass_rate_interval,
    passes_needed,
    power,
    settled,
    settled_counts,
    stand,
    tango_interval,
)
from pytest_rightsize.statistics.bounded import binary_p, gaffke_p, gaffke_ps, lowest, pooled_p
from pytest_rightsize.statistics.pairs import non_inferiority_p_of_counts, paired_t


def cases(*samples: str) -> dict[str, list[bool]]:
    """Cases from strings such as "110": a passed, a passed and a failed sample."""
    return {f"case{number}": [mark == "1" for mark in text] for number, text in enumerate(samples)}


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
        (["110", "111", "000"], 0.55, "passes"),  # 5/9 = 0.5556
        (["110", "111", "000"], 0.56, "fails"),
    ],
)
def test_the_rate_against_the_bar(results: list[str], pass_rate: float, state: str) -> None:
    planned = sum(map(len, results))
    assert stand(cases(*results), pass_rate=pass_rate, planned=planned).state == state


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


def enumerate_names(results: list[list[bool]]) -> list[tuple[str, list[bool]]]:
    """Names for cases."""
    return [(f"case{number}", samples) for number, samples in enumerate(results)]


six_digits = partial(pytest.approx, rel=5e-6, abs=5e-7)

TEN_BY_THREE = cases("111", "111", "101", "000", "111", "110", "111", "011", "111", "111")


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


def ends(results: list[list[bool]], confidence: float = 0.95) -> tuple[float, float]:
    """The one-sided bounds."""
    interval = pass_rate_interval(dict(enumerate_names(results)), confidence=confidence, one_sided=True)
    assert interval is not None
    return interval.low, interval.high


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


def test_no_trials_have_no_interval() -> None:
    assert clopper_pearson(0, 0) is None
    assert pass_rate_interval({}) is None


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


def test_geometric_mean_ratio() -> None:
    ratio = geometric_mean_ratio([(2, 1), (4, 1), (8, 1)])
    assert ratio is not None
    assert ratio.value == pytest.approx(4)
    assert (ratio.low, ratio.high) == pytest.approx((0.7149, 22.3800), abs=1e-4)  # 4 exp(-+ 4.302653 ln 2 / sqrt 3)
    assert ratio.tie
    single = geometric_mean_ratio([(2, 1)])
    assert single is not None
    assert single.tie
    assert geometric_mean_ratio([]) is None
    with pytest.raises(ValueError, match="a ratio needs amounts above 0, got 0 and 1"):
        geometric_mean_ratio([(0, 1)])


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
