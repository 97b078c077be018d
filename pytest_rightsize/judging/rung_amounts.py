"""Amounts of one rung in one task: energy, money, time or tokens of each case, and how many trials passed; pure.

An unknown amount is replaced by its reason, as a clause. Energies of several kinds are never added up.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, inf
from typing import Literal, NamedTuple

from pytest_rightsize.energy import Energy, Kind
from pytest_rightsize.judging.token_counts import says_it_reasons, why_unsound
from pytest_rightsize.records import AnswerRecord, Run, Rung, Trial

__all__ = ["TOKENS", "UNITS", "CaseAmount", "MeterErrors", "Quantity", "RungAmounts", "meter_errors", "rung_amounts"]

Quantity = Literal["energy", "cost", "latency", "completion_tokens", "reasoning_tokens", "prompt_tokens"]
TOKENS: tuple[Quantity, ...] = ("completion_tokens", "reasoning_tokens", "prompt_tokens")
UNITS: Mapping[Quantity, str] = {"energy": "J", "cost": "USD", "latency": "s", **dict.fromkeys(TOKENS, "tokens")}


class CaseAmount(NamedTuple):
    """Sums over the samples of a case: the amount, how many passed, and how many there are."""

    amount: float
    passed: int
    samples: int


@dataclass(frozen=True, kw_only=True)
class RungAmounts:
    """The amounts of a rung by case.

    `bounds` is the error of the meter, as factors of the amounts: (0.95, 1.05) for 5 % either way.
    """

    rung: str
    cases: Mapping[str, CaseAmount]
    kind: Kind | None = None
    energy: Energy | None = None
    bounds: tuple[float, float] = (1.0, 1.0)


def rung_amounts(rung: str, trials: Sequence[Trial], quantity: Quantity, errors: "MeterErrors") -> RungAmounts | str:
    """The rung's amounts of the quantity, or a clause that says why they are unknown."""
    if quantity == "reasoning_tokens":
        doubt = why_unsound(
            (answer.tokens for trial in trials for answer in trial.answers), reasons=rung in errors.reasoning
        )
        if doubt is not None:
            return doubt
    amounts: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    energies: list[Energy] = []
    for trial in trials:
        total = 0.0
        for answer in trial.answers:
            amount = _amount(answer, quantity)
            if isinstance(amount, str):
                return amount
            total += amount
            if answer.energy is not None:
                energies.append(answer.energy)
        amounts[trial.key.case].append((total, trial.ended == "passed"))
    if not amounts:
        return "it was not run"
    cases = {
        case: CaseAmount(fsum(amount for amount, _ in rows), sum(passed for _, passed in rows), len(rows))
        for case, rows in amounts.items()
    }
    if quantity != "energy" and not (quantity == "cost" and rung in errors.electric):
        bounds = errors.of_cost.get(rung, (1.0, 1.0)) if quantity == "cost" else (1.0, 1.0)
        return RungAmounts(rung=rung, cases=cases, bounds=bounds)
    kinds = sorted({energy.kind for energy in energies})
    if len(kinds) != 1:
        return f"its joules are of several kinds ({'; '.join(map(str, kinds))})" if kinds else "it was not measured"
    energy = Energy.total(energies)
    assert energy is not None  # as there is one kind
    bounds = errors.of.get((rung, energy.kind)) or _factors([energy])
    # Money has no kind, however the joules behind it were measured; it only takes over their bounds.
    return RungAmounts(
        rung=rung, cases=cases, kind=kinds[0] if quantity == "energy" else None, energy=energy, bounds=bounds
    )


def _amount(answer: AnswerRecord, quantity: Quantity) -> float | str:
    """One answer's amount, or a clause that says why there is none."""
    if quantity == "energy":
        if answer.energy is None:
            return "nothing measured its energy"
        return answer.energy.reason or "unknown" if answer.energy.joules is None else answer.energy.joules
    value = _VALUES[quantity](answer)
    if value is None:
        return _UNKNOWN.get(quantity) or f"its {quantity.replace('_', ' ')} are not known"
    return float(value) if 0 <= value < inf else f"one of its amounts is {value:g} {UNITS[quantity]}, which cannot be"


_VALUES: Mapping[Quantity, Callable[[AnswerRecord], float | None]] = {
    "cost": lambda answer: answer.cost_usd,
    "latency": lambda answer: answer.seconds,
    "completion_tokens": lambda answer: answer.tokens.completion,
    "reasoning_tokens": lambda answer: answer.tokens.reasoning,
    "prompt_tokens": lambda answer: answer.tokens.prompt,
}
_UNKNOWN: Mapping[Quantity, str] = {"cost": "its price is not known", "latency": "its time is not known"}


@dataclass(frozen=True, kw_only=True)
class MeterErrors:
    """Error of each rung's meter over all that it served, as factors.

    The split between cases may be off, but the errors of the shares cancel in their sum. `electric` are the rungs whose
    cost is the price of their joules, `reasoning` those of which the ladder file says that they reason. `of_cost` is
    that of the cost of cascades, at most, of which only some members are electric.
    """

    of: Mapping[tuple[str, Kind], tuple[float, float]]
    electric: frozenset[str]
    reasoning: frozenset[str] = frozenset()
    of_cost: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def meter_errors(run: Run) -> MeterErrors:
    """The errors of every meter of the run, by rung and kind of the energy that it served.

    The meters of a rung's replicas are one instrument each: their bounds are added.
    """
    served: dict[tuple[str, Kind], list[Energy]] = defaultdict(list)
    for metering in run.meters:
        if metering.served is not None and metering.served.joules:
            served[metering.rung, metering.served.kind].append(metering.served)
    of, electric = {key: _factors(energies) for key, energies in served.items()}, _electric(run.rungs)
    return MeterErrors(
        of=of,
        electric=electric,
        of_cost=dict(_costs_of_mixed(run.rungs, electric, of)),
        reasoning=frozenset(rung.name for rung in run.rungs if says_it_reasons(rung)),
    )


def _electric(rungs: Sequence[Rung]) -> frozenset[str]:
    """The rungs whose cost is the price of their joules; a cascade is one where each of its members is."""
    plain = {rung.name for rung in rungs if rung.price is None and rung.provider != "cascade"}
    members = {rung.name: rung.options.get("rungs", ()) for rung in rungs if rung.provider == "cascade"}
    return frozenset([*plain, *(name for name, of in members.items() if plain.issuperset(of))])


def _costs_of_mixed(
    rungs: Sequence[Rung], electric: frozenset[str], of: Mapping[tuple[str, Kind], tuple[float, float]]
) -> Iterator[tuple[str, tuple[float, float]]]:
    """The cascades of which some members are electric: their cost is off by no greater part than those members' is."""
    for rung in rungs:
        if rung.provider == "cascade" and rung.name not in electric:
            members = electric.intersection(rung.options.get("rungs", ()))
            bounds = [each for (name, _), each in of.items() if name in members]
            if bounds:
                yield rung.name, (min(low for low, _ in bounds), max(high for _, high in bounds))


def _factors(energies: Sequence[Energy]) -> tuple[float, float]:
    """The bounds of their sum, as factors of it."""
    total = sum(energy.joules or 0.0 for energy in energies)
    bounds = [energy.bounds for energy in energies if energy.bounds is not None]
    low, high = sum(low for low, _ in bounds), sum(high for _, high in bounds)
    return (low / total, high / total) if total else (1.0, 1.0)
