"""The fewest calls that any rule of stopping can need of one rung, even a rule made for the rung's true rate."""

import numpy as np
from scipy import optimize

__all__ = ["fewest_calls"]


def fewest_calls(rate: float, *, bar: float, cases: int, error: float, right: float) -> float:
    """Lower bound of the expected calls of one rung.

    The rule claims a false verdict with a chance of at most `error` at the bar, and the right one with at least `right`
    at the true `rate`. It may ask all `cases`, and may stop undecided at any time.

    By Lagrangian duality: for any prices of the two conditions, the best rule without conditions (found backwards over
    all numbers of trials and passes) costs no more than the best rule with them.
    """

    def negative_bound(log_prices: np.ndarray) -> float:
        of_error, of_right = (float(price) for price in np.exp(log_prices))
        return -(_cheapest(rate, bar, cases, of_error, of_right) - of_error * error + of_right * right)

    starts = [np.log([of_error, of_right]) for of_error in (100.0, 2000.0) for of_right in (30.0, 500.0)]
    found = [optimize.minimize(negative_bound, start, method="Nelder-Mead") for start in starts]
    return max(0.0, *(float(-result.fun) for result in found))


def _cheapest(rate: float, bar: float, cases: int, of_error: float, of_right: float) -> float:
    """Expected calls of the best rule, plus its error's price and less the price of being right."""
    value = np.zeros(cases + 2)
    for asked in range(cases, -1, -1):
        passed = np.arange(asked + 1)
        # How much likelier these answers are at the bar than at the true rate.
        likelier = np.exp(passed * np.log(bar / rate) + (asked - passed) * np.log((1 - bar) / (1 - rate)))
        stop = np.minimum(of_error * likelier - of_right, 0.0)
        on = 1 + rate * value[1 : asked + 2] + (1 - rate) * value[: asked + 1]
        value = stop if asked == cases else np.minimum(stop, on)
    return float(value[0])
