"""Two rungs paired sample by sample, and on the first sample of each case alone; pure.

Where a case has several samples, its mean is what counts. Single samples are what most published comparisons have:
their exact tests hold, since each case counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_rightsize.judging.economy import Economy, economy
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Json, Trial
from pytest_rightsize.statistics import difference, mcnemar, non_inferiority_p
from pytest_rightsize.statistics.estimates import Difference, NonInferiority

__all__ = ["FirstSample", "SamplePairs", "first_sample", "sample_pairs"]

_ALPHA = 0.05
_Cases = Mapping[str, Sequence[Trial]]


@dataclass(frozen=True, kw_only=True)
class SamplePairs:
    """How many of `n` samples that both rungs have both passed, only one of them, or neither."""

    n: int
    both: int
    only_a: int
    only_b: int
    neither: int


@dataclass(frozen=True, kw_only=True)
class FirstSample:
    """The comparison by the first sample of each case that both have; its p value is not adjusted for other rungs."""

    pairs: SamplePairs
    mcnemar_p: float
    difference: Difference
    non_inferior: NonInferiority
    economy: Economy = field(default_factory=Economy)

    def to_dict(self) -> dict[str, Json]:
        """The comparison as JSON data."""
        return {
            **plain_fields(self.pairs),
            "mcnemar_p": self.mcnemar_p,
            "difference": plain_fields(self.difference),
            "non_inferior": plain_fields(self.non_inferior),
            "ratios": self.economy.to_dict(),
        }


def sample_pairs(a: _Cases, b: _Cases) -> SamplePairs:
    """Pair the trials of each case by the number of their sample."""
    marks = []
    for case in a:
        passed_b = {trial.key.sample: trial.outcome == "passed" for trial in b[case]}
        marks += [
            (trial.outcome == "passed", passed_b[trial.key.sample]) for trial in a[case] if trial.key.sample in passed_b
        ]
    return SamplePairs(
        n=len(marks),
        both=marks.count((True, True)),
        only_a=marks.count((True, False)),
        only_b=marks.count((False, True)),
        neither=marks.count((False, False)),
    )


def first_sample(
    a: _Cases, b: _Cases, *, margin: float, names: tuple[str, str], reason: tuple[bool, bool]
) -> FirstSample | None:
    """Compare the first samples; None where no case has one on both, or none has several."""
    if all(len(trials) == 1 for cases in (a, b) for trials in cases.values()):
        return None
    first_a, first_b = _first(a), _first(b)
    first_a = {case: trials for case, trials in first_a.items() if case in first_b}
    first_b = {case: first_b[case] for case in first_a}
    if not first_a:
        return None
    pairs = sample_pairs(first_a, first_b)
    outcomes_a, outcomes_b = (
        {case: [trial.outcome == "passed" for trial in trials] for case, trials in cases.items()}
        for cases in (first_a, first_b)
    )
    p = non_inferiority_p(outcomes_a, outcomes_b, margin=margin)
    return FirstSample(
        pairs=pairs,
        mcnemar_p=mcnemar(pairs.only_a, pairs.only_b),
        difference=difference(outcomes_a, outcomes_b),
        non_inferior=NonInferiority(margin=margin, holds=p < _ALPHA, p=p),
        economy=economy(first_a, first_b, names=names, reason=reason),
    )


def _first(cases: _Cases) -> dict[str, list[Trial]]:
    first = {case: [trial for trial in trials if trial.key.sample == 0] for case, trials in cases.items()}
    return {case: trials for case, trials in first.items() if trials}
