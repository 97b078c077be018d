"""One device's accounts, in joules, and the booking of a piece of time on them; the accounts add up to the total.

What the device took goes to the model's loading, to the requests in flight, or to idle; it is never booked twice.
"""

from dataclasses import dataclass

from pytest_rightsize.meters.attribution.flight import Outcome
from pytest_rightsize.meters.attribution.pieces import Piece
from pytest_rightsize.meters.attribution.splitting import TokenTotals, fractions

__all__ = ["Account", "book"]


@dataclass(kw_only=True)
class Account:
    """What one device took over the whole time, in joules; `total` is the counter's own difference.

    `unknown_s` is the time, in seconds, of which the counter says nothing.
    """

    load: float = 0.0
    served: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    others: float = 0.0
    idle: float = 0.0
    total: float = 0.0
    unknown_s: float = 0.0

    def add(self, outcome: Outcome, joules: float) -> None:
        """Book joules of a request."""
        setattr(self, outcome, getattr(self, outcome) + joules)

    def give_to_others(self, outcome: Outcome, joules: float) -> None:
        """Move joules that were booked for a request to other processes."""
        setattr(self, outcome, getattr(self, outcome) - joules)
        self.others += joules

    def replace_share(self, outcome: Outcome, share: float, joules: float) -> bool:
        """Book `joules` in place of a request's `share`, the rest from idle; False where idle has too little."""
        if joules - share > self.idle:
            return False
        self.idle -= joules - share
        setattr(self, outcome, getattr(self, outcome) + joules - share)
        return True


def book(
    account: Account,
    piece: Piece,
    place: int,
    spent: float | None,
    *,
    idle_w: float,
    prompt_weight: float,
    totals: TokenTotals,
) -> float | None:
    """Book the joules `spent` by the device at `place` in a piece, and return those of its requests.

    None where `spent` is unknown. `idle_w` is the idle power that is left out of the requests' joules.
    """
    if spent is None:
        account.unknown_s += piece.seconds
        for flight in piece.flights:
            flight.shares[place] = None
        return None
    account.total += spent
    if piece.is_loading:
        account.load += spent
        return 0.0
    if not piece.flights:
        account.idle += spent
        return 0.0
    idle = idle_w * piece.seconds
    account.idle += idle
    parts = fractions(piece.flights, prompt_weight, totals)
    for flight, fraction in zip(piece.flights, parts, strict=True):
        share = (spent - idle) * fraction
        before = flight.shares[place]
        flight.shares[place] = None if before is None else before + share
        account.add(flight.outcome, share)
    return spent - idle
