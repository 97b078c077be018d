"""Exact test of two pass rates by their counts, for runs whose common cases are unknown."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["fisher_fell"]


def fisher_fell(before: tuple[int, int], now: tuple[int, int]) -> float:
    """The one-sided exact p value of Fisher's test against "the rate has not fallen"; each is passed and trials.

    On the same cases a paired test has more power; this one stays valid for them. It is the chance that of all that
    passed no more are among the trials of `now`: a sum of hypergeometric terms, by their logarithms.
    """
    import numpy as np

    passed, trials = before[0] + now[0], before[1] + now[1]
    chosen = np.arange(max(0, now[1] - (trials - passed)), now[0] + 1)
    ways = _log_choices(passed, chosen) + _log_choices(trials - passed, now[1] - chosen)
    return min(1.0, float(np.exp(ways - _log_choices(trials, np.array([now[1]]))).sum()))


def _log_choices(of: int, some: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """The logarithms of in how many ways so many of them can be chosen."""
    from scipy.special import gammaln  # not scipy.stats, which takes a second to import

    logs: NDArray[np.float64] = gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1)
    return logs
