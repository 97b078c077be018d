"""Numbers in, estimates out: one rung's pass rate, two rungs on the same cases, ratios, and how many cases to plan.

Every file here computes from plain numbers and returns nouns of `records`; none asks a model or reads a file. The
special functions are those of `scipy.special`, imported by the function that needs them.
"""

from pytest_rightsize.statistics.pairs import difference, holm, mcnemar, non_inferiority_p, tango_interval
from pytest_rightsize.statistics.planning import cases_needed, passes_needed, power
from pytest_rightsize.statistics.rates import (
    clopper_pearson,
    effective_trials,
    more_trials,
    pass_rate_interval,
    settled,
    stand,
)
from pytest_rightsize.statistics.ratios import geometric_mean_ratio, mean_difference, ratio_per_success

__all__ = [
    "cases_needed",
    "clopper_pearson",
    "difference",
    "effective_trials",
    "geometric_mean_ratio",
    "holm",
    "mcnemar",
    "mean_difference",
    "more_trials",
    "non_inferiority_p",
    "pass_rate_interval",
    "passes_needed",
    "power",
    "ratio_per_success",
    "settled",
    "stand",
    "tango_interval",
]
