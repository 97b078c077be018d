"""What a metered rung is between its first request and its closing, and how replies are handed on.

Without counters a window does not wait: each answer tells its energy by itself, or nobody knows it.
"""

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from pytest_rightsize.energy import unknown_energy
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Meter
from pytest_rightsize.meters.attribution.idling import IdleMemory
from pytest_rightsize.meters.choice import Choice, site_of
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Reply, Request

__all__ = ["PlainWindow", "Terms", "Window", "fail", "hand_on", "pass_cancellation", "resolve"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a window is opened for: the provider, its meter, how many requests it is given at once.

    `budget_s` is how long one request may be repeated until it can be resolved, `workers` how many processes of this
    session share the machine. `memory` is what its rungs have found of idle power.
    """

    provider: Provider
    choice: Choice
    room: int
    budget_s: float = 0.0
    workers: int = 1
    memory: IdleMemory = field(default_factory=IdleMemory)


class Window:
    """What a metered rung is while it is open."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    def submit(self, request: Request) -> Future[Reply]:
        """Ask, and see to the energy."""
        raise NotImplementedError

    def stop(self) -> None:
        """The provider is about to be closed: ask it nothing more."""

    def close(self) -> Metering | None:
        """The provider has been closed."""
        return None


class PlainWindow(Window):
    """Without counters: each answer tells by itself, or nobody knows."""

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
        inner.add_done_callback(lambda ended: hand_on(ended, outer, self._with_energy))
        return outer

    def _with_energy(self, reply: Reply) -> Reply:
        if reply.replayed or reply.energy is not None:
            return reply
        return replace(reply, energy=self._unknown if self._meter is None else self._meter.of_answer(reply))


def pass_cancellation(outer: Future[Reply], inner: Future[Reply]) -> None:
    """Cancel `inner` when `outer` is. They do not hold each other: `inner` is its provider's while it is under way."""
    reference = weakref.ref(inner)

    def cancel(ended: Future[Reply]) -> None:
        running = reference() if ended.cancelled() else None
        if running is not None:
            running.cancel()

    outer.add_done_callback(cancel)


def hand_on(inner: Future[Reply], outer: Future[Reply], change: Callable[[Reply], Reply]) -> None:
    """Give who waits for `outer` what became of `inner`, its reply with a `change`."""
    if inner.cancelled():
        outer.cancel()
    elif (error := inner.exception()) is not None:
        fail(outer, error)
    else:
        resolve(outer, change(inner.result()))


def resolve(outer: Future[Reply], reply: Reply) -> None:
    """Give the reply to who waits, unless he has cancelled."""
    if outer.set_running_or_notify_cancel():
        outer.set_result(reply)


def fail(outer: Future[Reply], error: BaseException) -> None:
    """Give the error to who waits, unless he has cancelled."""
    if outer.set_running_or_notify_cancel():
        outer.set_exception(error)
