"""What a smaller rung saves against the chosen one: by what both took for the same cases, else an estimate; pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_rightsize.judging.estimated_savings import MeanLengths, estimated_cost, how_estimated
from pytest_rightsize.judging.rung_amounts import TOKENS, UNITS, MeterErrors, Quantity, RungAmounts, rung_amounts
from pytest_rightsize.records import Trial
from pytest_rightsize.statistics import mean_difference
from pytest_rightsize.verdict_records import Verdict

__all__ = ["Saving", "savings_against_chosen"]


@dataclass(frozen=True, kw_only=True)
class Saving:
    """The amount that `instead` saves against `chosen` over 1,000 cases, in `unit`; negative where it takes more.

    `chosen_per_1000` is what `chosen` takes for as many. The 95 % interval is over cases and includes the error of the
    meter; None for a single case and for an estimate. `sampled` counts the cases that `chosen` was asked for this
    alone. Where it was not run, `estimate` says how the amount was made; None where both rungs answered.
    """

    quantity: Quantity
    unit: str
    chosen: str
    instead: str
    per_1000: float
    low: float | None
    high: float | None
    cases: int
    kind: str | None = None
    estimate: str | None = None
    sampled: int = 0
    chosen_per_1000: float | None = None


def savings_against_chosen(
    instead: str | None,
    verdict: Verdict,
    tables: Mapping[str, Sequence[Trial]],
    sampled: Sequence[Trial],
    errors: MeterErrors,
    lengths: MeanLengths,
) -> tuple[tuple[Saving, ...], str | None]:
    """The savings of the recommended rung against the chosen one, or the reason why there are none.

    `tables` has the trials of rungs that verdicts count, `sampled` those that the chosen rung was asked for this alone.
    """
    chosen = verdict.chosen
    if chosen is None or instead is None or chosen == instead or chosen not in verdict.standing:
        return (), None
    answered = [trial for trial in sampled if trial.ended is not None]
    trials = [*tables.get(chosen, ()), *answered]
    if not trials:
        savings, why = _estimated(chosen, instead, tables[instead], errors, lengths)
        if sampled:
            why = f"{chosen} was asked what {instead} saves, and could not answer"
        return savings, why
    found = []
    quantities: tuple[Quantity, ...] = ("energy", "cost", "latency", *TOKENS)
    for quantity in quantities:
        of_chosen = rung_amounts(chosen, trials, quantity, errors)
        of_instead = rung_amounts(instead, tables[instead], quantity, errors)
        if not isinstance(of_chosen, str) and not isinstance(of_instead, str) and of_chosen.kind == of_instead.kind:
            saving = _saving(quantity, of_chosen, of_instead, {trial.key.case for trial in answered})
            found += [saving] if saving else []
    return tuple(found), None


def _estimated(
    chosen: str, instead: str, trials: Sequence[Trial], errors: MeterErrors, lengths: MeanLengths
) -> tuple[tuple[Saving, ...], str | None]:
    """What is saved in money against a rung that was not run, as an estimate, or why there is none."""
    advice = f"--rightsize-savings=sample shows what {instead} saves"
    of_instead = rung_amounts(instead, trials, "cost", errors)
    would_cost = estimated_cost(lengths, chosen, trials)
    if isinstance(would_cost, str):
        return (), f"{chosen} was not run, and {would_cost}: {advice}"
    how = how_estimated(lengths, chosen, instead)
    if isinstance(of_instead, str):
        amount = f"about ${1000 * would_cost:.3g} per 1,000 cases (estimate: {how})"
        return (), f"{chosen} was not run and would take {amount}; what {instead} takes is not known: {of_instead}"
    costs = [case.amount / case.samples for case in of_instead.cases.values()]
    saving = Saving(
        quantity="cost",
        unit=UNITS["cost"],
        chosen=chosen,
        instead=instead,
        per_1000=1000 * (would_cost - fmean(costs)),
        chosen_per_1000=1000 * would_cost,
        low=None,
        high=None,
        cases=len(costs),
        estimate=how,
    )
    return (saving,), None


def _saving(quantity: Quantity, chosen: RungAmounts, instead: RungAmounts, sampled: Collection[str]) -> Saving | None:
    common = [case for case in chosen.cases if case in instead.cases]
    if not common:
        return None
    means = [[taken.cases[case].amount / taken.cases[case].samples for case in common] for taken in (chosen, instead)]
    pairs = list(zip(*means, strict=True))
    interval = mean_difference(pairs)
    mean_chosen, mean_instead = (fmean(amounts) for amounts in means)
    (low_c, high_c), (low_i, high_i) = chosen.bounds, instead.bounds
    down = mean_chosen * (1 - low_c) + mean_instead * (high_i - 1)
    up = mean_chosen * (high_c - 1) + mean_instead * (1 - low_i)
    return Saving(
        quantity=quantity,
        unit=UNITS[quantity],
        chosen=chosen.rung,
        instead=instead.rung,
        per_1000=1000 * (mean_chosen - mean_instead),
        chosen_per_1000=1000 * mean_chosen,
        low=None if interval is None else 1000 * (interval.low - down),
        high=None if interval is None else 1000 * (interval.high + up),
        cases=len(common),
        sampled=sum(case in sampled for case in common),
        kind=None if chosen.kind is None else str(chosen.kind),
    )
