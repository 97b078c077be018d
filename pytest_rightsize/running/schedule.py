"""Schedule of a session: the order of rungs, and the reasons why a rung or a trial need not run; pure.

A ladder names its rungs smallest first. `climb` visits them in that order, `bisect` from the middle; both skip whole
rungs, and trials inside a rung, that cannot change the verdict. `full` skips nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil

from pytest_rightsize.records import EVIDENCE_LEVELS, State, Strategy, Trial
from pytest_rightsize.statistics import (
    Walk,
    cases_in_order,
    claimed,
    counts_at_the_stop,
    design_for,
    settled,
    settled_counts,
)
from pytest_rightsize.verdict_records import Standing

# The least number of trials of a task in flight, and the least part of its trials (1 / 8), however close it is to being
# settled: waiting costs time, and unneeded requests stay a small part.
_FLIGHT, _PART_IN_FLIGHT = 8, 8

__all__ = [
    "EarlyProgress",
    "Progress",
    "falls_back",
    "reason_not_to_run",
    "visiting_order",
]


def visiting_order(ladder: Sequence[str], strategy: Strategy) -> list[str]:
    """The rungs in the order in which every task visits them.

    `bisect` starts in the middle, goes on with the smaller half and then the larger half, each from its middle again. A
    rung that fails proves nothing about a smaller one, so the smaller half is always needed; the larger half is needed
    only if nothing in the smaller half passes. By the time a task visits a rung above one that passes, everything that
    could show the ladder to be non-monotone has been asked.
    """
    if strategy != "bisect" or not ladder:
        return list(ladder)
    middle = (len(ladder) - 1) // 2
    smaller, larger = ladder[:middle], ladder[middle + 1 :]
    return [ladder[middle], *visiting_order(smaller, strategy), *visiting_order(larger, strategy)]


def reason_not_to_run(
    rung: str, *, ladder: Sequence[str], standings: Mapping[str, Standing], strategy: Strategy
) -> str | None:
    """Why a task's trials on `rung` cannot change its verdict, or None if they can.

    `standings` holds the standings of the other rungs so far. `full` runs all. `climb` and `bisect` stop above a rung
    that passes, and above one that is undecided because answers are missing: no larger rung can be named then. They go
    on past a rung whose cases have all been asked, and past one that gave no answer at all: what the others do is worth
    knowing until it can be asked. `bisect` runs every rung of a task that has proved non-monotone.
    """
    if strategy == "full" or (strategy == "bisect" and falls_back(ladder, standings)):
        return None
    for below in ladder[: ladder.index(rung)]:
        standing = standings.get(below, Standing(state="not_run"))
        if standing.state == "passes":
            return f"settled: {below} passes"
        if standing.state == "undecided" and not standing.is_open and not standing.could_not_answer:
            return f"{below} is undecided, so no larger rung can be called the smallest"
    return None


def falls_back(ladder: Sequence[str], standings: Mapping[str, Standing]) -> bool:
    """Whether a smaller rung passes where a larger one fails; `bisect` then runs every rung."""
    states = [standings[rung].state if rung in standings else "not_run" for rung in ladder]
    return "passes" in states and "fails" in states[states.index("passes") :]


class Progress:
    """Counts the trials of one task on one rung as they end, in any order, and says when the rest need not run."""

    def __init__(
        self,
        planned: Mapping[str, int],
        *,
        pass_rate: float,
        confidence: float | None = None,
        claims: Sequence[float] = (),
    ) -> None:
        """`planned` counts the trials of each case; `claims` are the confidences at which a rung passes."""
        self._single = all(count == 1 for count in planned.values())
        # Of each case, where one has several; else the sum is enough.
        self._remaining = Counter[str]() if self._single else Counter(planned)
        self._pass_rate = pass_rate
        self._confidence = confidence
        self._claims = tuple(claims)
        self._to_be_finished = self._asks_all = False
        self._cases: dict[str, list[bool]] = defaultdict(list)
        self._passed = self._failed = 0
        self._planned = self._left = sum(planned.values())
        self._unanswered: Counter[str] = Counter()
        self._is_new = False
        self._room: int | None = None
        self._reason: str | None = None

    def demand(self, claims: Sequence[float], *, to_be_finished: bool = False) -> None:
        """Set the confidences at which the rung must reach the bar, once the smaller rungs are known.

        With several, any of them may turn out to apply, so a trial is given up only if none needs it. With
        `to_be_finished`, nothing is given up unless the rung passes.
        """
        self._claims = tuple(claims)
        self._to_be_finished = to_be_finished

    def ask_all(self) -> None:
        """Give up no trial from now on: the errors of a judge are corrected by every case that was asked."""
        self._asks_all = True

    def add(self, trial: Trial) -> None:
        """Count a trial that has ended; one that its test skipped is no longer planned."""
        if not self._single:
            self._remaining[trial.key.case] -= 1
        self._left -= 1
        self._room = None
        if trial.outcome == "error":
            self._unanswered[trial.key.case] += 1
            self._is_new = True
        if trial.outcome in ("passed", "failed"):
            if not self._single:
                self._cases[trial.key.case].append(trial.outcome == "passed")
            self._passed += trial.outcome == "passed"
            self._failed += trial.outcome == "failed"
            self._is_new = True

    def reason_to_stop(self) -> str | None:
        """Why no outcome of the unfinished trials can change the standing, or None if one can.

        Without a confidence, none may change how sure it is that the rung passes either.
        """
        if self._asks_all:
            return None
        if self._reason is None and self._is_new and self._passed + self._failed and self._left > 0:
            self._is_new = False
            self._reason = self._find_reason()
        return self._reason

    def has_room(self, in_flight: int) -> bool:
        """Whether one more trial may be in flight; `room` is computed only above the least number."""
        return in_flight < self._least_room or in_flight < self.room

    @property
    def _least_room(self) -> int:
        return max(_FLIGHT, self._planned // _PART_IN_FLIGHT)

    @property
    def room(self) -> int:
        """How many trials to have in flight: about as many as will settle the task if it goes on as before.

        More would mostly be wasted, as every request in flight is finished and paid for.
        """
        if self._room is None:
            passing, failing = self._shares()
            likely = min(self._until_settled(passed=True) / passing, self._until_settled(passed=False) / failing)
            self._room = max(self._least_room, ceil(likely))
        return self._room

    def _shares(self) -> tuple[float, float]:
        """The expected shares of passes and failures; 1 for both before the first answer, as nothing is known."""
        heard = self._passed + self._failed
        return ((self._passed + 0.5) / (heard + 1), (self._failed + 0.5) / (heard + 1)) if heard else (1.0, 1.0)

    def _until_settled(self, *, passed: bool) -> int:
        """How many more trials, all passed or all failed, settle the task, as if each were of another case."""
        low, high = 0, max(self._left, 1)
        while high - low > 1:
            middle = (low + high) // 2
            now_passed = self._passed + (middle if passed else 0)
            now_failed = self._failed + (0 if passed else middle)
            state = self._at_all_claims(partial(self._settled_counts, now_passed, now_failed, self._left - middle))
            low, high = (middle, high) if state is None else (low, middle)
        return high

    def _find_reason(self) -> str | None:
        state = self._at_all_claims(self._settled)
        return None if state is None or not self._may_stop(state) else _settled_words(state, self._left)

    def _may_stop(self, state: State) -> bool:
        return not self._evidence_is_open() if state == "passes" else not self._to_be_finished

    def _evidence_is_open(self) -> bool:
        """Whether a rung that passes at its observed rate is asked on, for how sure that is to rest on all its cases.

        It is where its answers so far make it likely, until the rest cannot change that it is shown.
        """
        if self._confidence is not None or self._claims or not self._single:
            return False
        at = partial(settled_counts, pass_rate=self._pass_rate)
        missing = self._unanswered.total()
        unknown = self._left + missing
        planned = self._passed + self._failed + unknown
        passed, failed = counts_at_the_stop(
            self._passed, self._failed, missing, planned=planned, state="passes", pass_rate=self._pass_rate
        )
        if at(passed, failed, 0, confidence=EVIDENCE_LEVELS["likely"]) != "passes":
            return False
        return at(self._passed, self._failed, unknown, confidence=EVIDENCE_LEVELS["shown"]) != "passes"

    def _settled(self, confidence: float | None) -> State | None:
        if not self._single:
            unknown = +self._remaining + self._unanswered
            return settled(self._cases, unknown, pass_rate=self._pass_rate, confidence=confidence)
        # Counts instead of a pass over all cases after each trial: a task may have thousands.
        return self._settled_counts(self._passed, self._failed, self._left, confidence)

    def _settled_counts(self, passed: int, failed: int, left: int, confidence: float | None) -> State | None:
        """The state whatever the trials bring that are left, and whatever those without an answer had brought."""
        unknown = left + self._unanswered.total()
        return settled_counts(passed, failed, unknown, pass_rate=self._pass_rate, confidence=confidence)

    def _at_all_claims(self, settled_at: Callable[[float | None], State | None]) -> State | None:
        """The state at the strictest of the claims, or None while it is open at any of them."""
        own = settled_at(self._confidence)
        states = [claimed(own, settled_at(claim)) for claim in sorted(self._claims)] or [own]
        return None if None in states else states[-1]


class EarlyProgress(Progress):
    """Progress of a task that stops early: its cases count in the order of a seed, and answers may be missing."""

    _least = 4

    def __init__(
        self,
        planned: Mapping[str, int],
        *,
        task: str,
        seed: int,
        pass_rate: float,
        confidence: float,
        claims: Sequence[float] = (),
    ) -> None:
        """`planned` counts one trial for each case."""
        super().__init__(planned, pass_rate=pass_rate, confidence=confidence, claims=claims)
        self._early_confidence = confidence
        self._order = cases_in_order(planned, task=task, seed=seed)
        self._ended: dict[str, bool | None] = {}
        self._walks: list[Walk] = []

    def demand(self, claims: Sequence[float], *, to_be_finished: bool = False) -> None:
        """As above."""
        super().demand(claims, to_be_finished=to_be_finished)
        self._walks = []

    def add(self, trial: Trial) -> None:
        """As above; a case without an answer counts as both passed and failed."""
        super().add(trial)
        case = trial.key.case
        if trial.reason in ("skipped", "xfail"):
            self._order = [name for name in self._order if name != case]
            self._walks = []
        elif trial.outcome != "not_run":
            self._ended[case] = None if trial.outcome == "error" else trial.outcome == "passed"
            for walk in self._walks:
                walk.add(case, self._ended[case])

    def reason_to_stop(self) -> str | None:
        """As above; a fault does not keep a task going that is decided without it."""
        if self._asks_all:
            return None
        if self._reason is None and self._passed + self._failed and self._left > 0:
            states = [walk.state for walk in self._watched()]
            state = states[-1]
            if state is not None and None not in states and self._may_stop(state):
                self._reason = _settled_words(state, self._left)
        return self._reason

    @property
    def _least_room(self) -> int:
        # Requests in flight at the end are paid for: fewer than for a task that will need every case.
        return self._least

    def _until_settled(self, *, passed: bool) -> int:
        return max(walk.cases_until(passed=passed) for walk in self._watched())

    def _watched(self) -> list[Walk]:
        """One walk for each claim, the strictest last."""
        if not self._walks:
            self._walks = [self._walk(claim) for claim in sorted(self._claims or (self._early_confidence,))]
        return self._walks

    def _walk(self, claim: float) -> Walk:
        design = design_for(
            len(self._order),
            pass_rate=self._pass_rate,
            confidence=self._early_confidence,
            claim_confidence=claim,
            planned=self._planned,
        )
        walk = Walk(design, self._order)
        for case, passed in self._ended.items():
            walk.add(case, passed)
        return walk


def _settled_words(state: str, left: int) -> str:
    trials = "the remaining trial brings" if left == 1 else f"the remaining {left} trials bring"
    return f"settled: {state} whatever {trials}"
