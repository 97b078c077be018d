"""From paired amounts (joules, tokens, seconds, USD) to their geometric mean ratio, and to their mean difference."""

from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from statistics import fmean, stdev

from pytest_rightsize.statistics.estimates import Interval, Ratio

__all__ = ["geometric_mean_ratio", "mean_difference", "ratio_per_success"]


def geometric_mean_ratio(pairs: Iterable[tuple[float, float]], *, confidence: float = 0.95) -> Ratio | None:
    """The geometric mean of A / B over pairs of the same case, both in one unit, with Student's t on the log scale.

    None without pairs. An amount of 0 or below has no logarithm: ValueError.
    """
    amounts = list(pairs)
    _refuse_zeros(amounts)
    return _ratio([log(a / b) for a, b in amounts], confidence)


def ratio_per_success(cases: Iterable[tuple[float, float, float, float]], *, confidence: float = 0.95) -> Ratio | None:
    """The ratio of what A and B take for a success, over cases (amount of A, of B, rate of A, of B).

    The geometric mean of A / B, paired per case, times rate of B / rate of A over all cases. What the rates add to the
    interval is linearised, so that a case which is dear and fails counts as one case. None without a case, or where
    one of the two never succeeds. ValueError for an amount of 0 or below.
    """
    rows = list(cases)
    _refuse_zeros([(a, b) for a, b, _, _ in rows])
    if not rows:
        return None
    rate_a, rate_b = fmean(row[2] for row in rows), fmean(row[3] for row in rows)
    if not rate_a or not rate_b:
        return None
    shift = log(rate_b / rate_a)
    return _ratio(
        [log(a / b) + shift - (of_a / rate_a - 1) + (of_b / rate_b - 1) for a, b, of_a, of_b in rows], confidence
    )


def mean_difference(pairs: Iterable[tuple[float, float]], *, confidence: float = 0.95) -> Interval | None:
    """Student's interval of the mean of A - B over pairs of the same case; None for fewer than two pairs."""
    deltas = [a - b for a, b in pairs]
    if len(deltas) < 2:
        return None
    from scipy.special import stdtrit

    reach = float(stdtrit(len(deltas) - 1, (1 + confidence) / 2)) * stdev(deltas) / sqrt(len(deltas))
    return Interval(low=fmean(deltas) - reach, high=fmean(deltas) + reach, confidence=confidence)


def _refuse_zeros(pairs: Iterable[tuple[float, float]]) -> None:
    for a, b in pairs:
        if a <= 0 or b <= 0:
            raise ValueError(f"a ratio needs amounts above 0, got {a:g} and {b:g}: leave that pair out and say so")


def _ratio(logs: Sequence[float], confidence: float) -> Ratio | None:
    """The mean of logarithms as a ratio, with Student's t."""
    if not logs:
        return None
    middle = fmean(logs)
    if len(logs) == 1:
        return Ratio(value=exp(middle), low=None, high=None, n=1)
    from scipy.special import stdtrit

    reach = float(stdtrit(len(logs) - 1, (1 + confidence) / 2)) * stdev(logs) / sqrt(len(logs))
    return Ratio(value=exp(middle), low=exp(middle - reach), high=exp(middle + reach), n=len(logs))
