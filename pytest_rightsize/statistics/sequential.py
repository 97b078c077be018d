"""Early stopping of a task with a confidence: exact boundaries, the decision, its bounds, and its expected length.

A seed fixes the order of the cases, one sample each. After each case in that order, the passes or failures so far may
be enough to show that the bar is reached or missed. The probability of a wrong decision at a true rate equal to the bar
is computed exactly, and stays within 1 - confidence. The decision depends only on the outcomes and the order: not on
which answer arrived first, nor on how many further cases were asked.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from math import log
from typing import TYPE_CHECKING, Literal

from pytest_rightsize.statistics.estimates import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Chances",
    "Decision",
    "Design",
    "Walk",
    "cases_in_order",
    "chances",
    "decide",
    "design_bounds",
    "design_for",
    "size_of",
]

DecidedState = Literal["passes", "fails", "undecided"]

# Up to case t of N, (t / N)**2 of the error may be spent: late enough to cost no power, early enough to save calls.
_SPENDING_POWER = 2
# Tolerance, so that a tail equal to the error left fits whatever the last digit of a float or the platform.
_HAIR = 1e-12
# Mass that cannot change a boundary: 10,000 cases of it stay far below the last digit of any error.
_NEGLIGIBLE = 1e-30


@dataclass(frozen=True, kw_only=True)
class Design:
    """The boundaries of one task on one rung, fixed before its first case.

    After `t` cases the rung passes with at least `passes_at[t]` passes, and fails with at least `fails_at[t]` failures;
    t + 1 means that no number is enough. `cases` is the largest number of cases.
    """

    cases: int
    pass_rate: float
    passes_at: tuple[int, ...]
    fails_at: tuple[int, ...]

    def state(self, passed: int, failed: int) -> DecidedState | None:
        """The decision after so many passes and failures at the beginning of the order; None means to go on.

        "undecided" where the cases have run out, or where those left can no longer decide.
        """
        seen = passed + failed
        if seen == 0:
            return None
        if passed >= self.passes_at[seen]:
            return "passes"
        if failed >= self.fails_at[seen]:
            return "fails"
        return "undecided" if self._is_futile(passed, failed) else None

    def _is_futile(self, passed: int, failed: int) -> bool:
        """Whether neither only passes nor only failures from here on could decide."""
        # The allowed numbers of misses only grow with the cases, so the last case allows the most.
        return failed > self.cases - self.passes_at[self.cases] and passed > self.cases - self.fails_at[self.cases]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision after the first `at` cases of the order, of which `passed` passed."""

    state: DecidedState
    at: int
    passed: int


@dataclass(frozen=True, kw_only=True)
class Chances:
    """Probabilities of the three decisions at some true rate, and the mean number of cases to reach one."""

    passes: float
    fails: float
    undecided: float
    expected_cases: float


def cases_in_order(names: Iterable[str], *, task: str, seed: int = 0) -> list[str]:
    """The cases of a task in the order of decision: by SHA-256 of seed, task and name, the same on every machine.

    Two cases keep their order whatever other cases there are, and on every rung, so that runs that stopped early have
    their first cases in common.
    """
    return sorted(
        names, key=lambda name: (sha256(f"{seed}\0{task}\0{name}".encode("utf-8", "surrogatepass")).digest(), name)
    )


def design_for(
    cases: int,
    *,
    pass_rate: float,
    confidence: float = 0.95,
    claim_confidence: float | None = None,
    planned: int | None = None,
) -> Design:
    """The boundaries for so many cases, whose chance of a wrong "fails" is at most 1 - `confidence`.

    The chance of a wrong "passes" is at most 1 - `claim_confidence`, by default the same. `planned` is the number of
    cases before some were skipped: the error is spent as if they were all still to come, so that the boundary does not
    move when a case is skipped, and the last case spends the rest.
    """
    claim = confidence if claim_confidence is None else claim_confidence
    return _design(cases, max(cases, planned or 0), pass_rate, round(1 - claim, 12), round(1 - confidence, 12))


