"""Pieces of time in which no request starts or ends, and the joules that one device took in each; pure.

The pieces of a device add up to its counter's own difference. How they are split among requests is not decided here.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.timeline import Timeline

__all__ = ["DeviceTotal", "Piece", "idle_side"]


class Piece(NamedTuple):
    """The time from `start` to `end`, the requests in flight during it, and whether the model was being loaded."""

    start: float
    end: float
    flights: Sequence[Flight]
    is_loading: bool

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


class DeviceTotal:
    """The running total of one counter, in joules, moved on piece by piece."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._joules: float | None = None

    def spent(self, start: float, end: float, *, idle_w: float | None, idle: str) -> float | None:
        """Joules from `start`, where the last piece ended, to `end`; None where the counter does not say.

        `idle_w` and `idle` are as in `Timeline.guess`, for the moment `end`.
        """
        first = self._timeline.guess(start) if self._joules is None else self._joules
        last = self._timeline.guess(end, idle_w=idle_w, idle=idle)
        is_unbroken = self._timeline.at_most(start, end) is not None
        if is_unbroken and first is not None and last is not None:
            # Two guesses of moments that lie close together may cross; a piece never takes less than 0.
            last = max(first, last)
        self._joules = last
        return None if first is None or last is None or not is_unbroken else last - first


def idle_side(
    timeline: Timeline, piece: Piece, every_flight: Sequence[Flight], *, busy_until: float
) -> Literal["", "before", "after"]:
    """On which side of the piece's end the device was idle: back to the tick before it, or on to the tick after it.

    `busy_until` is the end of the last piece in which the device was in use.
    """
    low, high = timeline.least(piece.end), timeline.most(piece.end)
    if low is None or high is None:
        return ""
    if not piece.flights and not piece.is_loading and busy_until <= low.at:
        return "before"
    if not piece.flights:
        return ""
    is_busy = any(flight.end is None or flight.end > piece.end for flight in every_flight if flight.start < high.at)
    return "" if is_busy else "after"
