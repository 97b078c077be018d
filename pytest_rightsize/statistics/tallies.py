"""Cases counted by their outcomes, and what the counts say of the rate behind them: its estimate, bounds and state.

`rates` has the functions that take the samples of each case. Pure.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache, lru_cache, partial

from pytest_rightsize.records import State
from pytest_rightsize.statistics.bounded import binary_p, gaffke_p, lowest, pooled_p
from pytest_rightsize.statistics.estimates import Interval
from pytest_rightsize.statistics.incomplete_beta import beta_quantile
from pytest_rightsize.statistics.misjudged import Correction, corrected_bar, corrected_p, corrected_rate

__all__ = [
    "LAST_DIGITS",
    "Items",
    "Tally",
    "against",
    "bar_of",
    "clopper_pearson",
    "ends_of",
    "estimate_of",
    "is_above",
    "is_single",
    "items_of",
    "low_of",
    "mirror_of",
    "mirrored",
    "state_of",
    "state_of_counts",
    "tally_of",
]

# The number of cases by (passed, samples): {(2, 3): 5.0} is five cases with two passed and one failed sample. Every
# estimate of a rate depends on this alone; counts are fractions where they stand for future cases.
Tally = Mapping[tuple[int, int], float]
# Fractions of this denominator are at least 1e-12 apart, so that one at most is within a hair of a float.
_FINEST_BAR, _HAIR = 10**6, Fraction(1, 10**15)
# The part of a p value, or of a level, that rounding may have changed.
LAST_DIGITS = 1e-9
# A tally that can be a key of a cache, as suites have many tasks with the same few counts.
Items = tuple[tuple[tuple[int, int], float], ...]


def clopper_pearson(
    passed: float, trials: float, *, confidence: float = 0.95, one_sided: bool = False
) -> Interval | None:
    """The exact binomial interval of `passed` out of `trials`, which need not be whole; None without trials.

    With `one_sided`, each end by itself is a bound at `confidence`. Source: Clopper & Pearson 1934, through quantiles
    of the beta distribution.
    """
    if trials <= 0:
        return None
    tail = (1 - confidence) / (1 if one_sided else 2)
    failed = trials - passed
    # From the failures' side: the same bound, without losing digits near 1.
    low, high = _least_rate(passed, failed, tail), 1 - _least_rate(failed, passed, tail)
    return Interval(low=low, high=high, confidence=confidence, one_sided=one_sided)


def _least_rate(passed: float, failed: float, tail: float) -> float:
    """The rate at which so many passes or more have the probability `tail`."""
    if passed <= 0:
        return 0.0
    if failed <= 0:
        return float(tail ** (1 / passed))  # what the quantile comes to
    return beta_quantile(passed, failed + 1, tail)


@cache
def bar_of(pass_rate: float) -> Fraction:
    """The bar as the fraction that is meant: 0.9 as a float is a hair above nine tenths, and 9 of 10 must reach it.

    It is the simplest fraction within a few units of the last digit, as for 5 / 6 or 0.1 + 0.2, or else that of the
    digits as they are written.
    """
    simplest = Fraction(pass_rate).limit_denominator(_FINEST_BAR)
    return simplest if abs(simplest - Fraction(pass_rate)) <= _HAIR else Fraction(str(pass_rate))


def tally_of(cases: Mapping[str, Sequence[bool]]) -> Tally:
    """The cases that have a sample, counted by (passed, samples)."""
    return Counter((sum(samples), len(samples)) for samples in cases.values() if samples)


def items_of(tally: Tally) -> Items:
    """The tally as a key: sorted, so that no digit depends on the order of the cases."""
    return tuple(sorted(tally.items()))


def ends_of(cases: Mapping[str, Sequence[bool]], remaining: Mapping[str, int]) -> tuple[Tally, Tally]:
    """The tallies if all remaining trials fail, and if all pass."""
    names = dict.fromkeys([*cases, *remaining])
    so_far = ((sum(cases.get(name, ())), len(cases.get(name, ())), remaining.get(name, 0)) for name in names)
    worst: Counter[tuple[int, int]] = Counter()
    best: Counter[tuple[int, int]] = Counter()
    for (passed, tried, left), number in Counter(so_far).items():
        if tried + left:
            worst[passed, tried + left] += number
            best[passed + left, tried + left] += number
    return worst, best


def mirrored(tally: Tally) -> Tally:
    """The tally with passes and failures exchanged."""
    return {(size - passed, size): number for (passed, size), number in tally.items()}


def is_single(tally: Tally) -> bool:
    """Whether each case has one sample."""
    return all(size == 1 for _, size in tally)


def rate_of(tally: Tally) -> Fraction | None:
    """The exact mean over cases of each case's mean, counts being whole; None without cases."""
    if not tally:
        return None
    total = sum((Fraction(int(number) * passed, size) for (passed, size), number in tally.items()), Fraction(0))
    return total / int(sum(tally.values()))


