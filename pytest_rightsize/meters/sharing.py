"""From requests in flight and what counters showed to each answer's share of the joules; pure.

The time line is cut wherever a request starts or ends. What a device took in a piece is split among those in flight, by
the tokens they wrote and read; what it took while none was belongs to nobody. Shares, idle and loading add up to all
that the device took. An answer's bounds trust no such split: at least what was spent while it was alone, at most all
that was spent while it was in flight.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_rightsize.meters.timeline import Break, Timeline

__all__ = ["Account", "Ledger", "Part", "Share"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one device took for an answer: joules within bounds, over `ticks` ticks of its counter."""

    low: float
    joules: float
    high: float
    ticks: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """An answer's part of each device, or why there is none; `window_s` is the time it was in flight, from `start` on.

    `shared` says whether others were in flight too, `by_time` whether tokens were unknown, so that the split was even.
    """

    ticket: Hashable
    start: float
    window_s: float
    parts: tuple[Part | Break, ...]
    shared: bool
    by_time: bool = False
    guarded: bool = False


@dataclass(kw_only=True)
class Account:
    """What one device took over the whole time, in joules; `total` is the counter's own difference.

    `unknown_s` is the time of which the counter says nothing.
    """

    load: float = 0.0
    served: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    idle: float = 0.0
    total: float = 0.0
    unknown_s: float = 0.0


@dataclass(kw_only=True)
class _Flight:
    ticket: Hashable
    began: float
    start: float
    end: float | None = None
    weight: float | None = None
    account: Literal["served", "repeated", "lost"] = "served"
    shares: list[float | None]
    first_piece: float | None = None
    alone: list[tuple[float, float]] = field(default_factory=list)
    shared: bool = False
    by_time: bool = False
    guarded: bool = False

    def covers(self, start: float, end: float) -> bool:
        return self.start <= start and (self.end is None or self.end >= end)


