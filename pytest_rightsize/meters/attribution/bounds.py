"""Bounds of what one device took for an answer, and the joules told within them.

The bounds trust no split: at least what was spent while the answer was alone, at most all that was spent while it was
in flight.
"""

from pytest_rightsize.meters.attribution.accounts import Account
from pytest_rightsize.meters.attribution.flight import Flight
from pytest_rightsize.meters.attribution.shares import Part
from pytest_rightsize.meters.attribution.timeline import Break, Timeline

__all__ = ["part_of"]

_NO_MOVE = Break(reason="the counter did not move", flag="below_resolution")


def part_of(
    flight: Flight, end: float, place: int, timeline: Timeline, account: Account, idle_w: tuple[float, float] | None
) -> Part | Break:
    """The answer's part of the device at `place`, or why it has none.

    `idle_w` is the least and the most of the idle power that is left out, None where none is. Where the answer is told
    more or less than its share, the difference is taken from the account of idle.
    """
    start, share = flight.since, flight.shares[place]
    high = timeline.at_most(start, end)
    if high is None or share is None:
        bracket = timeline.bracket(start, end)
        return bracket if isinstance(bracket, Break) else Break(reason="the counter was lost meanwhile", flag="lost")
    low = sum(timeline.at_least(*alone) or 0.0 for alone in flight.alone)
    if idle_w is not None:
        alone_s = sum(stop - begin for begin, stop in flight.alone)
        low = max(0.0, low - idle_w[1] * alone_s)
        high = max(0.0, high - max(0.0, idle_w[0]) * (end - start))
    if high <= 0:
        return _NO_MOVE
    low = min(low, high)
    # A share of nothing, or less, is a gap in what the counter can see, and no measurement of 0.
    joules = min(max(share, low), high) if share > 0 else (low + high) / 2
    if not account.replace_share(flight.outcome, share, joules):
        return _NO_MOVE
    return Part(low=low, joules=joules, high=high, ticks=timeline.ticks(start, end))
