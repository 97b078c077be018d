"""Pass rate of a rung from the samples of each case: its interval, and its standing against a bar.

A case is a cluster and its samples are repeats inside it: each case weighs the same. Rates and bounds are fractions
of 1. A one-sided bound at 0.95 is an end of the two-sided interval at 0.90.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache, partial
from itertools import count
from math import ceil

from pytest_rightsize.records import State
from pytest_rightsize.statistics.bounded import binary_p, gaffke_p, lowest, pooled_p
from pytest_rightsize.statistics.estimates import Interval
from pytest_rightsize.verdict_records import Standing

__all__ = [
    "bounds_whatever_comes",
    "clopper_pearson",
    "counts_at_the_stop",
    "more_cases",
    "more_trials",
    "pass_rate_interval",
    "settled",
    "settled_counts",
    "stand",
]

# The number of cases by (passed, samples): {(2, 3): 5.0} is five cases with two passed and one failed sample. Every
# estimate of a rate depends on this alone; counts are fractions where they stand for future cases.
_Tally = Mapping[tuple[int, int], float]
# A tally that can be a key of a cache, as suites have many tasks with the same few counts.
_Items = tuple[tuple[tuple[int, int], float], ...]


def stand(
    cases: Mapping[str, Sequence[bool]],
    *,
    pass_rate: float,
    planned: int,
    faults: int = 0,
    confidence: float | None = None,
) -> Standing:
    """The standing of a rung: `cases` holds each case's samples (True passed), `planned` the number of trials planned.

    Each case weighs the same, however many samples it has. A fault, or a trial that never ran, leaves the standing
    undecided: neither counts against the model, and neither counts as passed.

    Without `confidence` the observed rate is compared with the bar. With it, above 0.5 and below 1, the rung passes
    if the one-sided lower bound reaches the bar, fails if the upper bound does not, and is undecided in between; the
    reason then says about how many more trials would decide.
    """
    trials = sum(len(samples) for samples in cases.values())
    passed = sum(sum(samples) for samples in cases.values())
    if trials == 0 and faults == 0:
        return Standing(state="not_run")
    tally = _tally(cases)
    rate = _rate(tally)
    bounds = pass_rate_interval(cases, confidence=confidence, one_sided=True) if confidence is not None else None
    counted = partial(
        Standing,
        passed=passed,
        trials=trials,
        rate=float(rate) if rate is not None else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
    )
    if faults:
        return counted(state="undecided", reason=f"{faults} of {max(planned, trials + faults)} trials had no answer")
    if trials < planned:
        return counted(state="undecided", reason=f"only {trials} of {planned} trials ran")
    standing = counted(state=_state(tally, pass_rate, confidence))
    if standing.state == "undecided" and confidence is not None:
        return replace(standing, reason=_needs(cases, pass_rate, confidence))
    return standing


def clopper_pearson(
    passed: float, trials: float, *, confidence: float = 0.95, one_sided: bool = False
) -> Interval | None:
    """The exact binomial interval of `passed` out of `trials`, which need not be whole; None without trials.

    With `one_sided`, each end by itself is a bound at `confidence`. Source: Clopper & Pearson 1934, through quantiles
    of the beta distribution.
    """
    if trials <= 0:
        return None
    tail = (1 - confidence) / (1 if one_sided else 2)
    failed = trials - passed
    # From the failures' side: the same bound, without losing digits near 1.
    low, high = _least_rate(passed, failed, tail), 1 - _least_rate(failed, passed, tail)
    return Interval(low=low, high=high, confidence=confidence, one_sided=one_sided)


def _least_rate(passed: float, failed: float, tail: float) -> float:
    """The rate at which so many passes or more have the probability `tail`."""
    if passed <= 0:
        return 0.0
    if failed <= 0:
        # What the quantile comes to, without loading scipy, which takes longer than a small session.
        return float(tail ** (1 / passed))
    from scipy.special import betaincinv

    return float(betaincinv(passed, failed + 1, tail))


def pass_rate_interval(
    cases: Mapping[str, Sequence[bool]], *, confidence: float = 0.95, one_sided: bool = False
) -> Interval | None:
    """The interval of the mean over cases of each case's mean; None without trials.

    Clopper-Pearson's where each case has one sample. Else each end is the tighter of two bounds: Gaffke's for the mean
    of the case means, and one for the pooled samples that allows for a share of always failing cases (`bounded`), as
    more samples of the same cases cannot replace more cases. One more passed sample, or another case that passes all of
    its samples, never lowers an end.
    """
    tally = _tally(cases)
    if not tally:
        return None
    if _is_single(tally):
        return clopper_pearson(tally.get((1, 1), 0), len(cases), confidence=confidence, one_sided=one_sided)
    tail = (1 - confidence) / (1 if one_sided else 2)
    low, high = _low(tally, tail), 1 - _low(_mirrored(tally), tail)
    return Interval(low=low, high=high, confidence=confidence, one_sided=one_sided)


def more_trials(cases: Mapping[str, Sequence[bool]], *, pass_rate: float, confidence: float = 0.95) -> int | None:
    """About how many more trials at the present rate prove the bar; 0 if it is proven, None if no number would.

    With several samples a case, these are trials of further cases with outcomes like the present ones: further samples
    of the same cases could prove little.
    """
    tally = _tally(cases)
    rate, bar = _rate(tally), _bar(pass_rate)
    if rate is None or (bar > 0 and (rate <= bar or bar >= 1)):
        return None
    present = len(cases)

    def proves(total: int) -> bool:
        grown = {outcome: number * total / present for outcome, number in tally.items()}
        return _against(grown, pass_rate, confidence) == "passes"

    if proves(present):
        return 0
    enough = next(present << doubling for doubling in count(1) if proves(present << doubling))
    short = enough // 2
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if proves(middle) else (middle, enough)
    return ceil(Fraction((enough - present) * sum(map(len, cases.values())), present))


def settled(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    pass_rate: float,
    confidence: float | None = None,
) -> State | None:
    """The state that a rung will have whatever the remaining trials bring, or None while they can change it.

    `remaining` counts the trials that each case still has to come; it may name cases without a sample so far. The state
    is that of `stand` over all trials, so stopping on it needs no correction.
    """
    # One more pass never lowers the state, so every outcome lies between these two.
    worst, best = _ends(cases, remaining)
    if not worst:
        return None
    state = _state(worst, pass_rate, confidence)
    return state if state == _state(best, pass_rate, confidence) else None


def settled_counts(
    passed: int, failed: int, remaining: int, *, pass_rate: float, confidence: float | None = None
) -> State | None:
    """`settled` where each case has one trial, from the numbers passed, failed and still to come."""
    trials = passed + failed + remaining
    if trials == 0:
        return None
    worst, best = (_state_of_counts(ahead, trials, pass_rate, confidence) for ahead in (passed, passed + remaining))
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
    enough = ceil(Fraction(str(pass_rate)) * planned)
    if state == "passes":
        return min(passed, enough), failed + missing
    return passed + missing, min(failed, planned - enough + 1)


def bounds_whatever_comes(
    cases: Mapping[str, Sequence[bool]], remaining: Mapping[str, int], *, confidence: float = 0.95
) -> Interval | None:
    """One-sided bounds of the rate over all trials: the low end as if the rest failed, the high end as if it passed.

    None without a trial in `cases`.
    """
    if not cases:
        return None
    worst, best = _ends(cases, remaining)
    low, high = _low(worst, 1 - confidence), 1 - _low(_mirrored(best), 1 - confidence)
    return Interval(low=low, high=high, confidence=confidence, one_sided=True)


def more_cases(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    state: State,
    pass_rate: float,
    confidence: float = 0.95,
) -> int | None:
    """About how many cases more, that turn out as those so far, show that the rung passes, or fails.

    `state` says which of the two; `remaining` counts the trials of each case that are missing, which count against it.
    0 where it is shown, None where no number would show it at the present rate.
    """
    tally, (worst, best) = _tally(cases), _ends(cases, remaining)
    start = worst if state == "passes" else best
    return _more_cases(_items(tally), _items(start), state, pass_rate, confidence)


@lru_cache(maxsize=4096)
def _more_cases(counted: _Items, from_: _Items, state: State, pass_rate: float, confidence: float) -> int | None:
    """As `more_cases`, from the tally so far and the one with what is missing against the claim."""
    tally, start = dict(counted), dict(from_)
    rate, bar, present = _rate(tally), _bar(pass_rate), sum(tally.values())

    def shows(more: int) -> bool:
        grown = dict(start)
        for outcome, number in tally.items():
            grown[outcome] = grown.get(outcome, 0) + number * more / present
        return _against(grown, pass_rate, confidence) == state

    if rate is None:
        return None
    if shows(0):
        return 0
    # A pass at a bar of 1 is never shown: the next case may fail.
    if (rate <= bar or bar >= 1) if state == "passes" else rate >= bar:
        return None
    enough = next(1 << doubling for doubling in count() if shows(1 << doubling))
    short = enough // 2
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if shows(middle) else (middle, enough)
    return enough


@cache
def _bar(pass_rate: float) -> Fraction:
    """The bar as a decimal fraction: 0.9 as a float is slightly above nine tenths, and 9 of 10 must reach it."""
    return Fraction(str(pass_rate))


def _tally(cases: Mapping[str, Sequence[bool]]) -> _Tally:
    """The cases that have a sample, counted by (passed, samples)."""
    return Counter((sum(samples), len(samples)) for samples in cases.values() if samples)


def _items(tally: _Tally) -> _Items:
    """The tally as a key: sorted, so that no digit depends on the order of the cases."""
    return tuple(sorted(tally.items()))


def _ends(cases: Mapping[str, Sequence[bool]], remaining: Mapping[str, int]) -> tuple[_Tally, _Tally]:
    """The tallies if all remaining trials fail, and if all pass."""
    names = dict.fromkeys([*cases, *remaining])
    so_far = ((sum(cases.get(name, ())), len(cases.get(name, ())), remaining.get(name, 0)) for name in names)
    worst: Counter[tuple[int, int]] = Counter()
    best: Counter[tuple[int, int]] = Counter()
    for (passed, tried, left), number in Counter(so_far).items():
        if tried + left:
            worst[passed, tried + left] += number
            best[passed + left, tried + left] += number
    return worst, best


def _mirrored(tally: _Tally) -> _Tally:
    """The tally with passes and failures exchanged."""
    return {(size - passed, size): number for (passed, size), number in tally.items()}


def _is_single(tally: _Tally) -> bool:
    return all(size == 1 for _, size in tally)


def _rate(tally: _Tally) -> Fraction | None:
    """The exact mean over cases of each case's mean, counts being whole; None without cases."""
    if not tally:
        return None
    total = sum((Fraction(int(number) * passed, size) for (passed, size), number in tally.items()), Fraction(0))
    return total / int(sum(tally.values()))