class Ledger:
    """Who was in flight when. Times are those of the time lines.

    With `loads` the time from `opened` to the beginning of the first answer is that of loading the model. `patience_s`
    is how long an answer waits for those in flight with it to end; then their tokens are taken to come at the mean rate
    of those that have ended. `idle_w` is each device's idle power, once it is known; with `marginal` it is nobody's
    share.
    """

    def __init__(
        self,
        timelines: Sequence[Timeline],
        *,
        opened: float,
        patience_s: float,
        marginal: bool = False,
        loads: bool = True,
    ) -> None:
        self.timelines = timelines
        self._patience_s = patience_s
        self._marginal = marginal
        self._flying: dict[Hashable, _Flight] = {}
        self._landed: dict[Hashable, _Flight] = {}
        self.opened = opened
        self.until = opened
        self._at_until: list[float | None] = [None for _ in timelines]
        self._busy_until = opened
        self._was_guarded = False
        self._weights, self._durations = 0.0, 0.0
        self.load_end: float | None = None if loads else opened
        self.idle_w: list[float | None] = [None for _ in timelines]
        self.idle_error_w = 0.0
        self.accounts = [Account() for _ in timelines]
        self.busy_s = 0.0
        self.busy_runs = 0

    @property
    def waiting(self) -> bool:
        """Whether an answer waits for its share."""
        return bool(self._landed)

    @property
    def in_flight(self) -> int:
        """How many requests have not ended."""
        return len(self._flying)

    @property
    def oldest_end(self) -> float | None:
        """When the answer that waits longest had come."""
        return min((flight.end for flight in self._landed.values() if flight.end is not None), default=None)

    def admit(self, ticket: Hashable, moment: float, *, repeated: bool = False) -> None:
        """A request begins; or, `repeated`, a row of them whose answers nobody waits for."""
        shares: list[float | None] = [0.0 for _ in self.timelines]
        account: Literal["served", "repeated"] = "repeated" if repeated else "served"
        self._flying[ticket] = _Flight(ticket=ticket, began=moment, start=moment, shares=shares, account=account)

    def forget(self, ticket: Hashable) -> None:
        """It was none: its answer had been recorded before."""
        del self._flying[ticket]

    def land(self, ticket: Hashable, *, end: float, seconds: float | None, weight: float | None) -> None:
        """Its answer is there; it took `seconds` of the time since it was admitted, and `weight` tokens."""
        flight = self._flying.pop(ticket)
        flight.end, flight.weight = end, weight
        if seconds is not None:
            flight.began = flight.start = max(flight.began, end - seconds)
        self._clamp(flight)
        if weight is not None and end > flight.start:
            self._weights += weight
            self._durations += end - flight.start
        self._landed[ticket] = flight

    def lose(self, ticket: Hashable, moment: float) -> None:
        """It ends without an answer; what it took stays on the account `lost`."""
        flight = self._flying.pop(ticket)
        flight.end, flight.account = moment, "lost"
        self._clamp(flight)
        self._landed[ticket] = flight

    def settle(self, now: float, *, closing: bool = False) -> list[Share]:
        """The shares that can be told now: those whose time no one else's end, and no tick to come, can change."""
        if self.load_end is None and not self._find_load_end(now, closing):
            return []
        target = self._target(now, closing)
        if target is None:
            return []
        points = sorted({moment for moment in self._moments() if self.until < moment <= target} | {target})
        for point in points:
            self._settle_piece(self.until, point)
        ended = [flight for flight in self._landed.values() if flight.end is not None and flight.end <= target]
        for flight in ended:
            del self._landed[flight.ticket]
        oldest = min([self.until, *(flight.began for flight in (*self._landed.values(), *self._flying.values()))])
        shares = [self._share(flight) for flight in ended if flight.account != "lost"]
        for timeline in self.timelines:
            timeline.forget_before(oldest)
        return shares

    def _find_load_end(self, now: float, closing: bool) -> bool:
        """The model is loaded when the first request that got an answer starts: before, all waited for that alone."""
        answered = [flight.start for flight in self._landed.values() if flight.account != "lost"]
        if not answered and not closing:
            return False
        self.load_end = min(answered, default=now)
        for flight in (*self._flying.values(), *self._landed.values()):
            self._clamp(flight)
        return True

    def _clamp(self, flight: _Flight) -> None:
        if self.load_end is not None:
            flight.start = max(flight.start, self.load_end)
            flight.end = None if flight.end is None else max(flight.end, flight.start)

    def close(self, now: float) -> None:
        """Book what was spent after the last answer as idle."""
        known = min((timeline.known_until for timeline in self.timelines), default=now)
        if min(known, now) > self.until:
            self._settle_piece(self.until, min(known, now))

    def _target(self, now: float, closing: bool) -> float | None:
        """Up to where it is settled who was in flight and what the counters showed; None if nothing new is."""
        known = min([now, *(timeline.known_until for timeline in self.timelines)])
        free = min((flight.start for flight in self._flying.values()), default=known)
        ends = [flight.end for flight in self._landed.values() if flight.end is not None]
        sure = [end for end in ends if end <= min(known, free) or (end <= known and self._is_late(end, now, closing))]
        return max(sure, default=None)

    def _is_late(self, end: float, now: float, closing: bool) -> bool:
        return closing or now - end > self._patience_s

    def _moments(self) -> list[float]:
        every = [*self._landed.values(), *self._flying.values()]
        ends = [flight.end for flight in every if flight.end is not None]
        return [flight.start for flight in every] + ends + ([self.load_end] if self.load_end is not None else [])

    def _settle_piece(self, start: float, end: float) -> None:
        """Book what the devices took from `start` to `end`, between which nobody starts or ends."""
        active = [flight for flight in (*self._landed.values(), *self._flying.values()) if flight.covers(start, end)]
        fractions, by_time = self._fractions(active)
        loading = self.load_end is not None and end <= self.load_end
        guarded = False
        for place, timeline in enumerate(self.timelines):
            first = self._at_until[place]
            if first is None:
                first = timeline.guess(start)
            idle = self._idle_side(timeline, end, active, loading)
            last = timeline.guess(end, idle_w=self.idle_w[place], idle=idle)
            guarded = guarded or (bool(idle) and self.idle_w[place] is not None)
            same = timeline.at_most(start, end) is not None
            spent = None if first is None or last is None or not same else last - first
            self._book(place, end - start, spent, active, fractions, loading)
            self._at_until[place] = last
        for flight in active:
            if flight.first_piece is None:
                flight.first_piece, flight.guarded = start, self._was_guarded
            flight.by_time = flight.by_time or by_time
            flight.guarded = flight.guarded and (end != flight.end or guarded)
            if len(active) > 1:
                flight.shared = True
            elif flight.alone and flight.alone[-1][1] == start:
                flight.alone[-1] = (flight.alone[-1][0], end)
            else:
                flight.alone.append((start, end))
        if active or loading:
            if active and self._busy_until != start:
                self.busy_runs += 1
            self._busy_until = end
            self.busy_s += 0.0 if loading else end - start
        self.until, self._was_guarded = end, guarded

    def _idle_side(self, timeline: Timeline, moment: float, active: Sequence[_Flight], loading: bool) -> str:
        """Whether the device was idle from the tick before `moment`, or will be up to the tick after it."""
        low, high = timeline.least(moment), timeline.most(moment)
        if low is None or high is None:
            return ""
        if not active and not loading and self._busy_until <= low.at:
            return "before"
        others = (*self._landed.values(), *self._flying.values())
        busy = any(flight.end is None or flight.end > moment for flight in others if flight.start < high.at)
        return "" if busy or not active else "after"

    def _fractions(self, active: Sequence[_Flight]) -> tuple[list[float], bool]:
        """How a piece is split: by tokens a second, or evenly where those of one who has ended are unknown."""
        mean = self._weights / self._durations if self._durations else None
        rates = [self._rate(flight, mean) for flight in active]
        known = [rate for rate in rates if rate is not None]
        total = sum(known)
        if len(known) < len(rates) or total <= 0:
            return [1 / len(active) for _ in active], len(active) > 1
        return [rate / total for rate in known], False

    @staticmethod
    def _rate(flight: _Flight, mean: float | None) -> float | None:
        if flight.end is None:
            return mean
        if flight.weight is None or flight.end <= flight.start:
            return None
        return flight.weight / (flight.end - flight.start)

    def _book(
        self,
        place: int,
        seconds: float,
        spent: float | None,
        active: Sequence[_Flight],
        fractions: Sequence[float],
        loading: bool,
    ) -> None:
        account = self.accounts[place]
        if spent is None:
            account.unknown_s += seconds
            for flight in active:
                flight.shares[place] = None
            return
        account.total += spent
        if loading:
            account.load += spent
            return
        idle = (self.idle_w[place] or 0.0) * seconds if self._marginal else 0.0
        if not active:
            account.idle += spent
            return
        account.idle += idle
        for flight, fraction in zip(active, fractions, strict=True):
            share = (spent - idle) * fraction
            before = flight.shares[place]
            flight.shares[place] = None if before is None else before + share
            setattr(account, flight.account, getattr(account, flight.account) + share)

    def _share(self, flight: _Flight) -> Share:
        assert flight.end is not None  # it has landed
        # One that was in flight while the model seemed to load may have been answered all the while.
        start = flight.began if flight.first_piece is None else min(flight.began, flight.first_piece)
        parts = tuple(
            self._part(timeline, place, flight, start, flight.end) for place, timeline in enumerate(self.timelines)
        )
        return Share(
            ticket=flight.ticket,
            start=start,
            window_s=flight.end - flight.began,
            parts=parts,
            shared=flight.shared,
            by_time=flight.by_time,
            guarded=flight.guarded,
        )

    def _part(self, timeline: Timeline, place: int, flight: _Flight, start: float, end: float) -> Part | Break:
        high = timeline.at_most(start, end)
        share = flight.shares[place]
        if high is None or share is None:
            found = timeline.bracket(start, end)
            return found if isinstance(found, Break) else Break(reason="the counter was lost meanwhile", flag="lost")
        low = sum(timeline.at_least(*alone) or 0.0 for alone in flight.alone)
        if self._marginal:
            idle_w = self.idle_w[place] or 0.0
            alone_s = sum(stop - begin for begin, stop in flight.alone)
            low = max(0.0, low - (idle_w + self.idle_error_w) * alone_s)
            high = max(0.0, high - max(0.0, idle_w - self.idle_error_w) * (end - start))
        if high <= 0:
            return Break(reason="the counter did not move", flag="below_resolution")
        low = min(low, high)
        # A share of exactly nothing is a gap in what the counter can see, and no measurement of 0.
        joules = min(max(share, low), high) if share > 0 else (low + high) / 2
        return Part(low=low, joules=joules, high=high, ticks=timeline.ticks(start, end))
