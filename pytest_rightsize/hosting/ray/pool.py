"""The replicas of a rung while it is open: requests in, outcomes out, whatever becomes of the machines meanwhile.

A replica that dies is asked no more at once, and started again as often as `restarts` says; one that cannot be reached
is asked whether it is there, and let back if it is. The rung is down only when its last replica is out. Used from any
thread; `look` is called about once a second.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_rightsize import clocks
from pytest_rightsize.errors import RungError
from pytest_rightsize.hosting.ray import replica_notes
from pytest_rightsize.hosting.ray.calls import CallsUnderWay, broken_words, called, settle
from pytest_rightsize.hosting.ray.replica_faults import (
    clause_of,
    count_fault,
    fault_in,
    is_asked_elsewhere,
    of_this_request,
)
from pytest_rightsize.hosting.ray.replicas import (
    Asked,
    DeadError,
    Host,
    Outcome,
    Replica,
    State,
    UnreachableError,
    fault_of_all,
    fault_of_lost,
    may_ask_again,
    next_replica,
)
from pytest_rightsize.hosting.ray.running_totals import RunningTotals
from pytest_rightsize.hosting.ray.terms import Terms
from pytest_rightsize.hosting.wire import error_to_plain
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.futures import pass_cancellation

__all__ = ["Pool"]

_TOTALS_EVERY_S = 10.0
# A place that a dead replica leaves is there at once, or its node has gone with it.
_RESTART_WAITS_S = 15.0
_LOST_FOR_S = 60.0
_ENDS_WITHIN_S = 15.0


class Pool:
    """See the module's docstring."""

    def __init__(self, terms: Terms, replicas: Sequence[Replica]) -> None:
        """Take the replicas, with the restarts that they have left; `open` has them placed, and requests wait."""
        self._terms = terms
        self._replicas = replicas
        self._queue: deque[Asked] = deque()
        self._lock = threading.RLock()
        self._under_way = CallsUnderWay()
        self.is_closed = False
        self.is_over = threading.Event()  # `close` has ended all
        self.down: RungError | None = None
        self.opened: Future[None] = Future()
        self._totals = RunningTotals(terms.rung, replicas=len(replicas), is_metered=terms.is_metered)

    # --- for the provider ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Have the replicas placed; `opened` is done when the first can be asked, or none ever will be."""
        with self._lock:
            if self.is_closed:  # the replicas may be another pool's by now
                return
            placed = [each for each in self._replicas if each.restarts >= 0]
            for replica in self._replicas:
                replica.state = "placing" if replica in placed else "out"
        for replica in placed:
            self._place(replica, self._terms.place_timeout_s)
        with self._lock:
            self._check_down()
        self._go()

    @property
    def meterings(self) -> list[Metering]:
        """The totals of replicas that have ended."""
        return self._totals.meterings

    @property
    def is_loading(self) -> bool:
        """Whether no replica has answered yet: a model is loaded by its first request."""
        return self.down is None and not self._totals.has_answered

    def fail(self, fault: RungError) -> None:
        """Answer everything with a fault from now on."""
        with self._lock:
            self.down = self.down or fault
            self._check_down()
        self._go()

    @property
    def room(self) -> int:
        """How many requests all replicas take at once, with those that wait for their energy."""
        with self._lock:
            hosts = [each.host for each in self._replicas if each.state == "up" and each.host is not None]
            return sum(host.room + host.waiting_room for host in hosts)

    def ask(self, request: Mapping[str, Any]) -> "Future[Outcome]":
        """The Future of the outcome, which may be cancelled."""
        asked = Asked(request=request)
        with self._lock:
            self._queue.append(asked)
        self._go()
        return asked.future

    def look(self) -> None:
        """Give up on who waited too long for a place, ask who is lost whether it is back, and all for their totals."""
        now = clocks.monotonic()
        with self._lock:
            hosts = [(each, each.host) for each in self._replicas if each.host is not None]
        for replica, host in hosts:
            waited_s = now - host.since
            if replica.state == "placing" and not host.has_place and waited_s > host.wait_s:
                self._out(replica, host, replica_notes.no_place(self._terms.rung, host.wait_s, self._terms.shortage()))
            elif replica.state == "lost" and waited_s > _LOST_FOR_S:
                self._died(replica, host, f"could not be reached for {_LOST_FOR_S:.0f} s")
            elif replica.state in ("placing", "lost") and not host.is_probed:
                self._greet(replica, host)
            elif replica.state == "up" and self._totals.is_metered and now - host.totals_asked >= _TOTALS_EVERY_S:
                host.totals_asked = now
                called(host.handle.so_far).add_done_callback(partial(self._told, replica, host))
        self._go()

    def close(self) -> None:
        """End all replicas; their totals are then in `meterings`. What is not answered is cancelled, and is a fault."""
        closed = RungError(f"rung {self._terms.rung!r}: closed before it had answered", reason="crash")
        with self._lock:
            self.is_closed = True
            self.down = self.down or closed
            self._check_down()
            hosts = [(each, each.host, each.state) for each in self._replicas if each.host is not None]
        self._go()
        self._under_way.cancel()
        try:
            self._collect(hosts)
        finally:
            for _, host, _ in hosts:
                host.handle.kill()
            self.is_over.set()
        if (note := self._totals.idle_note) is not None:
            self._terms.on_note(note)

    def _collect(self, hosts: Sequence[tuple[Replica, Host, State]]) -> None:
        """Have all replicas rest, and take their totals."""
        rests = {called(host.handle.rest): host for _, host, state in hosts if state == "up"}
        wait(rests, _ENDS_WITHIN_S)
        for rest, host in rests.items():
            error = rest.exception() if rest.done() and not rest.cancelled() else TimeoutError()
            if error is None:
                self._totals.rested(host, rest.result(), now=clocks.monotonic())
            else:
                self._take_totals(host)
        for _, host, state in hosts:
            if state in ("lost", "placing"):
                self._take_totals(host)
        with self._lock:
            for replica, host, _ in hosts:
                if replica.host is host:
                    replica.host, replica.state = None, "out"

    # --- placing ------------------------------------------------------------------------------------------------------

    def _place(self, replica: Replica, wait_s: float) -> None:
        try:
            handle = self._terms.start(replica.number)
        except Exception as error:  # of Ray, whose errors are of many kinds
            words = f"rung {self._terms.rung!r}: no replica can be started ({error_words(error)})"
            with self._lock:
                if self.is_closed:
                    return
                replica.state, replica.restarts = "out", -1
                replica.fault = RungError(words, reason="load", permanent=True)
                self._check_down()
            return
        host = Host(handle=handle, number=replica.number, since=clocks.monotonic(), wait_s=wait_s)
        with self._lock:
            is_wanted = not self.is_closed
            if is_wanted:
                replica.host, replica.state = host, "placing"
        if not is_wanted:  # `close` has not seen it
            handle.kill()
            return
        called(handle.here).add_done_callback(host.placed)
        self._greet(replica, host)

    def _greet(self, replica: Replica, host: Host) -> None:
        host.is_probed = True
        called(host.handle.hello).add_done_callback(partial(self._greeted, replica, host))

    def _greeted(self, replica: Replica, host: Host, said: "Future[Mapping[str, Any]]") -> None:
        """A replica has said its first words, or is back; called by a thread of Ray."""
        host.is_probed = False
        if self._is_gone(replica, host) or said.cancelled():
            return
        error = said.exception()
        if isinstance(error, UnreachableError):
            self._lost(replica, host, str(error))
        elif error is not None:
            self._died(replica, host, str(error) if isinstance(error, DeadError) else broken_words(error))
        else:
            self._is_there(replica, host, said.result())
        self._go()

    def _is_there(self, replica: Replica, host: Host, hello: Mapping[str, Any]) -> None:
        with self._lock:
            refusal = self._terms.greetings.refusal(hello)
        if refusal is not None:
            self._out(replica, host, refusal.fault)
            if refusal.of_rung:
                self.fail(refusal.fault)
            return
        with self._lock:
            if self._is_gone(replica, host):
                return
            was_lost = replica.state == "lost"
            replica.state, replica.was_up = "up", True
            host.node, host.room = hello["node"], hello["room"]
            host.totals_asked = clocks.monotonic()
            host.up_since = host.up_since if was_lost else host.totals_asked
        if was_lost:
            self._terms.on_note(replica_notes.back(f"rung {self._terms.rung!r}: {host.name}"))
        if not self.opened.done():
            with suppress(Exception):  # another replica was faster
                self.opened.set_result(None)

    # --- sending ------------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        """Send what may be sent, and settle what cannot be answered; called without the lock."""
        while True:
            with self._lock:
                found = self._next()
                if found is None:
                    return
                asked, replica = found
                host = None if replica is None else replica.host
                if host is not None:
                    host.begin(clocks.monotonic())
            if replica is not None and host is not None:
                self._send(replica, host, asked)
            elif self.down is not None:
                settle(asked, {"error": error_to_plain(self.down)})

    def _next(self) -> tuple[Asked, Replica | None] | None:
        """With the lock held: take what can go now; a request that waits for another replica holds up no other one."""
        for place, asked in enumerate(self._queue):
            if self.down is not None or asked.future.cancelled():
                replica = None
            elif (replica := next_replica(self._replicas, asked)) is None:
                if asked.lost_by is None:
                    return None  # nobody has room
                continue
            del self._queue[place]
            return asked, replica
        return None

    def _send(self, replica: Replica, host: Host, asked: Asked) -> None:
        inner: Future[Outcome] = called(host.handle.ask, asked.request)
        pass_cancellation(asked.future, inner)
        inner.add_done_callback(partial(self._landed, replica, host, asked))
        self._under_way.add(inner)

    def _landed(self, replica: Replica, host: Host, asked: Asked, ended: "Future[Outcome]") -> None:
        with self._lock:
            host.end(clocks.monotonic())
        error = None if ended.cancelled() else ended.exception()
        if ended.cancelled():  # by `close`, or by whoever asked, who hears nothing of it
            if self.down is not None:
                settle(asked, {"error": error_to_plain(self.down)})
        elif isinstance(error, DeadError | UnreachableError):
            (self._lost if isinstance(error, UnreachableError) else self._died)(replica, host, str(error))
            self._ask_again(host, asked, str(error))
        elif error is not None:
            words = f"rung {self._terms.rung!r}: {host.name} could not be asked ({error_words(error)})"
            self._answered(replica, host, asked, {"error": error_to_plain(RungError(words, reason="crash"))})
        else:
            for note in ended.result().get("notes", ()):
                self._terms.on_note(note)
            with self._lock:
                outcome = self._totals.counted(host, asked, ended.result())
            self._answered(replica, host, asked, outcome)
        self._go()

    def _answered(self, replica: Replica, host: Host, asked: Asked, outcome: Outcome) -> None:
        """Hand the outcome out; a replica whose faults say that it can answer no more is ended, as if it had died."""
        fault = fault_in(outcome)
        with self._lock:
            is_to_end = count_fault(host, fault)
            others = any(each.state != "out" and each.host is not host for each in self._replicas)
        if fault is None:
            settle(asked, outcome)
            return
        if is_to_end:
            self._died(replica, host, f"can answer no more ({clause_of(fault)})", reason=fault.reason)
        asked.tries, asked.lost_by = asked.tries + 1, host
        if self.down is None and may_ask_again(asked) and is_asked_elsewhere(fault) and (others or is_to_end):
            with self._lock:
                self._queue.appendleft(asked)
        elif self.down is not None and is_to_end:
            settle(asked, {"error": error_to_plain(self.down)})
        else:
            settle(asked, of_this_request(fault))

    def _ask_again(self, host: Host, asked: Asked, how: str) -> None:
        asked.tries, asked.lost_by = asked.tries + 1, host
        if may_ask_again(asked) or self.down is not None:
            with self._lock:
                self._queue.appendleft(asked)
            return
        fault = fault_of_lost(self._terms.rung, host.name, how)
        settle(asked, {"error": error_to_plain(fault)})

    # --- deaths -------------------------------------------------------------------------------------------------------

    def _is_gone(self, replica: Replica, host: Host) -> bool:
        """Whether this life of the replica is over, or its rung."""
        return replica.host is not host or self.is_closed

    def _lost(self, replica: Replica, host: Host, how: str) -> None:
        """It is asked nothing until it says that it is there."""
        with self._lock:
            if self._is_gone(replica, host) or replica.state != "up":
                return
            replica.state, host.since = "lost", clocks.monotonic()
            others = any(each.state != "out" for each in self._replicas if each is not replica)
        words = f"rung {self._terms.rung!r}: {host.name} {how}"
        self._terms.on_note(replica_notes.lost(words, others=others))

    def _died(self, replica: Replica, host: Host, how: str, *, reason: str | None = None) -> None:
        """It is out at once, and started again where it has a restart left. `reason` is that of a fault it told."""
        with self._lock:
            if self._is_gone(replica, host):
                return
            self._take_totals(host, "died" if reason is None else "was ended after a fault")
            replica.host, replica.state = None, "out"
            words = f"rung {self._terms.rung!r}: {host.name} {how}"
            reason = reason or ("crash" if replica.was_up else "load")
            replica.fault = RungError(words, reason=reason, permanent=True)
            replica.restarts -= 1
            starts_again = replica.restarts >= 0 and self.down is None
            if starts_again:
                replica.state = "placing"
        host.handle.kill()
        if starts_again:
            self._terms.on_note(replica_notes.replaced(words))
            self._place(replica, min(_RESTART_WAITS_S, self._terms.place_timeout_s))
        else:
            self._terms.on_note(replica_notes.out(words))
        with self._lock:
            self._check_down()

    def _out(self, replica: Replica, host: Host, fault: RungError) -> None:
        """It has no place, or may not answer: it is not tried again."""
        with self._lock:
            if self._is_gone(replica, host):
                return
            replica.host, replica.state, replica.restarts, replica.fault = None, "out", -1, fault
            self._check_down()
            others = self.down is None
        host.handle.kill()
        if others:
            self._terms.on_note(f"{fault}. The rung goes on with its other replicas")

    def _check_down(self) -> None:
        """With the lock held: the rung is down when nobody is left."""
        self.down = self.down or fault_of_all(self._terms.rung, self._replicas)
        if self.down is not None and not self.opened.done():
            self.opened.set_result(None)

    def _take_totals(self, host: Host, ended: str = "died") -> None:
        """What is known of the joules of a replica that says nothing any more."""
        if host.up_since is not None or host.has_place:
            self._totals.gone(host, ended=ended, now=clocks.monotonic())

    def _told(self, replica: Replica, host: Host, ended: "Future[Sequence[Mapping[str, Any]]]") -> None:
        """A replica has told its totals, or is no more."""
        error = None if ended.cancelled() else ended.exception()
        if isinstance(error, UnreachableError):
            self._lost(replica, host, str(error))
        elif isinstance(error, DeadError):
            self._died(replica, host, str(error))
        elif error is None and not ended.cancelled():
            self._totals.told(host, ended.result(), at=clocks.now().strftime("%H:%M:%S"))
        self._go()
