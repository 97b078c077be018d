"""The face of this folder: a rung's provider within its meter's window, so that each reply comes with its energy.

In go requests, the meter that was chosen and the session's memory of idle power; out come replies with their energy,
and a `Metering` for each time the rung was open. The provider always has as many requests as it had without a meter;
what it answers waits here for its share. No other file of this folder is imported from outside.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Choice, CounterError
from pytest_rightsize.meters.attribution.idling import IdleMemory, seconds_needed, shows_idle_power
from pytest_rightsize.meters.attribution.period import Period, measure_period
from pytest_rightsize.meters.attribution.windows import PlainWindow, Terms, Window
from pytest_rightsize.providers import Problem, Provider, identity_of
from pytest_rightsize.records import Identity, Reply, Request

__all__ = ["IdleMemory", "Metered", "Period", "measure_period", "seconds_needed", "shows_idle_power"]


class Metered:
    """A provider whose replies are those of `inner`, with their energy."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        inner: Provider,
        choose: Callable[[], Choice],
        *,
        room: Callable[[], int],
        budget_s: float,
        workers: int,
        memory: IdleMemory | None = None,
    ) -> None:
        """Keep them; the meter is chosen when it is asked for, and its counters are opened with the first request.

        `room` returns how many requests the provider is given at once. `budget_s` is how long one request may be
        repeated until it can be resolved, `workers` how many processes of this session share the machine. `memory`
        holds the idle powers that the session's rungs have found.
        """
        self.inner = inner
        self._choose = choose
        self.meterings: list[Metering] = []
        self._room = room
        self._budget_s = budget_s
        self._workers = workers
        self._memory = IdleMemory() if memory is None else memory
        self._lock = threading.RLock()
        self._open: Window | None = None

    @cached_property
    def choice(self) -> Choice:
        """The rung's meter; raises ConfigError for options that contradict each other."""
        return self._choose()

    @property
    def leaves_machine(self) -> bool:
        """See `Provider`."""
        return self.inner.leaves_machine

    def __getattr__(self, name: str) -> Any:
        """Members that the provider has beyond the Protocol."""
        return getattr(self.inner, name)

    @property
    def waiting_room(self) -> int:
        """How many more requests may be submitted than are in flight: answers that wait for their energy."""
        return 0 if self._open is None else self._open.waiting_room

    def check(self) -> Problem | None:
        """See `Provider`."""
        return self.inner.check()

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        """See `Provider`: a meter changes no answer."""
        return identity_of(self.inner, sha256)

    def submit(self, request: Request) -> Future[Reply]:
        """See `Provider`; the reply's energy is known, or says why it is not."""
        with self._lock:
            if self._open is None:
                self._open = self._begin()
            return self._open.submit(request)

    def so_far(self) -> Metering | None:
        """The totals since the first request, while the rung is open; None where no counter is read."""
        with self._lock:
            window = self._open
        return None if window is None else window.so_far()

    def close(self) -> None:
        """See `Provider`; the totals since the first request are then in `meterings`."""
        with self._lock:
            window, self._open = self._open, None
        if window is not None:
            window.stop()
        self.inner.close()
        if window is not None:
            metering = window.close()
            if metering is not None:
                self.meterings.append(metering)

    def _begin(self) -> Window:
        """Open the meter's counters; where it has none, or they cannot be opened, a window without."""
        terms = Terms(
            provider=self.inner,
            choice=self.choice,
            room=self._room(),
            budget_s=self._budget_s,
            workers=self._workers,
            memory=self._memory,
        )
        try:
            counters = [counter for meter in self.choice.meters.values() for counter in meter.counters()]
        except CounterError as error:
            return PlainWindow(terms, None, str(error))
        if not counters:
            return PlainWindow(terms, next(iter(self.choice.meters.values()), None), self.choice.why)
        # Some twenty files, which a session without a meter does without.
        from pytest_rightsize.meters.attribution.counted import CountedWindow

        return CountedWindow(terms, counters)
