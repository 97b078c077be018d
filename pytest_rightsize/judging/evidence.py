"""How sure a verdict is: which rung's rate it rests on, what that shows, and how many further cases it would take.

A rung without a confidence passes by its observed rate, and 3 of 4 cases are little. So each verdict says whether the
one-sided 95 % bound of the rate it rests on reaches its bar, or misses it (`shown`), or the 80 % bound does (`likely`),
or neither (`provisional`). Pure.

A task without a confidence asks a rung until so many cases passed, or failed, that the rest cannot matter. Such a
sample has no rate, but it has a bound: that so few failures came before so many passes is as unlikely as that many
passes in as many cases (inverse sampling), if the order of the cases has nothing to do with how hard they are. A rung
that passes and would be more than provisional by that bound is asked on (`schedule`): a stop at the first 18 passes of
20 cases says "likely" more often than 20 answers do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, inf

from pytest_rightsize.records import EVIDENCE_LEVELS, Evidence, Policy, State
from pytest_rightsize.statistics import (
    Design,
    bounds_whatever_comes,
    clopper_pearson,
    counts_at_the_stop,
    design_bounds,
    more_cases,
    settled,
    settled_counts,
)
from pytest_rightsize.verdict_records import Standing, Verdict

__all__ = ["Sample", "evidence_of_rung", "with_evidence"]

_GRADES: Sequence[Evidence] = ("shown", "likely", "provisional")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was heard of one rung: the samples of each case, and how many of its trials are missing.

    `given_up` counts those that were left out as they could change nothing, `missing` those without an answer, which
    may have been anything. A task that stops early also has its `design`, and the outcomes in the order of its cases,
    None where there is none.
    """

    cases: Mapping[str, Sequence[bool]]
    given_up: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    design: Design | None = None
    outcomes: Sequence[bool | None] = ()


@dataclass(frozen=True, kw_only=True)
class RungEvidence:
    """How sure it is that a rung passes, or fails; `cases_to`, by grade, and `bound` are as in `Verdict`.

    `distance` is that of the bound from the bar.
    """

    rung: str
    grade: Evidence
    bound: float | None
    distance: float
    cases_to: Mapping[Evidence, int | None]

    @property
    def weakness(self) -> tuple[int, float, float, float]:
        """A key that is the larger the less sure it is; of two that are shown, by how near the bound is to the bar."""
        likely, shown = (
            inf if self.cases_to[grade] is None else self.cases_to[grade] or 0 for grade in EVIDENCE_LEVELS
        )
        return _GRADES.index(self.grade), shown, likely, -self.distance


def with_evidence(
    verdict: Verdict, ladder: Sequence[str], policy: Policy, sample_of: Callable[[str], Sample]
) -> Verdict:
    """The verdict with its evidence; an undecided one has none. `ladder` is smallest first."""
    claims = _claims(verdict, ladder)
    if not claims:
        return verdict
    found = [
        evidence_of_rung(rung, state, verdict.standing[rung], policy, sample_of(rung)) for rung, state in claims.items()
    ]
    weakest = max(found, key=lambda evidence: evidence.weakness)
    return replace(
        verdict,
        evidence=weakest.grade,
        evidence_rung=weakest.rung,
        evidence_bound=weakest.bound,
        cases_to_likely=weakest.cases_to["likely"],
        cases_to_shown=weakest.cases_to["shown"],
    )


def _claims(verdict: Verdict, ladder: Sequence[str]) -> dict[str, State]:
    """What the verdict says of each rung that it rests on."""
    tried = [rung for rung in ladder if verdict.standing[rung].trials]
    if verdict.verdict == "undecided":
        return {}
    if verdict.smallest is None:
        return dict.fromkeys(tried, "fails")
    smallest: dict[str, State] = {verdict.smallest: "passes"}
    if verdict.verdict == "over-sized":
        return smallest
    if verdict.verdict == "under-sized":
        # A chosen rung that may not see a private task was not tried.
        return {verdict.chosen: "fails"} if verdict.chosen in tried else smallest
    below = ladder[: ladder.index(verdict.smallest)]
    return smallest | dict.fromkeys([rung for rung in below if rung in tried], "fails")


