"""From a run to what its strategy saved against the full ladder: an estimate from what was asked; pure.

A trial that was left out is taken to have needed what the trials of its task on its rung needed on average, else those
of the rung. Where a rung was never asked nobody knows, and nothing is made up for it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

from pytest_rightsize.records import AnswerRecord, Run, Trial

__all__ = ["Amount", "Saved", "joules_of", "saved", "tokens_of"]

Amount = Callable[[AnswerRecord], tuple[str, float] | None]
"""How much one answer took, and its kind: only amounts of one kind add up. None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """About how much was saved, by kind; `unknown` counts the trials by rung for which there is no estimate."""

    amounts: Mapping[str, float]
    unknown: Mapping[str, int]


def tokens_of(answer: AnswerRecord) -> tuple[str, float] | None:
    """The tokens of an answer."""
    return None if answer.tokens.total is None else ("tokens", answer.tokens.total)


def joules_of(answer: AnswerRecord) -> tuple[str, float] | None:
    """The joules of an answer, of the kind that its energy has."""
    energy = answer.energy
    return None if energy is None or energy.joules is None else (str(energy.kind), energy.joules)


def saved(run: Run, amount: Amount) -> Saved:
    """What the trials that were left out as settled would have taken."""
    by_task: dict[tuple[str, str], list[tuple[str, float] | None]] = defaultdict(list)
    by_rung: dict[str, list[tuple[str, float] | None]] = defaultdict(list)
    for trial in run.trials:
        if trial.outcome in ("passed", "failed") and trial.answers:
            taken = _of_trial(trial, amount)
            by_task[trial.key.task, trial.key.rung].append(taken)
            by_rung[trial.key.rung].append(taken)
    amounts: dict[str, float] = defaultdict(float)
    unknown: Counter[str] = Counter()
    for (task, rung), count in _left_out(run).items():
        mean = _mean(by_task[task, rung] or by_rung[rung])
        if mean is None:
            unknown[rung] += count
        else:
            amounts[mean[0]] += count * mean[1]
    return Saved(amounts=amounts, unknown=unknown)


def _left_out(run: Run) -> Counter[tuple[str, str]]:
    """The trials that the full ladder would have asked."""
    idle = (trial for trial in run.trials if trial.outcome == "not_run" and trial.reason == "settled")
    return Counter((trial.key.task, trial.key.rung) for trial in idle)


def _of_trial(trial: Trial, amount: Amount) -> tuple[str, float] | None:
    """What all answers of a trial took together, if that is known and of one kind."""
    taken = [amount(answer) for answer in trial.answers]
    return _combined(taken, sum)


def _mean(taken: list[tuple[str, float] | None]) -> tuple[str, float] | None:
    return _combined(taken, fmean)


def _combined(taken: list[tuple[str, float] | None], how: Callable[[list[float]], float]) -> tuple[str, float] | None:
    known = [one for one in taken if one is not None]
    kinds = {kind for kind, _ in known}
    if len(known) < len(taken) or len(kinds) != 1:
        return None
    return kinds.pop(), how([value for _, value in known])
