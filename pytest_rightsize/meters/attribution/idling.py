"""Idle power of a rung's devices: cold, before its model is loaded, and resident, after; pure.

In come time lines and the moments at which requests begin and end; out come watts, and whether requests must be held
back now. Resident power is measured after the first answer. When that is old, or the devices have grown warmer, it is
measured again in the next pause that comes by itself, or in one that is made if none comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from pytest_rightsize.meter_records import IdlePower
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.timeline import Timeline

__all__ = ["IdleMemory", "Idling", "Reading", "seconds_needed", "shows_idle_power"]

_LEAST_S, _LEAST_TICKS = 3.0, 30
# The longest pause that is made unless the ladder file asks for one.
_MOST_S = 15.0
# A counter that is read this seldom is an exporter's, which stands still in between.
_SLOW_S = 0.1
# How long sensors take to fall to idle.
_RISE_S = 0.3
_FRESH_S = 300.0
# A device that is this much warmer takes more at idle too.
_WARMER_C = 5.0
# How long to wait for a pause that comes by itself before one is made.
_GRACE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One measured idle power: the watts of each device, their error, and when the measurement began.

    `celsius` is the temperature of the warmest device when it ended, where that is known.
    """

    watts: tuple[float | None, ...]
    error_w: float
    at: float
    power: IdlePower
    celsius: float | None = None


@dataclass(kw_only=True)
class IdleMemory:
    """The idle powers that a session has measured, so that nobody waits for one twice.

    `cold` is by devices, `resident` by rung and devices; once any model has been loaded, nothing is cold any more.
    """

    cold: dict[tuple[str, ...], Reading] = field(default_factory=dict)
    resident: dict[tuple[str, ...], Reading] = field(default_factory=dict)
    has_loaded: bool = False


def shows_idle_power(facts: Facts) -> bool:
    """Whether a counter is a measurement that follows the load within seconds, so that a pause shows idle power."""
    return facts.provenance == "measured" and facts.poll_s < _SLOW_S


def seconds_needed(wanted_s: float | None, ticks_s: Sequence[float | None]) -> float | None:
    """How long a pause must be: `wanted_s`, else 3 s or 30 ticks; None where those take more than 15 s."""
    if wanted_s is not None:
        return wanted_s
    needed = max(_LEAST_S, _LEAST_TICKS * max((tick for tick in ticks_s if tick), default=0.0))
    return needed if needed <= _MOST_S else None


