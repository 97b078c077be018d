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

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil, inf

from pytest_rightsize.records import EVIDENCE_LEVELS, Evidence, Policy, State
from pytest_rightsize.statistics import (
    Correction,
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
    None where there is none. The `correction` is for the errors of a judge.
    """

    cases: Mapping[str, Sequence[bool]]
    given_up: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    design: Design | None = None
    outcomes: Sequence[bool | None] = ()
    correction: Correction | None = None


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


@dataclass(frozen=True, kw_only=True)
class _Terms:
    """What is claimed of a rung, and how its task is judged.

    `is_proven` says that its standing is the claim; `has_one_sample`, that each case is asked once. The `correction` is
    that of the sample.
    """

    claim: State
    is_proven: bool
    pass_rate: float
    confidence: float | None
    has_one_sample: bool
    correction: Correction | None = None


def evidence_of_rung(rung: str, claim: State, standing: Standing, policy: Policy, sample: Sample) -> RungEvidence:
    """How sure it is that the rung passes, or fails, which of the two being the `claim`."""
    terms = _Terms(
        claim=claim,
        is_proven=standing.state == claim,
        pass_rate=policy.pass_rate,
        confidence=policy.confidence,
        has_one_sample=policy.samples == 1,
        correction=sample.correction,
    )
    if sample.design is not None:
        return _evidence(rung, terms, sample)
    cases, given_up, missing = sample.cases, sample.given_up, sample.missing
    names = dict.fromkeys([*cases, *given_up, *missing])
    heard = Counter(
        (sum(cases.get(name, ())), len(cases.get(name, ())), given_up.get(name, 0), missing.get(name, 0))
        for name in names
    )
    return replace(_evidence_of_counts(terms, frozenset(heard.items())), rung=rung)


@lru_cache(maxsize=4096)
def _evidence_of_counts(terms: _Terms, heard: frozenset[tuple[tuple[int, int, int, int], int]]) -> RungEvidence:
    """The evidence of cases without names: suites have many tasks with the same few counts.

    `heard` has how many cases there are with so many passed samples, samples, trials given up and trials missing.
    """
    each = [counts for counts, number in sorted(heard) for _ in range(number)]
    sample = Sample(
        cases={
            str(n): [True] * passed + [False] * (tried - passed) for n, (passed, tried, *_) in enumerate(each) if tried
        },
        given_up={str(n): given_up for n, (_, _, given_up, _) in enumerate(each) if given_up},
        missing={str(n): missing for n, (*_, missing) in enumerate(each) if missing},
    )
    return _evidence("", terms, sample)


def _evidence(rung: str, terms: _Terms, sample: Sample) -> RungEvidence:
    grade: Evidence = next(
        (grade for grade, level in EVIDENCE_LEVELS.items() if _reaches(terms, sample, level)), "provisional"
    )
    bound = _bound(terms, sample)
    surer = _GRADES[: _GRADES.index(grade)]
    return RungEvidence(
        rung=rung,
        grade=grade,
        bound=bound,
        distance=1.0 if bound is None else abs(bound - terms.pass_rate),
        cases_to={
            each: _needed(terms, sample, EVIDENCE_LEVELS[each]) if each in surer else 0 for each in EVIDENCE_LEVELS
        },
    )


def _reaches(terms: _Terms, sample: Sample, level: float) -> bool:
    """Whether the one-sided bound at `level` reaches the bar, or misses it."""
    claim, bar = terms.claim, terms.pass_rate
    if bar <= 0:  # every rate reaches it
        return claim == "passes"
    if terms.is_proven and terms.confidence is not None and terms.confidence >= level:
        return True
    if sample.design is not None:
        bounds = design_bounds(sample.design, sample.outcomes, confidence=level)
        if bounds is None:
            return False
        return bounds.low >= bar if claim == "passes" else bounds.high < bar
    if _is_inverse(terms, sample):
        passed, failed = _up_to_the_stop(terms, sample)
        return settled_counts(passed, failed, 0, pass_rate=bar, confidence=level) == claim
    state = settled(sample.cases, _left(sample), pass_rate=bar, confidence=level, correction=terms.correction)
    return state == claim


def _bound(terms: _Terms, sample: Sample) -> float | None:
    """The one-sided 95 % bound of the rate that is held against the bar."""
    level = EVIDENCE_LEVELS["shown"]
    if sample.design is not None:
        bounds = design_bounds(sample.design, sample.outcomes, confidence=level)
    elif _is_inverse(terms, sample):
        passed, failed = _up_to_the_stop(terms, sample)
        bounds = clopper_pearson(passed, passed + failed, confidence=level, one_sided=True)
    else:
        bounds = bounds_whatever_comes(sample.cases, _left(sample), confidence=level, correction=terms.correction)
    if bounds is None:
        return None
    return bounds.low if terms.claim == "passes" else bounds.high


def _left(sample: Sample) -> Mapping[str, int]:
    names = dict.fromkeys([*sample.given_up, *sample.missing])
    return {name: sample.given_up.get(name, 0) + sample.missing.get(name, 0) for name in names}


def _is_inverse(terms: _Terms, sample: Sample) -> bool:
    """Whether the rung was asked until so many cases passed, or failed, one sample each."""
    is_plain = terms.correction is None and terms.confidence is None
    return is_plain and terms.has_one_sample and bool(sample.given_up)


def _counts(sample: Sample) -> tuple[int, int]:
    """Passes and failures among what was heard."""
    passed = sum(map(sum, sample.cases.values()))
    return passed, sum(map(len, sample.cases.values())) - passed


def _up_to_the_stop(terms: _Terms, sample: Sample) -> tuple[int, int]:
    """Passes and failures up to the stop of the rung, at the most; what is missing counts against the claim."""
    (passed, failed), missing = _counts(sample), sum(sample.missing.values())
    planned = passed + failed + sum(_left(sample).values())
    return counts_at_the_stop(passed, failed, missing, planned=planned, state=terms.claim, pass_rate=terms.pass_rate)


def _needed(terms: _Terms, sample: Sample, level: float) -> int | None:
    """About how many further cases reach a level that is not reached."""
    claim, bar, is_inverse = terms.claim, terms.pass_rate, _is_inverse(terms, sample)
    left = sample.missing if is_inverse else _left(sample)
    correction = terms.correction
    more = more_cases(sample.cases, left, state=claim, pass_rate=bar, confidence=level, correction=correction)
    if more is not None and is_inverse:
        # So many more are to be heard; the rung is stopped at a share of all its cases, which is the bar's.
        passed, failed = _counts(sample)
        grown = 1 + more / (passed + failed)
        total = passed * grown / bar if claim == "passes" else failed * grown / (1 - bar)
        more = ceil(total) - (passed + failed + sum(_left(sample).values()))
    # Counted without the order that a task which stops early keeps to, fewer may seem to be enough.
    return None if more is None else max(1, more)
