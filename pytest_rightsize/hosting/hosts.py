"""The hosts of one session, as their owner keeps them: who asks which rung, whose turn it is, and what has crashed.

In come requests of this process and of others; out go replies. A host is started when its rung is first asked. Of
rungs that take each other's place in memory one is open at a time, for all who ask: the first in the ladder's order
that somebody waits for, once no request to the open one is left, and none who uses it asks again soon.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.hosting.frames import FrameError, Message
from pytest_rightsize.hosting.process import HostProcess, Served
from pytest_rightsize.hosting.totals import NO_METER, together, total_of_answers
from pytest_rightsize.hosting.wire import fault_to_plain
from pytest_rightsize.meter_records import Metering

__all__ = ["Hosts"]

Outcome = Mapping[str, Any]
"""What a request came to: `{"reply": ..}` or `{"error": ..}`, as `wire.py` writes them."""
# Who has answered its test's question asks the next one soon: then the model need not be loaded again for it.
_GRACE_S = 1.0
# So many crashes in a row without an answer between them, and it is the model that crashes and no one request.
_CRASHES_UNTIL_DOWN = 3


class Process(Protocol):
    """A host that runs: see `HostProcess`."""

    @property
    def pid(self) -> int:
        """The number of the process."""

    def send(self, message: Message) -> None:
        """Have the message written; raises FrameError if it cannot be one."""

    def wait(self) -> None:
        """Wait until it has ended, and all that it said was heard."""


@dataclass(eq=False, kw_only=True)
class _Asked:
    """One request, from the first time it is asked to its outcome."""

    request: Mapping[str, Any]
    future: "Future[Outcome]" = field(default_factory=Future)
    tries: int = 0


@dataclass(eq=False, kw_only=True)
class _Place:
    """One rung: its host, what waits and what was sent, and who may ask again soon."""

    served: Served
    stays: bool = False
    process: "Process | None" = None
    is_open: bool = False
    is_resting: bool = False
    queue: "deque[_Asked]" = field(default_factory=deque)
    sent: dict[int, _Asked] = field(default_factory=dict)
    users: set[Hashable] = field(default_factory=set)
    is_left: bool = False
    idle_since: float = 0.0
    crashes_in_a_row: int = 0
    answers: int = 0
    answered: Energy | None = None
    down: Outcome | None = None
    meterings: list[Metering] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.served.rung.name


class Hosts:
    """The hosts of the session that this process owns. Used from any thread."""

    def __init__(
        self,
        *,
        on_note: Callable[[str], object],
        on_stall: Callable[[str], object],
        grace_s: float = _GRACE_S,
        start: "Callable[..., Process]" = HostProcess,
    ) -> None:
        """Start nothing yet. `on_note` and `on_stall` show the user a sentence, later or at once.

        `grace_s` is how long an open rung without a request is kept for those who use it, while others wait. `start`
        starts a host, as `HostProcess` does.
        """
        self._start = start
        self._on_note = on_note
        self._on_stall = on_stall
        self._grace_s = grace_s
        self._places: dict[str, _Place] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def add(self, served: Served) -> None:
        """Let a rung be asked; rungs are added in the ladder's order, and one beside it when it is first needed."""
        with self._lock:
            self._places[served.rung.name] = _Place(served=served)

    def stay(self, rungs: Iterable[str]) -> None:
        """Close none of these rungs for another; those that have no host are left out."""
        for name in self._places.keys() & {*rungs}:
            self._places[name].stays = True

    def __contains__(self, rung: object) -> bool:
        """Whether the rung is answered by a host."""
        return rung in self._places

    def pids(self) -> Mapping[str, int]:
        """The number of each rung's process, of those that run."""
        with self._lock:
            return {name: place.process.pid for name, place in self._places.items() if place.process is not None}

    def meterings(self, rung: str) -> list[Metering]:
        """The rung's totals: one metering, unless its amounts cannot be added."""
        with self._lock:
            return together(self._places[rung].meterings)

    def is_loading(self, rung: str) -> bool:
        """Whether the rung was asked and has not answered since it was opened."""
        place = self._places[rung]
        return bool(place.sent) and not place.answers

    def ask(self, user: Hashable, rung: str, request: Mapping[str, Any]) -> "Future[Outcome]":
        """The Future of the outcome, which may be cancelled. `user` is whoever asks, until it leaves the rung."""
        place, asked = self._places[rung], _Asked(request=request)
        with self._lock:
            refused = self._closed_outcome(place) if self._is_closed else place.down
            if refused is None:
                place.users.add(user)
                place.is_left = False
                place.queue.append(asked)
                asked.future.add_done_callback(partial(self._is_wanted_no_more, place, asked))
                settled = self._move()
        if refused is not None:
            settled = [(asked, refused)]
        _settle(settled)
        return asked.future

    def leave(self, user: Hashable, rung: str | None = None) -> None:
        """Whoever asked needs the rung no more for now; what it asked is answered all the same.

        A model that nobody needs is freed. Without a rung whoever asked has gone: others may come in its place.
        """
        with self._lock:
            for place in self._places.values() if rung is None else [self._places[rung]]:
                place.users.discard(user)
                place.is_left = rung is not None and not place.users
            settled = self._move()
        _settle(settled)

    def close(self) -> None:
        """End all hosts; the totals are then in `meterings`. What has not been answered ends in a fault."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
            processes = [place.process for place in self._places.values() if place.process is not None]
            settled: list[tuple[_Asked, Outcome]] = []
            for place in self._places.values():
                settled += [(asked, self._closed_outcome(place)) for asked in (*place.queue, *place.sent.values())]
                place.queue.clear()
                place.sent.clear()
        _settle(settled)
        for process in processes:
            process.send({"end": True})
        for process in processes:
            process.wait()

    # --- whose turn it is; with the lock held, and nothing here waits -------------------------------------------------

    def _move(self) -> list[tuple[_Asked, Outcome]]:
        """Send what may be sent, and begin to close what must be closed for it; returns what cannot be answered."""
        settled: list[tuple[_Asked, Outcome]] = []
        if self._is_closed:
            return settled
        climbed: list[_Place] = []
        for place in self._places.values():
            if place.stays:
                settled += self._send_all(place)
            else:
                climbed.append(place)
        current = next((place for place in climbed if place.is_open or place.is_resting), None)
        if current is not None and current.is_resting:
            return settled
        if current is not None:
            settled += self._send_all(current)
        for wanted in climbed:
            if current is None and wanted.queue:
                settled += self._send_all(wanted)
                current = wanted if wanted.is_open else None
        waiting = next((place for place in climbed if place.queue), None)
        if current is not None and waiting is not None:
            self._run(waiting)  # it starts, and loads its model when the memory is free
            settled += self._all_of(waiting) if waiting.down is not None else []
        if current is None or current.sent:
            return settled
        if current.is_left or (waiting is not None and self._may_go(current)):
            current.is_resting = True
            self._tell(current, {"rest": True})
        return settled

    def _may_go(self, current: _Place) -> bool:
        """Whether nobody who uses the open rung asks it again soon; if somebody may, it is looked at again later."""
        left_s = self._grace_s - (clocks.monotonic() - current.idle_since)
        if not current.users or left_s <= 0:
            return True
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(left_s, self._look_again)
            self._timer.daemon = True
            self._timer.start()
        return False

    def _look_again(self) -> None:
        with self._lock:
            self._timer = None
            settled = self._move()
        _settle(settled)

    def _send_all(self, place: _Place) -> list[tuple[_Asked, Outcome]]:
        """Give the rung's host all that waits for it; started, if it does not run."""
        settled: list[tuple[_Asked, Outcome]] = []
        while place.queue and not _must_wait(place):
            asked = place.queue.popleft()
            if asked.future.done():
                continue
            self._run(place)
            if place.down is not None:
                settled.append((asked, place.down))
                continue
            number = next(self._numbers)
            try:
                self._tell(place, {"ask": number, "request": asked.request})
            except FrameError as error:
                settled.append((asked, _fault(f"rung {place.name!r}: the request cannot be sent: {error}", "request")))
                continue
            place.sent[number] = asked
            if not place.is_open:
                place.is_open, place.answers, place.answered = True, 0, None
        return settled

    def _run(self, place: _Place) -> None:
        """Have the rung's process running; where none can be started, the rung is down."""
        if place.process is not None or place.down is not None:
            return
        try:
            place.process = self._start(
                place.served,
                on_message=partial(self._hear, place),
                on_end=lambda how: self._has_ended(place, how),
            )
        except (OSError, FrameError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            words = f"rung {place.name!r}: its host process could not be started ({why})"
            place.down = _fault(words, "load", permanent=True)

    @staticmethod
    def _tell(place: _Place, message: Message) -> None:
        assert place.process is not None  # whoever tells it something has started it
        place.process.send(message)

    @staticmethod
    def _closed_outcome(place: _Place) -> Outcome:
        return _fault(f"rung {place.name!r}: closed before it had answered", "crash")

    def _is_wanted_no_more(self, place: _Place, asked: _Asked, ended: "Future[Outcome]") -> None:
        if not ended.cancelled():
            return
        with self._lock:
            for number, other in place.sent.items():
                if other is asked and place.process is not None:
                    self._tell(place, {"cancel": number})

    # --- what hosts say; called by the thread that reads it -----------------------------------------------------------

    def _hear(self, place: _Place, message: Message) -> None:
        settled: list[tuple[_Asked, Outcome]] = []
        for kind, tell in (("note", self._on_note), ("stall", self._on_stall)):
            if kind in message:
                tell(str(message[kind]))
        with self._lock:
            if "answer" in message:
                asked = place.sent.pop(message["answer"], None)
                if not place.sent:
                    place.idle_since = clocks.monotonic()
                if asked is not None and "cancelled" not in message:
                    place.crashes_in_a_row = 0
                    _count(place, message)
                    settled.append((asked, _with_tries(message, asked.tries)))
            elif "rested" in message:
                place.meterings += map(Metering.from_dict, message["rested"])
                place.is_open = place.is_resting = False
            elif "unable" in message:
                place.down, place.is_open = {"error": message["unable"]}, False
                settled += self._all_of(place)
            settled += self._move()
        _settle(settled)

    def _has_ended(self, place: _Place, how: str) -> None:
        """A host has ended by itself: it is started again, and what it did not answer is asked again, one at a time.

        So the one request that ends it each time is known: it is a fault, and the others are answered.
        """
        with self._lock:
            if place.is_open and place.served.rung.meter != "none":
                place.meterings.append(_of_crash(place, how))
            place.process, place.is_open, place.is_resting = None, False, False
            if self._is_closed:
                return
            place.crashes_in_a_row += 1
            words = f"rung {place.name!r}: its host process {how}"
            settled: list[tuple[_Asked, Outcome]] = []
            lost = [*place.sent.values()]
            if place.crashes_in_a_row >= _CRASHES_UNTIL_DOWN:
                times = f"{place.crashes_in_a_row} times without an answer in between"
                place.down = _fault(f"{words}, {times}", "crash", permanent=True)
                settled = self._all_of(place)
            elif len(lost) == 1 and lost[0].tries:
                settled = [(lost[0], _fault(f"{words} each time this was asked", "crash"))]
                place.sent.clear()
            else:
                place.sent.clear()
                for asked in lost:
                    asked.tries += 1
                place.queue.extendleft(reversed(lost))
            settled += self._move()
        if place.down is None:
            self._on_note(f"{words}. It is started again, and asked again what it had not answered, one at a time")
        _settle(settled)

    @staticmethod
    def _all_of(place: _Place) -> list[tuple[_Asked, Outcome]]:
        """All that was asked of a rung that is down, each with the fault."""
        assert place.down is not None  # which whoever calls this has found
        all_asked = [*place.sent.values(), *place.queue]
        place.sent.clear()
        place.queue.clear()
        return [(asked, place.down) for asked in all_asked]


def _must_wait(place: _Place) -> bool:
    """Whether the next request waits: one that a crash has lost is asked alone, as it may be why the host crashed."""
    suspects = [place.queue[0], *place.sent.values()]
    return bool(place.sent) and any(asked.tries for asked in suspects)


def _settle(settled: Iterable[tuple[_Asked, Outcome]]) -> None:
    """Hand out outcomes, without the lock: whoever waits goes on in this thread."""
    for asked, outcome in settled:
        if asked.future.set_running_or_notify_cancel():
            asked.future.set_result(outcome)


def _count(place: _Place, message: Message) -> None:
    """Note that the rung has answered, and the joules of that: all that is known if its host crashes."""
    if "reply" in message:
        place.answers += 1
        energy = message["reply"].get("energy")
        place.answered = total_of_answers(place.answered, None if energy is None else Energy.from_dict(energy))


def _with_tries(message: Message, tries: int) -> Outcome:
    """The outcome, whose reply says how often the request was asked before."""
    if "reply" not in message or not tries:
        return message
    reply = message["reply"]
    return {**message, "reply": {**reply, "retries": reply["retries"] + tries}}


def _of_crash(place: _Place, how: str) -> Metering:
    """The totals of a host that took them with it."""
    reason = f"its host process {how}"
    note = f"{reason} after {place.answers} answers: what it took beside those is not known"
    return Metering(
        rung=place.name,
        meter=NO_METER,
        served=place.answered,
        total=unknown_energy(reason),
        answers=place.answers,
        notes=(note,),
    )


def _fault(words: str, reason: str, *, permanent: bool = False) -> Outcome:
    return {"error": fault_to_plain(words, reason, permanent=permanent)}