class Idling:
    """The pauses of one open rung. Times are those of the time lines.

    `wanted_s` is how long a pause is, 0 for none, None for as long as the counters need. With `loads` the model is
    loaded by the first request; then a pause is made before it, unless `memory` has the cold power or a model has been
    loaded already. `factors` bound the truth for each counter, as in `Facts`.
    """

    def __init__(
        self,
        timelines: Sequence[Timeline],
        *,
        rung: str,
        devices: Sequence[str],
        memory: IdleMemory,
        opened: float,
        wanted_s: float | None,
        loads: bool,
        factors: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        self._timelines = timelines
        self._factors = factors or [(1.0, 1.0)] * len(timelines)
        self._loads = loads
        self._wanted_s = wanted_s
        self._memory = memory
        self._devices = tuple(devices)
        self._key = (rung, *devices)
        self._opened = opened
        self._free_since: float | None = opened
        self._readings: list[Reading] = []
        self._celsius: float | None = None
        # Since when the latest power is no longer trusted.
        self._due: float | None = None
        self.notes: list[str] = []
        self._stage: Literal["cold", "first", "pausing", "open"] = "open"
        if wanted_s == 0:
            return
        remembered = memory.resident.get(self._key)
        if remembered is not None and opened - remembered.at < _FRESH_S:
            self._readings.append(remembered)
        elif loads and not memory.has_loaded and self._devices not in memory.cold:
            self._stage = "cold"
        else:
            self._stage = "first"

    @property
    def holds(self) -> bool:
        """Whether no request may begin now, as the devices are left idle."""
        return self._stage in ("cold", "pausing")

    @property
    def is_learning(self) -> bool:
        """Whether a pause is still to come, or under way."""
        return self._stage != "open"

    @property
    def resident(self) -> Reading | None:
        """The latest power with the model loaded."""
        return self._readings[-1] if self._readings else None

    @property
    def cold(self) -> Reading | None:
        """The power before any model was loaded."""
        return self._memory.cold.get(self._devices)

    @property
    def powers(self) -> tuple[IdlePower, ...]:
        """Every power that was measured, with its time from this rung's opening."""
        readings = [*([self.cold] if self.cold else []), *self._readings]
        return tuple(replace(reading.power, at_s=reading.at - self._opened) for reading in readings)

    @property
    def resident_w(self) -> float | None:
        """The mean of all powers with the model loaded; None where there is none."""
        return fmean(reading.power.watts for reading in self._readings) if self._readings else None

    def may_begin(self, in_flight: int) -> bool:
        """Whether a request may begin while so many are in flight; the first one goes alone."""
        return self._stage == "open" or (self._stage == "first" and in_flight == 0)

    def begins(self) -> None:
        """A request begins."""
        self._free_since = None
        self._memory.has_loaded = self._memory.has_loaded or self._loads

    def answered(self) -> None:
        """An answer and its repetitions are there: after the first, a pause begins when nothing is in flight."""
        if self._stage == "first":
            self._stage = "pausing"

    def is_free(self, moment: float) -> None:
        """From now on nothing is in flight."""
        self._free_since = moment

    def give_up(self) -> None:
        """Hold nothing back any more."""
        self._stage = "open"

    @property
    def is_due(self) -> bool:
        """Whether the latest power is no longer trusted, so that the next pause that comes by itself is used."""
        return self._due is not None

    def look(self, now: float, *, alone: bool = True, celsius: float | None = None) -> Reading | None:
        """The resident power, if one has just been measured: a pause has been long enough.

        `alone` says that no other worker uses the devices, `celsius` is the temperature of the warmest one.
        """
        self._celsius = celsius
        if self._due is None:
            self._due = self._not_trusted_since(now)
        if self._wanted_s == 0 or (self._stage == "first") or not (self.holds or self.is_due):
            return None
        if self._stage == "open" and self._due is not None and now > self._due + _GRACE_S:
            self._stage = "pausing"
        if self._free_since is None or not alone:
            self._free_since = now if self._free_since is not None else None
            return None
        needed = seconds_needed(self._wanted_s, [line.tick_s for line in self._timelines])
        if needed is None:
            self._give_up_on_slow_ticks()
            return None
        # Of a long pause only the part after the last reading came into doubt is used.
        start = max(self._free_since, self._free_since if self._due is None else self._due) + _RISE_S
        end = start + needed
        if now < end or (min(line.known_until for line in self._timelines) < end and now < end + 1.0):
            return None
        return self._end_pause(start, end)

    def _not_trusted_since(self, now: float) -> float | None:
        """Since when the latest reading is too old, or its devices are warmer; None while it holds."""
        if not self._readings:
            return None
        latest = self._readings[-1]
        if now > latest.at + _FRESH_S:
            return latest.at + _FRESH_S
        then, current = latest.celsius, self._celsius
        is_warmer = then is not None and current is not None and current - then >= _WARMER_C
        return now if is_warmer else None

    def _give_up_on_slow_ticks(self) -> None:
        ticks_s = max((line.tick_s or 0.0) for line in self._timelines)
        self.notes.append(
            f"idle power was not measured: 30 ticks of this counter take {30 * ticks_s:.0f} s; "
            f"idle_s = {30 * ticks_s:.0f} in the meter's table has it done"
        )
        self._wanted_s = 0.0
        self._stage, self._due = "open", None

    def _end_pause(self, start: float, end: float) -> Reading | None:
        """Measure from `start` to `end` and end the pause; the reading, if it is of the resident power."""
        is_cold = self._stage == "cold"
        self._stage, self._due = "first" if is_cold else "open", None
        reading = self._read(start, end, "cold" if is_cold else "resident")
        if reading is None:
            what = "before the model was loaded" if is_cold else "with the model loaded"
            self.notes.append(f"idle power {what} is unknown: the counters did not show it")
            if self._readings:
                # The old one is kept as if it were new, so that not every pause tries again.
                self._readings[-1] = replace(self._readings[-1], at=end, celsius=self._celsius)
            return None
        if is_cold:
            self._memory.cold[self._devices] = reading
            return None
        self._memory.resident[self._key] = reading
        self._readings.append(reading)
        return reading

    def _read(self, start: float, end: float, state: Literal["cold", "resident"]) -> Reading | None:
        """The power from `start` to `end`; None where a counter does not say."""
        seconds = end - start
        watts, errors, ticks = [], [0.0], []
        low_w = high_w = 0.0
        for line, (least, most) in zip(self._timelines, self._factors, strict=True):
            first, last = line.guess(start), line.guess(end)
            low, high = line.at_least(start, end), line.at_most(start, end)
            if first is None or last is None or low is None or high is None:
                return None
            watts.append((last - first) / seconds)
            # The guess need not lie in the middle of its bounds.
            errors.append(max(high / seconds - watts[-1], watts[-1] - low / seconds))
            ticks.append(line.ticks(start, end))
            low_w, high_w = low_w + least * low / seconds, high_w + most * high / seconds
        power = IdlePower(
            state=state,
            watts=sum(watts),
            low=low_w,
            high=high_w,
            seconds=seconds,
            ticks=min(ticks, default=0),
            at_s=start - self._opened,
        )
        return Reading(watts=tuple(watts), error_w=max(errors), at=start, power=power, celsius=self._celsius)
