"""From a run to its verdicts and the gate: pure, so that a results file is judged as the session was."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_rightsize.records import GateName, Policy, Run, Rung, Standing, Trial, Verdict, VerdictName, Waiver
from pytest_rightsize.statistics import bounds_whatever_comes, settled, stand

__all__ = ["GATES", "WaiverState", "failed_gates", "judge", "standings", "waiver_states"]

# Which word trips which gate; "right-sized" and "unchosen" trip none. "regressed" stands beside a verdict.
GATES: Mapping[GateName, str] = {
    "oversized": "over-sized",
    "undersized": "under-sized",
    "unsolved": "unsolved",
    "undecided": "undecided",
    "regressed": "regressed",
}
# Why a rung was not run, where the word alone says too little.
_IDLE_WORDS = {
    "down": "it could not answer",
    "budget": "the budget was spent before it was asked",
    "skipped": "its tests were skipped",
    "xfail": "its tests are expected to fail",
}
# How sure the bounds are of a task that asks for no confidence.
_CONFIDENCE = 0.95


def judge(run: Run) -> list[Verdict]:
    """One verdict for each task, in the order of the run's policies; the order of the trials does not matter."""
    by_task: dict[str, list[Trial]] = defaultdict(list)
    for trial in run.trials:
        by_task[trial.key.task].append(trial)
    return [_judge_task(policy, by_task[policy.task], run) for policy in run.policies.values()]


def standings(policy: Policy, trials: Iterable[Trial], run: Run) -> dict[str, Standing]:
    """How every rung of the ladder stands in the task of `policy`, without bounds."""
    heard = _heard(trials)
    return {
        rung.name: _standing(policy, heard[rung.name], run.planned.get((policy.task, rung.name), 0))
        for rung in run.rungs
    }


@dataclass(kw_only=True)
class _Heard:
    """What is known of one rung: the samples of each case, what had no answer, what was not run."""

    cases: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    given_up: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    excused: int = 0
    idle_reason: str | None = None

    def add(self, trial: Trial) -> None:
        """Take in one trial; those that the test itself took out (skip, xfail) were never planned."""
        if trial.outcome in ("passed", "failed"):
            self.cases[trial.key.case].append(trial.outcome == "passed")
        elif trial.outcome == "error":
            self.faults += 1
        else:
            self.excused += trial.reason in ("skipped", "xfail")
            self.idle_reason = self.idle_reason or trial.reason or "not said"
            if trial.reason == "settled":
                self.given_up[trial.key.case] += 1


def _heard(trials: Iterable[Trial]) -> dict[str, _Heard]:
    """What is known of each rung."""
    heard: dict[str, _Heard] = defaultdict(_Heard)
    for trial in trials:
        heard[trial.key.rung].add(trial)
    return heard


def _standing(policy: Policy, heard: _Heard, planned: int) -> Standing:
    """How one rung stands."""
    planned -= heard.excused
    rate, confidence = policy.pass_rate, policy.confidence
    standing = stand(heard.cases, pass_rate=rate, planned=planned, faults=heard.faults, confidence=confidence)
    if standing.state == "not_run" and heard.idle_reason:
        return Standing(state="not_run", reason=heard.idle_reason)
    left = heard.given_up.total()
    if standing.state != "undecided" or heard.faults or not left or standing.trials + left < planned:
        return standing
    # All but the trials that were given up have answers: was it right to give them up?
    state = settled(heard.cases, heard.given_up, pass_rate=rate, confidence=confidence)
    if state is None:
        return standing
    so_far = stand(heard.cases, pass_rate=rate, planned=standing.trials, confidence=confidence)
    return replace(standing, state=state, reason=so_far.reason if state == "undecided" else None, given_up=left)


def _with_bounds(standing: Standing, heard: _Heard, confidence: float | None) -> Standing:
    """The standing with bounds that hold whatever the trials that were given up would have brought."""
    bounds = bounds_whatever_comes(heard.cases, heard.given_up, confidence=confidence or _CONFIDENCE)
    return standing if bounds is None else replace(standing, low=bounds.low, high=bounds.high)


