"""Ratios of two rungs' amounts for a passed case, on the cases that both answered; pure."""

from math import fsum, inf, isfinite

from pytest_rightsize.judging.rung_amounts import RungAmounts
from pytest_rightsize.statistics import ratio_per_success
from pytest_rightsize.statistics.estimates import Ratio

__all__ = ["per_pass", "ratio_of", "surely_more", "why_not_comparable"]


# Equal totals may differ by the last digits of their sums.
_ROUNDING = 1e-9


def ratio_of(a: RungAmounts, b: RungAmounts) -> Ratio | str:
    """A's amount for a passed case as a multiple of B's, or a clause that says why it is unknown."""
    return _ratio(a, b)


def _ratio(a: RungAmounts, b: RungAmounts) -> Ratio | str:
    """A's amount for a passed case as a multiple of B's, by totals of their common cases, or why it is unknown."""
    if a.kind != b.kind:
        return f"its joules ({b.kind}) are not comparable with those of {a.rung} ({a.kind})"
    common = [case for case in a.cases if case in b.cases]
    if not common:
        return f"it has no case in common with {a.rung}"
    rows = [(a.cases[case], b.cases[case]) for case in common]
    ratio = ratio_per_success((of_a.amount, of_b.amount, of_a.passed, of_b.passed) for of_a, of_b in rows)
    if ratio is not None:
        return _widened(ratio, a, b)
    if not all(sum(case.passed for case in cases) for cases in zip(*rows, strict=True)):
        return f"it or {a.rung} passed none of the cases that both answered"
    return f"it or {a.rung} took nothing for the cases that both answered"


def _widened(ratio: Ratio, a: RungAmounts, b: RungAmounts) -> Ratio:
    """The ratio with its interval widened by the meters' errors; one shared instrument's own error cancels."""
    (low_a, high_a), (low_b, high_b) = _own_bounds(a, b), _own_bounds(b, a)
    if ratio.low is None or ratio.high is None or not low_b:
        return Ratio(value=ratio.value, low=None, high=None, n=ratio.n)
    return Ratio(value=ratio.value, low=ratio.low * low_a / high_b, high=ratio.high * high_a / low_b, n=ratio.n)


def _own_bounds(one: RungAmounts, other: RungAmounts) -> tuple[float, float]:
    """The factors of `one`, without the systematic part where `other` was measured by the same instrument."""
    low, high = one.bounds
    if one.energy is None or other.energy is None or not one.energy.shares_instrument(other.energy):
        return low, high
    systematic = one.energy.systematic
    return min(1.0, low / (1 - systematic)), max(1.0, high / (1 + systematic))


def surely_more(a: RungAmounts, b: RungAmounts) -> Ratio | None:
    """A's amount as a multiple of B's if A is shown to take more, and takes more by the totals of all cases too."""
    if per_pass(a) <= per_pass(b) * (1 + _ROUNDING):
        return None
    ratio = _ratio(a, b)
    if isinstance(ratio, str) or ratio.low is None or not isfinite(ratio.low) or ratio.low <= 1:
        return None
    return ratio


def why_not_comparable(first: RungAmounts, other: RungAmounts) -> str | None:
    """The reason why two rungs cannot be compared, or None. A rung that takes nothing takes less than any other."""
    if not per_pass(first) or not per_pass(other):
        return None
    ratio = _ratio(first, other)
    return ratio if isinstance(ratio, str) else None


def per_pass(amounts: RungAmounts) -> float:
    """The amount for a passed case, as the table shows it: totals over all trials; infinite where none passed."""
    passed = sum(case.passed for case in amounts.cases.values())
    return fsum(case.amount for case in amounts.cases.values()) / passed if passed else inf
