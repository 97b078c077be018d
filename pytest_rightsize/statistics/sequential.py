"""Early stopping of a task with a confidence: exact boundaries, the decision, its bounds, and what it takes.

The cases of a task stand in an order that a seed fixes, one sample each. After each case of that order the passes, or
the failures, may be so many that the bar is shown to be reached, or missed. How often that happens where the true rate
is just the bar is worked out exactly, and stays within what the confidence leaves. The decision depends on the
outcomes and on the order alone: not on which answer came first, nor on how many were asked in vain.
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

# Of the error, (t / N)**2 may be spent up to case t of N: late enough to cost no power, early enough to save calls.
_SPENDING_POWER = 2
# A tail that equals what may be spent fits: neither the last digit of a float nor the platform decides.
_HAIR = 1e-12
# Mass that cannot change a boundary: 10,000 cases of it stay far below the last digit of any error.
_NEGLIGIBLE = 1e-30


@dataclass(frozen=True, kw_only=True)
class Design:
    """The boundaries of one task on one rung, fixed before its first case.

    After `t` cases the rung passes with `passes_at[t]` passes or more, and fails with `fails_at[t]` failures or more;
    t + 1 where no number would do. `cases` is how many there are at the most.
    """

    cases: int
    pass_rate: float
    passes_at: tuple[int, ...]
    fails_at: tuple[int, ...]

    def state(self, passed: int, failed: int) -> DecidedState | None:
        """Whether it is decided after so many passes and failures at the beginning of the order; None: go on.

        Undecided where the cases have run out, or where those that are left could decide nothing any more.
        """
        seen = passed + failed
        if seen == 0:
            return None
        if passed >= self.passes_at[seen]:
            return "passes"
        if failed >= self.fails_at[seen]:
            return "fails"
        return "undecided" if self._is_vain(passed, failed) else None

    def _is_vain(self, passed: int, failed: int) -> bool:
        """Whether even nothing but passes, or nothing but failures, would no longer decide."""
        # Both numbers of misses that are allowed only grow with the cases, so the last case allows the most.
        return failed > self.cases - self.passes_at[self.cases] and passed > self.cases - self.fails_at[self.cases]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided after the first `at` cases of the order, `passed` of which passed."""

    state: DecidedState
    at: int
    passed: int


@dataclass(frozen=True, kw_only=True)
class Chances:
    """What a rung of some true rate comes to: how likely each state is, and how many cases it takes on average."""

    passes: float
    fails: float
    undecided: float
    expected_cases: float


def cases_in_order(names: Iterable[str], *, task: str, seed: int = 0) -> list[str]:
    """The cases of a task in the order that decides: by SHA-256 of seed, task and name, the same on every machine.

    Two cases keep their order whatever other cases there are, and it is the same on every rung: runs that stopped
    early have their first cases in common.
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

    That of a wrong "passes" is at most 1 - `claim_confidence`, by default the same. `planned` is how many cases there
    were before some turned out to be skipped: what is spent by then is counted in those, so that the boundary does not
    move when the skipped ones become known, and the last case spends the rest.
    """
    claim = confidence if claim_confidence is None else claim_confidence
    return _design(cases, max(cases, planned or 0), pass_rate, round(1 - claim, 12), round(1 - confidence, 12))


@cache
def _design(cases: int, planned: int, pass_rate: float, pass_error: float, fail_error: float) -> Design:
    if pass_rate <= 0:  # reached by whatever comes
        return Design(cases=cases, pass_rate=0.0, passes_at=(0,) * (cases + 1), fails_at=_never(cases))
    return Design(
        cases=cases,
        pass_rate=pass_rate,
        passes_at=_counts_needed(cases, planned, pass_rate, pass_error),
        # From the failures' side; rounded, so that 1 - 0.9 is one tenth.
        fails_at=_counts_needed(cases, planned, round(1 - pass_rate, 12), fail_error),
    )


def _never(cases: int) -> tuple[int, ...]:
    return tuple(range(1, cases + 2))


