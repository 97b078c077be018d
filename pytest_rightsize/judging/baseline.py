"""Whether a run is worse than an earlier one: an earlier results file is compared case by case, a lock by its counts.

A task has regressed if its smallest rung has become larger, or if the pass rate of its chosen rung has fallen by more
than chance allows: one-sided exact tests at 0.05, Holm over the tasks. What cannot be told is told, and fails the gate.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.differences import asks_otherwise
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run, Standing, Trial, Verdict
from pytest_rightsize.results.lockfile import (
    Lock,
    LockedTask,
    are_different_models,
    lock_of,
    model_with_hash,
    parse_lock,
)
from pytest_rightsize.results.results_file import no_trial, read_run
from pytest_rightsize.statistics import fisher_fell, holm, mcnemar

__all__ = ["Baseline", "read_baseline", "tasks_not_run", "with_regressions"]

_ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What no task may be worse than, and what to call it; `run` is there where it was a results file."""

    name: str
    lock: Lock
    run: Run | None = None


@dataclass(frozen=True, kw_only=True)
class _Fall:
    """The test of whether a pass rate fell, and its words up to the adjusted p value."""

    p: float
    words: str


def read_baseline(path: Path) -> Baseline:
    """Read a results file or a lock; raises ConfigError."""
    try:
        with path.open(encoding="utf-8") as file:
            is_results = file.read(1) == "{"
        if not is_results:
            return Baseline(name=path.name, lock=parse_lock(path.read_text(encoding="utf-8"), where=str(path)))
    except OSError as error:
        raise ConfigError(f"--rightsize-baseline cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--rightsize-baseline: {path} is not UTF-8 text: give a results file or a lock") from None
    run = read_run(path, words_of=no_trial)
    return Baseline(name=path.name, lock=lock_of(run, judge(run)), run=run)


def with_regressions(run: Run, verdicts: Sequence[Verdict], baseline: Baseline) -> list[Verdict]:
    """The verdicts, marked where they are worse than the baseline."""
    known = {verdict.task: baseline.lock.tasks.get(verdict.task) for verdict in verdicts}
    falls = {
        verdict.task: fall
        for verdict in verdicts
        if (before := known[verdict.task]) and (fall := _fall(run, verdict, before, baseline))
    }
    adjusted = dict(zip(falls, holm([fall.p for fall in falls.values()]), strict=True))
    marked = []
    for verdict in verdicts:
        before = known[verdict.task]
        reasons = [] if before is None else list(_grown(run, verdict, before, baseline))
        if verdict.task in falls and adjusted[verdict.task] < _ALPHA:
            over = f", Holm over {len(falls)} tasks" if len(falls) > 1 else ""
            anew = ": if that is to be, lock this run with rightsize lock" if baseline.run is None else ""
            reasons.append(f"{falls[verdict.task].words} p {adjusted[verdict.task]:.2g}{over}){anew}")
        notes = (*verdict.notes, *_notes(run, verdict, before, baseline))
        marked.append(replace(verdict, regressed="; ".join(reasons) or None, notes=notes))
    return marked


def tasks_not_run(verdicts: Sequence[Verdict], baseline: Baseline) -> list[str]:
    """The tasks of the baseline of which this run says nothing."""
    ran = {verdict.task for verdict in verdicts}
    return [task for task in baseline.lock.tasks if task not in ran]


def _grown(run: Run, verdict: Verdict, before: LockedTask, baseline: Baseline) -> Sequence[str]:
    """How the smallest rung has become larger, or why that cannot be told."""
    was, now, name = before.smallest, verdict.smallest, baseline.name
    if was is None or was == now:
        return []
    if now is None:
        what = "no rung passes now" if verdict.verdict == "unsolved" else "now it is not known which is the smallest"
        return [f"{was} was the smallest that passes in {name}, and {what}"]
    ladders = [
        ladder for ladder in ([rung.name for rung in run.rungs], baseline.lock.ladder) if {was, now} <= {*ladder}
    ]
    if not ladders:
        return [
            f"{was}, the smallest in {name}, is not on this ladder, and {now} was not on that one: run with both, or "
            f"write the baseline anew"
        ]
    if ladders[0].index(now) < ladders[0].index(was):
        return []
    change = f": if that is to be, write smallest = {now!r} in {name}:{before.line}" if before.line else ""
    return [f"{was} was the smallest that passes in {name}, and now it is {now}{change}"]


