"""Pass rates corrected for the errors of the judge that decides who passes.

A judge that errs passes a share of what people fail, and fails a share of what they pass. What is seen is its share of
passes; what is wanted is that of people (Rogan & Gladen 1978). How often it errs is known from few labels, so the
corrected bounds carry that too: they meld the exact confidence distributions of both error rates with the p value of
what was seen (Fay, Proschan & Brittain 2015; for prevalences Bayer, Fay & Graubard 2023). That this holds was found by
simulation (`tests/benchmarks/bench_judges.py`), as were the contenders that do not. Pure.

Some trials pass without the judge, as by another assertion. Their share is taken as it was seen, which holds too
(`without_the_judge` there). To take every pass for one that may have been without it, as soon as one was, would hold as
well, but one more pass would then cost up to a tenth of the bound.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_rightsize.statistics.unpaired import fisher_fell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Correction", "corrected_bar", "corrected_p", "corrected_rate", "is_better_than_chance"]

# Nodes of each of the two integrals, by Gauss and Legendre; more change no digit that is shown.
_NODES = 24
# The p value of what was seen is computed at so many rates, and between them its normal quantile is nearly straight.
_GRID = 65
_CHANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is known of a judge: of `good` answers, which people pass, it passed `good_passed`; of `bad` ones the same.

    `unjudged_passed` and `unjudged_failed` count the trials that passed, or failed, without being judged: those are
    right as they are.
    """

    good: int
    good_passed: int
    bad: int
    bad_passed: int
    unjudged_passed: int = 0
    unjudged_failed: int = 0

    @property
    def mirrored(self) -> "Correction":
        """The same with passes and failures exchanged."""
        return Correction(
            good=self.bad,
            good_passed=self.bad - self.bad_passed,
            bad=self.good,
            bad_passed=self.good - self.good_passed,
            unjudged_passed=self.unjudged_failed,
            unjudged_failed=self.unjudged_passed,
        )

    @property
    def _labels(self) -> "Correction":
        """Without the counts of trials."""
        return replace(self, unjudged_passed=0, unjudged_failed=0)

    def grown(self, times: float) -> "Correction":
        """With so many times the trials."""
        passed, failed = round(self.unjudged_passed * times), round(self.unjudged_failed * times)
        return replace(self, unjudged_passed=passed, unjudged_failed=failed)


def is_better_than_chance(correction: Correction) -> bool:
    """Whether the labels show, at 95 % by Fisher's exact test, that it passes good answers more often than bad ones."""
    good, bad = (correction.good_passed, correction.good), (correction.bad_passed, correction.bad)
    return bool(correction.good and correction.bad) and fisher_fell(good, bad) <= _CHANCE


def corrected_rate(rate: Fraction, trials: int, correction: Correction) -> float:
    """The estimate of the share that people pass, from the `rate` that was seen in so many trials; within 0 and 1."""
    good, bad, judged, alone = _shares(trials, correction)
    return float(min(Fraction(1), max(Fraction(0), alone + (rate - alone - judged * bad) / (good - bad))))


def corrected_bar(bar: Fraction, trials: int, correction: Correction) -> Fraction:
    """The rate that is seen where the estimate is just `bar`; it may lie outside 0 and 1."""
    good, bad, judged, alone = _shares(trials, correction)
    return bar * (good - bad) + judged * bad + alone * (1 - good + bad)


def _shares(trials: int, correction: Correction) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """How often it passes good and bad answers, which share of trials was judged, and which passed without it."""
    alone = Fraction(correction.unjudged_passed, trials)
    judged = 1 - alone - Fraction(correction.unjudged_failed, trials)
    good = Fraction(correction.good_passed, correction.good)
    return good, Fraction(correction.bad_passed, correction.bad), judged, alone


def corrected_p(p_value: Callable[[float], float], correction: Correction, trials: float) -> Callable[[float], float]:
    """The p value against "people pass at most `at`", from that of what was seen against "at most so many".

    Each error rate is taken from the upper of its exact confidence distributions, as both let more be seen to pass than
    people pass. Of so many `trials` those that passed without the judge are seen as they are; failures without it only
    make the bound lower than it need be. One more pass with the judge never raises it, and one without it hardly ever:
    a bound near 1 may lose a hair where the judge misses many good answers. At 1 it is 1.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    good, bad, weights = _nodes(correction._labels)
    alone = correction.unjudged_passed / trials if trials else 0.0

    def p_at(at: float) -> float:
        if at >= 1:
            return 1.0
        seen = np.minimum(1.0, min(alone, at) * (1 - good) + at * good + (1 - at) * bad)
        grid = np.linspace(seen.min(), seen.max(), _GRID)
        quantiles = ndtri(np.clip([p_value(float(rate)) for rate in grid], 1e-300, 1 - 1e-16))
        return float(weights @ ndtr(np.interp(seen, grid, quantiles)))

    return p_at


@lru_cache(maxsize=256)
def _nodes(labels: Correction) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]":
    """Pairs of how often the judge passes good and bad answers, with their weights."""
    import numpy as np

    points, weights = np.polynomial.legendre.leggauss(_NODES)
    levels, weights = (points + 1) / 2, weights / 2
    one = np.ones(_NODES)
    good, bad = (
        _upper(passed, of, levels)
        for passed, of in ((labels.good_passed, labels.good), (labels.bad_passed, labels.bad))
    )
    # A judge is no worse than chance: that was shown before.
    return np.maximum.outer(good, bad).ravel(), np.outer(one, bad).ravel(), np.outer(weights, weights).ravel()


def _upper(passed: int, of: int, levels: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Upper exact bounds of a share at each of the one-sided `levels`."""
    import numpy as np
    from scipy.special import betaincinv

    return np.ones(len(levels)) if passed >= of else np.asarray(betaincinv(passed + 1, of - passed, levels))
