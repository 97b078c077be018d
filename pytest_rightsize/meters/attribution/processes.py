"""This process's part of the machine's processor time: readings of both in, its share of any window out; pure.

Readings are few, so a share is bounded as a counter's window is: by the readings on either side of its ends.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from pytest_rightsize.energy import Energy

__all__ = ["OwnShare", "OwnSum", "ProcessorTrack"]

_MOST_READINGS = 4096


@dataclass(frozen=True, kw_only=True)
class OwnShare:
    """The part of the busy processor time that was this process's own, 0 to 1, between `low` and `high`."""

    low: float
    share: float
    high: float


@dataclass
class OwnSum:
    """The sum of this process's shares over many answers, in joules: least, best guess and most."""

    low: float = 0.0
    joules: float = 0.0
    high: float = 0.0

    def add(self, own: OwnShare, joules: float) -> None:
        """Add an answer for which the device took `joules` in all."""
        self.low += own.low * joules
        self.joules += own.share * joules
        self.high += own.high * joules

    def widened(self, energy: Energy | None) -> Energy | None:
        """The energy of all answers, its bounds widened by those of the shares."""
        if energy is None or energy.low is None or energy.high is None or self.joules <= 0:
            return energy
        return replace(energy, low=energy.low * self.low / self.joules, high=energy.high * self.high / self.joules)


@dataclass(frozen=True, kw_only=True)
class _Reading:
    at: float
    own_s: float
    busy_s: float


class ProcessorTrack:
    """Processor seconds over time, each known to `own_step_s` and `busy_step_s`."""

    def __init__(self, *, own_step_s: float = 0.02, busy_step_s: float = 0.05) -> None:
        self._own_step_s = own_step_s
        self._busy_step_s = busy_step_s
        self._readings: list[_Reading] = []

    def read(self, moment: float, own_s: float, busy_s: float) -> None:
        """Take a reading, in processor seconds; moments never go back."""
        self._readings.append(_Reading(at=moment, own_s=own_s, busy_s=busy_s))
        if len(self._readings) > 2 * _MOST_READINGS:
            del self._readings[:_MOST_READINGS]

    def share(self, start: float, end: float) -> OwnShare | None:
        """The share from `start` to `end`; None where there is not a reading on either side."""
        before, after = self._last_by(start), self._first_from(end)
        if before is None or after is None:
            return None
        inner_first, inner_last = self._first_from(start), self._last_by(end)
        most_own = after.own_s - before.own_s + self._own_step_s
        most_busy = after.busy_s - before.busy_s + self._busy_step_s
        least_own = least_busy = 0.0
        if inner_first is not None and inner_last is not None and inner_last.at > inner_first.at:
            least_own = max(0.0, inner_last.own_s - inner_first.own_s - self._own_step_s)
            least_busy = max(0.0, inner_last.busy_s - inner_first.busy_s - self._busy_step_s)
        low = min(1.0, least_own / most_busy) if most_busy > 0 else 0.0
        high = min(1.0, most_own / least_busy) if least_busy > 0 else 1.0
        own, busy = after.own_s - before.own_s, after.busy_s - before.busy_s
        # No seconds in so short a time are a gap in what the system tells, and no share of 0.
        guess = own / busy if own > 0 and busy > 0 else (low + high) / 2
        return OwnShare(low=min(low, high), share=min(max(guess, low), high), high=max(low, high))

    def _last_by(self, moment: float) -> _Reading | None:
        place = bisect_right(self._readings, moment, key=lambda reading: reading.at)
        return self._readings[place - 1] if place else None

    def _first_from(self, moment: float) -> _Reading | None:
        place = bisect_left(self._readings, moment, key=lambda reading: reading.at)
        return self._readings[place] if place < len(self._readings) else None
