"""What the choice of a rung means at scale: energy, money and CO2e of many requests; pure.

A request is what a case of a task asks. Each amount is the mean of a case with a 95 % interval over the cases, widened
by the error of the meter, times the number of requests. Joules keep their kind: those of a laptop stand beside those of
a data centre, each with its provenance, and are never added up. An unknown amount has a reason and no figure.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_rightsize.judging.conclusions import Conclusion, Saving
from pytest_rightsize.judging.rung_amounts import MeterErrors, Quantity, RungAmounts, meter_errors, rung_amounts
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Json, Run, Rung, Trial
from pytest_rightsize.statistics import mean_difference
from pytest_rightsize.verdict_records import Verdict

__all__ = ["SCALES", "FleetRow", "PerRequest", "fleet"]

SCALES: Mapping[str, float] = {"per 1,000 requests": 1e3, "per million requests": 1e6}
_JOULES_PER_KWH = 3.6e6
_MONTHS = 12


@dataclass(frozen=True, kw_only=True)
class PerRequest:
    """An amount of one request in `unit` (kWh, USD or kg CO2e); `low` and `high` are None for a single case."""

    unit: str
    value: float
    low: float | None
    high: float | None

    def times(self, number: float) -> "PerRequest":
        """The amount of `number` requests."""
        low, high = (None if end is None else end * number for end in (self.low, self.high))
        return PerRequest(unit=self.unit, value=self.value * number, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class FleetRow:
    """One rung in one task: what a request takes, how its joules are known, and why an amount is unknown.

    `roles` are `smallest`, `recommended` and `chosen`, as far as the rung is one; a row with the role `saved` is the
    difference between two rungs, and `estimate` says how it was made where one of them was not run. `scales` maps words
    such as `per month` to numbers of requests. `energy_kind` and `meter` are the provenance of the joules.
    """

    task: str
    rung: str
    roles: tuple[str, ...]
    cases: int
    scales: Mapping[str, float]
    amounts: Mapping[str, PerRequest]
    unknown: Mapping[str, str]
    energy_kind: str | None = None
    meter: str | None = None
    estimate: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """The row as JSON data, with the amounts of each number of requests."""
        scaled = {
            words: {name: plain_fields(amount.times(number)) for name, amount in self.amounts.items()}
            for words, number in self.scales.items()
        }
        per_request = {name: plain_fields(amount) for name, amount in self.amounts.items()}
        names = ("task", "rung", "cases", "energy_kind", "meter", "estimate")
        return {
            **{name: getattr(self, name) for name in names},
            "roles": list(self.roles),
            "unknown": dict(self.unknown),
            "per request": per_request,
            **scaled,
        }


def fleet(run: Run, verdicts: Sequence[Verdict], conclusions: Mapping[str, Conclusion]) -> list[FleetRow]:
    """A row for each rung that answered in each task, in the order of the ladder, and one for what a smaller saves.

    A rung that was only asked for savings has a row too.
    """
    trials: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in sorted(run.trials, key=lambda trial: trial.key):
        if trial.ended is not None and trial.answers:
            trials[trial.key.task, trial.key.rung].append(trial)
    errors = meter_errors(run)
    rows: list[FleetRow] = []
    for verdict in verdicts:
        conclusion = conclusions.get(verdict.task)
        rows += [
            _row(run, verdict, conclusion, rung, trials[verdict.task, rung.name], errors)
            for rung in run.rungs
            if trials[verdict.task, rung.name]
        ]
        if conclusion is not None and (saved := _saved(run, conclusion)) is not None:
            rows.append(saved)
    return rows


def _saved(run: Run, conclusion: Conclusion) -> FleetRow | None:
    """What the smaller rung saves, by the savings of a conclusion; None without joules or money of both."""
    savings = {saving.quantity: saving for saving in conclusion.savings if saving.quantity in _QUANTITIES}
    if not savings:
        return None
    first = next(iter(savings.values()))
    amounts: dict[str, PerRequest] = {}
    unknown: dict[str, str] = {name: "not of both, or not in one way" for name in _QUANTITIES if name not in savings}
    if "energy" in savings:
        amounts["energy"] = _difference(savings["energy"], "kWh", 1 / _JOULES_PER_KWH)
    if "cost" in savings:
        amounts["cost"] = _difference(savings["cost"], "USD", 1.0)
    grams = {rung.gco2_per_kwh for rung in run.rungs if rung.name in (first.chosen, first.instead)}
    intensity = grams.pop() if len(grams) == 1 else None
    if "energy" in savings and intensity is not None:
        amounts["co2e"] = _difference(savings["energy"], "kg CO2e", intensity / 1000 / _JOULES_PER_KWH)
    else:
        unknown["co2e"] = "no common gco2_per_kwh is set" if intensity is None else unknown["energy"]
    return FleetRow(
        task=conclusion.task,
        rung=f"{first.instead} instead of {first.chosen}",
        roles=("saved",),
        cases=first.cases,
        scales=_scales(run, conclusion.task),
        amounts=amounts,
        unknown=unknown,
        energy_kind=savings["energy"].kind if "energy" in savings else None,
        estimate=first.estimate,
    )


def _difference(saving: Saving, unit: str, factor: float) -> PerRequest:
    value, low, high = (
        None if each is None else each / 1000 * factor for each in (saving.per_1000, saving.low, saving.high)
    )
    return PerRequest(unit=unit, value=value or 0.0, low=low, high=high)


def _row(
    run: Run, verdict: Verdict, conclusion: Conclusion | None, rung: Rung, trials: Sequence[Trial], errors: MeterErrors
) -> FleetRow:
    amounts: dict[str, PerRequest] = {}
    unknown: dict[str, str] = {}
    energy, cost = (rung_amounts(rung.name, trials, quantity, errors) for quantity in _QUANTITIES)
    if isinstance(energy, str):
        unknown["energy"] = energy
    else:
        amounts["energy"] = _per_request(energy, "kWh", 1 / _JOULES_PER_KWH)
    if isinstance(cost, str):
        unknown["cost"] = cost
    else:
        amounts["cost"] = _per_request(cost, "USD", 1.0)
    if rung.gco2_per_kwh is None:
        unknown["co2e"] = "no gco2_per_kwh is set"
    elif isinstance(energy, str):
        unknown["co2e"] = energy
    else:
        amounts["co2e"] = _per_request(energy, "kg CO2e", rung.gco2_per_kwh / 1000 / _JOULES_PER_KWH)
    known = None if isinstance(energy, str) else energy
    return FleetRow(
        task=verdict.task,
        rung=rung.name,
        roles=_roles(rung.name, verdict, conclusion),
        cases=len({trial.key.case for trial in trials}),
        scales=_scales(run, verdict.task),
        amounts=amounts,
        unknown=unknown,
        energy_kind=None if known is None or known.kind is None else str(known.kind),
        meter=None if known is None or known.energy is None else known.energy.meter,
    )


_QUANTITIES: tuple[Quantity, Quantity] = ("energy", "cost")


def _roles(rung: str, verdict: Verdict, conclusion: Conclusion | None) -> tuple[str, ...]:
    recommended = None if conclusion is None else conclusion.recommended
    roles = {"smallest": verdict.smallest, "recommended": recommended, "chosen": verdict.chosen}
    if recommended == verdict.smallest:
        del roles["recommended"]
    return tuple(role for role, name in roles.items() if name == rung)


def _scales(run: Run, task: str) -> dict[str, float]:
    """The numbers of requests, also those of a month and a year where the ladder file says how often it is asked."""
    policy = run.policies.get(task)
    monthly = None if policy is None else policy.requests_per_month
    return {**SCALES, **({} if monthly is None else {"per month": monthly, "per year": _MONTHS * monthly})}


def _per_request(taken: RungAmounts, unit: str, factor: float) -> PerRequest:
    """The mean of a case in the unit, with the interval over cases and what the meter leaves open."""
    means = [case.amount / case.samples for case in taken.cases.values()]
    value = fmean(means)
    interval = mean_difference((mean, 0.0) for mean in means)
    low_factor, high_factor = taken.bounds
    if interval is None:
        has_bounds = taken.bounds != (1.0, 1.0)
        low, high = (value * low_factor, value * high_factor) if has_bounds else (None, None)
    else:
        low, high = max(0.0, interval.low) * low_factor, interval.high * high_factor
    return PerRequest(
        unit=unit,
        value=value * factor,
        low=None if low is None else low * factor,
        high=None if high is None else high * factor,
    )
