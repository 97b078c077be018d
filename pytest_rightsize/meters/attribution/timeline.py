"""Time line of one energy counter: readings in; out, for any moment, the least, the most and the best guess; pure.

A counter moves in ticks: what is spent between two of them is not seen. So the truth at a moment lies between the last
value that was seen by then and the first that came up after it (the bracket rule). Times are seconds of one monotonic
clock, amounts joules since the counter's start.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from statistics import median

__all__ = ["Bracket", "Break", "Timeline"]

_TICKS_FOR_PERIOD = 20
_LONGEST_PERIOD_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """Joules in a window: between `low` and `high`, best guess `joules`, over `ticks` ticks of the counter."""

    low: float
    joules: float
    high: float
    ticks: int


@dataclass(frozen=True, kw_only=True)
class Break:
    """Why a counter says nothing of a window: a clause, and the flag for it."""

    reason: str
    flag: str


@dataclass(frozen=True, kw_only=True)
class _Edge:
    """A new value: it came up after `after` and not later than `by`, at best guess `at`.

    `epoch` is how many breaks there were before it. The first value of an epoch may have been there for any time.
    """

    after: float
    by: float
    at: float
    joules: float
    epoch: int
    is_first: bool = False


class Timeline:
    """The readings of one counter.

    An `exact` counter has no ticks: each reading is true at its moment. `resolution` is the least step in joules, by
    which a value may lag behind the truth, `lag_s` how old a value may be already when it comes up, `period_s` the
    counter's period, if it is known and its ticks come too fast to be seen.
    """

    def __init__(
        self, *, exact: bool = False, resolution: float = 0.0, lag_s: float = 0.0, period_s: float | None = None
    ) -> None:
        self._exact = exact
        self._period_s = period_s
        self._resolution = resolution
        self._lag_s = lag_s
        self._edges: list[_Edge] = []
        self._breaks: list[Break] = []
        self._last_read_at: float | None = None
        self._gaps: list[float] = []

    def read(self, before: float, after: float, joules: float) -> bool:
        """Take a reading that was made between `before` and `after`; True if it is a new value."""
        last = self._edges[-1] if self._edges else None
        epoch = len(self._breaks)
        last_read_at, self._last_read_at = self._last_read_at, before
        if self._exact:
            self._edges.append(_Edge(after=before, by=after, at=(before + after) / 2, joules=joules, epoch=epoch))
            return True
        if last is not None and last.epoch == epoch and last.joules == joules:
            return False
        if last is None or last.epoch != epoch or last_read_at is None:
            self._edges.append(_Edge(after=before, by=after, at=after, joules=joules, epoch=epoch, is_first=True))
            return True
        # Where values come faster than they are read, the one that is seen is the latest, and came up just before.
        at = max((last_read_at + after) / 2, after - (self._period_s or after - last_read_at) / 2)
        edge = _Edge(after=last_read_at, by=after, at=at, joules=joules, epoch=epoch)
        if not last.is_first:
            self._gaps.append(edge.at - last.at)
        self._edges.append(edge)
        return True

    def broke(self, reason: str, flag: str) -> None:
        """Values from now on cannot be compared with those before; a second break with the same flag adds nothing."""
        if self.is_broken and self._breaks[-1].flag == flag:
            return
        self._breaks.append(Break(reason=reason, flag=flag))
        self._last_read_at = None

    @property
    def tick_s(self) -> float | None:
        """The counter's period, as the median gap of the last ticks; None before the first two, 0 if it is exact."""
        if self._exact or self._period_s is not None:
            return self._period_s or 0.0
        return median(self._gaps[-200:]) if self._gaps else None

    @property
    def knows_tick(self) -> bool:
        """Whether enough ticks were seen to be sure of the period."""
        return (
            self._exact
            or self._period_s is not None
            or len(self._gaps) >= _TICKS_FOR_PERIOD
            or sum(self._gaps) > 10 * _LONGEST_PERIOD_S
        )

    @property
    def is_broken(self) -> bool:
        """Whether nothing was read since the last break."""
        return bool(self._breaks) and (not self._edges or self._edges[-1].epoch < len(self._breaks))

    @property
    def known_until(self) -> float:
        """The latest moment about which nothing more will be learned: a tick has come after it, or a break."""
        if self.is_broken:
            return float("inf")
        if not self._edges or (self._edges[-1].is_first and not self._exact):
            return float("-inf")
        return self._edges[-1].after - self._lag_s

    def forget_before(self, moment: float) -> None:
        """Drop values that no window from `moment` on needs."""
        keep = bisect_right(self._edges, moment, key=lambda edge: edge.by) - 1
        if keep > 256:
            del self._edges[:keep]
        del self._gaps[:-1000]

    def least(self, moment: float) -> _Edge | None:
        """The last value that was seen by then."""
        place = bisect_right(self._edges, moment, key=lambda edge: edge.by)
        return self._edges[place - 1] if place else None

    def most(self, moment: float) -> _Edge | None:
        """The first value that came up, and was true, after it."""
        place = bisect_left(self._edges, moment, key=lambda edge: edge.after - self._lag_s)
        while place < len(self._edges) and self._edges[place].is_first:
            # It may have stood there since long before.
            place += 1
        return self._edges[place] if place < len(self._edges) else None

    def guess(self, moment: float, *, idle_w: float | None = None, idle: str = "") -> float | None:
        """The best guess of what was spent by `moment`; None where the counter does not say.

        Between two ticks power is taken as even. With `idle` the device is known to have been idle at `idle_w` watts:
        "before" the moment, back to the last tick, or "after" it, on to the next.
        """
        low, high = self.least(moment), self.most(moment)
        if low is None or high is None or low.epoch != high.epoch:
            return None
        if high.joules <= low.joules:
            return low.joules
        # The two values around the moment by their best guesses; the bounds are as near or farther.
        place = bisect_right(self._edges, moment, key=lambda edge: edge.at)
        first, last = self._edges[place - 1], self._edges[place]
        if idle == "before" and idle_w is not None:
            value = first.joules + idle_w * max(0.0, moment - first.at)
        elif idle == "after" and idle_w is not None:
            value = last.joules - idle_w * max(0.0, last.at - moment)
        else:
            whole = last.at - first.at
            value = first.joules + (last.joules - first.joules) * ((moment - first.at) / whole if whole > 0 else 0.5)
        return min(max(value, low.joules), high.joules)

    def at_least(self, start: float, end: float) -> float | None:
        """The least that can have been spent from `start` to `end`; None where the counter does not say."""
        first, last = self.most(start), self.least(end)
        if first is None or last is None or first.epoch != last.epoch:
            return None
        return max(0.0, last.joules - first.joules - self._resolution)

    def at_most(self, start: float, end: float) -> float | None:
        """The most that can have been spent from `start` to `end`; None where the counter does not say."""
        first, last = self.least(start), self.most(end)
        if first is None or last is None or first.epoch != last.epoch:
            return None
        return max(0.0, last.joules - first.joules + self._resolution)

    def ticks(self, start: float, end: float) -> int:
        """How many values came up in the window."""
        return bisect_right(self._edges, end, key=lambda edge: edge.by) - bisect_right(
            self._edges, start, key=lambda edge: edge.by
        )

    def bracket(
        self, start: float, end: float, *, idle_w: float | None = None, guarded: tuple[bool, bool] = (False, False)
    ) -> Bracket | Break | None:
        """What was spent from `start` to `end`, or why that is unknown; None while the tick that ends it is to come.

        `guarded` says whether the device was idle from the tick before `start`, and up to the tick after `end`.
        """
        low, high = self.at_least(start, end), self.at_most(start, end)
        if low is None or high is None:
            return self._why_not(start, end)
        first = self.guess(start, idle_w=idle_w, idle="before" if guarded[0] else "")
        last = self.guess(end, idle_w=idle_w, idle="after" if guarded[1] else "")
        if first is None or last is None:
            return self._why_not(start, end)
        middle = min(max(last - first, low), high)
        return Bracket(low=low, joules=middle or (low + high) / 2, high=high, ticks=self.ticks(start, end))

    def _why_not(self, start: float, end: float) -> Break | None:
        first, last = self.least(start), self.most(end)
        if first is None and self._breaks:
            return self._breaks[0]
        if first is None:
            return Break(reason="the counter was not read before the answer began", flag="no_reading")
        if self._breaks and first.epoch < len(self._breaks):
            return self._breaks[first.epoch]
        return None if last is None else Break(reason="the counter says nothing of that time", flag="no_reading")
