"""Before a run: how many cases, of one sample each, it takes to show that a rung reaches a bar. Rates are fractions."""

__all__ = ["cases_needed", "passes_needed", "power"]


def passes_needed(cases: int, *, pass_rate: float, confidence: float = 0.95) -> int | None:
    """The fewest passes out of `cases` whose one-sided lower bound reaches the bar, or None if not even all do."""
    if not _proves(cases, cases, pass_rate, confidence):
        return None
    low, high = -1, cases
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proves(middle, cases, pass_rate, confidence) else (middle, high)
    return high


def power(cases: int, *, true_rate: float, pass_rate: float, confidence: float = 0.95) -> float:
    """The probability that a rung of `true_rate` is shown to reach the bar on so many cases."""
    from scipy.special import betainc

    needed = passes_needed(cases, pass_rate=pass_rate, confidence=confidence)
    if needed is None:
        return 0.0
    return float(betainc(needed, cases - needed + 1, true_rate)) if needed else 1.0


def cases_needed(
    *, true_rate: float, pass_rate: float, confidence: float = 0.95, at_least: float = 0.8, limit: int = 20_000
) -> int | None:
    """The fewest cases that give a power of `at_least`; None if `limit` cases do not, as for a rate below the bar."""
    if pass_rate > 0 and true_rate <= pass_rate:
        return None
    wanted = range(1, limit + 1)
    return next(
        (n for n in wanted if power(n, true_rate=true_rate, pass_rate=pass_rate, confidence=confidence) >= at_least),
        None,
    )


def _proves(passed: int, cases: int, pass_rate: float, confidence: float) -> bool:
    from scipy.special import betainc

    if passed == 0 or pass_rate <= 0:
        return pass_rate <= 0
    return bool(betainc(passed, cases - passed + 1, pass_rate) <= 1 - confidence)
