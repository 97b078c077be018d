"""Properties of trials and of the whole suite for the JUnit XML that pytest writes."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.escaping import visible
from pytest_rightsize.records import Trial
from pytest_rightsize.verdict_records import Verdict

__all__ = ["PREFIX", "suite_properties", "trial_properties"]

PREFIX = "rightsize."
"""The name of each property begins with it."""


def trial_properties(trial: Trial) -> list[tuple[str, str]]:
    """Name and value of each property of a test; unknown values are left out."""
    tokens = [answer.tokens for answer in trial.answers]
    properties = {
        "task": trial.key.task,
        "rung": trial.key.rung,
        "sample": trial.key.sample,
        "outcome": trial.outcome,
        "reason": trial.reason,
        "prompt_tokens": _sum([one.prompt for one in tokens]),
        "completion_tokens": _sum([one.completion for one in tokens]),
        "reasoning_tokens": _sum([one.reasoning for one in tokens]),
        "joules": _joules(trial),
        "cost_usd": _sum([answer.cost_usd for answer in trial.answers]),
    }
    return [_property(name, str(value)) for name, value in properties.items() if value is not None]


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum, or None where one value is not known or there are none."""
    if not values or None in values:
        return None
    return sum(value for value in values if value is not None)


@lru_cache(maxsize=10_000)
def _property(name: str, value: str) -> tuple[str, str]:
    """One property; pytest keeps those of every test to the end, so equal ones are one object."""
    return PREFIX + name, visible(value)


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
        if verdict.judge is not None:
            yield f"rightsize.judge.{task}", visible(f"{', '.join(verdict.judge.by)}: {verdict.judge.state}")
