"""Two rungs on the same cases: exact McNemar, the interval of the difference, non-inferiority, and Holm over several.

Differences are A minus B in fractions of 1; `only_a` and `only_b` are the cases that only one of the two passed.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import inf, sqrt
from statistics import fmean, stdev
from typing import Literal

from pytest_rightsize.statistics.estimates import Difference, Interval

__all__ = [
    "difference",
    "holm",
    "mcnemar",
    "non_inferiority_p",
    "non_inferiority_p_of_counts",
    "tango_interval",
]


def mcnemar(
    only_a: int, only_b: int, *, alternative: Literal["two-sided", "a worse", "a better"] = "two-sided"
) -> float:
    """The exact p value of McNemar's test: a binomial test of `only_a` out of all discordant cases at one half."""
    from scipy.special import bdtr

    discordant = only_a + only_b
    if alternative == "two-sided":
        return min(1.0, 2 * float(bdtr(min(only_a, only_b), discordant, 0.5)))
    return float(bdtr(only_a if alternative == "a worse" else only_b, discordant, 0.5))


def tango_interval(only_a: float, only_b: float, n: int, *, confidence: float = 0.95) -> Interval:
    """The score interval of the difference of two rates on the same `n` cases. Source: Tango 1998."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    low, high = _tango_low(only_a, only_b, n, z), -_tango_low(only_b, only_a, n, z)
    return Interval(low=low, high=high, confidence=confidence)


def difference(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]]) -> Difference:
    """The difference on the cases of `a`, all of which `b` has too.

    Tango's score interval where each case has one sample, else Student's t over the differences of the case means.
    Differences that are all the same show no variance to estimate from, and are taken as one trial a case.
    """
    deltas = _deltas(a, b)
    if _use_t(a, b, deltas):
        wide, narrow = (_t_interval(deltas, confidence) for confidence in (0.95, 0.9))
    else:
        wide, narrow = (tango_interval(*_counts(deltas), len(deltas), confidence=c) for c in (0.95, 0.9))
    return Difference(
        value=fmean(deltas),
        low=wide.low,
        high=wide.high,
        low90=narrow.low,
        high90=narrow.high,
        method="paired t" if _use_t(a, b, deltas) else "tango",
    )


def non_inferiority_p(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]], *, margin: float) -> float:
    """The one-sided p value against "A is worse than B by `margin` or more".

    Below 0.05 exactly where the lower end of the 90 % interval of `difference` is above -margin.
    """
    from scipy.special import stdtr

    deltas = _deltas(a, b)
    if _use_t(a, b, deltas):
        error = stdev(deltas) / sqrt(len(deltas))
        return float(stdtr(len(deltas) - 1, -(fmean(deltas) + margin) / error))
    return non_inferiority_p_of_counts(*_counts(deltas), len(deltas), margin=margin)


def non_inferiority_p_of_counts(only_a: float, only_b: float, n: int, *, margin: float) -> float:
    """The same from the counts of cases that only one of the two passed, by Tango's score."""
    from scipy.special import ndtr

    return float(ndtr(-_tango_score(only_a, only_b, n, -margin)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for having asked all of them, in the order given. Source: Holm 1979."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = ((len(order) - place) * p_values[index] for place, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(scaled, max), strict=True))
    return [min(1.0, adjusted[index]) for index in range(len(p_values))]


def _deltas(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]]) -> list[float]:
    return [fmean(a[case]) - fmean(b[case]) for case in a]


def _use_t(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]], deltas: Sequence[float]) -> bool:
    return any(len(samples) > 1 for cases in (a, b) for samples in cases.values()) and max(deltas) > min(deltas)


def _counts(deltas: Sequence[float]) -> tuple[float, float]:
    """What A is ahead by over the cases where it is, and B likewise; the discordant counts of single samples."""
    return sum(delta for delta in deltas if delta > 0), -sum(delta for delta in deltas if delta < 0)


def _t_interval(deltas: Sequence[float], confidence: float) -> Interval:
    from scipy.special import stdtrit

    reach = float(stdtrit(len(deltas) - 1, (1 + confidence) / 2)) * stdev(deltas) / sqrt(len(deltas))
    middle = fmean(deltas)
    return Interval(low=max(-1.0, middle - reach), high=min(1.0, middle + reach), confidence=confidence)


def _tango_score(only_a: float, only_b: float, n: int, at: float) -> float:
    """The standard score of the observed difference where the true one is `at`."""
    linear = -only_a - only_b + (2 * n - only_a + only_b) * at
    root = sqrt(max(0.0, linear**2 + 8 * n * only_b * at * (1 - at)))
    share_b = (root - linear) / (4 * n)
    variance = n * (2 * share_b + at * (1 - at))
    surplus = only_a - only_b - n * at
    if variance > 0:
        return surplus / sqrt(variance)
    return inf if surplus > 0 else 0.0 if surplus == 0 else -inf


def _tango_low(only_a: float, only_b: float, n: int, z: float) -> float:
    """The lowest true difference whose score does not exceed `z`; the score falls as the difference rises."""
    below, above = -1.0, (only_a - only_b) / n
    for _ in range(60):  # halves an interval of at most 2 down to the spacing of floats
        middle = (below + above) / 2
        below, above = (middle, above) if _tango_score(only_a, only_b, n, middle) > z else (below, middle)
    return above
