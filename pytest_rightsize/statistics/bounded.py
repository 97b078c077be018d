"""P values and lower bounds for the mean of a population whose cases have values in [0, 1].

Takes the number of cases of each value. It never looks at single samples, and assumes nothing about how the values are
spread: cases that always fail may exist although none was drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from math import lcm
from typing import TYPE_CHECKING

from pytest_rightsize.statistics.incomplete_beta import beta_probability

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["binary_p", "gaffke_p", "gaffke_ps", "lowest", "pooled_p"]

# The nodes of the integral, in units of y where it runs over sinh(y): the error falls as exp(-3/step) or faster.
_STEP = 0.1
# The integral ends where what is left is below exp(-38), a few units of the last digit of a float.
_NEGLIGIBLE = -38.0
# How many shares of always failing cases are tried, from 0 to the largest that the mean allows; a finer grid changes
# no digit that is shown.
_SHARES = 33
# `pooled_p` applies only where at most this part of the samples failed. There, cases that always fail are the worst
# population, and its p value is smaller than Gaffke's. Where most samples fail, cases that always pass are worse, and a
# simulation found 8 % of wrong claims. With more than a dozen failed cases it would only take time.
_POOLED_PART, _POOLED_CASES = 0.1, 12
# The largest common multiple of the numbers of samples that it accepts: any mix of 1 to 6 samples a case.
_FINEST = 60
# The tolerance for sums of fractions, such as failed parts of cases.
_ROUNDING = 1e-9


def binary_p(passed: float, failed: float, at: float) -> float:
    """The exact binomial p value against "the mean is at most `at`", for cases that pass or fail.

    It is P(X >= passed) for a binomial X of passed + failed trials at rate `at`; counts need not be whole.
    """
    if passed <= 0 or at >= 1:
        return 1.0
    if at <= 0 or failed <= 0:
        return float(at**passed) if at > 0 else 0.0  # what the integral comes to
    return beta_probability(passed, failed + 1, at)


def gaffke_p(values: Sequence[float], counts: Sequence[float], at: float) -> float:
    """The p value against "the mean is at most `at`", from how many cases have each of the distinct `values`.

    With D the spacings of as many uniform draws as there are cases (a flat Dirichlet), it is P(sum of D x value <= at),
    the spacing that is left over going to the value 0. It falls when a value rises or a case of value 1 is added, and
    where all values are 0 or 1 it is `binary_p`. Counts need not be whole. Source: Gaffke 2005, "Three test statistics
    for a nonparametric one-sided hypothesis on the mean of a nonnegative variable"; that it keeps its level is proven
    in special cases and held in every simulation so far (Learned-Miller & Thomas 2019, arXiv:1905.06208).
    """
    if all(value in (0, 1) for value in values):
        passed = sum(count for value, count in zip(values, counts, strict=True) if value)
        return binary_p(passed, sum(counts) - passed, at)
    return float(gaffke_ps(values, [counts], at)[0])


def gaffke_ps(values: "ArrayLike", rows: "ArrayLike", at: float) -> "NDArray[np.float64]":
    """`gaffke_p` of each of several `rows` of counts, which have the `values` in common.

    A weighted sum of Dirichlet shares is at most `at` where the sum of count-shaped gammas, weighted by value - `at`,
    is at most 0. That tail is a complex integral through the saddle point (as in Imhof 1961 and Rice 1980), where the
    trapezoid rule gains digits as fast as the nodes grow closer: errors are about 1e-13. One contour serves all rows,
    so rows whose p values are many orders of magnitude apart should not share a call.
    """
    import numpy as np

    weights = np.append(np.asarray(values, float), 0.0) - at
    shapes = np.column_stack([rows := np.asarray(rows, float), np.ones(len(rows))])
    middle = shapes.mean(axis=0)
    if not (middle[weights > 0]).any():
        return np.ones(len(rows))
    if at <= 0:
        return np.zeros(len(rows))
    held = (middle > 0) & (weights != 0)
    weights, shapes, middle = weights[held], shapes[:, held], middle[held]
    crossing, scale, bend = _contour(weights, middle)
    nodes = np.arange(0, _end(weights, shapes, crossing, scale, bend), _STEP)
    points = crossing + scale * (1j * np.sinh(nodes) + bend * (np.cosh(nodes) - 1))
    steps = scale * (1j * np.cosh(nodes) + bend * np.sinh(nodes)) * _STEP
    steps[0] /= 2  # the other half of the contour is the mirror image
    logs = np.log1p(-np.outer(weights, points))  # exact for counts of any size, as `more_trials` asks for
    sizes, turns = np.exp(-(shapes @ logs.real)), shapes @ logs.imag
    ratio = steps / points
    # The imaginary part of the integrand, exp(-shapes @ logs) * ratio.
    tails = (sizes * (np.cos(turns) * ratio.imag - np.sin(turns) * ratio.real)).sum(axis=1) / np.pi
    p_values: NDArray[np.float64] = np.clip(-tails if crossing < 0 else 1 - tails, 0.0, 1.0)
    return p_values


def pooled_p(cases: Mapping[int, float], failed: float, at: float) -> float:
    """The p value against "the mean is at most `at`" from the passed samples of all cases together.

    `cases` counts the cases by their number of samples, `failed` is the sum over cases of the failed part of each. The
    p value is the largest probability of so few failures over all populations in which a share of the cases always
    fails and the rest have one common rate. It helps where few cases have many samples, nearly all passed. It is 1
    where more than a tenth failed, or more than a dozen cases' worth, or the numbers of samples vary too much.
    """
    import numpy as np

    total = sum(cases.values())
    if at >= 1 or failed > min(_POOLED_PART * total, _POOLED_CASES) + _ROUNDING or lcm(*cases) > _FINEST:
        return 1.0
    if at <= 0:
        return 0.0
    failing = np.linspace(0, 1 - at, _SHARES)[:, None]
    rate = np.minimum(at / (1 - failing), 1)
    chances = _few_failures if len(cases) == 1 else _few_failures_of_mixed
    return float(min(1.0, chances(cases, failed, failing, rate).max()))


def _few_failures(
    cases: Mapping[int, float], failed: float, failing: "NDArray[np.float64]", rate: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """P(no more than `failed`) for each share of `failing` cases, all of one number of samples."""
    import numpy as np
    from scipy.special import betainc, binom

    ((samples, total),) = cases.items()
    whole = np.arange(int(failed + _ROUNDING) + 1)  # how many cases fail always
    rest = total - whole
    passed = (total - failed) * samples
    some = np.maximum(rest * samples - passed, 0) + 1
    chances = binom(total, whole) * failing**whole * (1 - failing) ** rest * betainc(passed, some, rate)
    return np.asarray(chances.sum(axis=1))


def _few_failures_of_mixed(
    cases: Mapping[int, float], failed: float, failing: "NDArray[np.float64]", rate: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """As `_few_failures` for mixed numbers of samples; failed parts are counted in units of 1 / common multiple."""
    import numpy as np
    from scipy.special import binom

    parts = lcm(*cases)
    reach = int(failed * parts + _ROUNDING)
    chances = np.zeros((len(failing), reach + 1))
    chances[:, 0] = 1
    for samples, number in cases.items():
        of_case = np.zeros((len(failing), parts + 1))
        lost = np.arange(samples + 1)
        of_case[:, :: parts // samples] = (
            (1 - failing) * binom(samples, lost) * (1 - rate) ** lost * rate ** (samples - lost)
        )
        of_case[:, [parts]] += failing
        chances = _product(chances, _power(of_case, number, reach))
    return np.asarray(np.nan_to_num(chances.sum(axis=1)))


def _power(rows: "NDArray[np.float64]", number: float, reach: int) -> "NDArray[np.float64]":
    """The first coefficients of each row's polynomial to the power `number`, by J. C. P. Miller's recurrence."""
    import numpy as np

    power = np.zeros((len(rows), reach + 1))
    power[:, 0] = rows[:, 0] ** number
    for place in range(1, reach + 1):
        steps = np.arange(1, min(place, rows.shape[1] - 1) + 1)
        terms = (number * steps - (place - steps)) * rows[:, steps] * power[:, place - steps]
        with np.errstate(invalid="ignore", divide="ignore"):  # at a rate near 0, whose chances are then 0
            power[:, place] = terms.sum(axis=1) / (place * rows[:, 0])
    return power


def _product(a: "NDArray[np.float64]", b: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The first coefficients of the products of polynomials, row by row."""
    import numpy as np

    length = 2 * a.shape[1]
    whole = np.fft.irfft(np.fft.rfft(a, length) * np.fft.rfft(b, length), length)
    return np.asarray(whole[:, : a.shape[1]])


