"""A rung's provider within a meter's window: requests go through, and each reply comes back with its energy.

The provider always has as many requests as it had without a meter; what it answers waits here for its share.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.attribution.counted import CountedWindow
from pytest_rightsize.meters.attribution.idling import IdleMemory
from pytest_rightsize.meters.attribution.windows import PlainWindow, Terms, Window
from pytest_rightsize.meters.choice import Choice
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.records import Identity, Reply, Request

__all__ = ["Metered"]

# Answers that wait for a tick, beyond the requests that are in flight.
_WAITING_ROOM = 256


class Metered:
    """A provider that is `inner` with energies. `room` says how many requests it is given at once."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        inner: Provider,
        choose: Callable[[], Choice],
        *,
        room: Callable[[], int],
        budget_s: float = 0.0,
        workers: int = 1,
        memory: IdleMemory | None = None,
    ) -> None:
        """Keep them; the meter is chosen when it is asked for, and its counters are opened with the first request.

        `budget_s` is how long one request may be repeated until it can be resolved, `workers` how many processes of
        this session share the machine; `memory` is what its rungs have found of idle power.
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
        """What a provider may have beyond the Protocol."""
        return getattr(self.inner, name)

    @property
    def waiting_room(self) -> int:
        """How many more requests may be submitted than are in flight: answers that wait for their energy."""
        return _WAITING_ROOM if isinstance(self._open, CountedWindow) else 0

    def check(self) -> Problem | None:
        """See `Provider`."""
        return self.inner.check()

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        """See `Provider`: a meter changes no answer."""
        # A third party's provider may be older than the recording of answers.
        told = getattr(self.inner, "identity", None)
        return None if told is None else told(sha256)

    def submit(self, request: Request) -> Future[Reply]:
        """See `Provider`; the reply's energy is known, or says why it is not."""
        with self._lock:
            if self._open is None:
                self._open = self._begin()
            return self._open.submit(request)

    def close(self) -> None:
        """See `Provider`; what was metered since the first request is in `meterings`."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            opened.stop()
        self.inner.close()
        if opened is not None:
            metering = opened.close()
            if metering is not None:
                self.meterings.append(metering)

    def _begin(self) -> Window:
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
        return CountedWindow(terms, counters)
