"""Measures a counter's period by reading it as fast as it can be read; it takes seconds, and keeps nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from pytest_rightsize import clocks
from pytest_rightsize.meters import Counter, CounterError

__all__ = ["Period", "measure_period"]

_TICKS = 20


@dataclass(frozen=True, kw_only=True)
class Period:
    """The median gap between two ticks, how many gaps there were, how long a reading takes, and the mean power.

    `tick_s` is None where the counter did not move twice.
    """

    tick_s: float | None
    ticks: int
    read_s: float
    watts: float


def measure_period(
    counter: Counter, *, longest_s: float = 3.0, clock: Callable[[], float] = clocks.perf_counter
) -> Period:
    """Read until twenty ticks were seen, or for `longest_s`; raises CounterError if the counter cannot be read.

    The value at the start is not counted: nobody knows how long it had been there.
    """
    start = now = clock()
    first = last = counter.read()
    moved: list[float] = []
    reads = 1
    while now - start < longest_s and len(moved) <= _TICKS:
        value = counter.read()
        now = clock()
        reads += 1
        if value != last:
            moved.append(now)
            last = value
    if now <= start:
        raise CounterError("the clock does not move", flag="clock")
    gaps = [after - before for before, after in pairwise(moved)]
    return Period(
        tick_s=median(gaps) if gaps else None,
        ticks=len(gaps),
        read_s=(now - start) / reads,
        watts=(last - first) / (now - start),
    )