@cache
def _design(cases: int, planned: int, pass_rate: float, pass_error: float, fail_error: float) -> Design:
    if pass_rate <= 0:  # every outcome reaches it
        return Design(cases=cases, pass_rate=0.0, passes_at=(0,) * (cases + 1), fails_at=_never(cases))
    return Design(
        cases=cases,
        pass_rate=pass_rate,
        passes_at=_counts_needed(cases, planned, pass_rate, pass_error),
        # The same with failures for successes; rounded, so that 1 - 0.9 is one tenth.
        fails_at=_counts_needed(cases, planned, round(1 - pass_rate, 12), fail_error),
    )


def _never(cases: int) -> tuple[int, ...]:
    return tuple(range(1, cases + 2))


@cache
def _counts_needed(cases: int, planned: int, rate: float, error: float) -> tuple[int, ...]:
    """For each number of cases, the successes that show a rate above `rate`; at `rate` itself they are rare.

    `mass` is the probability, by successes, of the paths that have not crossed the boundary. The number needed never
    falls from one case to the next, as a miss is no evidence, except at the last case, which spends all that is left.
    """
    import numpy as np

    if rate <= 0:
        return (1,) * (cases + 1)
    needed, spent, low = [1], 0.0, 0
    mass: npt.NDArray[np.float64] = np.ones(1)
    for seen in range(1, cases + 1):
        mass = np.append(mass * (1 - rate), 0.0) + np.append(0.0, mass * rate)
        is_last = seen == cases
        room = (error if is_last else error * (seen / planned) ** _SPENDING_POWER) - spent + _HAIR * error
        taken, tail = _fitting(mass, room, len(mass) if is_last else 1)
        spent += tail
        mass = mass[: len(mass) - taken]
        needed.append(low + len(mass))
        if seen % 64 == 0 and mass[0] < _NEGLIGIBLE:
            kept = int(np.argmax(mass >= _NEGLIGIBLE))
            mass, low = mass[kept:], low + kept
    return tuple(needed)


def _fitting(mass: "npt.NDArray[np.float64]", room: float, most: int) -> tuple[int, float]:
    """How many of the largest counts, at most `most`, fit into `room`, and their mass."""
    tail = 0.0
    for taken in range(most):
        more = float(mass[-1 - taken])
        if tail + more > room:
            return taken, tail
        tail += more
    return most, tail


def decide(design: Design, outcomes: Sequence[bool | None]) -> Decision | None:
    """The decision over the outcomes in order, whatever those that are None (no answer, or not yet) would be.

    None while they could still change it, or where every outcome is None. A pass instead of a failure never lowers a
    decision, so every other outcome lies between all failed and all passed.
    """
    if all(outcome is None for outcome in outcomes):
        return None
    worst = _first_decision(design, (outcome is True for outcome in outcomes))
    best = _first_decision(design, (outcome is not False for outcome in outcomes))
    if worst.state != best.state:
        return None
    return max(worst, best, key=lambda decision: decision.at)


def _first_decision(design: Design, outcomes: Iterable[bool]) -> Decision:
    passed = 0
    for seen, outcome in enumerate(outcomes, 1):
        passed += outcome
        if state := design.state(passed, seen - passed):
            return Decision(state=state, at=seen, passed=passed)
    raise AssertionError("the last case decides")