def evidence_of_rung(rung: str, claim: State, standing: Standing, policy: Policy, sample: Sample) -> RungEvidence:
    """How sure it is that the rung passes, or fails, which of the two being the `claim`."""
    reached = {grade: _reaches(claim, standing, policy, sample, level) for grade, level in EVIDENCE_LEVELS.items()}
    grade: Evidence = next((grade for grade in EVIDENCE_LEVELS if reached[grade]), "provisional")
    bound = _bound(claim, policy, sample)
    surer = _GRADES[: _GRADES.index(grade)]
    return RungEvidence(
        rung=rung,
        grade=grade,
        bound=bound,
        distance=1.0 if bound is None else abs(bound - policy.pass_rate),
        cases_to={
            each: _needed(claim, policy, sample, EVIDENCE_LEVELS[each]) if each in surer else 0
            for each in EVIDENCE_LEVELS
        },
    )


def _reaches(claim: State, standing: Standing, policy: Policy, sample: Sample, level: float) -> bool:
    """Whether the one-sided bound at `level` reaches the bar, or misses it."""
    bar = policy.pass_rate
    if bar <= 0:  # every rate reaches it
        return claim == "passes"
    if standing.state == claim and policy.confidence is not None and policy.confidence >= level:
        return True
    if sample.design is not None:
        bounds = design_bounds(sample.design, sample.outcomes, confidence=level)
        if bounds is None:
            return False
        return bounds.low >= bar if claim == "passes" else bounds.high < bar
    if _is_inverse(policy, sample):
        passed, failed = _up_to_the_stop(claim, policy, sample)
        return settled_counts(passed, failed, 0, pass_rate=bar, confidence=level) == claim
    return settled(sample.cases, _left(sample), pass_rate=bar, confidence=level) == claim


def _bound(claim: State, policy: Policy, sample: Sample) -> float | None:
    """The one-sided 95 % bound of the rate that is held against the bar."""
    level = EVIDENCE_LEVELS["shown"]
    if sample.design is not None:
        bounds = design_bounds(sample.design, sample.outcomes, confidence=level)
    elif _is_inverse(policy, sample):
        passed, failed = _up_to_the_stop(claim, policy, sample)
        bounds = clopper_pearson(passed, passed + failed, confidence=level, one_sided=True)
    else:
        bounds = bounds_whatever_comes(sample.cases, _left(sample), confidence=level)
    if bounds is None:
        return None
    return bounds.low if claim == "passes" else bounds.high


def _left(sample: Sample) -> Mapping[str, int]:
    names = dict.fromkeys([*sample.given_up, *sample.missing])
    return {name: sample.given_up.get(name, 0) + sample.missing.get(name, 0) for name in names}


def _is_inverse(policy: Policy, sample: Sample) -> bool:
    """Whether the rung was asked until so many cases passed, or failed, one sample each."""
    return policy.confidence is None and policy.samples == 1 and bool(sample.given_up)


def _counts(sample: Sample) -> tuple[int, int]:
    """Passes and failures among what was heard."""
    passed = sum(map(sum, sample.cases.values()))
    return passed, sum(map(len, sample.cases.values())) - passed


def _up_to_the_stop(claim: State, policy: Policy, sample: Sample) -> tuple[int, int]:
    """Passes and failures up to the stop of the rung, at the most; what is missing counts against the claim."""
    (passed, failed), missing = _counts(sample), sum(sample.missing.values())
    planned = passed + failed + sum(_left(sample).values())
    return counts_at_the_stop(passed, failed, missing, planned=planned, state=claim, pass_rate=policy.pass_rate)


def _needed(claim: State, policy: Policy, sample: Sample, level: float) -> int | None:
    """About how many further cases reach a level that is not reached."""
    is_inverse, bar = _is_inverse(policy, sample), policy.pass_rate
    left = sample.missing if is_inverse else _left(sample)
    more = more_cases(sample.cases, left, state=claim, pass_rate=bar, confidence=level)
    if more is not None and is_inverse:
        # So many more are to be heard; the rung is stopped at a share of all its cases, which is the bar's.
        passed, failed = _counts(sample)
        grown = 1 + more / (passed + failed)
        total = passed * grown / bar if claim == "passes" else failed * grown / (1 - bar)
        more = ceil(total) - (passed + failed + sum(_left(sample).values()))
    # Counted without the order that a task which stops early keeps to, fewer may seem to be enough.
    return None if more is None else max(1, more)
