"""The regularized incomplete beta function and its inverse, for one value at a time.

They are what `scipy.special` calls `betainc` and `betaincinv`. Every verdict with a failed case needs them, and loading
numpy and scipy for that takes longer than a small session and 45 MB. Pure.
"""

import math

__all__ = ["beta_probability", "beta_quantile"]

_PRECISION = 1e-15
# Smaller than any term that matters; keeps a denominator from being 0.
_TINY = 1e-300
_LARGEST_LOG = 700.0
# The fraction takes about the root of the larger parameter in terms; Newton's method takes under ten, bisection 1,100.
_MOST_TERMS, _MOST_STEPS = 100_000, 1_200


def beta_probability(a: float, b: float, x: float) -> float:
    """P(X <= x) for X of the beta distribution with parameters `a` and `b` above 0.

    For whole numbers it is P(Y >= a) for a binomial Y of a + b - 1 trials at rate `x`. The relative error is below
    2e-9 for parameters up to 100,000. Source: DLMF 8.17.22, by the method of Lentz (Press et al., Numerical Recipes,
    section 6.4).
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction of the other side converges faster
        return 1 - _lower_part(b, a, 1 - x, math.log1p(-x), math.log(x))
    return _lower_part(a, b, x, math.log(x), math.log1p(-x))


def beta_quantile(a: float, b: float, probability: float) -> float:
    """The x with P(X <= x) = `probability`, which is between 0 and 1, for X of the beta distribution."""
    low, high = 0.0, 1.0
    x = a / (a + b)
    for _ in range(_MOST_STEPS):
        off = beta_probability(a, b, x) - probability
        low, high = (x, high) if off < 0 else (low, x)
        log_slope = _log_scale(a, b) + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)
        slope = math.exp(min(log_slope, _LARGEST_LOG))  # near 0 it has no end where `a` is below 1
        step = off / slope if slope > 0 else math.inf
        nearer = x - step
        if not low < nearer < high:
            nearer = (low + high) / 2
        if abs(nearer - x) <= _PRECISION * x or nearer in (low, high):
            return nearer
        x = nearer
    return x


def _lower_part(a: float, b: float, x: float, log_x: float, log_rest: float) -> float:
    """The probability below `x`, where that is below the mean; `log_rest` is the logarithm of 1 - x."""
    front = math.exp(_log_scale(a, b) + a * log_x + b * log_rest) / a
    return front * _fraction(a, b, x)


def _log_scale(a: float, b: float) -> float:
    """The logarithm of 1 / B(a, b)."""
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction 1 / (1 + d1 / (1 + d2 / (1 + ...)))."""
    upper, lower = 1.0, 0.0
    value = 1.0
    for term in range(_MOST_TERMS):
        m = term // 2
        if term == 0:
            d = 1.0
        elif term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 + d * lower
        lower = 1 / (lower if abs(lower) > _TINY else _TINY)
        upper = 1 + d / upper
        upper = upper if abs(upper) > _TINY else _TINY
        value *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return value - 1
