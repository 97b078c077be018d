"""Repetitions of a short request: how many its counter needs to resolve it, and the energy that they give; pure.

Nothing is sent here; `repeater.py` does that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from math import ceil, sqrt
from operator import add
from statistics import fmean, stdev

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters.attribution.shares import Share

__all__ = ["BLOCKS", "Row", "combined", "rows_needed"]

BLOCKS = 3
# The relative half-width of the interval that is aimed at: that of a window of twenty ticks.
_HALF_WIDTH = 0.05
# Student's t for three blocks, two-sided 95 %.
_T = 4.302652729911275


@dataclass(kw_only=True)
class Row:
    """The repetitions of one request: three blocks of `per_block` each, how far they have come, and their shares."""

    per_block: int
    block_tickets: Sequence[str]
    block: int = 0
    in_block: int = 0
    failed: bool = False
    ended: bool = False
    shares: list[Share] = field(default_factory=list)

    @property
    def block_ticket(self) -> str:
        """The ticket of the block that is under way."""
        return self.block_tickets[self.block]

    @property
    def is_complete(self) -> bool:
        """Whether it is over, and the shares of its blocks are there or will never be needed."""
        return self.ended and (self.failed or len(self.shares) == len(self.block_tickets))


def rows_needed(seconds: float | None, ticks_s: Sequence[float | None], *, budget_s: float) -> int:
    """How many repetitions each of the three blocks has; 0 where none are needed, or the budget allows none."""
    tick_s = max((tick for tick in ticks_s if tick), default=0.0)
    if not seconds or not tick_s or budget_s <= 0:
        return 0
    wanted = ceil(tick_s / _HALF_WIDTH / seconds)
    affordable = int(budget_s / seconds)
    repeats = min(wanted, affordable)
    if wanted <= 1 or repeats < BLOCKS:
        return 0
    return ceil(repeats / BLOCKS) if repeats == wanted else repeats // BLOCKS


def combined(blocks: Sequence[Energy], *, per_block: int) -> Energy | None:
    """The energy of one repetition: the mean, within what the counter allows and what the blocks differ by.

    None where a block is unknown.
    """
    if not blocks or any(block.joules is None for block in blocks):
        return None
    count = len(blocks) * per_block
    mean = reduce(add, blocks).scaled(1 / count)
    each = [(block.joules or 0.0) / per_block for block in blocks]
    reach = _T * stdev(each) / sqrt(len(each)) if len(each) > 1 else 0.0
    assert mean.bounds is not None  # every block is known
    middle = fmean(each)
    return replace(
        mean,
        low=max(0.0, min(mean.bounds[0], middle - reach)),
        high=max(mean.bounds[1], middle + reach),
        repeats=count,
        flags=tuple(sorted({*mean.flags, "repeated"})),
    )
