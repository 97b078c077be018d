"""Numbers in, estimates out: the pass rate of a rung on a task, and how it stands against the bar."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

from pytest_rightsize.records import Standing

__all__ = ["stand"]


def stand(cases: Mapping[str, Sequence[bool]], *, pass_rate: float, planned: int, faults: int = 0) -> Standing:
    """How a rung stands: `cases` holds each case's samples (True passed), `planned` the trials it should have had.

    Each case weighs the same, however many samples it has. A fault, or a trial that never ran, leaves the standing
    undecided: neither is held against the model, and neither counts as passed.
    """
    trials = sum(len(samples) for samples in cases.values())
    passed = sum(sum(samples) for samples in cases.values())
    if trials == 0 and faults == 0:
        return Standing(state="not_run")
    rate = _mean_of_means(cases)
    counted = partial(Standing, passed=passed, trials=trials, rate=float(rate) if rate is not None else None)
    if faults:
        return counted(state="undecided", reason=f"{faults} of {max(planned, trials + faults)} trials had no answer")
    if trials < planned:
        return counted(state="undecided", reason=f"only {trials} of {planned} trials ran")
    # The bar as it was written: 0.9 as a float is a hair above nine tenths, and 9 of 10 must reach it.
    reached = rate is not None and rate >= Fraction(str(pass_rate))
    return counted(state="passes" if reached else "fails")


def _mean_of_means(cases: Mapping[str, Sequence[bool]]) -> Fraction | None:
    """The exact mean over cases of each case's mean; None without cases."""
    if not cases:
        return None
    return sum((Fraction(sum(samples), len(samples)) for samples in cases.values()), Fraction(0)) / len(cases)