class Walk:
    """The decision of `decide`, kept up to date while the answers of one task on one rung arrive in any order.

    A case without an answer yet counts both as passed and as failed, so that a slow one does not delay a decision that
    it could not change.
    """

    def __init__(self, design: Design, order: Sequence[str]) -> None:
        """`order` is that of `cases_in_order`."""
        self._design = design
        self._order = order
        self._place = {case: place for place, case in enumerate(order)}
        self._outcomes: dict[str, bool | None] = {}
        self._last = -1
        self._worst, self._best = _Path(), _Path()

    def add(self, case: str, passed: bool | None) -> None:
        """Add an outcome; None if there will be no answer, as after a fault."""
        self._outcomes[case] = passed
        self._last = max(self._last, self._place[case])
        for path, stand_in in ((self._worst, False), (self._best, True)):
            while path.state is None and path.seen < len(self._order) and self._order[path.seen] in self._outcomes:
                self._step(path, stand_in)

    @property
    def state(self) -> DecidedState | None:
        """The decision, or None to go on."""
        worst = self._ahead(self._worst, stand_in=False)
        return worst if worst is not None and worst == self._ahead(self._best, stand_in=True) else None

    def cases_until(self, *, passed: bool) -> int:
        """How many more answers decide if all of them pass, or all fail; at least 1."""
        outcomes = [outcome for outcome in self._outcomes.values() if outcome is not None]
        passes, failures = sum(outcomes), len(outcomes) - sum(outcomes)
        not_yet, decided = 0, max(1, self._design.cases - len(outcomes))
        while decided - not_yet > 1:  # bisection: if so many answers decide, more of them do too
            more = (not_yet + decided) // 2
            state = self._design.state(passes + more * passed, failures + more * (not passed))
            not_yet, decided = (more, decided) if state is None else (not_yet, more)
        return decided

    def _step(self, path: "_Path", stand_in: bool) -> None:
        outcome = self._outcomes.get(self._order[path.seen])
        path.add(self._design, stand_in if outcome is None else outcome)

    def _ahead(self, path: "_Path", *, stand_in: bool) -> DecidedState | None:
        """The state of a path at or before the last case that has ended, without waiting for those in between."""
        ahead = copy(path)
        while ahead.state is None and ahead.seen <= self._last:
            self._step(ahead, stand_in)
        return ahead.state


@dataclass
class _Path:
    """Counts over the beginning of the order, with missing answers as all passed or all failed."""

    passed: int = 0
    failed: int = 0
    state: DecidedState | None = None

    @property
    def seen(self) -> int:
        return self.passed + self.failed

    def add(self, design: Design, passed: bool) -> None:
        self.passed, self.failed = self.passed + passed, self.failed + (not passed)
        self.state = design.state(self.passed, self.failed)


def chances(design: Design, true_rate: float) -> Chances:
    """The exact probabilities of the decisions for a rung of that true rate."""
    import numpy as np

    passes = fails = undecided = cases = 0.0
    allowed_failures = design.cases - design.passes_at[-1]
    allowed_passes = design.cases - design.fails_at[-1]
    low, mass = 0, np.ones(1)
    for seen in range(1, design.cases + 1):
        mass = np.append(mass * (1 - true_rate), 0.0) + np.append(0.0, mass * true_rate)
        counts = low + np.arange(len(mass))
        passing, failing = counts >= design.passes_at[seen], seen - counts >= design.fails_at[seen]
        futile = ~passing & ~failing & (seen - counts > allowed_failures) & (counts > allowed_passes)
        here = [float(mass[which].sum()) for which in (passing, failing & ~passing, futile)]
        passes, fails, undecided = passes + here[0], fails + here[1], undecided + here[2]
        cases += seen * sum(here)
        going_on = np.nonzero(~(passing | failing | futile) & (mass > 0))[0]
        if len(going_on) == 0:
            break
        low, mass = (
            low + int(going_on[0]),
            np.where(passing | failing | futile, 0.0, mass)[going_on[0] : going_on[-1] + 1],
        )
    return Chances(passes=passes, fails=fails, undecided=undecided, expected_cases=cases)


def size_of(design: Design) -> float:
    """The probability that a rung just below the bar is said to pass."""
    return chances(design, design.pass_rate).passes


