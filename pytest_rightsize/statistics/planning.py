"""Sample sizes: the number of cases, of one sample each, that a claim needs. Rates are fractions of 1.

Power is the probability that the claim is shown, if the true rates are the assumed ones.
"""

from collections.abc import Callable

from pytest_rightsize.statistics.pairs import non_inferiority_p_of_counts
from pytest_rightsize.statistics.tallies import LAST_DIGITS

__all__ = ["cases_needed", "paired_cases_needed", "paired_power", "passes_needed", "power"]

# A total of discordant cases less likely than this adds nothing to a power that is shown with two digits.
_NEGLIGIBLE = 1e-9


def passes_needed(cases: int, *, pass_rate: float, confidence: float = 0.95) -> int | None:
    """The fewest passes out of `cases` whose one-sided lower bound reaches the bar; None if not even all suffice."""
    if not _proves(cases, cases, pass_rate, confidence):
        return None
    return _first(lambda passed: _proves(passed, cases, pass_rate, confidence), -1, cases)


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
    """The fewest cases with a power of `at_least`; None if `limit` cases are too few, as for a rate below the bar."""
    if pass_rate > 0 and true_rate <= pass_rate:
        return None

    def enough(cases: int) -> bool:
        return power(cases, true_rate=true_rate, pass_rate=pass_rate, confidence=confidence) >= at_least

    return next((cases for cases in range(1, limit + 1) if enough(cases)), None)


def paired_power(cases: int, *, margin: float, changed: float, confidence: float = 0.95) -> float:
    """The probability that a rung as good as another is shown not to be worse by `margin`.

    `changed` is the share of cases that only one of the two passes, each of them equally often.
    """
    from scipy.special import bdtr, bdtrc

    power_so_far = 0.0
    for total in range(cases + 1):
        likely = float(bdtr(total, cases, changed)) - (float(bdtr(total - 1, cases, changed)) if total else 0.0)
        if likely > _NEGLIGIBLE:
            ahead = _fewest_ahead(total, cases, margin, confidence)
            shown = 0.0 if ahead is None else float(bdtrc(ahead - 1, total, 0.5)) if ahead else 1.0
            power_so_far += likely * shown
    return power_so_far


def paired_cases_needed(
    *, margin: float, changed: float, confidence: float = 0.95, at_least: float = 0.8, limit: int = 20_000
) -> int | None:
    """The fewest cases with a power of `at_least`, assuming that power rises with cases; None beyond `limit`."""

    def enough(cases: int) -> bool:
        return paired_power(cases, margin=margin, changed=changed, confidence=confidence) >= at_least

    high = next((cases for cases in _doubling(limit) if enough(cases)), None)
    return None if high is None else _first(enough, high // 2, high)


def _doubling(limit: int) -> list[int]:
    """The powers of two below `limit`, and then `limit`."""
    return [*(2**place for place in range(limit.bit_length()) if 2**place < limit), limit]


def _first(enough: Callable[[int], bool], low: int, high: int) -> int:
    """The least number that is enough, between `low`, which is not (or 0), and `high`, which is."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _fewest_ahead(total: int, cases: int, margin: float, confidence: float) -> int | None:
    """Of `total` cases that one rung alone passes, how many A must pass to be shown not worse; None: more than all."""

    def shown(ahead: int) -> bool:
        return non_inferiority_p_of_counts(ahead, total - ahead, cases, margin=margin) < 1 - confidence

    if not shown(total):
        return None
    return 0 if shown(0) else _first(shown, 0, total)


def _proves(passed: int, cases: int, pass_rate: float, confidence: float) -> bool:
    from scipy.special import betainc

    if passed == 0 or pass_rate <= 0:
        return pass_rate <= 0
    return bool(betainc(passed, cases - passed + 1, pass_rate) <= (1 - confidence) * (1 + LAST_DIGITS))
