"""Properties of trials and of the whole suite for the JUnit XML that pytest writes."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.escaping import visible
from pytest_rightsize.records import Trial
from pytest_rightsize.verdict_records import Verdict

__all__ = ["suite_properties", "trial_properties"]


def trial_properties(trial: Trial) -> list[tuple[str, str]]:
    """Name and value of each property of a test; unknown values are left out."""
    tokens = [answer.tokens.total for answer in trial.answers]
    costs = [answer.cost_usd for answer in trial.answers]
    properties = {
        "task": trial.key.task,
        "rung": trial.key.rung,
        "sample": trial.key.sample,
        "outcome": trial.outcome,
        "reason": trial.reason,
        "tokens": sum(token for token in tokens if token is not None) if tokens and None not in tokens else None,
        "joules": _joules(trial),
        "cost_usd": sum(cost for cost in costs if cost is not None) if costs and None not in costs else None,
    }
    return [_property(name, str(value)) for name, value in properties.items() if value is not None]


@lru_cache(maxsize=10_000)
def _property(name: str, value: str) -> tuple[str, str]:
    """One property; pytest keeps those of every test to the end, so equal ones are one object."""
    return f"rightsize.{name}", visible(value)


def _joules(trial: Trial) -> float | None:
    """The joules of all answers, if all are known and of one kind."""
    energies = [answer.energy for answer in trial.answers if answer.energy is not None]
    if len(energies) < len(trial.answers):
        return None
    try:
        total = Energy.total(energies)
    except MixedEnergyError:
        return None
    return None if total is None else total.joules


def suite_properties(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, str]]:
    """The verdicts, as properties of the whole suite: they are known only when every test has ended."""
    for verdict in verdicts:
        task = visible(verdict.task)
        yield f"rightsize.verdict.{task}", verdict.verdict
        yield f"rightsize.smallest.{task}", verdict.smallest or ""
        yield f"rightsize.chosen.{task}", verdict.chosen or ""
        yield f"rightsize.evidence.{task}", verdict.evidence or ""
