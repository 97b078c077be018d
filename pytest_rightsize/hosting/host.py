"""A rung where its model runs: requests in, replies with their energy out, and the totals when it rests.

The provider is made here, within its meter's window, so that the meter reads the counters of the process that computes.
It is asked by as many as like, and gives the provider no more requests at once than the rung allows.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from pytest_rightsize.errors import RightsizeError, RungError
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Meter, site_of
from pytest_rightsize.meters.attribution.metered import Metered
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.providers import Problem, Provider, identity_of
from pytest_rightsize.providers.broken_providers import checked, fault_of, made, submitted
from pytest_rightsize.providers.futures import pass_cancellation
from pytest_rightsize.records import Identity, Reply, Request, Rung

__all__ = ["Host"]


class Host:
    """One rung's provider. Asked from any thread."""

    def __init__(
        self,
        rung: Rung,
        kind: type[Provider],
        meters: Mapping[str, type[Meter]],
        *,
        room: int,
        budget_s: float = 0.0,
        workers: int = 1,
        on_note: Callable[[str], object] | None = None,
        on_stall: Callable[[str], object] | None = None,
    ) -> None:
        """Make the provider; `room` is how many requests it is given at once. For the others see `Metered`.

        A provider that has its models hosted elsewhere is given the meters for them.
        """
        self._rung = rung
        provider = made(kind, rung)
        for name, tell in (("on_note", on_note), ("on_stall", on_stall)):
            if hasattr(provider, name) and tell is not None:
                setattr(provider, name, tell)
        if hasattr(provider, "equip"):
            provider.equip(meters, budget_s=budget_s)
        site = site_of(provider)
        self._provider: Provider = provider
        if site not in (None, "cluster") and rung.meter != "none":
            choice = partial(choose, rung, site, meters)
            self._provider = Metered(provider, choice, room=lambda: room, budget_s=budget_s, workers=workers)
        self._room = room
        self._lock = threading.Lock()
        self._queue: deque[tuple[Request, Future[Reply]]] = deque()
        self._in_flight = 0
        self._is_sending = False
        self._told = 0

    @property
    def waiting_room(self) -> int:
        """How many more requests it takes at once than the provider does: answers that wait for their energy."""
        return 0 if self._room == 1 else getattr(self._provider, "waiting_room", 0)

    @property
    def size_bytes(self) -> int | None:
        """How large the model is, once that is known."""
        size: int | None = getattr(self._provider, "size_bytes", None)
        return size

    @property
    def meter_name(self) -> str:
        """The meters that work here, as in `nvml+rapl`; empty where there is none."""
        choice = getattr(self._provider, "choice", None)
        return "" if choice is None else "+".join(choice.meters)

    def problem(self) -> Problem | None:
        """What is missing here for the provider to answer."""
        return checked(self._provider, self._rung.name)

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        """The fingerprint of the model here; see `Provider`."""
        return identity_of(self._provider, sha256)

    def so_far(self) -> list[Metering]:
        """The totals since the model was opened, while it is open; none where nothing is counted."""
        metering = getattr(self._provider, "so_far", lambda: None)()
        return [] if metering is None else [metering]

    def ask(self, request: Request) -> Future[Reply]:
        """The Future of the reply, which ends in an error of this package or none; it may be cancelled."""
        outer: Future[Reply] = Future()
        with self._lock:
            self._queue.append((request, outer))
        self._send()
        return outer

    def rest(self) -> list[Metering]:
        """Free the model; a later request loads it again. The totals since the last rest.

        What has not been answered ends in a RungError.
        """
        with self._lock:
            waiting, self._queue = self._queue, deque()
        for _, outer in waiting:
            if outer.set_running_or_notify_cancel():
                words = f"rung {self._rung.name!r}: closed before it had answered"
                outer.set_exception(RungError(words, reason="crash"))
        self._provider.close()
        seen = [*getattr(self._provider, "meterings", ())]
        new, self._told = seen[self._told :], len(seen)
        return new

    def _send(self) -> None:
        """Give the provider what it may have; only one thread does so at a time, and it goes on until all is sent."""
        while True:
            with self._lock:
                if self._is_sending or not self._queue or self._in_flight >= self._room + self.waiting_room:
                    return
                self._is_sending = True
                self._in_flight += 1
                request, outer = self._queue.popleft()
            self._start(request, outer)
            with self._lock:
                self._is_sending = False

    def _start(self, request: Request, outer: Future[Reply]) -> None:
        if outer.cancelled():
            with self._lock:
                self._in_flight -= 1
            return
        try:
            inner = submitted(self._provider, self._rung.name, request)
        except RightsizeError as error:
            inner = Future()
            inner.set_exception(error)
        pass_cancellation(outer, inner)
        inner.add_done_callback(partial(self._ended, outer))

    def _ended(self, outer: Future[Reply], inner: Future[Reply]) -> None:
        with self._lock:
            self._in_flight -= 1
        if not inner.cancelled() and outer.set_running_or_notify_cancel():
            error = inner.exception()
            if error is None:
                outer.set_result(inner.result())
            elif isinstance(error, RightsizeError):
                outer.set_exception(error)
            else:
                outer.set_exception(fault_of(_as_exception(error), self._rung.name))
        self._send()


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
