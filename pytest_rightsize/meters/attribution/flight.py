"""One request in flight: when it began and ended, its tokens, and the joules booked for it so far.

The ledger makes and changes these records. Times are those of the time lines.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Flight", "Outcome"]

Outcome = Literal["served", "repeated", "lost"]
"""The account that a request's joules are booked on."""


@dataclass(kw_only=True)
class Flight:
    """One request. It `began` when it was sent, or later where its reply says so; its `start` is not before the load.

    `end` is None until it has ended, `written` and `read` are its tokens. `shares` are its joules on each device, None
    where a counter was lost. `alone` lists the times in which nothing else was in flight, `first_piece` is the start of
    the first piece that was booked. `guarded` says whether the devices are known to have been idle on both sides of it.
    """

    ticket: Hashable
    began: float
    start: float
    end: float | None = None
    written: float | None = None
    read: float = 0.0
    outcome: Outcome = "served"
    shares: list[float | None]
    first_piece: float | None = None
    alone: list[tuple[float, float]] = field(default_factory=list)
    shared: bool = False
    by_time: bool = False
    guarded: bool = False

    @property
    def since(self) -> float:
        """Since when joules have been booked for it.

        That may be before `began`: pieces may have been booked before the reply came and moved it.
        """
        return self.began if self.first_piece is None else min(self.began, self.first_piece)

    def covers(self, start: float, end: float) -> bool:
        """Whether it was in flight all the time from `start` to `end`."""
        return self.start <= start and (self.end is None or self.end >= end)
