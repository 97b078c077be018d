"""From paired amounts (joules, tokens, seconds, USD) to ratios and mean differences with their intervals.

A ratio of totals and a mean difference are about sums, and a few dear cases decide a sum. With a long tail and 30 cases
too few of those are seen: Student's t then holds the truth in .79 to .84 of draws, the BCa bootstrap in .84. So each
interval is the hull of two: Student's t, and the interval that would hold if the amounts were lognormal, which allows
for a tail that was not seen. `tests/benchmarks/bench_ratios.py` measures it. Nothing is drawn at random, and the order
of the cases does not matter.
"""

from collections.abc import Iterable, Sequence
from math import exp, fsum, hypot, log, sqrt
from statistics import fmean, median, stdev
from typing import NamedTuple

from pytest_rightsize.statistics.estimates import Interval, Ratio

__all__ = ["geometric_mean_ratio", "mean_difference", "ratio_per_success"]

# An end this many times off says "not known" as well as one that is farther, and can be printed.
_FARTHEST = 1000.0


def geometric_mean_ratio(pairs: Iterable[tuple[float, float]], *, confidence: float = 0.95) -> Ratio | None:
    """The geometric mean of A / B over pairs of the same case, both in one unit, with Student's t on the log scale.

    It says what a typical case takes, not what all take together. None without pairs. An amount of 0 or below has no
    logarithm: ValueError.
    """
    amounts = list(pairs)
    for a, b in amounts:
        if a <= 0 or b <= 0:
            raise ValueError(f"a ratio needs amounts above 0, got {a:g} and {b:g}: leave that pair out and say so")
    if not amounts:
        return None
    logs = [log(a / b) for a, b in amounts]
    middle = fmean(logs)
    if len(logs) == 1:
        return Ratio(value=exp(middle), low=None, high=None, n=1)
    reach = _reaches(len(logs), confidence).mean * stdev(logs)
    return Ratio(value=exp(middle), low=exp(middle - reach), high=exp(middle + reach), n=len(logs))


def ratio_per_success(cases: Iterable[tuple[float, float, float, float]], *, confidence: float = 0.95) -> Ratio | None:
    """What A takes for a success as a multiple of what B takes, from rows (amount A, amount B, successes A, of B).

    A row is one case, with the sums over its samples: the value is (total of A / successes of A) / (total of B /
    successes of B). The interval is over cases and always holds the value; a single case has none. None without a
    case, and where one of the two never succeeds or takes nothing at all. ValueError for an amount below 0.
    """
    rows = list(cases)
    amounts_a, amounts_b, passes_a, passes_b = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    )
    if any(amount < 0 for amount in (*amounts_a, *amounts_b)):
        raise ValueError(f"an amount cannot be below 0, got {min(*amounts_a, *amounts_b):g}")
    totals = [fsum(column) for column in (amounts_a, amounts_b, passes_a, passes_b)]
    if not rows or min(totals) <= 0:
        return None
    value = (totals[0] / totals[2]) / (totals[1] / totals[3])
    if len(rows) == 1:
        return Ratio(value=value, low=None, high=None, n=1)
    reaches = _reaches(len(rows), confidence)
    passes = _linearised(passes_b, passes_a)
    seen = _t_interval(log(value), _added(_linearised(amounts_a, amounts_b), passes), reaches)
    modelled = _lognormal_ratio(amounts_a, amounts_b, passes, log(totals[3] / totals[2]), reaches)
    low, high = min(seen[0], modelled[0]), max(seen[1], modelled[1])
    farthest = log(_FARTHEST)
    return Ratio(
        value=value,
        low=value * exp(max(-farthest, low - log(value))),
        high=value * exp(min(farthest, high - log(value))),
        n=len(rows),
    )


def mean_difference(pairs: Iterable[tuple[float, float]], *, confidence: float = 0.95) -> Interval | None:
    """The interval of the mean of A - B over pairs of the same case, in their unit; None for fewer than two pairs."""
    rows = list(pairs)
    if len(rows) < 2:
        return None
    a, b = [one for one, _ in rows], [other for _, other in rows]
    deltas = [one - other for one, other in rows]
    reaches = _reaches(len(rows), confidence)
    low, high = _t_interval(fmean(deltas), deltas, reaches)
    if min(*a, *b) >= 0:
        part = _apart(_lognormal_mean(a, reaches), _lognormal_mean(b, reaches), _shared_by_means(_logs(a), _logs(b)))
        low, high = min(low, part.value - part.down), max(high, part.value + part.up)
    return Interval(low=low, high=high, confidence=confidence)


# --- intervals --------------------------------------------------------------------------------------------------------


class _Reaches(NamedTuple):
    """How far an interval of normal data reaches: from a mean in standard deviations, from a variance as parts of it.

    Student's t and chi squared; a variance may be `down` less and `up` more.
    """

    mean: float
    down: float
    up: float


class _Part(NamedTuple):
    """An estimate, and how far its interval reaches below and above."""

    value: float
    down: float
    up: float


