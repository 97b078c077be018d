"""Statistics: the pass rate of a rung, two rungs on the same cases, ratios, early stopping, and planning.

Every file computes from plain numbers and returns numbers or frozen records; none calls a model or reads a file. The
special functions are those of `scipy.special`, imported by the function that needs them; but for `incomplete_beta`,
which most sessions need.
"""

from pytest_rightsize.statistics.falls import fall_cases_needed, fall_power, fell, fell_in_order
from pytest_rightsize.statistics.misjudged import Correction, is_better_than_chance
from pytest_rightsize.statistics.pairs import (
    difference,
    holm,
    mcnemar,
    non_inferiority_p,
    paired_t,
    tango_interval,
)
from pytest_rightsize.statistics.planning import (
    cases_needed,
    paired_cases_needed,
    paired_power,
    passes_needed,
    power,
)
from pytest_rightsize.statistics.rates import (
    bounds_whatever_comes,
    counts_at_the_stop,
    more_cases,
    more_trials,
    pass_rate_interval,
    settled,
    settled_counts,
    stand,
)
from pytest_rightsize.statistics.ratios import geometric_mean_ratio, mean_difference, ratio_per_success
from pytest_rightsize.statistics.selection import Terms, budgets_after, claim_confidence, claimed, first_budget
from pytest_rightsize.statistics.sequential import (
    Chances,
    Decision,
    Design,
    Walk,
    cases_in_order,
    chances,
    decide,
    design_bounds,
    design_for,
)
from pytest_rightsize.statistics.tallies import bar_of, clopper_pearson
from pytest_rightsize.statistics.unpaired import fisher_fell

__all__ = [
    "Chances",
    "Correction",
    "Decision",
    "Design",
    "Terms",
    "Walk",
    "bar_of",
    "bounds_whatever_comes",
    "budgets_after",
    "cases_in_order",
    "cases_needed",
    "chances",
    "claim_confidence",
    "claimed",
    "clopper_pearson",
    "counts_at_the_stop",
    "decide",
    "design_bounds",
    "design_for",
    "difference",
    "fall_cases_needed",
    "fall_power",
    "fell",
    "fell_in_order",
    "first_budget",
    "fisher_fell",
    "geometric_mean_ratio",
    "holm",
    "is_better_than_chance",
    "mcnemar",
    "mean_difference",
    "more_cases",
    "more_trials",
    "non_inferiority_p",
    "paired_cases_needed",
    "paired_power",
    "paired_t",
    "pass_rate_interval",
    "passes_needed",
    "power",
    "ratio_per_success",
    "settled",
    "settled_counts",
    "stand",
    "tango_interval",
]
