"""From requests in flight and what counters showed to each answer's share of the joules; pure.

The time line is cut wherever a request starts or ends. What a device took in a piece is split among those in flight, by
the tokens they wrote and read; what it took while none was belongs to nobody. Shares, idle and loading add up to all
that the device took. An answer's bounds trust no such split: at least what was spent while it was alone, at most all
that was spent while it was in flight.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_rightsize.meters.attribution.timeline import Break, Timeline

__all__ = ["PROMPT_WEIGHT", "Account", "Ledger", "Part", "Share", "Stretch"]

PROMPT_WEIGHT = 0.1
"""What a token that is read weighs against one that is written, until it is known: reading goes many at a time."""

# Where answers always overlap, time is cut into stretches of so many answers' length.
_STRETCH = 2.0
_MOST_STRETCHES = 5000
# A stretch that its counter does not tell by so much either way teaches nothing.
_RESOLVED = 0.25


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one device took for an answer: joules within bounds, over `ticks` ticks of its counter."""

    low: float
    joules: float
    high: float
    ticks: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """An answer's part of each device, or why there is none; it had joules from `start` to `end`.

    `window_s` is the time it took by what its reply told. `shared` says whether others were in flight too, `by_time`
    whether tokens were unknown, so that the split was even.
    """

    ticket: Hashable
    start: float
    end: float
    window_s: float
    parts: tuple[Part | Break, ...]
    shared: bool
    by_time: bool = False
    guarded: bool = False
    repeated: bool = False


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A time with answers in flight: their tokens that were read and written in it, and each device's joules.

    `answers` is how many there were; of those that reach beyond it, only the part that lies in it.
    """

    prompt: float
    completion: float
    answers: float
    joules: tuple[float, ...]


@dataclass(kw_only=True)
class _Gathering:
    """A stretch that is not over. `edges` is what each counter had surely, and at most, shown when it began."""

    start: float
    edges: list[tuple[float, float] | None]
    prompt: float = 0.0
    completion: float = 0.0
    answers: float = 0.0
    flight_s: float = 0.0
    joules: list[float]
    spoilt: bool = False


@dataclass(kw_only=True)
class Account:
    """What one device took over the whole time, in joules; `total` is the counter's own difference.

    `unknown_s` is the time of which the counter says nothing.
    """

    load: float = 0.0
    served: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    others: float = 0.0
    idle: float = 0.0
    total: float = 0.0
    unknown_s: float = 0.0


@dataclass(kw_only=True)
class _Flight:
    ticket: Hashable
    began: float
    start: float
    end: float | None = None
    written: float | None = None
    read: float = 0.0
    account: Literal["served", "repeated", "lost"] = "served"
    shares: list[float | None]
    first_piece: float | None = None
    alone: list[tuple[float, float]] = field(default_factory=list)
    shared: bool = False
    by_time: bool = False
    guarded: bool = False

    @property
    def since(self) -> float:
        """From when on it has had joules.

        That may be before it began, by what its reply told: it was not waited for, or was answered while the model
        seemed to load.
        """
        return self.began if self.first_piece is None else min(self.began, self.first_piece)

    def covers(self, start: float, end: float) -> bool:
        return self.start <= start and (self.end is None or self.end >= end)


class Ledger:
    """Who was in flight when. Times are those of the time lines.

    With `loads` the time from the first request to the beginning of the first answer is that of loading. `patience_s`
    is how long an answer waits for those in flight with it to end; then their tokens are taken to come at the mean rate
    of those that have ended. `idle_w` is each device's idle power, once it is known; with `marginal` it is nobody's
    share. `prompt_weights` says for each device what a token that is read weighs against one that is written, and
    `stretches` is what that can be learned from.
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
        self._written, self._read, self._durations = 0.0, 0.0, 0.0
        self._gathering: _Gathering | None = None
        self.stretches: list[Stretch] = []
        self.prompt_weights = [PROMPT_WEIGHT for _ in timelines]
        self.load_start: float | None = None
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
        self.load_start = moment if self.load_start is None else self.load_start
        shares: list[float | None] = [0.0 for _ in self.timelines]
        account: Literal["served", "repeated"] = "repeated" if repeated else "served"
        self._flying[ticket] = _Flight(ticket=ticket, began=moment, start=moment, shares=shares, account=account)

    def forget(self, ticket: Hashable) -> None:
        """It was none: its answer had been recorded before."""
        del self._flying[ticket]

    def land(
        self, ticket: Hashable, *, end: float, seconds: float | None, written: float | None, read: float = 0.0
    ) -> None:
        """Its answer is there; it took `seconds` of the time since it was admitted: tokens `written` and `read`."""
        flight = self._flying.pop(ticket)
        flight.end, flight.written, flight.read = max(end, flight.start), written, read
        if seconds is not None:
            flight.began = flight.start = max(flight.began, flight.end - seconds)
        self._clamp(flight)
        if written is not None and flight.end > flight.start:
            self._written += written
            self._read += read
            self._durations += flight.end - flight.start
        self._landed[ticket] = flight

    def lose(self, ticket: Hashable, moment: float) -> None:
        """It ends without an answer; what it took stays on the account `lost`."""
        flight = self._flying.pop(ticket)
        flight.end, flight.account = moment, "lost"
        self._clamp(flight)
        self._landed[ticket] = flight

    def settle(self, now: float, *, closing: bool = False) -> list[Share]:
        """The shares that can be told now: those whose time no one else's end, and no tick to come, can change."""
        if not self._landed and not closing:
            return []
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
        oldest = min([self.until, *(flight.since for flight in (*self._landed.values(), *self._flying.values()))])
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

    def give_others(self, share: Share, fractions: Sequence[float]) -> None:
        """Of what an answer would have, other processes took such parts of each device."""
        for account, part, fraction in zip(self.accounts, share.parts, fractions, strict=True):
            if isinstance(part, Part):
                name = "repeated" if share.repeated else "served"
                setattr(account, name, getattr(account, name) - fraction * part.joules)
                account.others += fraction * part.joules

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
        return (
            [flight.start for flight in every]
            + ends
            + [moment for moment in (self.load_start, self.load_end) if moment is not None]
        )

    def _settle_piece(self, start: float, end: float) -> None:
        """Book what the devices took from `start` to `end`, between which nobody starts or ends."""
        active = [flight for flight in (*self._landed.values(), *self._flying.values()) if flight.covers(start, end)]
        by_time = len(active) > 1 and self._by_time(active)
        loading = self._is_loading(start, end)
        guarded = False
        taken: list[float | None] = []
        for place, timeline in enumerate(self.timelines):
            first = self._at_until[place]
            if first is None:
                first = timeline.guess(start)
            idle = self._idle_side(timeline, end, active, loading)
            last = timeline.guess(end, idle_w=self.idle_w[place], idle=idle)
            same = timeline.at_most(start, end) is not None
            if same and first is not None and last is not None:
                # Two guesses of moments that lie close together may cross; nothing is ever given back.
                last = max(first, last)
            guarded = guarded or (bool(idle) and self.idle_w[place] is not None)
            spent = None if first is None or last is None or not same else last - first
            taken.append(self._book(place, end - start, spent, active, loading))
            self._at_until[place] = last
        self._gather(start, end, active, taken, loading)
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

    def _is_loading(self, start: float, end: float) -> bool:
        """Whether the piece is of the time in which the model was loaded."""
        if self.load_start is None or self.load_end is None:
            return False
        return self.load_start <= start and end <= self.load_end

    def _by_time(self, active: Sequence[_Flight]) -> bool:
        """Whether the tokens of one who has ended are unknown, or nobody has any, so that the split is even."""
        rates = [self._rate(flight, 1.0) for flight in active]
        return any(rate is None for rate in rates) or not any(rates)

    def _fractions(self, place: int, active: Sequence[_Flight]) -> list[float]:
        """How a piece is split: by tokens a second, or evenly."""
        rates = [self._rate(flight, self.prompt_weights[place]) for flight in active]
        known = [rate for rate in rates if rate is not None]
        total = sum(known)
        if len(known) < len(rates) or total <= 0:
            return [1 / len(active) for _ in active]
        return [rate / total for rate in known]

    def _rate(self, flight: _Flight, prompt_weight: float) -> float | None:
        if flight.end is None:
            if not self._durations:
                return None
            return (self._written + prompt_weight * self._read) / self._durations
        if flight.written is None or flight.end <= flight.start:
            return None
        return (flight.written + prompt_weight * flight.read) / (flight.end - flight.start)

    def _book(
        self, place: int, seconds: float, spent: float | None, active: Sequence[_Flight], loading: bool
    ) -> float | None:
        """Put what was spent to the accounts; how much of it is the answers' own, None where that is unknown."""
        account = self.accounts[place]
        if spent is None:
            account.unknown_s += seconds
            for flight in active:
                flight.shares[place] = None
            return None
        account.total += spent
        if loading:
            account.load += spent
            return 0.0
        idle = (self.idle_w[place] or 0.0) * seconds if self._marginal else 0.0
        if not active:
            account.idle += spent
            return 0.0
        account.idle += idle
        for flight, fraction in zip(active, self._fractions(place, active), strict=True):
            share = (spent - idle) * fraction
            before = flight.shares[place]
            flight.shares[place] = None if before is None else before + share
            setattr(account, flight.account, getattr(account, flight.account) + share)
        return spent - idle

    # --- what can be learned of reading and writing -------------------------------------------------------------------

    def _gather(
        self, start: float, end: float, active: Sequence[_Flight], taken: Sequence[float | None], loading: bool
    ) -> None:
        """Add the piece to the stretch that is under way; a stretch ends where nobody is in flight across its end."""
        if loading or not active:
            self._gathering = None
            return
        if self._gathering is None:
            self._gathering = _Gathering(
                start=start, edges=[self._edge(line, start) for line in self.timelines], joules=[0.0] * len(taken)
            )
        stretch = self._gathering
        for flight in active:
            if flight.written is None or flight.end is None or flight.end <= flight.start or flight.account == "lost":
                stretch.spoilt = True
                continue
            part = (end - start) / (flight.end - flight.start)
            stretch.answers += part
            stretch.flight_s += end - start
            stretch.completion += part * flight.written
            stretch.prompt += part * flight.read
        for place, joules in enumerate(taken):
            stretch.spoilt = stretch.spoilt or joules is None
            stretch.joules[place] += joules or 0.0
        crossing = any(
            flight.start < end and (flight.end is None or flight.end > end)
            for flight in (*self._landed.values(), *self._flying.values())
        )
        if not crossing or self._is_long(stretch, end):
            self._keep(stretch, end)
            self._gathering = None

    @staticmethod
    def _is_long(stretch: _Gathering, end: float) -> bool:
        """Whether it holds answers from end to end, so that those cut off at its ends matter little."""
        return stretch.answers > 0 and end - stretch.start >= _STRETCH * stretch.flight_s / stretch.answers

    def _keep(self, stretch: _Gathering, end: float) -> None:
        """Keep a stretch of which all is known and that its counters can tell."""
        if stretch.spoilt or len(self.stretches) >= _MOST_STRETCHES:
            return
        for line, edge, joules in zip(self.timelines, stretch.edges, stretch.joules, strict=True):
            last = self._edge(line, end)
            if edge is None or last is None or last[1] - edge[0] - (last[0] - edge[1]) > 2 * _RESOLVED * joules:
                return
        self.stretches.append(
            Stretch(
                prompt=stretch.prompt,
                completion=stretch.completion,
                answers=stretch.answers,
                joules=tuple(stretch.joules),
            )
        )

    @staticmethod
    def _edge(line: Timeline, moment: float) -> tuple[float, float] | None:
        least, most = line.least(moment), line.most(moment)
        return None if least is None or most is None else (least.joules, most.joules)

    # --- what an answer gets ------------------------------------------------------------------------------------------

    def _share(self, flight: _Flight) -> Share:
        assert flight.end is not None  # it has landed
        start = flight.since
        parts = tuple(
            self._part(timeline, place, flight, start, flight.end) for place, timeline in enumerate(self.timelines)
        )
        return Share(
            ticket=flight.ticket,
            start=start,
            end=flight.end,
            window_s=flight.end - flight.began,
            parts=parts,
            shared=flight.shared,
            by_time=flight.by_time,
            guarded=flight.guarded,
            repeated=flight.account == "repeated",
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
        # A share of nothing, or less, is a gap in what the counter can see, and no measurement of 0.
        joules = min(max(share, low), high) if share > 0 else (low + high) / 2
        account = self.accounts[place]
        if joules - share > account.idle:
            return Break(reason="the counter did not move", flag="below_resolution")
        # What an answer is told beyond its share, the device took while it seemed idle.
        account.idle -= joules - share
        setattr(account, flight.account, getattr(account, flight.account) + joules - share)
        return Part(low=low, joules=joules, high=high, ticks=timeline.ticks(start, end))
