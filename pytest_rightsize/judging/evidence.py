"""How sure a verdict is: which rung's rate it rests on, what that shows, and how many further cases it would take.

A rung without a confidence passes by its observed rate, and 3 of 4 cases are little. So each verdict says whether the
one-sided 95 % bound of the rate it rests on reaches its bar, or misses it (`shown`), or the 80 % bound does (`likely`),
or neither (`provisional`). Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from pytest_rightsize.records import Evidence, Policy, Standing, State, Verdict
from pytest_rightsize.statistics import Design, design_bounds, more_cases, settled

__all__ = ["Sample", "evidence_of_rung", "with_evidence"]

# The confidence of each grade, the surest first.
_LEVELS: Mapping[Evidence, float] = {"shown": 0.95, "likely": 0.8}
_GRADES: Sequence[Evidence] = ("shown", "likely", "provisional")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was heard of one rung: the samples of each case, and how many of its trials are missing.

    A task that stops early also has its `design`, and the outcomes in the order of its cases, None where there is none.
    """

    cases: Mapping[str, Sequence[bool]]
    missing: Mapping[str, int] = field(default_factory=dict)
    design: Design | None = None
    outcomes: Sequence[bool | None] = ()


@dataclass(frozen=True, kw_only=True)
class RungEvidence:
    """How sure it is that a rung passes, or fails; `cases_to` is by grade, as in `Verdict`."""

    rung: str
    grade: Evidence
    cases_to: Mapping[Evidence, int | None]

    @property
    def weakness(self) -> tuple[int, float, float]:
        """A key that is the larger the less sure it is."""
        likely, shown = (inf if self.cases_to[grade] is None else self.cases_to[grade] or 0 for grade in _LEVELS)
        return _GRADES.index(self.grade), shown, likely


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
    reached = {grade: _reaches(claim, standing, policy, sample, level) for grade, level in _LEVELS.items()}
    grade: Evidence = next((grade for grade in _LEVELS if reached[grade]), "provisional")
    surer = _GRADES[: _GRADES.index(grade)]
    return RungEvidence(
        rung=rung,
        grade=grade,
        cases_to={each: _needed(claim, policy, sample, _LEVELS[each]) if each in surer else 0 for each in _LEVELS},
    )


def _reaches(claim: State, standing: Standing, policy: Policy, sample: Sample, level: float) -> bool:
    """Whether the one-sided bound at `level` reaches the bar, or misses it, whatever the missing trials would bring."""
    if standing.state == claim and policy.confidence is not None and policy.confidence >= level:
        return True
    if sample.design is None:
        return settled(sample.cases, sample.missing, pass_rate=policy.pass_rate, confidence=level) == claim
    bounds = design_bounds(sample.design, sample.outcomes, confidence=level)
    if bounds is None:
        return False
    return bounds.low >= policy.pass_rate if claim == "passes" else bounds.high < policy.pass_rate


def _needed(claim: State, policy: Policy, sample: Sample, level: float) -> int | None:
    """About how many further cases reach a level that is not reached."""
    needed = more_cases(sample.cases, sample.missing, state=claim, pass_rate=policy.pass_rate, confidence=level)
    # Counted without the order that a task which stops early keeps to, fewer may seem to be enough.
    return None if needed is None else max(1, needed)
