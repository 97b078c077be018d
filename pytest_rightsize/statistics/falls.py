"""Exact tests of whether a rung passes less than in an earlier run on the same cases, and their power.

The change of a case is -1 if it was lost since the earlier run, 1 if it was won and 0 if neither; with several samples
it is the sum over them. If the rung has not changed, each change is as likely as its opposite.
"""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from pytest_rightsize.statistics.pairs import mcnemar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["fall_cases_needed", "fall_power", "fell", "fell_in_order"]

# The p value of `fell_in_order` is searched from here to 1; a smaller one is returned as this.
_LEAST_P = 1e-9
# The part of a walk's error that may be spent is (share of cases seen) ** this. A baseline that stopped early, at a
# third of its cases, leaves a tenth to a half of it, and one that saw all loses nearly nothing against McNemar's test.
_SPENDING_POWER = 1.0
_HAIR = 1e-12
# A total of changed cases less likely than this adds nothing to a power that is shown with two digits.
_NEGLIGIBLE = 1e-9


def fell(changes: Sequence[int]) -> float:
    """The one-sided exact p value against "the rate has not fallen": how often random signs give so low a sum.

    `changes` has one entry for each case. For single samples this is McNemar's test. Source: Fisher's randomization
    test, with cases as the clusters.
    """
    import numpy as np

    sizes = [abs(change) for change in changes if change]
    chances: npt.NDArray[np.float64] = np.ones(1)  # by the sum of the changes that count as won
    for size in sizes:
        chances = (np.append(chances, np.zeros(size)) + np.append(np.zeros(size), chances)) / 2
    won = sum(change for change in changes if change > 0)
    return float(min(1.0, chances[: won + 1].sum()))


def fell_in_order(changes: Sequence[int], planned: int) -> float:
    """As `fell`, for single samples where either run may have stopped: `changes` of the first cases of the order.

    `planned` is the number of cases there would have been. The p value holds whenever the runs stopped, and for
    whatever reason: it is the least error whose boundary, spent over the cases, has been reached so far.
    """
    import numpy as np

    low, high = _LEAST_P, 1.0
    for _ in range(3):  # each time a finer grid, from the largest error that does not reach to the next
        errors = np.geomspace(low, high, 64)
        misses = np.nonzero(~_reaches(changes, planned, errors))[0]
        if len(misses) == 0:
            return low
        if misses[-1] == len(errors) - 1:
            return 1.0
        low, high = float(errors[misses[-1]]), float(errors[misses[-1] + 1])
    return high


def _reaches(changes: Sequence[int], planned: int, errors: "npt.NDArray[np.float64]") -> "npt.NDArray[np.bool_]":
    """For each error, whether the losses reach its boundary; the walk has one fair step for each changed case."""
    import numpy as np

    mass = np.zeros((len(errors), len(changes) + 2))  # by losses, of the paths that have not reached the boundary
    mass[:, 0] = 1.0
    spent, needed = np.zeros(len(errors)), np.ones(len(errors), dtype=int)
    reached = np.zeros(len(errors), dtype=bool)
    every, losses = np.arange(len(errors)), 0
    for place, change in enumerate(changes, 1):
        if change:
            losses += change < 0
            mass[:, 1:] = (mass[:, 1:] + mass[:, :-1]) / 2
            mass[:, 0] /= 2
            # No path that is left can have more losses than were needed before this step.
            room = errors * (place / planned) ** _SPENDING_POWER - spent + _HAIR * errors
            fits = mass[every, needed] <= room
            spent += np.where(fits, mass[every, needed], 0.0)
            mass[every[fits], needed[fits]] = 0.0
            needed = np.where(fits, needed, needed + 1)
            reached |= losses >= needed
    if len(changes) == planned and any(changes):
        # The last case may spend the rest of the error.
        tails = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1]
        reached |= tails[:, losses] <= errors - spent + _HAIR * errors
    return reached


def fall_power(cases: int, *, rate_before: float, rate_now: float, error: float = 0.05) -> float:
    """The probability that McNemar's test on so many cases shows a fall from one true rate to another.

    The two runs are taken to fail independently of each other, which needs the most cases. `error` is the level that
    Holm leaves a single test: 0.05 over the number of tests, where only one rate has fallen.
    """
    import numpy as np
    from scipy.special import bdtr, bdtrc

    lost, won = rate_before * (1 - rate_now), (1 - rate_before) * rate_now
    if lost == 0:
        return 0.0
    totals = np.arange(cases + 1)
    likely = np.diff(bdtr(totals, cases, lost + won), prepend=0.0)
    shown = 0.0
    for total in totals[likely > _NEGLIGIBLE]:
        losses = _losses_needed(int(total), error)
        if losses:
            shown += float(likely[total] * bdtrc(losses - 1, int(total), lost / (lost + won)))
    return shown


def _losses_needed(changed: int, error: float) -> int | None:
    """The fewest losses among so many changed cases for which McNemar's test shows a fall; None if not even all."""
    counts = range(ceil(changed / 2), changed + 1)
    return next((lost for lost in counts if mcnemar(changed - lost, lost, alternative="a worse") < error), None)


def fall_cases_needed(
    *, rate_before: float, rate_now: float, error: float = 0.05, at_least: float = 0.8, limit: int = 20_000
) -> int | None:
    """The fewest cases with a power of `at_least`, assuming that power rises with cases; None beyond `limit`."""
    if rate_now >= rate_before:
        return None

    def enough(cases: int) -> bool:
        return fall_power(cases, rate_before=rate_before, rate_now=rate_now, error=error) >= at_least

    high = 1
    while not enough(high):
        if high >= limit:
            return None
        high = min(2 * high, limit)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
