"""Estimates what the strategy of a run saved against asking the full ladder; pure.

A trial that was left out counts as the mean of the trials of its task on its rung, or else of all trials of the rung.
There is no estimate for a rung that was never asked.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_rightsize.records import AnswerRecord, Run, Trial

__all__ = ["Amount", "Saved", "joules_of", "saved", "tokens_of"]

Amount = Callable[[AnswerRecord], tuple[str, float] | None]
"""The kind and the amount of one answer, or None if unknown; only amounts of one kind add up."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """Estimated savings by kind; `unknown` counts, by rung, the trials for which there is no estimate."""

    amounts: Mapping[str, float]
    unknown: Mapping[str, int]


def tokens_of(answer: AnswerRecord) -> tuple[str, float] | None:
    """Prompt and completion tokens of an answer."""
    return None if answer.tokens.total is None else ("tokens", answer.tokens.total)


def joules_of(answer: AnswerRecord) -> tuple[str, float] | None:
    """Joules of an answer, with the kind of its energy."""
    energy = answer.energy
    return None if energy is None or energy.joules is None else (str(energy.kind), energy.joules)


def saved(run: Run, amount: Amount) -> Saved:
    """Estimate what the trials that were left out as settled would have taken."""
    by_task: dict[tuple[str, str], _Mean] = defaultdict(_Mean)
    by_rung: dict[str, _Mean] = defaultdict(_Mean)
    for trial in run.trials:
        if trial.ended is not None and trial.answers:
            total = _of_trial(trial, amount)
            by_task[trial.key.task, trial.key.rung].add(total)
            by_rung[trial.key.rung].add(total)
    amounts: dict[str, float] = defaultdict(float)
    unknown: Counter[str] = Counter()
    for (task, rung), count in _left_out(run).items():
        of_task = by_task.get((task, rung), by_rung[rung])
        if of_task.kind is None:
            unknown[rung] += count
        else:
            amounts[of_task.kind] += count * of_task.value
    return Saved(amounts=amounts, unknown=unknown)


class _Mean:
    """The mean of amounts of one `kind`, which is None while there are none, and where one is unknown or another."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self._sum, self._count, self._is_known = 0.0, 0, True

    @property
    def value(self) -> float:
        return self._sum / self._count

    def add(self, amount: tuple[str, float] | None) -> None:
        self._is_known &= amount is not None and self.kind in (None, amount[0])
        self.kind = amount[0] if self._is_known and amount is not None else None
        self._sum += 0.0 if amount is None else amount[1]
        self._count += 1


def _left_out(run: Run) -> Counter[tuple[str, str]]:
    """How many trials of each task and rung were left out as settled."""
    idle = (
        trial
        for trial in run.trials
        if trial.outcome == "not_run" and trial.reason == "settled" and trial.ended is None
    )
    return Counter((trial.key.task, trial.key.rung) for trial in idle)


def _of_trial(trial: Trial, amount: Amount) -> tuple[str, float] | None:
    """The sum over the answers of a trial; None if one is unknown, or they are of several kinds."""
    amounts = [amount(answer) for answer in trial.answers]
    known = [one for one in amounts if one is not None]
    kinds = {kind for kind, _ in known}
    if len(known) < len(amounts) or len(kinds) != 1:
        return None
    return kinds.pop(), sum(value for _, value in known)
