"""From paired amounts (joules, tokens, seconds, USD) to their geometric mean ratio."""

from collections.abc import Iterable
from math import exp, log, sqrt
from statistics import fmean, stdev

from pytest_rightsize.records import Ratio

__all__ = ["geometric_mean_ratio"]


def geometric_mean_ratio(pairs: Iterable[tuple[float, float]], *, confidence: float = 0.95) -> Ratio | None:
    """The geometric mean of A / B over pairs of the same case, both in one unit, with Student's t on the log scale.

    None without pairs. An amount of 0 or below has no logarithm: ValueError.
    """
    from scipy.special import stdtrit

    amounts = list(pairs)
    for a, b in amounts:
        if a <= 0 or b <= 0:
            raise ValueError(f"a ratio needs amounts above 0, got {a:g} and {b:g}: leave that pair out and say so")
    logs = [log(a / b) for a, b in amounts]
    if not logs:
        return None
    middle = fmean(logs)
    if len(logs) == 1:
        return Ratio(value=exp(middle), low=None, high=None, n=1)
    reach = float(stdtrit(len(logs) - 1, (1 + confidence) / 2)) * stdev(logs) / sqrt(len(logs))
    return Ratio(value=exp(middle), low=exp(middle - reach), high=exp(middle + reach), n=len(logs))