def design_bounds(design: Design, outcomes: Sequence[bool | None], *, confidence: float = 0.95) -> Interval | None:
    """One-sided bounds of the true rate, each at `confidence`, valid for a sample that stopped by the design.

    Outcomes are ranked by the stages of the design: the earlier a pass, the higher it ranks; the earlier a failure, the
    lower; those that reached the last case rank in between. The low bound is the rate at which an outcome ranked so
    high, or higher, has the probability 1 - `confidence`. Outcomes that are None may be either. None if every outcome
    is None. Source: the stagewise ordering of Jennison and Turnbull 1999, chapter 8.
    """
    if all(outcome is None for outcome in outcomes):
        return None
    worst = _endpoint(design, (outcome is True for outcome in outcomes))
    best = _endpoint(design, (outcome is not False for outcome in outcomes))
    low, high = _bound(design, worst, confidence, is_low=True), _bound(design, best, confidence, is_low=False)
    return Interval(low=low, high=high, confidence=confidence, one_sided=True)


def _endpoint(design: Design, outcomes: Iterable[bool]) -> tuple[int, int]:
    """Passes and failures at the boundary or at the last case; stopping for futility changes no boundary's chance."""
    passed = failed = 0
    for outcome in outcomes:
        passed, failed = passed + outcome, failed + (not outcome)
        if design.state(passed, failed) in ("passes", "fails"):
            break
    return passed, failed


@cache
def _bound(design: Design, endpoint: tuple[int, int], confidence: float, *, is_low: bool) -> float:
    """The rate at which outcomes ranked at or beyond the endpoint have the chance 1 - `confidence`."""
    import numpy as np

    ranked, mass = _endpoints(design)
    rank = ranked.index(endpoint)
    which = slice(None, rank + 1) if is_low else slice(rank, None)
    if len(ranked[which]) == len(ranked):
        return 0.0 if is_low else 1.0
    passed, failed = (np.array(counts, dtype=float) for counts in zip(*ranked[which], strict=True))
    at = _reference_rate(design)
    below, above = 0.0, 1.0
    for _ in range(60):  # halves the unit interval down to the spacing of floats
        rate = (below + above) / 2
        # A path's chance depends on its passes and failures alone, so one recursion serves every rate.
        chance = float(mass[which] @ np.exp(passed * log(rate / at) + failed * log((1 - rate) / (1 - at))))
        below, above = (below, rate) if (chance > 1 - confidence) == is_low else (rate, above)
    return below if is_low else above


def _reference_rate(design: Design) -> float:
    """The bar, moved away from 0 and 1, where some paths would have no mass to scale."""
    edge = 0.5 / design.cases
    return min(max(design.pass_rate, edge), 1 - edge)


@cache
def _endpoints(design: Design) -> "tuple[list[tuple[int, int]], npt.NDArray[np.float64]]":
    """The endpoints of the design (passes, failures) from highest to lowest rank, with their chances at the bar."""
    import numpy as np

    rate = _reference_rate(design)
    passing: list[tuple[tuple[int, int], float]] = []
    failing: list[tuple[tuple[int, int], float]] = []
    low, mass = 0, np.ones(1)
    for seen in range(1, design.cases):
        mass = np.append(mass * (1 - rate), 0.0) + np.append(0.0, mass * rate)
        while len(mass) and low + len(mass) - 1 >= design.passes_at[seen]:
            passing.append(((low + len(mass) - 1, seen - low - len(mass) + 1), float(mass[-1])))
            mass = mass[:-1]
        while len(mass) and seen - low >= design.fails_at[seen]:
            failing.append(((low, seen - low), float(mass[0])))
            low, mass = low + 1, mass[1:]
    mass = np.append(mass * (1 - rate), 0.0) + np.append(0.0, mass * rate)
    last = [((low + place, design.cases - low - place), float(mass[place])) for place in reversed(range(len(mass)))]
    ranked = [*passing, *last, *reversed(failing)]
    return [endpoint for endpoint, _ in ranked], np.array([chance for _, chance in ranked])
