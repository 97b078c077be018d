"""Exact test of two pass rates by their counts, for runs whose common cases are unknown."""

__all__ = ["fisher_fell"]


def fisher_fell(before: tuple[int, int], now: tuple[int, int]) -> float:
    """The one-sided exact p value of Fisher's test against "the rate has not fallen"; each is passed and trials.

    On the same cases a paired test has more power; this one stays valid for them.
    """
    from scipy.stats import hypergeom

    passed, trials = before[0] + now[0], before[1] + now[1]
    return float(hypergeom.cdf(now[0], trials, passed, now[1]))