def _reaches(n: int, confidence: float) -> _Reaches:
    from scipy.special import chdtri, stdtrit

    tail, freedom = (1 - confidence) / 2, n - 1
    return _Reaches(
        mean=float(stdtrit(freedom, 1 - tail)) / sqrt(n),
        down=1 - freedom / float(chdtri(freedom, tail)),
        up=freedom / float(chdtri(freedom, 1 - tail)) - 1,
    )


def _t_interval(middle: float, rows: Sequence[float], reaches: _Reaches) -> tuple[float, float]:
    reach = reaches.mean * sqrt(_variance(rows))
    return middle - reach, middle + reach


def _lognormal_ratio(
    a: Sequence[float], b: Sequence[float], passes: Sequence[float], shift: float, reaches: _Reaches
) -> tuple[float, float]:
    """The interval of the logarithm of mean A / mean B, plus `shift`, if the amounts are lognormal.

    A lognormal mean is exp(mean + variance / 2) of the logarithms. Means and variances are independent, so that their
    reaches add as squares (MOVER; Zou, Huo and Taleban 2009).
    """
    logs_a, logs_b = _logs(a), _logs(b)
    of_means = [one - other for one, other in zip(logs_a, logs_b, strict=True)]
    reach = reaches.mean * sqrt(_variance(_added(of_means, passes)))
    var_a, var_b = _variance(logs_a), _variance(logs_b)
    shared = min(1.0, _covariance(logs_a, logs_b) ** 2 / (var_a * var_b)) if var_a * var_b else 0.0
    tails = _apart(_half(var_a, reaches), _half(var_b, reaches), shared)
    middle = fmean(of_means) + shift + tails.value
    return middle - hypot(reach, tails.down), middle + hypot(reach, tails.up)


def _half(variance: float, reaches: _Reaches) -> _Part:
    return _Part(variance / 2, variance / 2 * reaches.down, variance / 2 * reaches.up)


def _lognormal_mean(amounts: Sequence[float], reaches: _Reaches) -> _Part:
    """The mean of lognormal amounts, no more than `_FARTHEST` times the mean that was seen."""
    seen = fmean(amounts)
    if not seen:
        return _Part(0.0, 0.0, 0.0)
    logs = _logs(amounts)
    tail = _half(_variance(logs), reaches)
    of_mean = reaches.mean * sqrt(_variance(logs))
    middle = fmean(logs) + tail.value
    ends = (middle - hypot(of_mean, tail.down), middle, middle + hypot(of_mean, tail.up))
    low, value, high = (seen * exp(min(end - log(seen), log(_FARTHEST))) for end in ends)
    return _Part(value, value - low, high - value)


def _apart(a: _Part, b: _Part, shared: float) -> _Part:
    """A - B of estimates with correlation `shared`.

    What the two share moves both the same way, the rest adds as squares. With reaches that are the same on both sides
    this is the variance of a difference.
    """
    own = 1 - abs(shared)

    def reach(ups: tuple[float, float], downs: tuple[float, float]) -> float:
        together = max(0.0, ups[0] - ups[1], downs[1] - downs[0]) if shared > 0 else ups[0] + downs[1]
        return sqrt(own * (ups[0] ** 2 + downs[1] ** 2) + abs(shared) * together**2)

    ups, downs = (a.up, b.up), (a.down, b.down)
    return _Part(a.value - b.value, reach(downs, ups), reach(ups, downs))


def _shared_by_means(logs_a: Sequence[float], logs_b: Sequence[float]) -> float:
    """The correlation of the two estimates of lognormal means."""
    var_a, var_b, both = _variance(logs_a), _variance(logs_b), _covariance(logs_a, logs_b)
    scale = sqrt((var_a + var_a**2 / 2) * (var_b + var_b**2 / 2))
    return max(-1.0, min(1.0, (both + both**2 / 2) / scale)) if scale else 0.0


# --- sums that do not depend on the order of the cases ----------------------------------------------------------------


def _logs(amounts: Sequence[float]) -> list[float]:
    """Their logarithms, none farther below the median than the highest is above it.

    An amount of next to nothing moves no total, and 0 has no logarithm: neither must look like a wide spread.
    """
    logs = [log(amount) for amount in amounts if amount > 0]
    if not logs:
        return [0.0] * len(amounts)
    lowest = 2 * median(logs) - max(logs)
    return [max(log(amount), lowest) if amount > 0 else lowest for amount in amounts]


def _linearised(ups: Sequence[float], downs: Sequence[float]) -> list[float]:
    """What each case adds to the logarithm of mean `ups` / mean `downs`, to first order."""
    mean_up, mean_down = fmean(ups), fmean(downs)
    return [up / mean_up - down / mean_down for up, down in zip(ups, downs, strict=True)]


def _added(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [one + other for one, other in zip(a, b, strict=True)]


def _variance(values: Sequence[float]) -> float:
    return _covariance(values, values)


def _covariance(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = fmean(a), fmean(b)
    return fsum((one - mean_a) * (other - mean_b) for one, other in zip(a, b, strict=True)) / (len(a) - 1)
