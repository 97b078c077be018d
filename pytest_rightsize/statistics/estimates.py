"""Records for the estimates of this folder: intervals, differences and ratios."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Difference", "Interval", "NonInferiority", "Ratio"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An interval of a rate, in fractions of 1. With `one_sided`, each end by itself is a bound at `confidence`."""

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
    method: Literal["tango", "gaffke", "paired t"] = "tango"


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """`holds` if A is shown to be worse than B by less than `margin`; `p` is adjusted for several comparisons."""

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
        """True if the interval covers 1, or there is no interval."""
        return self.low is None or self.high is None or self.low <= 1 <= self.high
