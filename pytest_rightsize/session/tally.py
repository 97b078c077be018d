"""Counts of a session while it runs: what has ended on each rung, how fast, and which model is being loaded.

In come trials as they end; out go the two lines of `reports/progress.py`. It writes nothing.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize import clocks
from pytest_rightsize.records import Trial
from pytest_rightsize.reports.progress import RungProgress, progress_lines

__all__ = ["Tally"]

# Tokens a second are those of the last while, and not known over a shorter one.
_WINDOW_S, _SHORTEST_S = 20.0, 1.0
# A time left is known after so many trials for each that is in flight: the first ones all end at about the same time.
_WAVES = 2
_FEWEST = 3
# It is not known any more once nothing has ended for as long as so many of those waves take, and at least this long.
_STALLED_WAVES, _STALLED_S = 3, 2.0
# In flight where that is not known here, as in the controller of pytest-xdist.
_IN_FLIGHT = 8


@dataclass(kw_only=True)
class _Pace:
    """Trials that were answered by the model itself, without one from the record between them."""

    began: float = 0.0
    last: float = 0.0
    ended: int = 0
    in_flight: int = 1

    def trials_per_s(self, now: float) -> float | None:
        """How many end in a second; None while that is not known."""
        took = self.last - self.began
        if took <= 0 or self.ended < max(_FEWEST, _WAVES * self.in_flight):
            return None
        rate = self.ended / took
        return rate if now - self.last <= max(_STALLED_S, _STALLED_WAVES * self.in_flight / rate) else None


class Tally:
    """Counts of what has ended on each rung of a session, and how fast."""

    def __init__(
        self,
        rungs: Sequence[str],
        in_flight: Callable[[str], int | None],
        clock: Callable[[], float] = clocks.monotonic,
        *,
        loading: Callable[[], tuple[str, int | None] | None] = lambda: None,
    ) -> None:
        """`in_flight` tells how many requests wait for a rung's reply, None where that is not known here.

        `loading` tells which rung's model is being loaded, and its size in bytes where that is known.
        """
        self.rungs = {name: RungProgress(name=name) for name in rungs}
        self.current: str | None = None
        self._in_flight = in_flight
        self._clock = clock
        self._loading = loading
        self._paces = {name: _Pace() for name in rungs}
        # When a trial ended, and how many completion tokens it brought.
        self._recent: dict[str, deque[tuple[float, int]]] = {name: deque() for name in rungs}

    def plan(self, planned: Mapping[tuple[str, str], int]) -> None:
        """Take over how many trials each rung is to have."""
        for (_, rung), number in planned.items():
            self.rungs[rung].planned += number

    def add(self, trial: Trial) -> None:
        """A trial has ended."""
        rung = self.rungs[trial.key.rung]
        rung.ended += 1
        rung.is_down |= trial.reason in ("down", "missing")
        if (trial.outcome == "not_run" and not trial.answers) or trial.is_fault:
            return
        self.current = rung.name
        energies = [None if answer.energy is None else answer.energy.joules for answer in trial.answers]
        rung.joules = _plus(rung.joules, energies)
        rung.usd = _plus(rung.usd, [answer.cost_usd for answer in trial.answers])
        rung.answers += len(trial.answers)
        if not trial.answers or any(answer.cached for answer in trial.answers):
            if self._paces[rung.name].ended:
                self._paces[rung.name] = _Pace()
            return
        now = self._clock()
        tokens = sum(answer.tokens.completion or 0 for answer in trial.answers)
        recent = self._recent[rung.name]
        recent.append((now, tokens))
        _forget_before(now - _WINDOW_S, recent)
        pace = self._paces[rung.name]
        if not pace.ended:
            pace.began = now - (trial.seconds or 0.0)
        pace.ended, pace.last = pace.ended + 1, now
        in_flight = self._in_flight(rung.name)
        # The one that has just ended was in flight too.
        pace.in_flight = max(pace.in_flight, _IN_FLIGHT if in_flight is None else in_flight + 1)

    def lines(self, width: int) -> list[str]:
        """The two lines, as of now."""
        loading = self._loading()
        for rung in self.rungs.values():
            rung.is_loading = loading is not None and loading[0] == rung.name
        current = self._current()
        if loading is not None and loading[0] in self.rungs:
            current, self.rungs[loading[0]].size_bytes = loading
        if current is not None:
            self._measure(self.rungs[current])
        return progress_lines(self.rungs, current, width=width)

    def _current(self) -> str | None:
        """The rung of the last answer; before the first, and where all its trials have ended, the one asked now."""
        if self.current is not None and self.rungs[self.current].left:
            return self.current
        return next((name for name in self.rungs if self._in_flight(name)), self.current)

    def _measure(self, rung: RungProgress) -> None:
        """The speed of the last while, and how long the rest will take."""
        now, recent = self._clock(), self._recent[rung.name]
        _forget_before(now - _WINDOW_S, recent)
        took = recent[-1][0] - recent[0][0] if recent else 0.0
        tokens = sum(number for _, number in recent) - recent[0][1] if recent else 0
        rung.tokens_per_s = tokens / took if took >= _SHORTEST_S and tokens else None
        rung.trials_per_s = self._paces[rung.name].trials_per_s(now)
        rung.in_flight = self._in_flight(rung.name)


def _forget_before(begin: float, recent: deque[tuple[float, int]]) -> None:
    """Leave out what ended before the last while, but for the last trial."""
    while len(recent) > 1 and recent[0][0] < begin:
        recent.popleft()


def _plus(total: float | None, more: Sequence[float | None]) -> float | None:
    """The sum, or None from the first unknown amount on."""
    if total is None or None in more:
        return None
    return total + sum(amount for amount in more if amount is not None)