def state_of(tally: Tally, pass_rate: float, confidence: float | None, correction: Correction | None = None) -> State:
    """The state of the rate, with all trials in."""
    return _state_of_items(items_of(tally), pass_rate, confidence, correction)


@lru_cache(maxsize=4096)
def _state_of_items(items: Items, pass_rate: float, confidence: float | None, correction: Correction | None) -> State:
    tally = dict(items)
    if confidence is not None:
        return against(tally, pass_rate, confidence, correction)
    rate = rate_of(tally)
    return "passes" if rate is not None and rate >= _seen_bar(tally, bar_of(pass_rate), correction) else "fails"


def is_above(tally: Tally, bar: Fraction, correction: Correction | None) -> bool:
    """Whether the estimate lies above the bar."""
    rate = rate_of(tally)
    return rate is not None and rate > _seen_bar(tally, bar, correction)


def _seen_bar(tally: Tally, bar: Fraction, correction: Correction | None) -> Fraction:
    """The rate of passes that the bar comes to, where the judge's errors are corrected; a bar of 0 stays one."""
    return bar if correction is None or bar <= 0 else corrected_bar(bar, _trials(tally), correction)


def estimate_of(tally: Tally, correction: Correction | None) -> float | None:
    """The estimate of the rate; None without cases."""
    rate = rate_of(tally)
    if rate is None or correction is None:
        return None if rate is None else float(rate)
    return corrected_rate(rate, _trials(tally), correction)


def _trials(tally: Tally) -> int:
    return int(sum(number * size for (_, size), number in tally.items()))


def mirror_of(correction: Correction | None) -> Correction | None:
    """The correction of failures in place of passes."""
    return None if correction is None else correction.mirrored


def state_of_counts(passed: int, trials: int, pass_rate: float, confidence: float | None) -> State:
    """`state_of` where each case has one trial; by counts alone, because a session calls it after every trial."""
    if confidence is None:
        bar = bar_of(pass_rate)
        return "passes" if passed * bar.denominator >= bar.numerator * trials else "fails"
    fails, passes = _deciding_counts(trials, pass_rate, confidence)
    return "fails" if passed <= fails else "passes" if passed >= passes else "undecided"


@lru_cache(maxsize=4096)
def _deciding_counts(trials: int, pass_rate: float, confidence: float) -> tuple[int, int]:
    """The most passes of so many trials that fail (-1 if none do), and the fewest that pass (one above if none do)."""

    def first(reaches: Callable[[State], bool]) -> int:
        return bisect_left(range(trials + 1), True, key=lambda passed: reaches(state_with(passed)))

    def state_with(passed: int) -> State:
        return against({(1, 1): passed, (0, 1): trials - passed}, pass_rate, confidence)

    return first(lambda state: state != "fails") - 1, first(lambda state: state == "passes")


def against(tally: Tally, pass_rate: float, confidence: float, correction: Correction | None = None) -> State:
    """The state by the bounds, computed from their p values: cheaper than finding the bounds.

    A bound that is just the bar reaches it, and does not miss it, whatever the last digits of floats.
    """
    if pass_rate <= 0 or p_value_of(tally, correction)(pass_rate) <= (1 - confidence) * (1 + LAST_DIGITS):
        return "passes"
    p_value = p_value_of(mirrored(tally), mirror_of(correction))
    return "fails" if p_value(1 - pass_rate) < (1 - confidence) * (1 - LAST_DIGITS) else "undecided"


def low_of(tally: Tally, tail: float, correction: Correction | None = None) -> float:
    """The lower bound of the rate at the one-sided level `tail`."""
    return _low_of_items(items_of(tally), tail, correction)


@lru_cache(maxsize=4096)
def _low_of_items(items: Items, tail: float, correction: Correction | None) -> float:
    tally = dict(items)
    if correction is not None:
        return lowest(p_value_of(tally, correction), tail, 1.0)
    if is_single(tally):
        interval = clopper_pearson(tally.get((1, 1), 0), sum(tally.values()), confidence=1 - tail, one_sided=True)
        return interval.low if interval else 0.0
    return lowest(p_value_of(tally), tail, float(rate_of(tally) or 0))


def p_value_of(tally: Tally, correction: Correction | None = None) -> Callable[[float], float]:
    """The p value against "the rate is at most `at`", as a function of `at`."""
    if correction is not None:
        trials = sum(number * size for (_, size), number in tally.items())
        return corrected_p(p_value_of(tally), correction, trials)
    if is_single(tally):
        return partial(binary_p, tally.get((1, 1), 0), tally.get((0, 1), 0))
    means: dict[Fraction, float] = {}
    for (passed, size), number in tally.items():
        mean = Fraction(passed, size)
        means[mean] = means.get(mean, 0) + number
    values, counts = [float(mean) for mean in means], list(means.values())
    sizes: dict[int, float] = {}
    for (_, size), number in tally.items():
        sizes[size] = sizes.get(size, 0) + number
    failed = sum(number * (size - passed) / size for (passed, size), number in tally.items())
    return lambda at: min(gaffke_p(values, counts, at), pooled_p(sizes, failed, at))
