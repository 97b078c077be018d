"""How the error of naming a rung is shared among the rungs of a ladder, so that the climb may go on past an open one.

What is promised is the error of the name: a rung below its bar is named in at most 1 - confidence of all sessions. A
rung that fails spends nothing. One that stays undecided has had its chance to be named wrongly, and what that chance
was is taken from what the larger rungs may spend.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from pytest_rightsize.records import State
from pytest_rightsize.statistics.planning import passes_needed
from pytest_rightsize.statistics.sequential import Chances, chances, design_for

__all__ = ["Terms", "budgets_after", "claim_confidence", "claimed", "first_budget"]

# What a rung takes of the budget where it could spend all of it: early stopping looks so often that nothing would be
# left for the next. The first loses less than 0.02 of the power of curtailment; the second is for few cases, where the
# first would leave too little to name a rung that passes them all. A fixed number of cases rarely spends all anyway.
_SHARE, _SHARE_OF_FEW = 0.92, 0.85


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a task asks of every rung: its bar, how surely, and on how many cases, `rungs` being the ladder's.

    `stops_early` says that the cases are looked at one by one, `is_single` that each has one sample.
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

    A rung that just misses its bar "fails" in some sessions by chance, and then the next has the same budget again.
    What that adds is kept back here, or else, where a rung takes only its share, charged to what it spends.
    """
    error = round(1 - terms.confidence, 12)
    if _takes_a_share(terms):
        return error
    return error / sum(_wrong_fails(terms) ** place for place in range(terms.rungs))


def _takes_a_share(terms: Terms) -> bool:
    return terms.stops_early or not terms.is_single


def claim_confidence(budget: float, terms: Terms, *, is_largest: bool) -> float:
    """How surely a rung must reach the bar to be named, given what may be spent; the largest may spend all."""
    return round(1 - budget * (1.0 if is_largest else _share(budget, terms)), 9)


def budgets_after(budgets: Iterable[float], terms: Terms) -> frozenset[float]:
    """What is left of each budget above a rung that stays undecided."""
    return frozenset(_left(budget, _share(budget, terms), terms) for budget in budgets)


@cache
def _share(budget: float, terms: Terms) -> float:
    """What part of the budget a rung takes that is not the largest."""
    if not _takes_a_share(terms):
        return 1.0
    least = 1.1 * terms.pass_rate**terms.cases if terms.stops_early else 0.0
    leaves = (share for share in (_SHARE, _SHARE_OF_FEW) if _left(budget, share, terms) >= least)
    return next(leaves, _SHARE)


def _left(budget: float, share: float, terms: Terms) -> float:
    """What is left of a budget where a rung took its share and stayed undecided."""
    charge = 1 + (_wrong_fails(terms) if _takes_a_share(terms) else 0.0)
    return max(0.0, budget - charge * _spent(round(1 - share * budget, 9), terms))


@cache
def _spent(claim: float, terms: Terms) -> float:
    """How likely a rung that just misses the bar passes where it must reach it so surely."""
    if not terms.is_single:
        return 1 - claim
    if terms.stops_early:
        return _early_chances(terms, claim).passes
    needed = passes_needed(terms.cases, pass_rate=terms.pass_rate, confidence=claim) if claim < 1 else None
    return _at_least(needed, terms)


@cache
def _wrong_fails(terms: Terms) -> float:
    """How likely a rung that just reaches the bar fails."""
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
    """How likely so many of the cases pass, or fail, at a true rate that is the bar."""
    from scipy.special import bdtrc

    if needed is None:
        return 0.0
    return (
        float(bdtrc(needed - 1, terms.cases, 1 - terms.pass_rate if failures else terms.pass_rate)) if needed else 1.0
    )


def claimed(own: State | None, strict: State | None) -> State | None:
    """The state of a rung that passes only where it does so at a stricter confidence than the task's own.

    It fails at its own: to say so names no rung. None where either could still change it.
    """
    if strict == "passes" or own == "fails":
        return strict if strict == "passes" else own
    return None if own is None or strict is None else "undecided"
