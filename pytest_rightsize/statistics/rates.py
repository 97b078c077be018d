"""From the samples of each case to a pass rate, its interval, and how it stands against a bar.

A case is a cluster and its samples are repeats inside it: each case weighs the same. Rates and bounds are fractions
of 1. A bound that is one-sided at 0.95 is an end of the two-sided interval at 0.90.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from itertools import count
from math import ceil, lcm

from pytest_rightsize.records import Standing, State
from pytest_rightsize.statistics.estimates import Interval

__all__ = [
    "bounds_whatever_comes",
    "clopper_pearson",
    "effective_trials",
    "more_trials",
    "pass_rate_interval",
    "settled",
    "settled_counts",
    "stand",
]


def stand(
    cases: Mapping[str, Sequence[bool]],
    *,
    pass_rate: float,
    planned: int,
    faults: int = 0,
    confidence: float | None = None,
) -> Standing:
    """How a rung stands: `cases` holds each case's samples (True passed), `planned` the trials it should have had.

    Each case weighs the same, however many samples it has. A fault, or a trial that never ran, leaves the standing
    undecided: neither is held against the model, and neither counts as passed.

    Without `confidence` the observed rate is held against the bar. With it, above 0.5 and below 1, the rung passes
    if the one-sided lower bound reaches the bar, fails if the upper bound does not, and is undecided in between, where
    the reason says about how many more trials would do.
    """
    trials = sum(len(samples) for samples in cases.values())
    passed = sum(sum(samples) for samples in cases.values())
    if trials == 0 and faults == 0:
        return Standing(state="not_run")
    rate = _mean_of_means(cases)
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
    standing = counted(state=_state(cases, pass_rate, confidence))
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
    from scipy.special import betaincinv

    if trials <= 0:
        return None
    tail = (1 - confidence) / (1 if one_sided else 2)
    failed = trials - passed
    low = float(betaincinv(passed, failed + 1, tail)) if passed > 0 else 0.0
    # From the failures' side: the same bound, without losing digits near 1.
    high = 1 - float(betaincinv(failed, passed + 1, tail)) if failed > 0 else 1.0
    return Interval(low=low, high=high, confidence=confidence, one_sided=one_sided)


def pass_rate_interval(
    cases: Mapping[str, Sequence[bool]], *, confidence: float = 0.95, one_sided: bool = False
) -> Interval | None:
    """The interval of the mean over cases of each case's mean; None without trials.

    Clopper-Pearson where each case has one sample, else on the effective number of trials (Korn & Graubard 1998).
    """
    rate = _mean_of_means(cases)
    if rate is None:
        return None
    trials = effective_trials(cases)
    return clopper_pearson(float(rate) * trials, trials, confidence=confidence, one_sided=one_sided)


def effective_trials(cases: Mapping[str, Sequence[bool]]) -> float:
    """How many independent trials the samples are worth: never more than there are.

    With s the standard deviation of the k case means, the rate's variance is s^2/k and the count is rate (1 - rate) /
    variance, times (t(n - 1) / t(k - 1))^2 at the 0.975 quantiles of Student's t. Cases that all have the same
    mean, or a single case, show no variance: they are worth one trial a case. Source: Korn & Graubard 1998.
    """
    trials = sum(len(samples) for samples in cases.values())
    if trials == len(cases):
        return float(trials)
    means = _means(cases)
    return _effective(len(means), trials, sum(means, Fraction(0)), sum((mean * mean for mean in means), Fraction(0)))


def more_trials(cases: Mapping[str, Sequence[bool]], *, pass_rate: float, confidence: float = 0.95) -> int | None:
    """About how many trials more, at the present rate, prove the bar; 0 if it is proven, None if no number would.

    With several samples a case, the further trials are taken to be worth as much as the present ones, that is, to be
    of further cases.
    """
    rate, bar = _mean_of_means(cases), _bar(pass_rate)
    if rate is None or (bar > 0 and (rate <= bar or bar >= 1)):
        return None
    trials = sum(len(samples) for samples in cases.values())
    effective = effective_trials(cases)

    def proves(total: int) -> bool:
        worth = total * effective / trials
        return _against(float(rate) * worth, worth, pass_rate, confidence) == "passes"

    if proves(trials):
        return 0
    enough = next(trials << doubling for doubling in count(1) if proves(trials << doubling))
    short = enough // 2
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if proves(middle) else (middle, enough)
    return enough - trials


def settled(
    cases: Mapping[str, Sequence[bool]],
    remaining: Mapping[str, int],
    *,
    pass_rate: float,
    confidence: float | None = None,
) -> State | None:
    """The state that a rung will have whatever the remaining trials bring, or None while they can change it.

    `remaining` counts the trials each case is still to have; it may name cases without a sample so far. The state is
    that of `stand` over all trials, so stopping on it needs no correction. With several samples a case and a
    `confidence`, it is sometimes found a few trials late, never wrongly.
    """
    sizes = {len(cases.get(name, ())) + remaining.get(name, 0) for name in {*cases, *remaining}}
    if sizes == {1}:
        passed, trials = sum(map(sum, cases.values())), sum(map(len, cases.values()))
        return settled_counts(
            passed, trials - passed, sum(remaining.values()), pass_rate=pass_rate, confidence=confidence
        )
    # All remaining fail, then all pass: where the two ends differ, nothing is settled.
    worst, best = _completed(cases, remaining, with_pass=False), _completed(cases, remaining, with_pass=True)
    if not worst:
        return None
    state = _state(worst, pass_rate, confidence)
    if state != _state(best, pass_rate, confidence):
        return None
    if confidence is None:
        return state  # one more pass never lowers the state here, so the ends speak for all between them
    between = _between(_means(worst), _means(best), [len(samples) for samples in worst.values()])
    return state if all(_against(*point, pass_rate, confidence) == state for point in between) else None


def settled_counts(
    passed: int, failed: int, remaining: int, *, pass_rate: float, confidence: float | None = None
) -> State | None:
    """The same as `settled` where each case has one trial: `passed`, `failed` and still to come."""
    trials = passed + failed + remaining
    if trials == 0:
        return None
    # One more pass never lowers the state here, so the two ends speak for all between them.
    worst, best = (_state_of_counts(ends, trials, pass_rate, confidence) for ends in (passed, passed + remaining))
    return worst if worst == best else None


def bounds_whatever_comes(
    cases: Mapping[str, Sequence[bool]], remaining: Mapping[str, int], *, confidence: float = 0.95
) -> Interval | None:
    """One-sided bounds of the rate over all trials: the low one as if the rest failed, the high one as if it passed.

    None without a trial in `cases`.
    """
    if not cases:
        return None
    worst, best = _completed(cases, remaining, with_pass=False), _completed(cases, remaining, with_pass=True)
    ends = [pass_rate_interval(whole, confidence=confidence, one_sided=True) for whole in (worst, best)]
    found = [interval for interval in ends if interval is not None]
    low, high = min(interval.low for interval in found), max(interval.high for interval in found)
    return Interval(low=low, high=high, confidence=confidence, one_sided=True)


def _state_of_counts(passed: int, trials: int, pass_rate: float, confidence: float | None) -> State:
    if confidence is None:
        bar = _bar(pass_rate)
        return "passes" if passed * bar.denominator >= bar.numerator * trials else "fails"
    return _against(passed, trials, pass_rate, confidence)


@cache
def _bar(pass_rate: float) -> Fraction:
    """The bar as it was written: 0.9 as a float is a hair above nine tenths, and 9 of 10 must reach it."""
    return Fraction(str(pass_rate))


def _means(cases: Mapping[str, Sequence[bool]]) -> list[Fraction]:
    """The exact mean of each case."""
    return [Fraction(sum(samples), len(samples)) for samples in cases.values()]


def _mean_of_means(cases: Mapping[str, Sequence[bool]]) -> Fraction | None:
    """The exact mean over cases of each case's mean; None without cases."""
    if not cases:
        return None
    # By the number of samples, which is the same for nearly all: a fraction for each of 10,000 cases takes its time.
    passed: Counter[int] = Counter()
    for samples in cases.values():
        passed[len(samples)] += sum(samples)
    return sum((Fraction(number, size) for size, number in passed.items()), Fraction(0)) / len(cases)


