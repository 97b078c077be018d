"""Splits a device's joules among the requests in flight: by tokens per second, or evenly where those are unknown; pure.

A request that has not ended counts at the mean rate of the answers so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_rightsize.meters.attribution.flight import Flight

__all__ = ["PROMPT_WEIGHT", "TokenTotals", "fractions", "lacks_tokens"]

PROMPT_WEIGHT = 0.1
"""The weight of a prompt token relative to a written one, until it is learned: a prompt is read many tokens at a time.
"""


@dataclass(kw_only=True)
class TokenTotals:
    """Tokens and durations, in seconds, of all answers so far."""

    written: float = 0.0
    read: float = 0.0
    duration_s: float = 0.0

    def add(self, *, written: float, read: float, duration_s: float) -> None:
        """Count one more answer."""
        self.written += written
        self.read += read
        self.duration_s += duration_s

    def mean_rate(self, prompt_weight: float) -> float | None:
        """Weighted tokens per second; None before the first answer."""
        if not self.duration_s:
            return None
        return (self.written + prompt_weight * self.read) / self.duration_s


def fractions(flights: Sequence[Flight], prompt_weight: float, totals: TokenTotals) -> list[float]:
    """Each request's fraction of the joules; they add up to 1."""
    if len(flights) == 1:
        return [1.0]
    rates = [_rate(flight, prompt_weight, totals) for flight in flights]
    known_rates = [rate for rate in rates if rate is not None]
    total = sum(known_rates)
    if len(known_rates) < len(rates) or total <= 0:
        return [1 / len(flights) for _ in flights]
    return [rate / total for rate in known_rates]


def lacks_tokens(flights: Sequence[Flight], totals: TokenTotals) -> bool:
    """Whether the split is even because the tokens of a request are unknown, or none of them has any."""
    rates = [_rate(flight, 1.0, totals) for flight in flights]
    return any(rate is None for rate in rates) or not any(rates)


def _rate(flight: Flight, prompt_weight: float, totals: TokenTotals) -> float | None:
    if flight.end is None:
        return totals.mean_rate(prompt_weight)
    if flight.written is None or flight.end <= flight.start:
        return None
    return (flight.written + prompt_weight * flight.read) / (flight.end - flight.start)
