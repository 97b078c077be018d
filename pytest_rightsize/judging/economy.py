"""Ratios of energy, tokens, seconds and cost between two rungs on the same cases; pure.

The amount of a case is the mean over its trials of the sum over a trial's answers. Ratios are geometric means, paired
by case: they describe a typical case, not the totals. Tokens of prompt, completion and reasoning are apart: the first
are the same for all who read the same text, and only the others say who writes more. A ratio that is unknown, or whose
amounts are of different kinds, is replaced by a sentence that says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from statistics import fmean

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.judging.token_counts import impossible, why_unsound
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import AnswerRecord, Json, Trial
from pytest_rightsize.statistics import geometric_mean_ratio
from pytest_rightsize.statistics.estimates import Ratio

__all__ = ["AMOUNTS", "Economy", "economy"]

AMOUNTS = ("energy", "completion_tokens", "seconds", "cost", "reasoning_tokens", "prompt_tokens")
"""In the order in which one of them is told where there is room for one."""
_Cases = Mapping[str, Sequence[Trial]]
_Amount = tuple[float, str]
"""An amount and its kind: only amounts of one kind can be compared."""


@dataclass(frozen=True, kw_only=True)
class Economy:
    """Geometric mean ratios A / B by the name of the amount; for the other names `unknown` says why there is none.

    `spreads` has the ratio of the totals over the same cases, and the least and the largest ratio of a case; `cautions`
    says of a ratio what may be wrong with its counts.
    """

    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    spreads: Mapping[str, "_Spread"] = field(default_factory=dict)
    cautions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Json]:
        """The ratios as JSON data, null where they are unknown."""
        return {
            name: plain_fields(ratio) | {"tie": ratio.tie} | plain_fields(self.spreads[name])
            if (ratio := self.ratios.get(name))
            else None
            for name in AMOUNTS
        }


@dataclass(frozen=True, kw_only=True)
class _Spread:
    of_totals: float
    min: float
    max: float


def economy(
    a: _Cases, b: _Cases, *, names: tuple[str, str] = ("A", "B"), reason: tuple[bool, bool] = (False, False)
) -> Economy:
    """The ratios on the cases that both have; `names` are used in the sentence where one rung lacks an amount.

    `reason` says of each rung whether it is known to be a reasoning model.
    """
    ratios: dict[str, Ratio] = {}
    unknown: dict[str, str] = {}
    spreads: dict[str, _Spread] = {}
    for name in AMOUNTS:
        doubt = _doubt(a, b, names, reason) if name == "reasoning_tokens" else None
        pairs = doubt or _pairs(name, a, b, names)
        if isinstance(pairs, str):
            unknown[name] = pairs
            continue
        ratio = geometric_mean_ratio(pairs)
        assert ratio is not None  # as there is a pair
        each = [of_a / of_b for of_a, of_b in pairs]
        totals = fsum(of_a for of_a, _ in pairs) / fsum(of_b for _, of_b in pairs)
        ratios[name], spreads[name] = ratio, _Spread(of_totals=totals, min=min(each), max=max(each))
    return Economy(ratios=ratios, unknown=unknown, spreads=spreads, cautions=_cautions(ratios, a, b, names))


def _doubt(a: _Cases, b: _Cases, names: tuple[str, str], reason: tuple[bool, bool]) -> str | None:
    """Why the reasoning tokens of one of the two, on the cases that both have, cannot be what it reasoned."""
    for cases, others, name, reasons in ((a, b, names[0], reason[0]), (b, a, names[1], reason[1])):
        why = why_unsound((answer.tokens for answer in _answers(cases, others)), reasons=reasons)
        if why is not None:
            return f"not known: of {name}, {why}"
    return None


def _cautions(ratios: Mapping[str, Ratio], a: _Cases, b: _Cases, names: tuple[str, str]) -> dict[str, str]:
    """A caution where some answers report more reasoning than completion tokens, but not the rung as a whole."""
    parts = []
    for cases, others, name in ((a, b, names[0]), (b, a, names[1])):
        answers = _answers(cases, others)
        if number := impossible(answer.tokens for answer in answers):
            parts.append(f"{number:,} of {len(answers):,} answers of {name}")
    if not parts or "reasoning_tokens" not in ratios:
        return {}
    return {"reasoning_tokens": f"{' and '.join(parts)} report more reasoning than completion tokens"}


def _answers(cases: _Cases, others: _Cases) -> list[AnswerRecord]:
    return [answer for case in cases if case in others for trial in cases[case] for answer in trial.answers]


def _pairs(name: str, a: _Cases, b: _Cases, names: tuple[str, str]) -> list[tuple[float, float]] | str:
    """The amounts of each case on both rungs, at least one pair; else a sentence on why there is none."""
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
    known = [(of_a, of_b) for (of_a, _), (of_b, _) in complete if of_a > 0 and of_b > 0]
    return known or "not known: every case has an amount of 0"


def _why_unknown(name: str, a: Sequence[_Amount | None], b: Sequence[_Amount | None], names: tuple[str, str]) -> str:
    """A sentence on which of the two rungs lacks the amount."""
    words = name.replace("_", " ")
    lacks_a, lacks_b = (all(amount is None for amount in amounts) for amounts in (a, b))
    if lacks_a == lacks_b:
        return f"not known: {f'neither has {words}' if lacks_a else f'no case has the {words} of both'}"
    return f"not known: {names[0] if lacks_a else names[1]} has no {words}"


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
    "prompt_tokens": _plain(lambda answer: answer.tokens.prompt),
    "completion_tokens": _plain(lambda answer: answer.tokens.completion),
    "reasoning_tokens": _plain(lambda answer: answer.tokens.reasoning),
    "seconds": _plain(lambda answer: answer.seconds),
    "cost": _plain(lambda answer: answer.cost_usd),
}