def _effective(cases: int, trials: int, total: Fraction, squares: Fraction) -> float:
    """Korn and Graubard's count from the sum of the case means and the sum of their squares."""
    from scipy.special import stdtrit

    spread = squares - total * total / cases
    if cases == 1 or spread == 0:
        return float(cases)
    rate = total / cases
    variance = spread / (cases - 1) / cases
    factor = float(stdtrit(trials - 1, 0.975) / stdtrit(cases - 1, 0.975)) ** 2
    return min(float(trials), float(rate * (1 - rate) / variance) * factor)


def _state(cases: Mapping[str, Sequence[bool]], pass_rate: float, confidence: float | None) -> State:
    """How the rate stands, all trials in."""
    if cases and all(len(samples) == 1 for samples in cases.values()):
        return _state_of_counts(sum(map(sum, cases.values())), len(cases), pass_rate, confidence)
    rate = _mean_of_means(cases)
    if confidence is None or rate is None:
        return "passes" if rate is not None and rate >= _bar(pass_rate) else "fails"
    trials = effective_trials(cases)
    return _against(float(rate) * trials, trials, pass_rate, confidence)


def _against(passed: float, trials: float, pass_rate: float, confidence: float) -> State:
    """Clopper-Pearson's bounds against the bar, asked through the binomial tails that they are the quantiles of."""
    from scipy.special import betainc

    failed = trials - passed
    if pass_rate <= 0 or (passed > 0 and betainc(passed, failed + 1, pass_rate) <= 1 - confidence):
        return "passes"
    if failed > 0 and betainc(failed, passed + 1, 1 - pass_rate) < 1 - confidence:
        return "fails"
    return "undecided"