def _state(tally: _Tally, pass_rate: float, confidence: float | None) -> State:
    """The state of the rate, with all trials in."""
    return _state_of_items(_items(tally), pass_rate, confidence)


@lru_cache(maxsize=4096)
def _state_of_items(items: _Items, pass_rate: float, confidence: float | None) -> State:
    tally = dict(items)
    if confidence is not None:
        return _against(tally, pass_rate, confidence)
    rate = _rate(tally)
    return "passes" if rate is not None and rate >= _bar(pass_rate) else "fails"


def _state_of_counts(passed: int, trials: int, pass_rate: float, confidence: float | None) -> State:
    """`_state` where each case has one trial; without fractions, because a session calls it after every trial."""
    if confidence is not None:
        return _against({(1, 1): passed, (0, 1): trials - passed}, pass_rate, confidence)
    bar = _bar(pass_rate)
    return "passes" if passed * bar.denominator >= bar.numerator * trials else "fails"


def _against(tally: _Tally, pass_rate: float, confidence: float) -> State:
    """The state by the bounds, computed from their p values: cheaper than finding the bounds."""
    if pass_rate <= 0 or _p_value(tally)(pass_rate) <= 1 - confidence:
        return "passes"
    return "fails" if _p_value(_mirrored(tally))(1 - pass_rate) < 1 - confidence else "undecided"