@cache
def _counts_needed(cases: int, planned: int, rate: float, error: float) -> tuple[int, ...]:
    """For each number of cases the successes that count as more than `rate`, where `rate` itself gets there rarely.

    The mass of all paths that have not got there yet is kept by their successes. A number never falls from one case to
    the next, as a miss is no evidence; but at the last, where all that is left is spent.
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
    """How many of the largest counts, at most so many, fit into what may be spent, and their mass."""
    tail = 0.0
    for taken in range(most):
        more = float(mass[-1 - taken])
        if tail + more > room:
            return taken, tail
        tail += more
    return most, tail


def decide(design: Design, outcomes: Sequence[bool | None]) -> Decision | None:
    """The decision over the outcomes in order, whatever those that are None (no answer yet, or none at all) would be.

    None where they could still change it, or where none has come. A pass instead of a failure never lowers a decision,
    so the two ends speak for all that lies between them.
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
    """The decision of one task on one rung as the answers come, in any order; it is that of `decide` over them.

    Cases that are still asked may be taken as passed or as failed: so a slow one does not hold up a decision that it
    could not change.
    """

    def __init__(self, design: Design, order: Sequence[str]) -> None:
        """`order` names the cases as `cases_in_order` has them."""
        self._design = design
        self._order = order
        self._place = {case: place for place, case in enumerate(order)}
        self._heard: dict[str, bool | None] = {}
        self._last = -1
        self._worst, self._best = _Path(), _Path()

    def add(self, case: str, passed: bool | None) -> None:
        """Take in an answer; None where there will be none, as after a fault."""
        self._heard[case] = passed
        self._last = max(self._last, self._place[case])
        for path, stand_in in ((self._worst, False), (self._best, True)):
            while path.state is None and path.seen < len(self._order) and self._order[path.seen] in self._heard:
                self._step(path, stand_in)

    @property
    def state(self) -> DecidedState | None:
        """What is decided, or None: go on."""
        worst = self._ahead(self._worst, stand_in=False)
        return worst if worst is not None and worst == self._ahead(self._best, stand_in=True) else None

    def cases_until(self, *, passed: bool) -> int:
        """How many answers more decide, if what comes all passes, or all fails; at least 1."""
        heard = [outcome for outcome in self._heard.values() if outcome is not None]
        passes, failures = sum(heard), len(heard) - sum(heard)
        not_yet, decided = 0, max(1, self._design.cases - len(heard))
        while decided - not_yet > 1:  # what so many more decide, more of them decide too
            more = (not_yet + decided) // 2
            state = self._design.state(passes + more * passed, failures + more * (not passed))
            not_yet, decided = (more, decided) if state is None else (not_yet, more)
        return decided

    def _step(self, path: "_Path", stand_in: bool) -> None:
        outcome = self._heard.get(self._order[path.seen])
        path.add(self._design, stand_in if outcome is None else outcome)

    def _ahead(self, path: "_Path", *, stand_in: bool) -> DecidedState | None:
        """What a path comes to at the last case that has ended, or before, without waiting for those between."""
        ahead = copy(path)
        while ahead.state is None and ahead.seen <= self._last:
            self._step(ahead, stand_in)
        return ahead.state


@dataclass
class _Path:
    """The beginning of the order, cases without an answer taken as all passed or all failed."""

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
    """What a rung of that true rate comes to, exactly."""
    import numpy as np

    passes = fails = undecided = cases = 0.0
    allowed_failures = design.cases - design.passes_at[-1]
    allowed_passes = design.cases - design.fails_at[-1]
    low, mass = 0, np.ones(1)
    for seen in range(1, design.cases + 1):
        mass = np.append(mass * (1 - true_rate), 0.0) + np.append(0.0, mass * true_rate)
        counts = low + np.arange(len(mass))
        passing, failing = counts >= design.passes_at[seen], seen - counts >= design.fails_at[seen]
        vain = ~passing & ~failing & (seen - counts > allowed_failures) & (counts > allowed_passes)
        here = [float(mass[which].sum()) for which in (passing, failing & ~passing, vain)]
        passes, fails, undecided = passes + here[0], fails + here[1], undecided + here[2]
        cases += seen * sum(here)
        going_on = np.nonzero(~(passing | failing | vain) & (mass > 0))[0]
        if len(going_on) == 0:
            break
        low, mass = (
            low + int(going_on[0]),
            np.where(passing | failing | vain, 0.0, mass)[going_on[0] : going_on[-1] + 1],
        )
    return Chances(passes=passes, fails=fails, undecided=undecided, expected_cases=cases)


def size_of(design: Design) -> float:
    """How likely a rung that only just misses the bar is said to pass."""
    return chances(design, design.pass_rate).passes


def design_bounds(design: Design, outcomes: Sequence[bool | None], *, confidence: float = 0.95) -> Interval | None:
    """One-sided bounds of the true rate, each sure at `confidence`, that hold for a sample that stopped by the design.

    Outcomes are ranked by the stages of the design: a pass is the higher the earlier it was decided, a failure the
    lower, and between them stand those that came to the last case. The low bound is the rate at which so high an
    outcome, or a higher one, is as rare as 1 - `confidence`. Outcomes that are None may be either. None where there is
    no outcome. Source: the stagewise ordering of Jennison and Turnbull 1999, chapter 8.
    """
    if all(outcome is None for outcome in outcomes):
        return None
    worst = _endpoint(design, (outcome is True for outcome in outcomes))
    best = _endpoint(design, (outcome is not False for outcome in outcomes))
    low, high = _bound(design, worst, confidence, is_low=True), _bound(design, best, confidence, is_low=False)
    return Interval(low=low, high=high, confidence=confidence, one_sided=True)


def _endpoint(design: Design, outcomes: Iterable[bool]) -> tuple[int, int]:
    """Passes and failures at the boundary, or at the last case: stopping in vain changes no chance of a boundary."""
    passed = failed = 0
    for outcome in outcomes:
        passed, failed = passed + outcome, failed + (not outcome)
        if design.state(passed, failed) in ("passes", "fails"):
            break
    return passed, failed


@cache
def _bound(design: Design, endpoint: tuple[int, int], confidence: float, *, is_low: bool) -> float:
    """The rate at which what is ranked as high (or as low) as the endpoint has the chance 1 - `confidence`."""
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
    """The bar, away from 0 and 1, where some paths would have no mass to scale."""
    edge = 0.5 / design.cases
    return min(max(design.pass_rate, edge), 1 - edge)


@cache
def _endpoints(design: Design) -> "tuple[list[tuple[int, int]], npt.NDArray[np.float64]]":
    """Where the design may end, as passes and failures from the highest rank to the lowest, with chances at the bar."""
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
