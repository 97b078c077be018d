"""The ledger of requests in flight: requests and counters' time lines in, each answer's share of the joules out; pure.

Time is cut into pieces wherever a request starts or ends, and each device's joules in a piece are split among those in
flight, by tokens. What a device takes while none is belongs to no answer. Shares, idle and loading add up to all that
the device took.
"""

from collections.abc import Hashable, Sequence
from typing import Literal

from pytest_rightsize.meters.attribution.accounts import Account, book
from pytest_rightsize.meters.attribution.bounds import part_of
from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.pieces import DeviceTotal, Piece, idle_side
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.splitting import PROMPT_WEIGHT, TokenTotals, lacks_tokens
from pytest_rightsize.meters.attribution.stretches import Stretch, StretchCollector
from pytest_rightsize.meters.attribution.timeline import Timeline

__all__ = ["Ledger"]


class Ledger:
    """Requests in flight and the accounts of every device. Times are those of the time lines.

    With `loads` the time from the first request to the start of the first answer counts as loading the model.
    `patience_s` is how long an answer waits for those in flight with it to end; then their tokens are taken to come at
    the mean rate of the answers so far. `idle_w` is each device's idle power once it is known; with `marginal` it is
    left out of the shares. `prompt_weights` is, for each device, the weight of a prompt token relative to a written
    one, and `stretches` is what it can be learned from.
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
        self._flying: dict[Hashable, Flight] = {}
        self._landed: dict[Hashable, Flight] = {}
        self.opened = opened
        self.until = opened
        self._device_totals = [DeviceTotal(timeline) for timeline in timelines]
        self._busy_until = opened
        self._was_guarded = False
        self._token_totals = TokenTotals()
        self._collector = StretchCollector(timelines)
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
    def stretches(self) -> list[Stretch]:
        """The stretches of time from which the weights of tokens can be learned."""
        return self._collector.stretches

    def admit(self, ticket: Hashable, moment: float, *, repeated: bool = False) -> None:
        """A request begins; `repeated` marks a block of repetitions, whose answers nobody waits for."""
        self.load_start = moment if self.load_start is None else self.load_start
        shares: list[float | None] = [0.0 for _ in self.timelines]
        outcome: Literal["served", "repeated"] = "repeated" if repeated else "served"
        self._flying[ticket] = Flight(ticket=ticket, began=moment, start=moment, shares=shares, outcome=outcome)

    def forget(self, ticket: Hashable) -> None:
        """Drop a request that was never sent to a model: its answer had been recorded before."""
        del self._flying[ticket]

    def land(
        self, ticket: Hashable, *, end: float, seconds: float | None, written: float | None, read: float = 0.0
    ) -> None:
        """A request is answered, with its tokens; it took `seconds` of the time since it was admitted."""
        flight = self._flying.pop(ticket)
        flight.end, flight.written, flight.read = max(end, flight.start), written, read
        if seconds is not None:
            flight.began = flight.start = max(flight.began, flight.end - seconds)
        self._clamp(flight)
        if written is not None and flight.end > flight.start:
            self._token_totals.add(written=written, read=read, duration_s=flight.end - flight.start)
        self._landed[ticket] = flight

    def lose(self, ticket: Hashable, moment: float) -> None:
        """A request ends without an answer; its joules stay on the account `lost`."""
        flight = self._flying.pop(ticket)
        flight.end, flight.outcome = moment, "lost"
        self._clamp(flight)
        self._landed[ticket] = flight

    def settle(self, now: float, *, closing: bool = False) -> list[Share]:
        """The shares that are final: no coming tick changes them, nor does a request that is still waited for."""
        if not self._landed and not closing:
            return []
        if self.load_end is None and not self._find_load_end(now, closing):
            return []
        target = self._settled_until(now, closing)
        if target is None:
            return []
        for moment in sorted({moment for moment in self._moments() if self.until < moment <= target} | {target}):
            self._settle_piece(self.until, moment)
        ended = [flight for flight in self._landed.values() if flight.end is not None and flight.end <= target]
        for flight in ended:
            del self._landed[flight.ticket]
        oldest = min([self.until, *(flight.since for flight in self._every_flight())])
        shares = [self._share(flight) for flight in ended if flight.outcome != "lost"]
        for timeline in self.timelines:
            timeline.forget_before(oldest)
        return shares

    def give_others(self, share: Share, fractions: Sequence[float]) -> None:
        """Move these fractions of an answer's joules, one for each device, to other processes."""
        for account, part, fraction in zip(self.accounts, share.parts, fractions, strict=True):
            if isinstance(part, Part):
                account.give_to_others("repeated" if share.repeated else "served", fraction * part.joules)

    def close(self, now: float) -> None:
        """Book what was spent after the last answer as idle."""
        until = min(min((timeline.known_until for timeline in self.timelines), default=now), now)
        if until > self.until:
            self._settle_piece(self.until, until)

    def _every_flight(self) -> tuple[Flight, ...]:
        return (*self._landed.values(), *self._flying.values())

    def _find_load_end(self, now: float, closing: bool) -> bool:
        """Find when the model was loaded: all requests wait for that until the first that is answered starts."""
        answered = [flight.start for flight in self._landed.values() if flight.outcome != "lost"]
        if not answered and not closing:
            return False
        self.load_end = min(answered, default=now)
        for flight in self._every_flight():
            self._clamp(flight)
        return True

    def _clamp(self, flight: Flight) -> None:
        if self.load_end is not None:
            flight.start = max(flight.start, self.load_end)
            flight.end = None if flight.end is None else max(flight.end, flight.start)

    def _settled_until(self, now: float, closing: bool) -> float | None:
        """The latest end by which requests and counters cannot change any more; None if there is no such end."""
        known_until = min([now, *(timeline.known_until for timeline in self.timelines)])
        first_start = min((flight.start for flight in self._flying.values()), default=known_until)
        ends = [flight.end for flight in self._landed.values() if flight.end is not None]
        sure_until = min(known_until, first_start)
        final = [
            end
            for end in ends
            if end <= sure_until or (end <= known_until and (closing or now - end > self._patience_s))
        ]
        return max(final, default=None)

    def _moments(self) -> list[float]:
        """The moments at which pieces end."""
        flights = self._every_flight()
        return [
            *(flight.start for flight in flights),
            *(flight.end for flight in flights if flight.end is not None),
            *(moment for moment in (self.load_start, self.load_end) if moment is not None),
        ]

    def _settle_piece(self, start: float, end: float) -> None:
        """Book what the devices took from `start` to `end`, between which no request starts or ends."""
        every_flight = self._every_flight()
        piece = Piece(
            start=start,
            end=end,
            flights=[flight for flight in every_flight if flight.covers(start, end)],
            is_loading=self._is_loading(start, end),
        )
        guarded = False
        joules: list[float | None] = []
        for place, timeline in enumerate(self.timelines):
            idle_w = self.idle_w[place]
            idle = idle_side(timeline, piece, every_flight, busy_until=self._busy_until)
            guarded = guarded or (bool(idle) and idle_w is not None)
            spent = self._device_totals[place].spent(start, end, idle_w=idle_w, idle=idle)
            joules.append(
                book(
                    self.accounts[place],
                    piece,
                    place,
                    spent,
                    idle_w=(idle_w or 0.0) if self._marginal else 0.0,
                    prompt_weight=self.prompt_weights[place],
                    totals=self._token_totals,
                )
            )
        self._collector.add(piece, joules, every_flight)
        self._mark_flights(piece, guarded)
        self._count_busy(piece)
        self.until, self._was_guarded = end, guarded

    def _is_loading(self, start: float, end: float) -> bool:
        if self.load_start is None or self.load_end is None:
            return False
        return self.load_start <= start and end <= self.load_end

    def _mark_flights(self, piece: Piece, guarded: bool) -> None:
        """Note on each request of a piece how it was booked; `guarded` is about the piece's end."""
        is_shared = len(piece.flights) > 1
        by_time = is_shared and lacks_tokens(piece.flights, self._token_totals)
        for flight in piece.flights:
            if flight.first_piece is None:
                flight.first_piece, flight.guarded = piece.start, self._was_guarded
            flight.by_time = flight.by_time or by_time
            flight.guarded = flight.guarded and (piece.end != flight.end or guarded)
            if is_shared:
                flight.shared = True
            elif flight.alone and flight.alone[-1][1] == piece.start:
                flight.alone[-1] = (flight.alone[-1][0], piece.end)
            else:
                flight.alone.append((piece.start, piece.end))

    def _count_busy(self, piece: Piece) -> None:
        """Count the time in which requests were in flight, and the runs of such pieces without a gap."""
        if not piece.flights and not piece.is_loading:
            return
        if piece.flights and self._busy_until != piece.start:
            self.busy_runs += 1
        self._busy_until = piece.end
        self.busy_s += 0.0 if piece.is_loading else piece.seconds

    def _share(self, flight: Flight) -> Share:
        assert flight.end is not None  # it has ended
        end = flight.end
        parts = tuple(
            part_of(flight, end, place, timeline, self.accounts[place], self._idle_bounds_w(place))
            for place, timeline in enumerate(self.timelines)
        )
        return Share(
            ticket=flight.ticket,
            start=flight.since,
            end=end,
            window_s=end - flight.began,
            parts=parts,
            shared=flight.shared,
            by_time=flight.by_time,
            guarded=flight.guarded,
            repeated=flight.outcome == "repeated",
        )

    def _idle_bounds_w(self, place: int) -> tuple[float, float] | None:
        """The least and the most of the idle power that is left out of the shares; None where none is."""
        if not self._marginal:
            return None
        idle_w = self.idle_w[place] or 0.0
        return idle_w - self.idle_error_w, idle_w + self.idle_error_w