def _needs(cases: Mapping[str, Sequence[bool]], pass_rate: float, confidence: float) -> str:
    """What would decide an undecided standing."""
    more = more_trials(cases, pass_rate=pass_rate, confidence=confidence)
    if more is None:
        return f"no number of trials would show {pass_rate:.4g} at this rate"
    return f"needs about {more} more trials to show {pass_rate:.4g} at this rate"


def _completed(
    cases: Mapping[str, Sequence[bool]], remaining: Mapping[str, int], *, with_pass: bool
) -> dict[str, list[bool]]:
    """The cases with their remaining trials all passed, or all failed."""
    names = dict.fromkeys([*cases, *remaining])
    whole = {name: [*cases.get(name, ()), *[with_pass] * remaining.get(name, 0)] for name in names}
    return {name: samples for name, samples in whole.items() if samples}


def _between(
    worst: Sequence[Fraction], best: Sequence[Fraction], sizes: Sequence[int]
) -> Iterator[tuple[float, float]]:
    """For each total that the case means can come to: effective passes and trials, at their widest and tightest.

    The states at those two hold all others of the same total between them. The squares are largest where the means
    stand at their ends; filling the cases of the longest chord first bounds that from above.
    """
    cases, trials = len(sizes), sum(sizes)
    step = Fraction(1, lcm(*sizes))
    squares = sum((mean * mean for mean in worst), Fraction(0))
    total = sum(worst, Fraction(0))
    for low, high in sorted(zip(worst, best, strict=True), key=sum, reverse=True):
        steps = ceil((high - low) / step)
        for taken in range(steps + 1):
            at = min(taken * step, high - low)
            yield from _widest_and_tightest(cases, trials, total + at, squares + at * (low + high), worst, best)
        total += high - low
        squares += high * high - low * low


def _widest_and_tightest(
    cases: int, trials: int, total: Fraction, squares: Fraction, worst: Sequence[Fraction], best: Sequence[Fraction]
) -> Iterator[tuple[float, float]]:
    """Effective passes and trials at one total of the case means."""
    rate = total / cases
    widest = _effective(cases, trials, total, squares)
    if max(worst) <= rate <= min(best):  # all cases alike: no variance, and one trial a case
        widest = min(widest, float(cases))
    for effective in (widest, float(trials)):
        yield float(rate) * effective, effective
