"""Comparison of two rungs on the same cases: McNemar, the interval of the difference, non-inferiority, and Holm.

Differences are A minus B in fractions of 1; `only_a` and `only_b` count the cases that only one of the two passed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from math import inf, sqrt
from statistics import fmean, stdev
from typing import Literal

from pytest_rightsize.statistics.bounded import gaffke_p, lowest
from pytest_rightsize.statistics.estimates import Difference, Interval

__all__ = [
    "difference",
    "holm",
    "mcnemar",
    "non_inferiority_p",
    "non_inferiority_p_of_counts",
    "paired_t",
    "tango_interval",
]

# The number of cases by the difference of their two means.
_Deltas = Mapping[Fraction, int]


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
    """The difference on the cases of `a`, all of which `b` must have too.

    The interval is Tango's score interval where each case has one sample, else Gaffke's bounds for the mean of the case
    differences, which also hold where a loss is limited to a few cases that were not drawn (`bounded`).
    """
    deltas, cases = _deltas(a, b), len(a)
    single = _is_single(a, b)
    if single:
        wide, narrow = (tango_interval(*_counts(deltas), cases, confidence=confidence) for confidence in (0.95, 0.9))
    else:
        wide, narrow = (_gaffke_interval(deltas, confidence) for confidence in (0.95, 0.9))
    return Difference(
        value=float(_mean(deltas)),
        low=wide.low,
        high=wide.high,
        low90=narrow.low,
        high90=narrow.high,
        method="tango" if single else "gaffke",
    )


def paired_t(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]]) -> Difference | None:
    """The difference with Student's t over the case differences, as most published comparisons have it.

    No claim may rest on it: where a loss is limited to a few cases it shows non-inferiority too often. Where every case
    has the same difference its interval would be a point: then it is Tango's on the cases, or None if they are equal by
    a part of their samples.
    """
    from scipy.special import stdtrit

    found = _deltas(a, b)
    deltas = [float(delta) for delta, number in found.items() for _ in range(number)]
    if len(found) == 1:
        if deltas[0] not in (-1, 0, 1):
            return None
        wide, narrow = (tango_interval(*_counts(found), len(deltas), confidence=level) for level in (0.95, 0.9))
        return Difference(value=deltas[0], low=wide.low, high=wide.high, low90=narrow.low, high90=narrow.high)
    middle = fmean(deltas)
    error = stdev(deltas, middle) / sqrt(len(deltas))
    reach, reach90 = (error * float(stdtrit(len(deltas) - 1, quantile)) for quantile in (0.975, 0.95))
    return Difference(
        value=middle,
        low=middle - reach,
        high=middle + reach,
        low90=middle - reach90,
        high90=middle + reach90,
        method="paired t",
    )


def non_inferiority_p(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]], *, margin: float) -> float:
    """The one-sided p value against "A is worse than B by `margin` or more".

    Below 0.05 exactly where the lower end of the 90 % interval of `difference` is above -margin.
    """
    deltas = _deltas(a, b)
    if _is_single(a, b):
        return non_inferiority_p_of_counts(*_counts(deltas), len(a), margin=margin)
    return gaffke_p(*_unit(deltas), (1 - margin) / 2)


def non_inferiority_p_of_counts(only_a: int, only_b: int, n: int, *, margin: float) -> float:
    """`non_inferiority_p` from the counts of cases that only one of the two passed, by Tango's score."""
    from scipy.special import ndtr

    return float(ndtr(-_tango_score(only_a, only_b, n, -margin)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for multiple testing, in the same order. Source: Holm 1979."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = ((len(order) - place) * p_values[index] for place, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(scaled, max), strict=True))
    return [min(1.0, adjusted[index]) for index in range(len(p_values))]


def _is_single(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]]) -> bool:
    return all(len(cases[case]) == 1 for cases in (a, b) for case in a)


def _deltas(a: Mapping[str, Sequence[bool]], b: Mapping[str, Sequence[bool]]) -> _Deltas:
    outcomes = Counter((sum(a[case]), len(a[case]), sum(b[case]), len(b[case])) for case in a)
    deltas: Counter[Fraction] = Counter()
    for (passed_a, size_a, passed_b, size_b), number in outcomes.items():
        deltas[Fraction(passed_a, size_a) - Fraction(passed_b, size_b)] += number
    return deltas


def _mean(deltas: _Deltas) -> Fraction:
    total = sum((delta * number for delta, number in deltas.items()), Fraction(0))
    return total / sum(deltas.values())


def _counts(deltas: _Deltas) -> tuple[int, int]:
    """The discordant counts of single samples."""
    return deltas.get(Fraction(1), 0), deltas.get(Fraction(-1), 0)


def _gaffke_interval(deltas: _Deltas, confidence: float) -> Interval:
    mirrored = {-delta: number for delta, number in deltas.items()}
    low, high = _gaffke_low(deltas, (1 - confidence) / 2), -_gaffke_low(mirrored, (1 - confidence) / 2)
    return Interval(low=low, high=high, confidence=confidence)


def _gaffke_low(deltas: _Deltas, tail: float) -> float:
    values, counts = _unit(deltas)
    return 2 * lowest(lambda at: gaffke_p(values, counts, at), tail, float((1 + _mean(deltas)) / 2)) - 1


def _unit(deltas: _Deltas) -> tuple[list[float], list[float]]:
    """The differences mapped from [-1, 1] to [0, 1], and the number of cases of each."""
    return [float((1 + delta) / 2) for delta in deltas], list(map(float, deltas.values()))


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
