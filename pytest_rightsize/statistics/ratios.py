"""Ratios and mean differences of paired amounts (joules, tokens, seconds, USD), with their intervals.

A ratio of totals and a mean difference are about sums, and a few expensive cases decide a sum. With a long tail and 30
cases too few of those are seen: Student's t then covers the truth in .79 to .84 of draws, the BCa bootstrap in .84. So
each interval is the hull of two: Student's t, and the interval for lognormal amounts, which allows for a tail that was
not seen. `tests/benchmarks/bench_ratios.py` measures the coverage. Nothing is drawn at random, and the order of the
cases does not matter.
"""

from collections.abc import Iterable, Sequence
from math import exp, fsum, hypot, log, sqrt
from statistics import fmean, median, stdev
from typing import NamedTuple

from pytest_rightsize.statistics.estimates import Interval, Ratio

__all__ = ["geometric_mean_ratio", "mean_difference", "ratio_per_success"]

# The farthest that an end may be from the value, as a factor: beyond it nothing is known anyway, and it can be printed.
_FARTHEST = 1000.0


def geometric_mean_ratio(pairs: Iterable[tuple[float, float]], *, confidence: float = 0.95) -> Ratio | None:
    """The geometric mean of A / B over pairs of the same case, both in one unit, with Student's t on the log scale.

    It describes a typical case, not the totals. None without pairs. Raises ValueError for an amount of 0 or below,
    which has no logarithm.
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
    """A's amount for a success as a multiple of B's, from rows (amount A, amount B, successes A, successes B).

    A row is one case, with the sums over its samples: the value is (total of A / successes of A) / (total of B /
    successes of B). The interval is over cases and always contains the value; a single case has none. None without a
    case, and where one of the two never succeeds or takes nothing at all. Raises ValueError for an amount below 0.
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
    of_t = _t_interval(log(value), _added(_linearised(amounts_a, amounts_b), passes), reaches)
    lognormal = _lognormal_ratio(amounts_a, amounts_b, passes, log(totals[3] / totals[2]), reaches)
    low, high = min(of_t[0], lognormal[0]), max(of_t[1], lognormal[1])
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
    a, b = [of_a for of_a, _ in rows], [of_b for _, of_b in rows]
    deltas = [of_a - of_b for of_a, of_b in rows]
    reaches = _reaches(len(rows), confidence)
    low, high = _t_interval(fmean(deltas), deltas, reaches)
    if min(*a, *b) >= 0:
        correlation = _correlation_of_means(_logs(a), _logs(b))
        lognormal = _difference(_lognormal_mean(a, reaches), _lognormal_mean(b, reaches), correlation)
        low, high = min(low, lognormal.value - lognormal.down), max(high, lognormal.value + lognormal.up)
    return Interval(low=low, high=high, confidence=confidence)


# --- intervals --------------------------------------------------------------------------------------------------------


class _Reaches(NamedTuple):
    """Half-widths of the intervals of normal data: of a mean in standard deviations, of a variance as parts of it.

    By Student's t and chi squared; a variance may be lower by `down` or higher by `up`.
    """

    mean: float
    down: float
    up: float


class _Estimate(NamedTuple):
    """An estimate, and how far its interval reaches below and above it."""

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
    """The interval of log(mean A / mean B) + `shift` if the amounts are lognormal.

    A lognormal mean is exp(mean + variance / 2) of the logarithms. Means and variances are independent, so their
    reaches add as squares (MOVER; Zou, Huo and Taleban 2009).
    """
    logs_a, logs_b = _logs(a), _logs(b)
    log_ratios = [log_a - log_b for log_a, log_b in zip(logs_a, logs_b, strict=True)]
    reach = reaches.mean * sqrt(_variance(_added(log_ratios, passes)))
    var_a, var_b = _variance(logs_a), _variance(logs_b)
    correlation = min(1.0, _covariance(logs_a, logs_b) ** 2 / (var_a * var_b)) if var_a * var_b else 0.0
    tails = _difference(_half(var_a, reaches), _half(var_b, reaches), correlation)
    middle = fmean(log_ratios) + shift + tails.value
    return middle - hypot(reach, tails.down), middle + hypot(reach, tails.up)


def _half(variance: float, reaches: _Reaches) -> _Estimate:
    return _Estimate(variance / 2, variance / 2 * reaches.down, variance / 2 * reaches.up)


def _lognormal_mean(amounts: Sequence[float], reaches: _Reaches) -> _Estimate:
    """The mean of lognormal amounts, at most `_FARTHEST` times the observed mean."""
    observed = fmean(amounts)
    if not observed:
        return _Estimate(0.0, 0.0, 0.0)
    logs = _logs(amounts)
    tail = _half(_variance(logs), reaches)
    of_mean = reaches.mean * sqrt(_variance(logs))
    middle = fmean(logs) + tail.value
    ends = (middle - hypot(of_mean, tail.down), middle, middle + hypot(of_mean, tail.up))
    low, value, high = (observed * exp(min(end - log(observed), log(_FARTHEST))) for end in ends)
    return _Estimate(value, value - low, high - value)


def _difference(a: _Estimate, b: _Estimate, correlation: float) -> _Estimate:
    """A - B of two correlated estimates.

    The correlated part moves both the same way, the rest adds as squares. With equal reaches on both sides this is the
    variance of a difference.
    """
    own = 1 - abs(correlation)

    def reach(ups: tuple[float, float], downs: tuple[float, float]) -> float:
        together = max(0.0, ups[0] - ups[1], downs[1] - downs[0]) if correlation > 0 else ups[0] + downs[1]
        return sqrt(own * (ups[0] ** 2 + downs[1] ** 2) + abs(correlation) * together**2)

    ups, downs = (a.up, b.up), (a.down, b.down)
    return _Estimate(a.value - b.value, reach(downs, ups), reach(ups, downs))


def _correlation_of_means(logs_a: Sequence[float], logs_b: Sequence[float]) -> float:
    """The correlation of the two estimates of lognormal means."""
    var_a, var_b, both = _variance(logs_a), _variance(logs_b), _covariance(logs_a, logs_b)
    scale = sqrt((var_a + var_a**2 / 2) * (var_b + var_b**2 / 2))
    return max(-1.0, min(1.0, (both + both**2 / 2) / scale)) if scale else 0.0


# --- sums that do not depend on the order of the cases ----------------------------------------------------------------


def _logs(amounts: Sequence[float]) -> list[float]:
    """The logarithms of the amounts, none farther below the median than the highest is above it.

    A tiny amount moves no total, and 0 has no logarithm: neither must look like a wide spread.
    """
    logs = [log(amount) for amount in amounts if amount > 0]
    if not logs:
        return [0.0] * len(amounts)
    lowest = 2 * median(logs) - max(logs)
    return [max(log(amount), lowest) if amount > 0 else lowest for amount in amounts]


def _linearised(ups: Sequence[float], downs: Sequence[float]) -> list[float]:
    """The contribution of each case to log(mean `ups` / mean `downs`), to first order."""
    mean_up, mean_down = fmean(ups), fmean(downs)
    return [up / mean_up - down / mean_down for up, down in zip(ups, downs, strict=True)]


def _added(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [of_a + of_b for of_a, of_b in zip(a, b, strict=True)]


def _variance(values: Sequence[float]) -> float:
    return _covariance(values, values)


def _covariance(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = fmean(a), fmean(b)
    return fsum((of_a - mean_a) * (of_b - mean_b) for of_a, of_b in zip(a, b, strict=True)) / (len(a) - 1)
