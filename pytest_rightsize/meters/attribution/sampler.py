"""Thread that reads a rung's counters: counters in, one time line each out.

It reads often while an answer waits for the tick that ends its window, less often while none does, and least while no
request is in flight. It settles nothing itself: after each round it calls its owner, in this thread.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Literal

from pytest_rightsize import clocks
from pytest_rightsize.meters import Counter, CounterError
from pytest_rightsize.meters.attribution.timeline import Timeline
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["QUIET_S", "Pace", "Sampler"]

Pace = Literal["hurried", "steady", "quiet"]

# A counter that stands still for this long, or this many periods, is taken to be stuck.
_STUCK_S, _STUCK_TICKS = 5.0, 20
_OTHERS_EVERY_S = 1.0
_HURRIED_ROUNDS = 3
# The pause of a quiet counter with a known period: its owner reads before anything begins, so that only a wrap or a
# fault could be missed.
QUIET_S = 0.25


class Sampler:
    """Reads `counters` until `stop`. `lock` guards the time lines; `after_round` is called without it.

    `others` lists the times in which somebody else used a device, with who; `celsius` is the temperature of the warmest
    device when it was last asked for.
    """

    def __init__(self, counters: Sequence[Counter], *, lock: threading.RLock, after_round: Callable[[], Pace]) -> None:
        """`after_round` returns "hurried" while an answer waits, "quiet" while nothing is in flight or measured."""
        self.counters = counters
        self.timelines = [
            Timeline(
                exact=counter.facts.exact,
                resolution=counter.facts.resolution,
                lag_s=counter.facts.lag_s,
                period_s=counter.facts.period_s,
            )
            for counter in counters
        ]
        self.others: list[tuple[float, float, str]] = []
        self.celsius: float | None = None
        self._lock = lock
        self._after_round = after_round
        self._moved_at = [clocks.monotonic() for _ in counters]
        self._looked_at = clocks.monotonic()
        self._latest_others: str | None = None
        self._reading = threading.Lock()
        self._wake = threading.Event()
        self._hurried = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rightsize meter", daemon=True)

    def begin(self) -> float:
        """Read once, so that there is a value before the first request; returns the moment from which on there is."""
        self._latest_others, self.celsius = self._others_now(), self._warmest()
        self.read()
        return clocks.monotonic()

    def start(self) -> None:
        """Go on reading in the thread."""
        self._thread.start()

    def poke(self) -> None:
        """Read now, as a request has begun or ended."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(10)

    def others_in(self, start: float, end: float) -> str | None:
        """Who else used a device from `start` to `end`, as a clause; None if nobody is known to have."""
        if end > self._looked_at and self._latest_others is not None:
            return self._latest_others
        return next((who for begin, stop, who in reversed(self.others) if begin < end and stop > start), None)

    def read(self) -> None:
        """Read every counter once; may be called in any thread."""
        with self._reading:
            self._read()

    def _read(self) -> None:
        for place, (counter, timeline) in enumerate(zip(self.counters, self.timelines, strict=True)):
            before = clocks.monotonic()
            try:
                joules = counter.read()
            except CounterError as error:
                with self._lock:
                    timeline.broke(str(error), error.flag)
                continue
            except Exception as error:
                with self._lock:
                    timeline.broke(
                        f"the counter failed ({error_words(error)})",
                        "counter_failed",
                    )
                continue
            after = clocks.monotonic()
            with self._lock:
                if timeline.read(before, after, joules):
                    self._moved_at[place] = after
                elif after - self._moved_at[place] > self._patience_s(timeline, counter):
                    timeline.broke(f"the counter has not moved for {after - self._moved_at[place]:.0f} s", "stuck")
                    self._moved_at[place] = after
        self._look_around()

    @staticmethod
    def _patience_s(timeline: Timeline, counter: Counter) -> float:
        return max(_STUCK_S, _STUCK_TICKS * (timeline.tick_s or 0.0), 90 * counter.facts.poll_s)

    def _look_around(self) -> None:
        """Ask from time to time who else uses the devices, and how warm they are."""
        now = clocks.monotonic()
        if now - self._looked_at < _OTHERS_EVERY_S:
            return
        who = self._others_now()
        if who is not None:
            self.others.append((self._looked_at, now, who))
        del self.others[:-1000]
        self._looked_at, self._latest_others = now, who
        self.celsius = self._warmest()

    def _warmest(self) -> float | None:
        """The temperature of the warmest device, of those that tell."""
        temperatures = []
        for counter in self.counters:
            # It is no part of the protocol, and a counter that breaks here is asked again later.
            with contextlib.suppress(Exception):
                temperatures.append(counter.celsius())  # type: ignore[attr-defined]  # those that have none are left out
        return max((celsius for celsius in temperatures if celsius is not None), default=None)

    def _others_now(self) -> str | None:
        return "; ".join(filter(None, map(_others, self.counters))) or None

    def _run(self) -> None:
        own_this_thread()
        while not self._stopped.is_set():
            self.read()
            pace = self._after_round()
            self._hurried = max(0, self._hurried - 1)
            if self._wake.wait(self._pause("hurried" if self._hurried else pace)):
                self._wake.clear()
                # What has just begun or ended is bounded by the next ticks after it.
                self._hurried = _HURRIED_ROUNDS

    def _pause(self, pace: Pace) -> float:
        """Seconds until the next round: a quarter of a tick, so that each is seen, but not less than `poll_s`."""
        pauses = []
        for counter, timeline in zip(self.counters, self.timelines, strict=True):
            facts = counter.facts
            pause = facts.poll_s
            if not facts.exact and timeline.knows_tick and timeline.tick_s is not None:
                pause = max(pause, min(timeline.tick_s / 4, 1.0))
            if pace == "hurried":
                pause = min(pause, facts.hurry_s)
            elif pace == "quiet" and facts.period_s is not None:
                pause = max(pause, QUIET_S)
            pauses.append(pause)
        return min(pauses, default=1.0)


def _others(counter: Counter) -> str | None:
    """Who else uses a counter's device; where asking fails somebody might, so that no joules are an answer's own."""
    try:
        return counter.others()
    except Exception as error:
        return f"nobody knows who else uses {counter.facts.device} ({error_words(error)})"
