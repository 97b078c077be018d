"""Estimates what a smaller rung saves against a chosen one that was not run: by its price, at known token counts. Pure.

The chosen rung would read the same prompts, so that the smaller one's prompt tokens are counted at its price. How much
it would write nobody knows: its mean over the answers it gave in this run, of any task, else what the smaller one
wrote. No interval is given, as the error of such an estimate is not that of a sample.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import fsum
from statistics import fmean

from pytest_rightsize.records import Price, Run, Tokens, Trial

__all__ = ["MeanLengths", "estimated_cost", "how_estimated"]


class MeanLengths:
    """The mean completion tokens of each rung's answers in a run, of any task; found out when one is asked for.

    `rungs` are those of the run, smallest first.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.rungs = run.rungs

    def of(self, rung: str) -> float | None:
        """The mean of one rung; None if it gave no answer whose length is known."""
        return self._means.get(rung)

    @cached_property
    def _means(self) -> Mapping[str, float]:
        sums: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        for trial in self._run.trials:
            for answer in trial.answers:
                if answer.tokens.completion is not None:
                    sums[trial.key.rung] += answer.tokens.completion
                    counts[trial.key.rung] += 1
        return {rung: sums[rung] / count for rung, count in counts.items()}


def how_estimated(lengths: MeanLengths, chosen: str, instead: str) -> str:
    """How the estimate is made: `its price at the token counts of 25k`."""
    if lengths.of(chosen) is None:
        return f"its price at the token counts of {instead}"
    return f"its price at the prompt tokens of {instead} and the length of its other answers"


def estimated_cost(lengths: MeanLengths, chosen: str, trials: Sequence[Trial]) -> float | str:
    """USD that `chosen` would take for a case on average, or in a clause why that cannot be estimated.

    `trials` are those of the smaller rung in this task, at least one.
    """
    price = next((rung.price for rung in lengths.rungs if rung.name == chosen), None)
    if price is None:
        return "its price is not known"
    written = lengths.of(chosen)
    costs: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        amounts = [_cost(price, answer.tokens, written) for answer in trial.answers]
        if None in amounts:
            return f"the tokens of {trial.key.rung}, by which it could be estimated, are not known"
        costs[trial.key.case].append(fsum(amount or 0.0 for amount in amounts))
    return fmean(fmean(amounts) for amounts in costs.values())


def _cost(price: Price, tokens: Tokens, written: float | None) -> float | None:
    """USD of one answer to a prompt of these tokens; nothing of it counts as cached, which another model had."""
    completion = tokens.completion if written is None else written
    if tokens.prompt is None or completion is None:
        return None
    return (tokens.prompt * price.prompt + completion * price.completion) / 1e6
