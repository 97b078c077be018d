"""Records of what an answer took: its share of each device's joules, within bounds, or why there is none.

They are made by the ledger and become `Energy` in `amounts.py`; nothing is computed here.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from pytest_rightsize.meters.attribution.timeline import Break

__all__ = ["Part", "Share"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one device took for an answer: joules within bounds, over `ticks` ticks of its counter."""

    low: float
    joules: float
    high: float
    ticks: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """One answer's part of each device, or why it has none; joules were booked for it from `start` to `end`.

    `window_s` is how long the answer took according to its reply. `shared` says whether other requests were in flight
    too, `by_time` whether tokens were unknown, so that the split was even, and `guarded` whether the devices are known
    to have been idle on both sides of it.
    """

    ticket: Hashable
    start: float
    end: float
    window_s: float
    parts: tuple[Part | Break, ...]
    shared: bool
    by_time: bool = False
    guarded: bool = False
    repeated: bool = False
