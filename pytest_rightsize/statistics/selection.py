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
# left for the next. A fixed number of cases rarely spends all, and leaves enough.
_SHARE = 0.9


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

    A rung that just misses its bar "fails" in some sessions by chance, and then the next has the same budget again: the
    sum over the ladder is what must not exceed the error.
    """
    error, wrong_fails = round(1 - terms.confidence, 12), _wrong_fails(terms)
    return error / sum(wrong_fails**place for place in range(terms.rungs))


def claim_confidence(budget: float, terms: Terms, *, is_largest: bool) -> float:
    """How surely a rung must reach the bar to be named, given what may be spent; the largest may spend all."""
    share = 1.0 if is_largest or (terms.is_single and not terms.stops_early) else _SHARE
    return round(1 - share * budget, 9)


def budgets_after(budgets: Iterable[float], terms: Terms) -> frozenset[float]:
    """What is left of each budget above a rung that stays undecided."""
    return frozenset(max(0.0, budget - _spent(budget, terms)) for budget in budgets)


@cache
def _spent(budget: float, terms: Terms) -> float:
    """How likely a rung that just misses the bar passes at the level its budget gives it."""
    claim = claim_confidence(budget, terms, is_largest=False)
    if not terms.is_single:
        return 1 - claim
    if terms.stops_early:
        return _early_chances(terms, claim).passes
    needed = passes_needed(terms.cases, pass_rate=terms.pass_rate, confidence=claim) if claim < 1 else None
    return _at_least(needed, terms)


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
