"""Pass rate of a rung from the samples of each case: its interval, and its standing against a bar.

A case is a cluster and its samples are repeats inside it: each case weighs the same. Rates and bounds are fractions
of 1. A one-sided bound at 0.95 is an end of the two-sided interval at 0.90.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache, partial
from math import ceil

from pytest_rightsize.records import State
from pytest_rightsize.statistics.estimates import Interval
from pytest_rightsize.statistics.misjudged import Correction
from pytest_rightsize.statistics.tallies import (
    Items,
    against,
    bar_of,
    clopper_pearson,
    ends_of,
    estimate_of,
    is_above,
    is_single,
    items_of,
    low_of,
    mirror_of,
    mirrored,
    state_of,
    state_of_counts,
    tally_of,
)
from pytest_rightsize.verdict_records import Standing

__all__ = [
    "bounds_whatever_comes",
    "counts_at_the_stop",
    "more_cases",
    "more_trials",
    "pass_rate_interval",
    "settled",
    "settled_counts",
    "stand",
]

# More cases than anybody asks: a rate that is so near its bar is treated as if it were at the bar.
_MOST = 10**9
# So many times the cases there are: what they do not show, with a judge that was labelled so little, no number would.
_MOST_TIMES = 100_000
# More trials than these are not told to the last digit.
_MOST_COUNTED = 20_000


def stand(
    cases: Mapping[str, Sequence[bool]],
    *,
    pass_rate: float,
    planned: int,
    faults: int = 0,
    confidence: float | None = None,
    correction: Correction | None = None,
) -> Standing:
    """The standing of a rung: `cases` holds each case's samples (True passed), `planned` the number of trials planned.

    Each case weighs the same, however many samples it has. A fault, or a trial that never ran, leaves the standing
    undecided: neither counts against the model, and neither counts as passed.

    Without `confidence` the observed rate is compared with the bar. With it, above 0.5 and below 1, the rung passes
    if the one-sided lower bound reaches the bar, fails if the upper bound does not, and is undecided in between; the
    reason then says about how many more trials would decide. With a `correction`, rate and bounds are those of what
    people pass.
    """
    trials = sum(len(samples) for samples in cases.values())
    passed = sum(sum(samples) for samples in cases.values())
    if trials == 0 and faults == 0:
        return Standing(state="not_run")
    tally = tally_of(cases)
    rate = estimate_of(tally, correction)
    bounds = (
        None
        if confidence is None
        else pass_rate_interval(cases, confidence=confidence, one_sided=True, correction=correction)
    )
    counted = partial(
        Standing,
        passed=passed,
        trials=trials,
        rate=rate,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
    )
    if faults:
        return counted(state="undecided", reason=f"{faults} of {max(planned, trials + faults)} trials had no answer")
    if trials < planned:
        return counted(state="undecided", reason=f"only {trials} of {planned} trials ran")
    standing = counted(state=state_of(tally, pass_rate, confidence, correction))
    if standing.state == "undecided" and confidence is not None:
        return replace(standing, reason=_needs(cases, pass_rate, confidence, correction))
    return standing


def pass_rate_interval(
    cases: Mapping[str, Sequence[bool]],
    *,
    confidence: float = 0.95,
    one_sided: bool = False,
    correction: Correction | None = None,
) -> Interval | None:
    """The interval of the mean over cases of each case's mean; None without trials.

    Clopper-Pearson's where each case has one sample. Else each end is the tighter of two bounds: Gaffke's for the mean
    of the case means, and one for the pooled samples that allows for a share of always failing cases (`bounded`), as
    more samples of the same cases cannot replace more cases. One more passed sample, or another case that passes all of
    its samples, never lowers an end. With a `correction` it is that of what people pass.
    """
    tally = tally_of(cases)
    if not tally:
        return None
    if is_single(tally) and correction is None:
        return clopper_pearson(tally.get((1, 1), 0), len(cases), confidence=confidence, one_sided=one_sided)
    tail = (1 - confidence) / (1 if one_sided else 2)
    low, high = low_of(tally, tail, correction), 1 - low_of(mirrored(tally), tail, mirror_of(correction))
    return Interval(low=low, high=high, confidence=confidence, one_sided=one_sided)


def more_trials(
    cases: Mapping[str, Sequence[bool]],
    *,
    pass_rate: float,
    confidence: float = 0.95,
    correction: Correction | None = None,
) -> int | None:
    """About how many more trials at the present rate prove the bar; 0 if it is proven, None if no billion would.

    With several samples a case, these are trials of further cases with outcomes like the present ones: further samples
    of the same cases could prove little.
    """
    tally = tally_of(cases)
    rate, bar = estimate_of(tally, correction), bar_of(pass_rate)
    if rate is None or (bar > 0 and (not is_above(tally, bar, correction) or bar >= 1)):
        return None
    present = len(cases)

    def proves(total: int) -> bool:
        grown = {outcome: number * total / present for outcome, number in tally.items()}
        corrected = correction and correction.grown(total / present)
        return against(grown, pass_rate, confidence, corrected) == "passes"

    if proves(present):
        return 0
    enough = _fewest(proves, present + 1, _most(present, correction))
    return None if enough is None else ceil(Fraction((enough - present) * sum(map(len, cases.values())), present))


def settled(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    pass_rate: float,
    confidence: float | None = None,
    correction: Correction | None = None,
) -> State | None:
    """The state that a rung will have whatever the remaining trials bring, or None while they can change it.

    `remaining` counts the trials that each case still has to come; it may name cases without a sample so far. The state
    is that of `stand` over all trials, so stopping on it needs no correction.
    """
    # One more pass never lowers the state, so every outcome lies between these two.
    worst, best = ends_of(cases, remaining)
    if not worst:
        return None
    state = state_of(worst, pass_rate, confidence, correction)
    return state if state == state_of(best, pass_rate, confidence, correction) else None


def settled_counts(
    passed: int, failed: int, remaining: int, *, pass_rate: float, confidence: float | None = None
) -> State | None:
    """`settled` where each case has one trial, from the numbers passed, failed and still to come."""
    trials = passed + failed + remaining
    if trials == 0:
        return None
    worst, best = (state_of_counts(ahead, trials, pass_rate, confidence) for ahead in (passed, passed + remaining))
    return worst if worst == best else None


def counts_at_the_stop(
    passed: int, failed: int, missing: int, *, planned: int, state: State, pass_rate: float
) -> tuple[int, int]:
    """Passes and failures up to the one that settled a rung at its observed rate, of which `state` is claimed.

    `planned` cases have one trial each; those without an answer, `missing`, count against the claim. That so few
    failures came before so many passes is as unlikely as that many passes in as many cases (inverse sampling). Answers
    that came after the stop, as they were in flight, are left out where they agree with the claim: their number is
    known. The others may have come before it.
    """
    enough = ceil(bar_of(pass_rate) * planned)
    if state == "passes":
        return min(passed, enough), failed + missing
    return passed + missing, min(failed, planned - enough + 1)


def bounds_whatever_comes(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    confidence: float = 0.95,
    correction: Correction | None = None,
) -> Interval | None:
    """One-sided bounds of the rate over all trials: the low end as if the rest failed, the high end as if it passed.

    None without a trial in `cases`.
    """
    if not cases:
        return None
    worst, best = ends_of(cases, remaining)
    low = low_of(worst, 1 - confidence, correction)
    high = 1 - low_of(mirrored(best), 1 - confidence, mirror_of(correction))
    return Interval(low=low, high=high, confidence=confidence, one_sided=True)


def more_cases(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    state: State,
    pass_rate: float,
    confidence: float = 0.95,
    correction: Correction | None = None,
) -> int | None:
    """About how many cases more, that turn out as those so far, show that the rung passes, or fails.

    `state` says which of the two; `remaining` counts the trials of each case that are missing, which count against it.
    0 where it is shown, None where not even a billion would show it at the present rate.
    """
    tally, (worst, best) = tally_of(cases), ends_of(cases, remaining)
    start = worst if state == "passes" else best
    return _more_cases(items_of(tally), items_of(start), state, pass_rate, confidence, correction)


@lru_cache(maxsize=4096)
def _more_cases(
    counted: Items,
    from_: Items,
    state: State,
    pass_rate: float,
    confidence: float,
    correction: Correction | None,
) -> int | None:
    """As `more_cases`, from the tally so far and the one with what is missing against the claim."""
    tally, start = dict(counted), dict(from_)
    bar, present = bar_of(pass_rate), sum(tally.values())

    def shows(more: int) -> bool:
        grown = dict(start)
        for outcome, number in tally.items():
            grown[outcome] = grown.get(outcome, 0) + number * more / present
        corrected = correction and correction.grown(1 + more / present)
        return against(grown, pass_rate, confidence, corrected) == state

    if not tally:
        return None
    if shows(0):
        return 0
    # A pass at a bar of 1 is never shown: the next case may fail.
    may_pass = bar < 1 and is_above(tally, bar, correction)
    if not may_pass if state == "passes" else state_of(tally, pass_rate, None, correction) != "fails":
        return None
    return _fewest(shows, 1, _most(present, correction))


def _most(present: float, correction: Correction | None) -> int:
    return _MOST if correction is None else int(present * _MOST_TIMES)


def _fewest(is_enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """The fewest that are enough, from `least`, more being enough too; None where `most` are not."""
    short, enough = least - 1, least
    while not is_enough(enough):
        if enough >= most:
            return None
        short, enough = enough, min(2 * enough, most)
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if is_enough(middle) else (middle, enough)
    return enough


def _needs(
    cases: Mapping[str, Sequence[bool]], pass_rate: float, confidence: float, correction: Correction | None
) -> str:
    """The reason of an undecided standing: how many more trials would decide it."""
    more = more_trials(cases, pass_rate=pass_rate, confidence=confidence, correction=correction)
    if more is None and correction is not None and is_above(tally_of(cases), bar_of(pass_rate), correction):
        labels = correction.good + correction.bad
        return f"no number of trials would show {pass_rate:.4g} with {labels} labels for its judge: label more answers"
    if more is None:
        return f"no number of trials would show {pass_rate:.4g} at this rate"
    number = f"about {more:,}" if more <= _MOST_COUNTED else f"more than {_MOST_COUNTED:,}"
    return f"needs {number} more trials to show {pass_rate:.4g} at this rate"
