"""From a run to its verdicts and the gate: pure, so that a results file is judged as the session was."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_rightsize.records import Policy, Run, Rung, Standing, State, Trial, Verdict, VerdictName
from pytest_rightsize.statistics import settled, stand

__all__ = ["GATES", "failed_gates", "judge", "standings"]

# Which verdict trips which gate; "right-sized" and "unchosen" trip none.
GATES: Mapping[str, VerdictName] = {
    "oversized": "over-sized",
    "undersized": "under-sized",
    "unsolved": "unsolved",
    "undecided": "undecided",
}


def judge(run: Run) -> list[Verdict]:
    """One verdict for each task, in the order of the run's policies; the order of the trials does not matter."""
    by_task: dict[str, list[Trial]] = defaultdict(list)
    for trial in run.trials:
        by_task[trial.key.task].append(trial)
    return [_judge_task(policy, by_task[policy.task], run) for policy in run.policies.values()]


def standings(policy: Policy, trials: Iterable[Trial], run: Run) -> dict[str, Standing]:
    """How every rung of the ladder stands in the task of `policy`."""
    by_rung: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_rung[trial.key.rung].append(trial)
    planned = {rung.name: run.planned.get((policy.task, rung.name), 0) for rung in run.rungs}
    return {rung.name: _standing(policy, by_rung[rung.name], planned[rung.name]) for rung in run.rungs}


def _standing(policy: Policy, trials: Sequence[Trial], planned: int) -> Standing:
    """How one rung stands; trials that the test itself took out (skip, xfail) were never planned."""
    cases: dict[str, list[bool]] = defaultdict(list)
    faults = [trial for trial in trials if trial.outcome == "error"]
    idle = [trial for trial in trials if trial.outcome == "not_run"]
    for trial in trials:
        if trial.outcome in ("passed", "failed"):
            cases[trial.key.case].append(trial.outcome == "passed")
    excused = sum(trial.reason in ("skipped", "xfail") for trial in idle)
    standing = stand(
        cases,
        pass_rate=policy.pass_rate,
        planned=planned - excused,
        faults=len(faults),
        confidence=policy.confidence,
    )
    if standing.state == "undecided" and not faults and (state := _curtailed(policy, cases, idle, planned - excused)):
        return replace(standing, state=state, reason=None)
    if standing.state == "not_run" and idle:
        return Standing(state="not_run", reason=idle[0].reason)
    return standing


def _curtailed(
    policy: Policy, cases: Mapping[str, Sequence[bool]], idle: Iterable[Trial], planned: int
) -> State | None:
    """The state of a rung whose trials were stopped because the rest could not change it, or None if they could."""
    remaining = Counter(trial.key.case for trial in idle if trial.reason == "curtailed")
    if not remaining or sum(map(len, cases.values())) + remaining.total() < planned:
        return None
    return settled(cases, remaining, pass_rate=policy.pass_rate, confidence=policy.confidence)


def _judge_task(policy: Policy, trials: Sequence[Trial], run: Run) -> Verdict:
    """The verdict for one task."""
    standing = standings(policy, trials, run)
    ladder = [rung.name for rung in run.rungs]
    smallest, obstacle = _smallest(ladder, standing)
    verdict, why = _verdict(policy, run.rungs, standing, smallest, obstacle)
    notes = [*([why] if why else []), *_non_monotone(ladder, standing)]
    return Verdict(
        task=policy.task,
        verdict=verdict,
        standing=standing,
        smallest=smallest,
        chosen=policy.chosen,
        chosen_from=policy.chosen_from,
        pass_rate=policy.pass_rate,
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
        return "undecided", f"{obstacle}: {reason}"
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


def _non_monotone(ladder: Sequence[str], standing: Mapping[str, Standing]) -> list[str]:
    """Notes on rungs that fail where a smaller one passes."""
    passing = next((rung for rung in ladder if standing[rung].state == "passes"), None)
    if passing is None:
        return []
    above = ladder[ladder.index(passing) + 1 :]
    return [f"non-monotone: {passing} passes, {rung} fails" for rung in above if standing[rung].state == "fails"]


def failed_gates(verdicts: Iterable[Verdict], gates: Collection[str]) -> list[tuple[str, Verdict]]:
    """The gates that failed, each with the verdict that failed it."""
    wanted = {GATES[gate]: gate for gate in gates}
    return [(wanted[verdict.verdict], verdict) for verdict in verdicts if verdict.verdict in wanted]