def _judge_task(policy: Policy, trials: Sequence[Trial], run: Run) -> Verdict:
    """The verdict for one task."""
    heard = _heard(trials)
    standing = {
        rung: _with_bounds(found, heard[rung], policy.confidence)
        for rung, found in standings(policy, trials, run).items()
    }
    ladder = [rung.name for rung in run.rungs]
    smallest, obstacle = _smallest(ladder, standing)
    verdict, why = _verdict(policy, run.rungs, standing, smallest, obstacle)
    notes = [*([why] if why else []), *_non_monotone(ladder, standing, bisected=run.strategy == "bisect")]
    return Verdict(
        task=policy.task,
        verdict=verdict,
        standing=standing,
        smallest=smallest,
        chosen=policy.chosen,
        chosen_from=policy.chosen_from,
        pass_rate=policy.pass_rate,
        confidence=policy.confidence,
        notes=tuple(notes),
    )


def _smallest(ladder: Sequence[str], standing: Mapping[str, Standing]) -> tuple[str | None, str | None]:
    """The lowest rung that passes, or the lowest of which it is not known (the obstacle); at most one of the two."""
    for rung in ladder:
        state = standing[rung]
        if state.state == "passes":
            return rung, None
        if state.state == "undecided" or (state.state == "not_run" and state.reason != "private"):
            return None, rung
    return None, None


def _verdict(
    policy: Policy,
    rungs: Sequence[Rung],
    standing: Mapping[str, Standing],
    smallest: str | None,
    obstacle: str | None,
) -> tuple[VerdictName, str | None]:
    """The word, and the sentence that goes with it where the table does not say it already."""
    if obstacle is not None:
        reason = standing[obstacle].reason or "it was not run"
        return "undecided", f"{obstacle}: {_IDLE_WORDS.get(reason, reason)}"
    if all(state.state == "not_run" for state in standing.values()):
        return "undecided", "no rung of this ladder may see a private task"
    if smallest is None:
        return "unsolved", None
    if policy.chosen is None:
        return "unchosen", None
    size = {rung.name: place for place, rung in enumerate(rungs)}
    if policy.chosen not in size:
        return "undecided", f"the chosen rung {policy.chosen} is not on this ladder: add it to --rightsize-ladder"
    if size[policy.chosen] == size[smallest]:
        return "right-sized", None
    return ("over-sized" if size[policy.chosen] > size[smallest] else "under-sized"), None


def _non_monotone(ladder: Sequence[str], standing: Mapping[str, Standing], *, bisected: bool) -> list[str]:
    """Notes on rungs that fail where a smaller one passes."""
    passing = next((rung for rung in ladder if standing[rung].state == "passes"), None)
    if passing is None:
        return []
    failing = [rung for rung in ladder[ladder.index(passing) + 1 :] if standing[rung].state == "fails"]
    consequence = ", so bisect fell back to full" if bisected else ""
    return [f"non-monotone: {passing} passes, {rung} fails{consequence}" for rung in failing]


@dataclass(frozen=True, kw_only=True)
class WaiverState:
    """A waiver of a task on one day: whether it is still honoured, and whether its gate would have failed."""

    task: str
    waiver: Waiver
    honoured: bool
    needed: bool


def failed_gates(
    verdicts: Iterable[Verdict], gates: Collection[str], waivers: Iterable[WaiverState] = ()
) -> list[tuple[str, Verdict]]:
    """The gates that failed, each with the verdict that failed it; a waiver that is still honoured excuses one."""
    excused = {(state.task, state.waiver.gate) for state in waivers if state.honoured}
    return [
        (gate, verdict)
        for verdict in verdicts
        for gate in GATES
        if gate in gates and _trips(verdict, gate) and (verdict.task, gate) not in excused
    ]


def waiver_states(
    policies: Mapping[str, Policy], verdicts: Iterable[Verdict], gates: Collection[str], *, today: str
) -> list[WaiverState]:
    """Every waiver of the tasks; `today` is a day as `YYYY-MM-DD`, and a waiver is honoured on its last day too."""
    return [
        WaiverState(
            task=verdict.task,
            waiver=waiver,
            honoured=today <= waiver.until,
            needed=waiver.gate in gates and _trips(verdict, waiver.gate),
        )
        for verdict in verdicts
        if verdict.task in policies
        for waiver in policies[verdict.task].waivers
    ]


def _trips(verdict: Verdict, gate: GateName) -> bool:
    return verdict.regressed is not None if gate == "regressed" else verdict.verdict == GATES[gate]
