"""A metered rung while it is open, from its first request to its closing: the interface, and the kind without counters.

Without counters no reply waits for its energy: the meter tells it from the reply alone, or nobody knows it.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pytest_rightsize.energy import unknown_energy
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Choice, Meter, site_of
from pytest_rightsize.meters.attribution.idling import IdleMemory
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.futures import pass_cancellation, pass_outcome
from pytest_rightsize.records import Reply, Request

__all__ = ["PlainWindow", "Terms", "Window"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a window is opened for: the provider, its meter, how many requests it is given at once.

    `budget_s` is how long one request may be repeated until it can be resolved, `workers` how many processes of this
    session share the machine. `memory` holds the idle powers that the session's rungs have found.
    """

    provider: Provider
    choice: Choice
    room: int
    budget_s: float = 0.0
    workers: int = 1
    memory: IdleMemory = field(default_factory=IdleMemory)


class Window:
    """A metered rung while it is open; `waiting_room` answers may wait for their energy beyond those in flight."""

    waiting_room: ClassVar[int] = 0

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    def submit(self, request: Request) -> Future[Reply]:
        """Send a request; the reply comes with its energy."""
        raise NotImplementedError

    def so_far(self) -> Metering | None:
        """The totals up to now, where counters are read; what is learned at the end alone is left out."""
        return None

    def stop(self) -> None:
        """Send nothing more: the provider is about to be closed."""

    def close(self) -> Metering | None:
        """End the window, after the provider was closed; the totals, where counters were read."""
        return None


class PlainWindow(Window):
    """A rung without counters: its meter tells the energy of each answer; without a meter, `why` says why not."""

    def __init__(self, terms: Terms, meter: Meter | None, why: str) -> None:
        super().__init__(terms)
        self._meter = meter
        self._unknown = unknown_energy(why or "no meter tells")

    def submit(self, request: Request) -> Future[Reply]:
        """See `Window`."""
        outer: Future[Reply] = Future()
        if site_of(self.terms.provider) == "process":
            self.terms.memory.has_loaded = True
        inner = self.terms.provider.submit(request)
        pass_cancellation(outer, inner)
        inner.add_done_callback(lambda ended: pass_outcome(ended, outer, self._with_energy))
        return outer

    def _with_energy(self, reply: Reply) -> Reply:
        if reply.replayed or reply.energy is not None:
            return reply
        return replace(reply, energy=self._unknown if self._meter is None else self._meter.of_answer(reply))
