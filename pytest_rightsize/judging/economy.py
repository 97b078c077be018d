"""From the trials of two rungs on the same cases to how much one takes of what the other takes; pure.

A case's amount is the mean over its trials of what all answers of a trial took together. Ratios are geometric means,
paired by case: what a typical case takes, and not what all take together. Where one is not known, or would compare what
is not comparable, a sentence stands instead of a number.
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
"""How much, and of which kind: only amounts of one kind can be compared."""


@dataclass(frozen=True, kw_only=True)
class Economy:
    """A's amounts as parts of B's: geometric mean ratios by name, and for the other names why there is none."""

    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def economy(a: _Cases, b: _Cases, *, names: tuple[str, str] = ("A", "B")) -> Economy:
    """The ratios on the cases that both have; `names` are what to call the two where one has no such amount."""
    ratios: dict[str, Ratio] = {}
    unknown: dict[str, str] = {}
    for name in AMOUNTS:
        found = _ratio(name, a, b, names)
        if isinstance(found, Ratio):
            ratios[name] = found
        else:
            unknown[name] = found
    return Economy(ratios=ratios, unknown=unknown)


def _ratio(name: str, a: _Cases, b: _Cases, names: tuple[str, str]) -> Ratio | str:
    amount = _AMOUNT_OF[name]
    try:
        pairs = [(_of_case(a[case], amount), _of_case(b[case], amount)) for case in a if case in b]
    except MixedEnergyError as error:
        return f"not comparable: {error}"
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    if not known:
        return _whose(name, [one for one, _ in pairs], [other for _, other in pairs], names)
    for one, other in known:
        if one[1] != other[1]:
            return f"not comparable: that of {names[0]} is {one[1]}, that of {names[1]} is {other[1]}"
    kinds = sorted({one[1] for one, _ in known})
    if len(kinds) > 1:
        return f"not comparable: some is {kinds[0]}, some is {kinds[1]}"
    # 0 joules or 0 USD has no logarithm; that such a case cost nothing is not what is asked.
    found = geometric_mean_ratio((one[0], other[0]) for one, other in known if one[0] > 0 and other[0] > 0)
    return found or "not known: every case has an amount of 0"


def _whose(name: str, a: Sequence[_Amount | None], b: Sequence[_Amount | None], names: tuple[str, str]) -> str:
    """Who of the two lacks the amount."""
    lacks_a, lacks_b = (all(amount is None for amount in amounts) for amounts in (a, b))
    if lacks_a == lacks_b:
        return f"not known: {f'neither has {name}' if lacks_a else f'no case has the {name} of both'}"
    return f"not known: {names[0] if lacks_a else names[1]} has no {name}"


def _of_case(trials: Sequence[Trial], amount: Callable[[Sequence[AnswerRecord]], _Amount | None]) -> _Amount | None:
    """The mean over the trials of a case; None where one is not known."""
    amounts = [amount(trial.answers) if trial.answers else None for trial in trials]
    known = [one for one in amounts if one is not None]
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