def lowest(p_value: Callable[[float], float], tail: float, at_most: float) -> float:
    """The lower bound at the one-sided level `tail`: where the rising `p_value` is `tail`, in [0, `at_most`]."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if at_most <= 0 or p_value(0) >= tail:
        return 0.0
    if p_value(at_most) <= tail:
        return at_most
    level = ndtri(tail)

    def excess(at: float) -> float:  # as normal quantiles it is nearly straight, so the root takes few steps
        return float(ndtri(min(max(p_value(at), 1e-300), 1 - 1e-16)) - level)

    return float(brentq(excess, 0.0, at_most, xtol=1e-12, rtol=1e-12))


def _contour(weights: "NDArray[np.float64]", shapes: "NDArray[np.float64]") -> tuple[float, float, float]:
    """The hyperbola of integration: its crossing of the real axis, its scale, and its bend from the vertical.

    It crosses at the saddle point, but not too near the pole at 0, and bends like the path of steepest descent: on a
    vertical line the integrand would oscillate for long where few values weigh most.
    """
    import numpy as np
    from scipy.optimize import brentq

    left = 1 / float(weights.min()) if weights.min() < 0 else -np.inf
    right = 1 / float(weights.max())
    mean, spread = float(shapes @ weights), float(1 / np.sqrt(shapes @ weights**2))

    def slope(at: float) -> float:
        return float((shapes * weights / (1 - at * weights)).sum())

    at = float(brentq(slope, left * (1 - 1e-12), right * (1 - 1e-12), xtol=spread * 1e-3, rtol=1e-9, disp=False))
    if abs(at) < spread:
        at = max(-spread, left / 2) if mean > 0 else min(spread, right / 2)
    parts = weights / (1 - at * weights)
    second, third = float(shapes @ parts**2), float(2 * (shapes @ parts**3))
    return at, float(1 / np.sqrt(second)), max(-1.0, min(1.0, third / second**1.5 / 3))


def _end(
    weights: "NDArray[np.float64]", rows: "NDArray[np.float64]", crossing: float, scale: float, bend: float
) -> float:
    """The point along the contour from which the integrand is negligible for all rows."""
    import numpy as np

    nodes = np.arange(0.5, 40, 0.5)
    points = crossing + scale * (1j * np.sinh(nodes) + bend * (np.cosh(nodes) - 1))
    lengths = np.abs(1 - np.outer(weights, points)) / np.abs(1 - weights * crossing)[:, None]
    below = np.flatnonzero((rows @ np.log(lengths)).min(axis=0) > -_NEGLIGIBLE)
    return float(nodes[below[0]] if below.size else nodes[-1])