def _notes(run: Run, verdict: Verdict, before: LockedTask | None, baseline: Baseline) -> list[str]:
    """What a reader must know to take the comparison with the baseline for what it is."""
    if before is None:
        return [f"not in the baseline {baseline.name}"]
    rungs = {rung.name: model_with_hash(run, rung) for rung in run.rungs}
    concerned = dict.fromkeys(rung for rung in (before.smallest, verdict.smallest, verdict.chosen) if rung)
    return [
        f"{rung} is another model than in {baseline.name}: {rungs[rung]}, and was {baseline.lock.models[rung]}"
        for rung in concerned
        if rung in rungs and are_different_models(baseline.lock.models.get(rung, rungs[rung]), rungs[rung])
    ]


def _fall(run: Run, verdict: Verdict, before: LockedTask, baseline: Baseline) -> _Fall | None:
    """The test of the chosen rung, None where it was not asked both times."""
    rung = verdict.chosen
    if rung is None or rung not in before.standing or rung not in verdict.standing:
        return None
    was, now = before.standing[rung], verdict.standing[rung]
    if not was.trials or not now.trials:
        return None
    if baseline.run is not None:
        return _paired_fall(run, verdict.task, rung, baseline)
    # Samples of one case are no independent trials, and a lock does not tell them apart.
    several = before.samples > 1 or run.policies[verdict.task].samples > 1
    line = before.standing_lines.get(rung)
    return None if several else _unpaired_fall(rung, was, now, f"{baseline.name}:{line}" if line else baseline.name)


def _paired_fall(run: Run, task: str, rung: str, baseline: Baseline) -> _Fall | None:
    assert baseline.run is not None
    cases, cases_before = _cases(run, task, rung), _cases(baseline.run, task, rung)
    won = lost = 0
    for case in cases.keys() & cases_before.keys():
        trials, trials_before = cases[case], cases_before[case]
        if not (_is_heard(trials) or _is_heard(trials_before)) or asks_otherwise(trials, trials_before):
            continue
        # What was given up counts against a fall, so that no outcome of it could take the claim back.
        now, was = _mean(trials, given_up=True), _mean(trials_before, given_up=False)
        won, lost = won + (now > was), lost + (now < was)
    return _Fall(
        p=mcnemar(won, lost, alternative="a worse"),
        words=f"{rung} passes fewer cases than in {baseline.name}: {lost} lost, {won} won (exact McNemar, one-sided,",
    )


def _unpaired_fall(rung: str, was: Standing, now: Standing, name: str) -> _Fall:
    # As above: what was given up is taken as passed now, and as failed before.
    before = (was.passed, was.trials + was.given_up)
    after = (now.passed + now.given_up, now.trials + now.given_up)
    return _Fall(
        p=fisher_fell(before, after),
        words=f"{rung} passes {now.passed} of {now.trials}, and passed {was.passed} of {was.trials} in {name} "
        "(exact Fisher, one-sided,",
    )


def _cases(run: Run, task: str, rung: str) -> Mapping[str, Sequence[Trial]]:
    """The trials of each case that passed, failed, or were given up."""
    cases: dict[str, list[Trial]] = defaultdict(list)
    for trial in run.trials:
        counts = trial.outcome in ("passed", "failed") or trial.reason == "settled"
        if (trial.key.task, trial.key.rung) == (task, rung) and counts:
            cases[trial.key.case].append(trial)
    return cases


def _is_heard(trials: Sequence[Trial]) -> bool:
    return any(trial.outcome != "not_run" for trial in trials)


def _mean(trials: Sequence[Trial], *, given_up: bool) -> float:
    return fmean(given_up if trial.outcome == "not_run" else trial.outcome == "passed" for trial in trials)
