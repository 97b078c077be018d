"""A provider whose model answers in a host: requests go there and replies come back, with their energy.

Whatever needs no model (`check`, `identity`, what it says of itself) is asked of the provider itself, here: so answers
are recorded under the same keys wherever the model runs.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

from pytest_rightsize.errors import RightsizeError, RungError
from pytest_rightsize.hosting.desks import Desk
from pytest_rightsize.hosting.frames import FrameError
from pytest_rightsize.hosting.wire import error_from_plain, outcome_from_plain, request_to_plain
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.providers import Problem, Provider, identity_of
from pytest_rightsize.providers.futures import pass_cancellation
from pytest_rightsize.providers.placement import Room, room_of
from pytest_rightsize.records import Identity, Reply, Request, Rung

__all__ = ["Hosted"]


class Hosted:
    """`inner`, as far as it needs no model, and the rung's host for its answers."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    site = "cluster"

    def __init__(self, inner: Provider, rung: Rung, desk: Desk, meter_name: Callable[[], str]) -> None:
        """Keep them; `meter_name` tells what the user reads of the meter, empty where there is none."""
        self.inner = inner
        self._rung = rung
        self._desk = desk
        self._meter_name = meter_name
        self._told_bytes: int | None = None
        self.waiting_room = 0
        # Where the fingerprint is known only where the model runs: what the host has told.
        self._told: list[Identity | None] = []

    def __getattr__(self, name: str) -> Any:
        """Members that the provider has beyond the Protocol."""
        return getattr(self.inner, name)

    @property
    def leaves_machine(self) -> bool:
        """See `Provider`: its host is on this machine."""
        return self.inner.leaves_machine

    @property
    def takes_room_of(self) -> Room | None:
        """See `Provider`."""
        return room_of(self.inner)

    @property
    def meter_name(self) -> str:
        """The meter that the host reads."""
        return self._meter_name()

    @property
    def meterings(self) -> list[Metering]:
        """The totals of the rung's host, in the process that owns it."""
        return self._desk.meterings(self._rung.name)

    @property
    def is_loading(self) -> bool:
        """Whether it was asked, and has not answered yet."""
        return self._desk.is_loading(self._rung.name)

    @property
    def size_bytes(self) -> int | None:
        """How large the model is: what its host says, and while that loads it what lies on this machine."""
        return self._told_bytes or self._weight_bytes

    @cached_property
    def _weight_bytes(self) -> int | None:
        weigh = getattr(self.inner, "weight_bytes", None)
        with contextlib.suppress(OSError):
            return None if weigh is None else cast(int | None, weigh())
        return None

    def check(self) -> Problem | None:
        """See `Provider`."""
        return self.inner.check()

    @property
    def opens_to_identify(self) -> bool:
        """Whether the host must be asked for the fingerprint, which loads the model."""
        return self._is_identified_there and not self._told

    @property
    def _is_identified_there(self) -> bool:
        return bool(getattr(self.inner, "identifies_itself_where_it_runs", False))

    def place_lines(self) -> Iterator[str]:
        """Nothing: its host finds out whether there is a place."""
        yield from ()

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        """See `Provider`; raises RungError."""
        if not self._is_identified_there:
            return identity_of(self.inner, sha256)
        if not self._told:
            outcome = self._desk.ask(self._rung.name, {"identify": True}).result()
            if "error" in outcome:
                raise error_from_plain(outcome["error"])
            plain = outcome["identity"]
            self._told.append(None if plain is None else Identity(**plain))
        return self._told[0]

    def submit(self, request: Request) -> Future[Reply]:
        """See `Provider`."""
        outer: Future[Reply] = Future()
        try:
            inner = self._desk.ask(self._rung.name, request_to_plain(request))
        except FrameError as error:
            words = f"rung {self._rung.name!r}: the request cannot be sent to its host: {error}"
            outer.set_exception(RungError(words, reason="request", alone=True))
            return outer
        pass_cancellation(outer, inner)
        inner.add_done_callback(lambda ended: self._settle(outer, ended))
        return outer

    def close(self) -> None:
        """See `Provider`: its host frees the model when another is to be loaded, or the session ends."""
        self._desk.leave(self._rung.name)

    def _settle(self, outer: Future[Reply], inner: "Future[Mapping[str, Any]]") -> None:
        if inner.cancelled() or not outer.set_running_or_notify_cancel():
            return
        reply = self._read(inner.result())
        if isinstance(reply, Reply):
            outer.set_result(reply)
        else:
            outer.set_exception(reply)

    def _read(self, outcome: Mapping[str, Any]) -> Reply | RightsizeError:
        """What the host says of a request, and beside it of itself."""
        if isinstance(outcome, Mapping):
            self._told_bytes = outcome.get("size_bytes", self._told_bytes)
            self.waiting_room = outcome.get("waiting_room", self.waiting_room)
        return outcome_from_plain(outcome, rung=self._rung.name)
