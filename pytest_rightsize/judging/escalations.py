"""How often a cascade passes on to its larger rungs, and what it takes against the best single one; pure.

A run and its verdicts come in. Amounts are compared as those of any two rungs: on the cases that both answered, by what
a passed case takes, and where one is unknown the reason stands in its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.judging.rung_amounts import MeterErrors, Quantity, meter_errors, rung_amounts
from pytest_rightsize.judging.rung_ratios import ratio_of
from pytest_rightsize.records import Run, Trial, trials_by_task
from pytest_rightsize.statistics.estimates import Ratio
from pytest_rightsize.verdict_records import Verdict

__all__ = ["QUANTITIES", "Escalation", "cascades", "escalations"]

QUANTITIES: tuple[Quantity, ...] = ("energy", "cost", "latency", "completion_tokens")
"""What a cascade is compared by."""


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """Of `answers` of a cascade in a task, `passed_on` were taken from a larger rung than the first.

    `last` is the rung that it may pass on to at the end, `single` the smallest other rung that passes, with which it is
    compared: `ratios` are multiples of what that takes for a passed case, or clauses on why they are unknown. None
    where no single rung passes, or none was run.
    """

    task: str
    rung: str
    answers: int
    passed_on: int
    last: str
    single: str | None
    ratios: Mapping[Quantity, Ratio | str]


def cascades(run: Run) -> dict[str, tuple[str, ...]]:
    """The rungs of each cascade on the ladder, by its name."""
    return {rung.name: tuple(rung.options.get("rungs", ())) for rung in run.rungs if rung.provider == "cascade"}


def escalations(run: Run, verdicts: Sequence[Verdict]) -> Iterator[Escalation]:
    """Each cascade in each task where it gave an answer."""
    members = cascades(run)
    errors = meter_errors(run) if members else None
    by_task = trials_by_task(run.trials) if members else {}
    for verdict in verdicts if members else ():
        trials = [trial for trial in by_task.get(verdict.task, ()) if trial.ended is not None]
        singles = [
            rung for rung, standing in verdict.standing.items() if standing.state == "passes" and rung not in members
        ]
        for rung in members:
            mine = _of(trials, rung)
            answers = [answer for trial in mine for answer in trial.answers if answer.via]
            if answers and errors is not None:
                single = singles[0] if singles else None
                yield Escalation(
                    task=verdict.task,
                    rung=rung,
                    answers=len(answers),
                    passed_on=sum(len(answer.via) > 1 for answer in answers),
                    last=members[rung][-1],
                    single=single,
                    ratios={} if single is None else _ratios(mine, _of(trials, single), (rung, single), errors),
                )


def _of(trials: Sequence[Trial], rung: str) -> list[Trial]:
    return [trial for trial in trials if trial.key.rung == rung]


def _ratios(
    mine: Sequence[Trial], others: Sequence[Trial], names: tuple[str, str], errors: MeterErrors
) -> dict[Quantity, Ratio | str]:
    ratios: dict[Quantity, Ratio | str] = {}
    for quantity in QUANTITIES:
        amounts = [
            rung_amounts(name, trials, quantity, errors) for name, trials in zip(names, (mine, others), strict=True)
        ]
        reason = next((each for each in amounts if isinstance(each, str)), None)
        first, other = amounts
        if isinstance(first, str) or isinstance(other, str):
            ratios[quantity] = str(reason)
        else:
            ratios[quantity] = ratio_of(first, other)
    return ratios
