"""The estimates that the other files here compute: intervals, differences and ratios, each as one frozen record."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Difference", "Interval", "NonInferiority", "Ratio"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a rate may lie: fractions of 1. With `one_sided`, each end by itself is a bound at `confidence`."""

    low: float
    high: float
    confidence: float = 0.95
    one_sided: bool = False


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A's pass rate minus B's on the same cases, with its 95 % interval and its 90 % one; fractions of 1."""

    value: float
    low: float
    high: float
    low90: float
    high90: float
    method: Literal["tango", "gaffke"] = "tango"


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """Whether A is shown to be worse than B by less than `margin`; `p` is adjusted where several were asked at once."""

    margin: float
    holds: bool
    p: float


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio of two amounts over `n` cases with its interval; the ends are None for a single case."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def tie(self) -> bool:
        """Whether the interval covers 1, or there is none."""
        return self.low is None or self.high is None or self.low <= 1 <= self.high
