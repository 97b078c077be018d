"""The replicas of one rung as its driver sees them: who is asked next, and what becomes of a request that was lost.

At most once in Ray: what a replica lost is asked again here, once, of another one. A replica that may be dead is asked
nothing: it has no requests in flight, and so would always look like the one with least to do. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import RungError
from pytest_rightsize.meter_records import Metering

__all__ = [
    "Asked",
    "DeadError",
    "Handle",
    "Host",
    "Replica",
    "State",
    "UnreachableError",
    "fault_of_all",
    "fault_of_lost",
    "may_ask_again",
    "next_replica",
]

Outcome = Mapping[str, Any]
"""What a request came to: `{"reply": ..}` or `{"error": ..}`, as `wire.py` writes them."""
State = Literal["placing", "up", "lost", "out"]
"""`placing`: it waits for a place or loads; `lost`: it cannot be reached, and may be back; `out`: for the session."""
# A request is asked so often again that its replica lost.
_ASKED_AGAIN = 1


class DeadError(Exception):
    """The replica has died; the text is a clause that says how."""


class UnreachableError(Exception):
    """The replica cannot be reached now; the text is a clause."""


class Handle(Protocol):
    """One actor: each call returns at once, and its Future ends in a value, DeadError or UnreachableError."""

    def here(self) -> "Future[str]":
        """The name of its node, as soon as it has a place; what it does there next may take as long as it likes."""

    def hello(self) -> "Future[Mapping[str, Any]]":
        """What the replica says of itself, once it can be asked; see `actor.py`."""

    def ask(self, request: Mapping[str, Any]) -> "Future[Outcome]":
        """The outcome of a request; a cancelled Future cancels it."""

    def so_far(self) -> "Future[Sequence[Mapping[str, Any]]]":
        """The totals of its meter up to now."""

    def rest(self) -> "Future[Sequence[Mapping[str, Any]]]":
        """Free the model; the totals since it was loaded."""

    def kill(self) -> None:
        """End it, whatever it does."""


@dataclass(eq=False, kw_only=True)
class Host:
    """One life of a replica: its actor, what it was given, and what it told of its joules.

    It computes `room` requests at once, and takes `waiting_room` more: answers may wait there for their energy.
    """

    handle: Handle
    number: int = 0
    since: float
    wait_s: float
    node: str = "a node"
    room: int = 0
    waiting_room: int = 0
    in_flight: int = 0
    answers: int = 0
    answered: Energy | None = None
    totals: Sequence[Metering] = ()
    totals_at: str | None = None
    totals_asked: float = 0.0
    faults_in_a_row: int = 0
    up_since: float | None = None
    busy_since: float | None = None
    busy_s: float = 0.0
    is_probed: bool = False
    has_place: bool = False
    was_asked: bool = False

    @property
    def name(self) -> str:
        """`replica 2 on node8`."""
        return f"replica {self.number} on {self.node}"

    def placed(self, said: "Future[str]") -> None:
        """Note its node. It loads now, or reads its model's file for the fingerprint: no time is too long for that."""
        if not said.cancelled() and said.exception() is None:
            self.node, self.has_place = said.result(), True

    def begin(self, now: float) -> None:
        """Note that it is given a request."""
        self.was_asked = True
        self.busy_since = now if self.in_flight == 0 else self.busy_since
        self.in_flight += 1

    def end(self, now: float) -> None:
        """Note that a request of it has ended."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self.busy_s, self.busy_since = self.busy_until(now), None

    def busy_until(self, now: float) -> float:
        """For how many seconds it had something to do."""
        return self.busy_s + (0.0 if self.busy_since is None else now - self.busy_since)


@dataclass(eq=False, kw_only=True)
class Replica:
    """One replica over its lives."""

    number: int
    restarts: int
    state: State = "out"
    host: Host | None = None
    was_up: bool = False
    fault: RungError | None = None

    @property
    def load(self) -> tuple[float, int]:
        """How busy it is, as a share of its room: replicas of different nodes may have different rooms."""
        return (0.0, self.number) if self.host is None else (self.host.in_flight / max(1, self.host.room), self.number)

    def has_room(self, *, waiting: bool) -> bool:
        """Whether it may be given a request now; with `waiting` one that it may not compute at once."""
        if self.state != "up" or self.host is None:
            return False
        return self.host.in_flight < self.host.room + (self.host.waiting_room if waiting else 0)


@dataclass(eq=False, kw_only=True)
class Asked:
    """One request, from the first time it is asked to its outcome; `lost_by` is whoever lost it."""

    request: Mapping[str, Any]
    future: "Future[Outcome]" = field(default_factory=Future)
    tries: int = 0
    lost_by: Host | None = None


def next_replica(replicas: Sequence[Replica], asked: Asked) -> Replica | None:
    """The replica with least to do that may be given the request; None where it has to wait.

    Whoever has lost it gets it again only where no other is left that could take it, now or later. It does not wait at
    a replica while another is on its way, which would compute it.
    """
    others = [
        each for each in replicas if each.state != "out" and (each.host is None or each.host is not asked.lost_by)
    ]
    candidates = others or [each for each in replicas if each.state != "out"]
    ready = [each for each in candidates if each.has_room(waiting=False)]
    if not ready and not any(each.state == "placing" for each in candidates):
        ready = [each for each in candidates if each.has_room(waiting=True)]
    return min(ready, key=lambda each: each.load, default=None)


def may_ask_again(asked: Asked) -> bool:
    """Whether a request that was lost now is asked once more."""
    return asked.tries <= _ASKED_AGAIN


def fault_of_lost(rung: str, who: str, how: str) -> RungError:
    """The fault of a request that two replicas lost: it says nothing of others, as those replicas are asked no more."""
    return RungError(
        f"rung {rung!r}: {who} {how} while it was asked, and so did the one that was asked before",
        reason="crash",
        alone=True,
    )


def fault_of_all(rung: str, replicas: Sequence[Replica]) -> RungError | None:
    """The fault of a rung whose replicas are all out; None while one may still answer.

    Where none was ever up it is that of the last one: there was no place, no file, no package.
    """
    if any(each.state != "out" for each in replicas):
        return None
    faults = [each.fault for each in replicas if each.fault is not None]
    if faults and not any(each.was_up for each in replicas):
        return faults[-1]
    count = len(replicas)
    words = f"all of its {count} replicas have died or failed" if count > 1 else "its replica has died or failed"
    reasons = {fault.reason for fault in faults}
    # That a place is gone with its machine is no trouble of loading.
    reason = faults[-1].reason if len(reasons) == 1 and reasons != {"load"} else "crash"
    return RungError(f"rung {rung!r}: {words} ({_last_words(faults)})", reason=reason, permanent=True)


def _last_words(faults: Sequence[RungError]) -> str:
    return str(faults[-1]).partition(": ")[2] if faults else "nothing is known of why"


Start = Callable[[int], Handle]
"""Starts the actor of the replica of that number; returns before it has a place."""