def _low(tally: _Tally, tail: float) -> float:
    """The lower bound of the rate at the one-sided level `tail`."""
    return _low_of_items(_items(tally), tail)


@lru_cache(maxsize=4096)
def _low_of_items(items: _Items, tail: float) -> float:
    tally = dict(items)
    if _is_single(tally):
        interval = clopper_pearson(tally.get((1, 1), 0), sum(tally.values()), confidence=1 - tail, one_sided=True)
        return interval.low if interval else 0.0
    return lowest(_p_value(tally), tail, float(_rate(tally) or 0))


def _p_value(tally: _Tally) -> Callable[[float], float]:
    """The p value against "the rate is at most `at`", as a function of `at`."""
    if _is_single(tally):
        return partial(binary_p, tally.get((1, 1), 0), tally.get((0, 1), 0))
    means: dict[Fraction, float] = {}
    for (passed, size), number in tally.items():
        mean = Fraction(passed, size)
        means[mean] = means.get(mean, 0) + number
    values, counts = [float(mean) for mean in means], list(means.values())
    sizes: dict[int, float] = {}
    for (_, size), number in tally.items():
        sizes[size] = sizes.get(size, 0) + number
    failed = sum(number * (size - passed) / size for (passed, size), number in tally.items())
    return lambda at: min(gaffke_p(values, counts, at), pooled_p(sizes, failed, at))


def _needs(cases: Mapping[str, Sequence[bool]], pass_rate: float, confidence: float) -> str:
    """The reason of an undecided standing: how many more trials would decide it."""
    more = more_trials(cases, pass_rate=pass_rate, confidence=confidence)
    if more is None:
        return f"no number of trials would show {pass_rate:.4g} at this rate"
    return f"needs about {more} more trials to show {pass_rate:.4g} at this rate"
