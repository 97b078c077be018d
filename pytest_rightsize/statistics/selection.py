"""Shares the error of naming a rung among the rungs of a ladder, so that the climb may go on past an open one.

The guarantee is about the rung that is named: one below its bar is named in at most 1 - confidence of all sessions. A
rung that fails spends none of that error. A rung that stays undecided could have been named wrongly, and the chance of
that is subtracted from what the larger rungs may spend.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from pytest_rightsize.records import State
from pytest_rightsize.statistics.planning import passes_needed
from pytest_rightsize.statistics.sequential import Chances, chances, design_for

__all__ = ["Terms", "budgets_after", "claim_confidence", "claimed", "first_budget"]

# The share of the budget that a rung may use where it would otherwise spend all of it: early stopping tests so often
# that nothing would be left for the next rung. The first share loses less than 0.02 of the power of curtailment; the
# second is for few cases, where the first would leave too little to name a rung that passes them all. A fixed number of
# cases rarely spends the whole budget anyway.
_SHARE, _SHARE_OF_FEW = 0.92, 0.85


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of a task for every rung: bar, confidence, number of cases, and the number of rungs on the ladder.

    `stops_early` says that the task may stop after each case, `is_single` that each case has one sample.
    """

    pass_rate: float
    confidence: float
    cases: int
    rungs: int
    stops_early: bool = False
    is_single: bool = True


@cache
def first_budget(terms: Terms) -> float:
    """The chance of a wrong "passes" that the smallest rung may have.

    A rung that just misses its bar "fails" in some sessions by chance, and the next rung then has the same budget
    again. That addition is held back here; where a rung takes only a share, it is charged to what the rung spends.
    """
    error = round(1 - terms.confidence, 12)
    if _takes_a_share(terms):
        return error
    return error / sum(_wrong_fails(terms) ** place for place in range(terms.rungs))


def _takes_a_share(terms: Terms) -> bool:
    return terms.stops_early or not terms.is_single


def claim_confidence(budget: float, terms: Terms, *, is_largest: bool) -> float:
    """The confidence at which a rung must reach the bar to be named, given its budget; the largest may spend all."""
    return round(1 - budget * (1.0 if is_largest else _share(budget, terms)), 9)


def budgets_after(budgets: Iterable[float], terms: Terms) -> frozenset[float]:
    """The remainder of each budget above a rung that stays undecided."""
    return frozenset(_left(budget, _share(budget, terms), terms) for budget in budgets)


@cache
def _share(budget: float, terms: Terms) -> float:
    """The share of the budget that a rung may use if it is not the largest."""
    if not _takes_a_share(terms):
        return 1.0
    least = 1.1 * terms.pass_rate**terms.cases if terms.stops_early else 0.0
    leaves = (share for share in (_SHARE, _SHARE_OF_FEW) if _left(budget, share, terms) >= least)
    return next(leaves, _SHARE)


def _left(budget: float, share: float, terms: Terms) -> float:
    """The remainder of a budget after a rung used its share and stayed undecided."""
    charge = 1 + (_wrong_fails(terms) if _takes_a_share(terms) else 0.0)
    return max(0.0, budget - charge * _spent(round(1 - share * budget, 9), terms))


@cache
def _spent(claim: float, terms: Terms) -> float:
    """The probability that a rung just below the bar passes at the confidence `claim`."""
    if not terms.is_single:
        return 1 - claim
    if terms.stops_early:
        return _early_chances(terms, claim).passes
    needed = passes_needed(terms.cases, pass_rate=terms.pass_rate, confidence=claim) if claim < 1 else None
    return _at_least(needed, terms)


@cache
def _wrong_fails(terms: Terms) -> float:
    """The probability that a rung just at the bar fails."""
    if not terms.is_single:
        return 1 - terms.confidence
    if terms.pass_rate >= 1:
        return 0.0
    if terms.stops_early:
        return _early_chances(terms, terms.confidence).fails
    failures = passes_needed(terms.cases, pass_rate=round(1 - terms.pass_rate, 12), confidence=terms.confidence)
    return _at_least(failures, terms, failures=True)


def _early_chances(terms: Terms, claim: float) -> Chances:
    design = design_for(terms.cases, pass_rate=terms.pass_rate, confidence=terms.confidence, claim_confidence=claim)
    return chances(design, terms.pass_rate)


def _at_least(needed: int | None, terms: Terms, *, failures: bool = False) -> float:
    """The probability that at least `needed` cases pass, or fail, at a true rate equal to the bar."""
    from scipy.special import bdtrc

    if needed is None:
        return 0.0
    return (
        float(bdtrc(needed - 1, terms.cases, 1 - terms.pass_rate if failures else terms.pass_rate)) if needed else 1.0
    )


def claimed(own: State | None, strict: State | None) -> State | None:
    """The state of a rung that passes only if it does so at a stricter confidence than the task's own.

    It fails at the task's own confidence, as failing names no rung. None while either state could still change it.
    """
    if strict == "passes" or own == "fails":
        return strict if strict == "passes" else own
    return None if own is None or strict is None else "undecided"
