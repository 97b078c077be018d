"""Ratios of energy, tokens, seconds and cost between two rungs on the same cases; pure.

The amount of a case is the mean over its trials of the sum over a trial's answers. Ratios are geometric means, paired
by case: they describe a typical case, not the totals. A ratio that is unknown, or whose amounts are of different kinds,
is replaced by a sentence that says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.records import AnswerRecord, Trial
from pytest_rightsize.statistics import geometric_mean_ratio
from pytest_rightsize.statistics.estimates import Ratio

__all__ = ["AMOUNTS", "Economy", "economy"]

AMOUNTS = ("energy", "tokens", "seconds", "cost")
_Cases = Mapping[str, Sequence[Trial]]
_Amount = tuple[float, str]
"""An amount and its kind: only amounts of one kind can be compared."""


@dataclass(frozen=True, kw_only=True)
class Economy:
    """Geometric mean ratios A / B by the name of the amount; for the other names `unknown` says why there is none."""

    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def economy(a: _Cases, b: _Cases, *, names: tuple[str, str] = ("A", "B")) -> Economy:
    """The ratios on the cases that both have; `names` are used in the sentence where one rung lacks an amount."""
    ratios: dict[str, Ratio] = {}
    unknown: dict[str, str] = {}
    for name in AMOUNTS:
        ratio = _ratio(name, a, b, names)
        if isinstance(ratio, Ratio):
            ratios[name] = ratio
        else:
            unknown[name] = ratio
    return Economy(ratios=ratios, unknown=unknown)


def _ratio(name: str, a: _Cases, b: _Cases, names: tuple[str, str]) -> Ratio | str:
    amount = _AMOUNT_OF[name]
    try:
        pairs = [(_of_case(a[case], amount), _of_case(b[case], amount)) for case in a if case in b]
    except MixedEnergyError as error:
        return f"not comparable: {error}"
    complete = [(of_a, of_b) for of_a, of_b in pairs if of_a is not None and of_b is not None]
    if not complete:
        return _why_unknown(name, [of_a for of_a, _ in pairs], [of_b for _, of_b in pairs], names)
    for (_, kind_a), (_, kind_b) in complete:
        if kind_a != kind_b:
            return f"not comparable: that of {names[0]} is {kind_a}, that of {names[1]} is {kind_b}"
    kinds = sorted({kind for (_, kind), _ in complete})
    if len(kinds) > 1:
        return f"not comparable: some is {kinds[0]}, some is {kinds[1]}"
    # 0 joules or 0 USD has no logarithm, so that such a case has no part in a geometric mean.
    ratio = geometric_mean_ratio((of_a, of_b) for (of_a, _), (of_b, _) in complete if of_a > 0 and of_b > 0)
    return ratio or "not known: every case has an amount of 0"


def _why_unknown(name: str, a: Sequence[_Amount | None], b: Sequence[_Amount | None], names: tuple[str, str]) -> str:
    """A sentence on which of the two rungs lacks the amount."""
    lacks_a, lacks_b = (all(amount is None for amount in amounts) for amounts in (a, b))
    if lacks_a == lacks_b:
        return f"not known: {f'neither has {name}' if lacks_a else f'no case has the {name} of both'}"
    return f"not known: {names[0] if lacks_a else names[1]} has no {name}"


def _of_case(trials: Sequence[Trial], amount: Callable[[Sequence[AnswerRecord]], _Amount | None]) -> _Amount | None:
    """The mean over the trials of a case; None where the amount of any trial is unknown."""
    amounts = [amount(trial.answers) if trial.answers else None for trial in trials]
    known = [pair for pair in amounts if pair is not None]
    if len(known) < len(amounts) or not known:
        return None
    kinds = sorted({kind for _, kind in known})
    if len(kinds) > 1:
        raise MixedEnergyError(f"one case has energy that is {kinds[0]} and energy that is {kinds[1]}")
    return fmean(value for value, _ in known), kinds[0]


def _energy(answers: Sequence[AnswerRecord]) -> _Amount | None:
    energies = [answer.energy for answer in answers if answer.energy is not None]
    total = Energy.total(energies) if len(energies) == len(answers) else None
    return None if total is None or total.joules is None else (total.joules, str(total.kind))


def _plain(of: Callable[[AnswerRecord], float | None]) -> Callable[[Sequence[AnswerRecord]], _Amount | None]:
    def total(answers: Sequence[AnswerRecord]) -> _Amount | None:
        amounts = [of(answer) for answer in answers]
        known = [amount for amount in amounts if amount is not None]
        return (float(sum(known)), "") if len(known) == len(amounts) else None

    return total


_AMOUNT_OF: Mapping[str, Callable[[Sequence[AnswerRecord]], _Amount | None]] = {
    "energy": _energy,
    "tokens": _plain(lambda answer: answer.tokens.total),
    "seconds": _plain(lambda answer: answer.seconds),
    "cost": _plain(lambda answer: answer.cost_usd),
}
