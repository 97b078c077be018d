"""When a rung is left idle, and what its devices take then: before a model is loaded (cold), and after (resident).

Pure: it holds requests back by saying so, and reads time lines that others fill. Resident power is found after the
first answer; when that is old, or the devices have grown warmer, in the next pause that comes by itself, or in one that
is made if none comes.
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
# Nobody waits longer than this for a figure he has not asked for.
_MOST_S = 15.0
# Whatever is asked so seldom is an exporter's, and stands still in between.
_SLOW_S = 0.1
# How long sensors take to fall to idle.
_RISE_S = 0.3
_FRESH_S = 300.0
# What is warmer by so much takes more at idle too.
_WARMER_C = 5.0
# So long a pause that comes by itself is waited for, before one is made.
_GRACE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """An idle power as it was found: watts of each device, by how much each may be off, and when it began.

    `celsius` is how warm the warmest device was when it ended, where that is known.
    """

    watts: tuple[float | None, ...]
    error_w: float
    at: float
    power: IdlePower
    celsius: float | None = None


@dataclass(kw_only=True)
class IdleMemory:
    """What was found of a session's devices, so that nobody waits for it twice.

    `cold` is by devices, `resident` by rung and devices; once any model has been loaded, nothing is cold any more.
    """

    cold: dict[tuple[str, ...], Reading] = field(default_factory=dict)
    resident: dict[tuple[str, ...], Reading] = field(default_factory=dict)
    has_loaded: bool = False


def shows_idle_power(facts: Facts) -> bool:
    """Whether a counter is a measurement that follows what happens here, so that a pause of seconds says something."""
    return facts.provenance == "measured" and facts.poll_s < _SLOW_S


def seconds_needed(wanted_s: float | None, ticks_s: Sequence[float | None]) -> float | None:
    """How long a pause must be: what was wanted, else 3 s or 30 ticks; None where that is more than anyone expects."""
    if wanted_s is not None:
        return wanted_s
    needed = max(_LEAST_S, _LEAST_TICKS * max((tick for tick in ticks_s if tick), default=0.0))
    return needed if needed <= _MOST_S else None


class Idling:
    """The pauses of one open rung. Times are those of the time lines.

    `wanted_s` is how long a pause is, 0 for none, None for as long as the counters need. With `loads` the model is
    loaded by the first request; then a pause is made before, unless the memory knows the cold power, or that is past.
    `factors` bound the truth for what each counter shows.
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
        self._found: list[Reading] = []
        self._celsius: float | None = None
        # Since when what was found is not to be trusted any more.
        self._due: float | None = None
        self.notes: list[str] = []
        self._stage: Literal["cold", "first", "pausing", "open"] = "open"
        if wanted_s == 0:
            return
        known = memory.resident.get(self._key)
        if known is not None and opened - known.at < _FRESH_S:
            self._found.append(known)
        elif loads and not memory.has_loaded and self._devices not in memory.cold:
            self._stage = "cold"
        else:
            self._stage = "first"

    @property
    def holds(self) -> bool:
        """Whether nothing may be asked now, as the devices are left idle."""
        return self._stage in ("cold", "pausing")

    @property
    def is_learning(self) -> bool:
        """Whether a pause is still to come, or under way."""
        return self._stage != "open"

    @property
    def resident(self) -> Reading | None:
        """The latest power with the model loaded."""
        return self._found[-1] if self._found else None

    @property
    def cold(self) -> Reading | None:
        """The power before any model was loaded."""
        return self._memory.cold.get(self._devices)

    @property
    def powers(self) -> tuple[IdlePower, ...]:
        """Every power that was found, counted from this rung's opening."""
        every = [*([self.cold] if self.cold else []), *self._found]
        return tuple(replace(one.power, at_s=one.at - self._opened) for one in every)

    @property
    def resident_w(self) -> float | None:
        """The mean of what was found with the model loaded."""
        return fmean(one.power.watts for one in self._found) if self._found else None

    def may_begin(self, in_flight: int) -> bool:
        """Whether a request may begin while so many are in flight; the first one goes alone."""
        return self._stage == "open" or (self._stage == "first" and in_flight == 0)

    def begins(self) -> None:
        """A request begins."""
        self._free_since = None
        self._memory.has_loaded = self._memory.has_loaded or self._loads

    def answered(self) -> None:
        """An answer is there, and its repetitions are: if it is the first, a pause begins when nothing is in flight."""
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
        """Whether what was found does not hold any more, so that a pause that comes by itself is worth a look."""
        return self._due is not None

    def look(self, now: float, *, alone: bool = True, celsius: float | None = None) -> Reading | None:
        """What was found, if a pause has been long enough.

        `alone` says that no other worker uses the devices, `celsius` how warm the warmest is.
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
            self._cannot()
            return None
        # In a long pause what was before the last reading came into doubt is as good as not there.
        start = max(self._free_since, self._free_since if self._due is None else self._due) + _RISE_S
        end = start + needed
        if now < end or (min(line.known_until for line in self._timelines) < end and now < end + 1.0):
            return None
        return self._take(start, end)

    def _not_trusted_since(self, now: float) -> float | None:
        """Since when the latest reading is too old, or its devices are warmer; None while it holds."""
        if not self._found:
            return None
        latest = self._found[-1]
        if now > latest.at + _FRESH_S:
            return latest.at + _FRESH_S
        then, current = latest.celsius, self._celsius
        is_warmer = then is not None and current is not None and current - then >= _WARMER_C
        return now if is_warmer else None

    def _cannot(self) -> None:
        ticks_s = max((line.tick_s or 0.0) for line in self._timelines)
        self.notes.append(
            f"idle power was not measured: 30 ticks of this counter take {30 * ticks_s:.0f} s; "
            f"idle_s = {30 * ticks_s:.0f} in the meter's table has it done"
        )
        self._wanted_s = 0.0
        self._stage, self._due = "open", None

    def _take(self, start: float, end: float) -> Reading | None:
        """What the counters showed from `start` to `end`; the pause is over."""
        is_cold = self._stage == "cold"
        self._stage, self._due = "first" if is_cold else "open", None
        reading = self._read(start, end, "cold" if is_cold else "resident")
        if reading is None:
            what = "before the model was loaded" if is_cold else "with the model loaded"
            self.notes.append(f"idle power {what} is unknown: the counters did not show it")
            if self._found:
                # The old one holds, and is not asked for again in every pause.
                self._found[-1] = replace(self._found[-1], at=end, celsius=self._celsius)
            return None
        if is_cold:
            self._memory.cold[self._devices] = reading
            return None
        self._memory.resident[self._key] = reading
        self._found.append(reading)
        return reading

    def _read(self, start: float, end: float, state: Literal["cold", "resident"]) -> Reading | None:
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
