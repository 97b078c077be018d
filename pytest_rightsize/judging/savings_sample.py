"""How many cases the chosen rung is asked only to tell what a smaller one saves, and when that is enough; pure.

Enough are so many that the 95 % interval of what is saved for a case reaches at most 20 % of what the chosen rung takes
for one, either way. The cases come in a seeded order that no answer has a say in, and how they end changes no verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, fsum
from statistics import fmean
from typing import Literal, get_args

from pytest_rightsize.records import AnswerRecord, Rung, Trial
from pytest_rightsize.statistics import mean_difference

__all__ = ["FEWEST", "SAVINGS_MODES", "SavingsMode", "cases_wanted", "costs_nothing"]

SavingsMode = Literal["sample", "full", "none"]
SAVINGS_MODES: tuple[SavingsMode, ...] = get_args(SavingsMode)
FEWEST = 10
"""The least number of cases: of fewer, no interval says much."""
_HALF_WIDTH = 0.2
# A first guess from few cases may be far too high: the sample at most doubles before it is looked at again.
_GROWTH = 2
_AMOUNTS: tuple[Callable[[AnswerRecord], float | None], ...] = (
    lambda answer: None if answer.energy is None else answer.energy.joules,
    lambda answer: answer.cost_usd,
    lambda answer: answer.tokens.completion,
)
_Cases = Mapping[str, Sequence[Trial]]


def costs_nothing(rung: Rung, *, leaves_machine: bool) -> bool:
    """Whether asking a rung takes no money: it replays answers, is on this machine, or its price is known to be 0."""
    if rung.provider == "replay":
        return True
    if rung.price is None:
        return not leaves_machine
    return not (rung.price.prompt or rung.price.completion or rung.price.cached)


def cases_wanted(chosen: _Cases, instead: _Cases) -> int:
    """How many cases of the chosen rung are wanted, by those asked so far of which `instead` has the amount too.

    Energy, money and completion tokens are looked at as far as they are known of every case; time only where none of
    them is, as it depends on what else is in flight.
    """
    asked = [case for case in chosen if case in instead]
    if len(asked) < FEWEST:
        return FEWEST
    found = [wanted for amount in _AMOUNTS if (wanted := _wanted(chosen, instead, asked, amount)) is not None]
    if not found:
        found = [_wanted(chosen, instead, asked, lambda answer: answer.seconds) or 0]
    return min(max(found), _GROWTH * len(asked))


def _wanted(
    chosen: _Cases, instead: _Cases, asked: Sequence[str], amount: Callable[[AnswerRecord], float | None]
) -> int | None:
    """How many cases one amount needs; None where it is not known of every case, or is always 0."""
    pairs = []
    for case in asked:
        both = (_mean(chosen[case], amount), _mean(instead[case], amount))
        if None in both:
            return None
        pairs.append((both[0] or 0.0, both[1] or 0.0))
    of_chosen = fmean(of for of, _ in pairs)
    interval = mean_difference(pairs)
    if not of_chosen or interval is None:
        return None
    saved = fmean(a - b for a, b in pairs)
    half = max(interval.high - saved, saved - interval.low)
    return ceil(len(pairs) * (half / (_HALF_WIDTH * of_chosen)) ** 2)


def _mean(trials: Sequence[Trial], amount: Callable[[AnswerRecord], float | None]) -> float | None:
    """The mean over the trials of a case; None where one of their answers has no amount."""
    sums = []
    for trial in trials:
        amounts = [amount(answer) for answer in trial.answers]
        if not amounts or None in amounts:
            return None
        sums.append(fsum(one or 0.0 for one in amounts))
    return fmean(sums) if sums else None
