"""Regressions of a run against a baseline: a results file is compared case by case, a lock by its counts.

A task has regressed if its chosen rung is shown to pass less often than before, or if its smallest rung is now a
larger one and the former smallest is shown to pass less often. The tests are exact, one-sided at 0.05, and corrected by
Holm over the whole session. A change within chance becomes a note. Two ladders that cannot be compared fail the gate.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from pytest_rightsize.bounded_files import whole_text
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.differences import prompts_differ
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run, Trial, trials_by_task
from pytest_rightsize.results.lockfile import (
    Lock,
    LockedTask,
    are_different_models,
    lock_of,
    model_with_hash,
    parse_lock,
)
from pytest_rightsize.results.results_file import no_trial, read_run
from pytest_rightsize.statistics import cases_in_order, fell, fell_in_order, fisher_fell, holm
from pytest_rightsize.verdict_records import Standing, Verdict

__all__ = ["Baseline", "read_baseline", "tasks_not_run", "to_be_finished", "with_regressions"]

_ALPHA = 0.05
_Cases = Mapping[str, Mapping[int, Trial]]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The earlier result that no task may fall below, and its name for reports; a lock has no `run`."""

    name: str
    lock: Lock
    run: Run | None = None


@dataclass(frozen=True, kw_only=True)
class _Fall:
    """A test of whether a pass rate fell; `words` describe it up to the adjusted p value."""

    p: float
    words: str


def read_baseline(path: Path) -> Baseline:
    """Read a results file or a lock; raises ConfigError."""
    try:
        with path.open(encoding="utf-8") as file:
            is_results = file.read(1) == "{"
        if not is_results:
            return Baseline(name=path.name, lock=parse_lock(whole_text(path), where=str(path)))
    except OSError as error:
        raise ConfigError(f"--rightsize-baseline cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--rightsize-baseline: {path} is not UTF-8 text: give a results file or a lock") from None
    run = read_run(path, words_of=no_trial)
    return Baseline(name=path.name, lock=lock_of(run, judge(run)), run=run)


def with_regressions(run: Run, verdicts: Sequence[Verdict], baseline: Baseline) -> list[Verdict]:
    """Return the verdicts, marked as regressed where that is shown, with a note where the change is within chance.

    Two rungs of each task are tested: the former smallest and the chosen one. For each task, Holm's correction counts
    every rung of the baseline's ladder, and the chosen one: a rung that the baseline named by good luck passes less the
    next time, although nothing changed, and each rung could have been so lucky. Counting the named ones only gave a
    false alarm in 8 to 23 % of sessions where all rungs are just below the bar; those asked only, in up to 6 %.
    """
    falls = _falls(run, verdicts, baseline)
    p_values = holm([fall.p if isinstance(fall, _Fall) else 1.0 for fall in falls.values()])
    tests = _Tests(falls=falls, adjusted=dict(zip(falls, p_values, strict=True)), is_lock=baseline.run is None)
    return [_marked(run, verdict, baseline, tests) for verdict in verdicts]


def _falls(run: Run, verdicts: Sequence[Verdict], baseline: Baseline) -> dict[tuple[str, str], _Fall | str | None]:
    """The test of each task's former smallest and chosen rung, or why there is none; None for the other rungs."""
    falls: dict[tuple[str, str], _Fall | str | None] = {}
    now, was = trials_by_task(run.trials), trials_by_task(() if baseline.run is None else baseline.run.trials)
    for verdict in verdicts:
        if before := baseline.lock.tasks.get(verdict.task):
            # A task looks at its own trials only.
            own = replace(run, trials=now.get(verdict.task, ()))
            earlier = None if baseline.run is None else replace(baseline.run, trials=was.get(verdict.task, ()))
            falls |= {(verdict.task, rung): None for rung in baseline.lock.ladder}
            for rung in dict.fromkeys(filter(None, (before.smallest, verdict.chosen))):
                falls[verdict.task, rung] = _fall(own, verdict, before, replace(baseline, run=earlier), rung)
    return falls


@dataclass(frozen=True, kw_only=True)
class _Tests:
    """The tests of a session by task and rung, with the p values that Holm adjusted."""

    falls: Mapping[tuple[str, str], _Fall | str | None]
    adjusted: Mapping[tuple[str, str], float]
    is_lock: bool

    def is_shown(self, task: str, rung: str | None) -> bool:
        """Whether the rung is shown to pass less often than before."""
        return rung is not None and self.adjusted.get((task, rung), 1.0) < _ALPHA

    def describe(self, task: str, rung: str) -> str:
        """The test in words, with its adjusted p value."""
        fall, adjusted = self.falls[task, rung], self.adjusted[task, rung]
        if not isinstance(fall, _Fall):
            return fall or f"{rung} was not tested"
        over = f", Holm over {len(self.falls)} tests" if len(self.falls) > 1 else ""
        return f"{fall.words} p {adjusted:.2g}{over})"


def _marked(run: Run, verdict: Verdict, baseline: Baseline, tests: _Tests) -> Verdict:
    """The verdict with its regressions and its notes about the baseline."""
    before = baseline.lock.tasks.get(verdict.task)
    notes = _notes(run, verdict, before, baseline)
    if before is None:
        return replace(verdict, notes=(*verdict.notes, *notes))
    growth = _growth(run, verdict, before, baseline)
    was, task, reasons = before.smallest, verdict.task, []
    if growth is not None and was is not None:
        if not growth.is_known or tests.is_shown(task, was):
            reasons.append(growth.words)
        else:
            what = "within chance" if isinstance(tests.falls[task, was], _Fall) else "it is not known whether by chance"
            notes.append(f"{growth.change}: {what}, as {tests.describe(task, was)}")
    for rung in dict.fromkeys(filter(None, (was if growth else None, verdict.chosen))):
        if tests.is_shown(task, rung):
            advice = ": if that is to be, lock this run with rightsize lock" if tests.is_lock else ""
            reasons.append(f"{tests.describe(task, rung)}{advice}")
    return replace(verdict, regressed="; ".join(reasons) or None, notes=(*verdict.notes, *notes))


def tasks_not_run(verdicts: Sequence[Verdict], baseline: Baseline) -> list[str]:
    """The tasks of the baseline that have no verdict in this run."""
    ran = {verdict.task for verdict in verdicts}
    return [task for task in baseline.lock.tasks if task not in ran]


def to_be_finished(baseline: Baseline) -> frozenset[tuple[str, str]]:
    """The (task, rung) pairs on which every case is asked unless the rung passes: the smallest rungs of the baseline.

    If such a rung stopped after a few failures, those few cases could not show that its pass rate fell.
    """
    return frozenset((name, task.smallest) for name, task in baseline.lock.tasks.items() if task.smallest)


@dataclass(frozen=True, kw_only=True)
class _Growth:
    """The smallest rung is larger than before; `is_known` is False where the two ladders cannot be compared."""

    change: str
    advice: str = ""
    is_known: bool = True

    @property
    def words(self) -> str:
        return self.change + self.advice


def _growth(run: Run, verdict: Verdict, before: LockedTask, baseline: Baseline) -> _Growth | None:
    """How the smallest rung grew since the baseline, or None if it did not."""
    was, now, name = before.smallest, verdict.smallest, baseline.name
    if was is None or was == now:
        return None
    if now is None:
        what = "no rung passes now" if verdict.verdict == "unsolved" else "now it is not known which is the smallest"
        return _Growth(change=f"{was} was the smallest that passes in {name}, and {what}")
    ladders = [
        ladder for ladder in ([rung.name for rung in run.rungs], baseline.lock.ladder) if {was, now} <= {*ladder}
    ]
    if not ladders:
        words = (
            f"{was}, the smallest in {name}, is not on this ladder, and {now} was not on that one: run with both, or "
            f"write the baseline anew"
        )
        return _Growth(change=words, is_known=False)
    if ladders[0].index(now) < ladders[0].index(was):
        return None
    advice = f": if that is to be, write smallest = {now!r} in {name}:{before.line}" if before.line else ""
    return _Growth(change=f"{was} was the smallest that passes in {name}, and now it is {now}", advice=advice)


def _notes(run: Run, verdict: Verdict, before: LockedTask | None, baseline: Baseline) -> list[str]:
    """Limits of the comparison: a task that the baseline lacks, or a rung that is another model now."""
    if before is None:
        return [f"not in the baseline {baseline.name}"]
    counts_only = (
        [f"{_counts_only(baseline)}: give the results file as --rightsize-baseline"]
        if _is_of_counts_only(run, verdict, before, baseline)
        else []
    )
    rungs = {rung.name: model_with_hash(run, rung) for rung in run.rungs}
    concerned = dict.fromkeys(rung for rung in (before.smallest, verdict.smallest, verdict.chosen) if rung)
    return counts_only + [
        f"{rung} is another model than in {baseline.name}: {rungs[rung]}, and was {baseline.lock.models[rung]}"
        for rung in concerned
        if rung in rungs and are_different_models(baseline.lock.models.get(rung, rungs[rung]), rungs[rung])
    ]


def _is_of_counts_only(run: Run, verdict: Verdict, before: LockedTask, baseline: Baseline) -> bool:
    """Whether a lock has several samples a case, which are not independent: it does not say which belong together."""
    return baseline.run is None and (before.samples > 1 or run.policies[verdict.task].samples > 1)


def _counts_only(baseline: Baseline) -> str:
    return f"{baseline.name} has counts only, which of several samples a case can show no fall"


def _fall(run: Run, verdict: Verdict, before: LockedTask, baseline: Baseline, rung: str) -> _Fall | str:
    """The test of one rung, or why there is none."""
    was, now = before.standing.get(rung), verdict.standing.get(rung)
    if was is None or now is None or not was.trials or not now.trials:
        return f"{rung} has no answers of both runs to compare"
    if baseline.run is not None:
        return _paired_fall(run, verdict.task, rung, baseline)
    if _is_of_counts_only(run, verdict, before, baseline):
        return _counts_only(baseline)
    line = before.standing_lines.get(rung)
    return _unpaired_fall(rung, was, now, f"{baseline.name}:{line}" if line else baseline.name)


def _paired_fall(run: Run, task: str, rung: str, baseline: Baseline) -> _Fall:
    """The test over the cases that have the same prompt in both runs."""
    assert baseline.run is not None
    policies = run.policies[task], baseline.run.policies[task]
    now, was = _cases(run, task, rung), _cases(baseline.run, task, rung)
    common = [case for case in was if case in now and not prompts_differ([*now[case].values()], [*was[case].values()])]
    seeds = {policy.shuffle_seed for policy in policies if policy.stops_early}
    # The test is chosen by the stopping rule of the runs, never by their outcomes.
    if all(policy.stops_early for policy in policies) and len(seeds) == 1:
        changes = _changes_in_order(cases_in_order(common, task=task, seed=seeds.pop() or 0), now, was)
        p, test = fell_in_order(changes, len(common)), "exact sign test spent over the cases"
    else:
        changes = [_change(now[case], was[case]) for case in common]
        p, test = fell(changes), "exact McNemar"
        if any(policy.samples > 1 for policy in policies):
            test = "exact randomization test over cases"
    lost, won = sum(change < 0 for change in changes), sum(change > 0 for change in changes)
    words = f"{rung} passes fewer cases than in {baseline.name}: {lost} lost, {won} won ({test}, one-sided,"
    if lost <= won:
        words = f"{rung} does not pass fewer cases than in {baseline.name}: {lost} lost, {won} won ({test}, one-sided,"
    return _Fall(p=p, words=words)


def _change(now: Mapping[int, Trial], was: Mapping[int, Trial]) -> int:
    """Samples of a case won minus samples lost, over the samples that both runs planned.

    A trial that was given up counts as passed now and as failed before, so that no outcome of it could have undone a
    fall that is shown.
    """
    return sum(
        _passed(now[sample], given_up=True) - _passed(was[sample], given_up=False) for sample in now.keys() & was.keys()
    )


def _changes_in_order(order: Sequence[str], now: _Cases, was: _Cases) -> list[int]:
    """The changes of the first cases of the order, up to the first one that either run gave up."""
    asked = takewhile(lambda case: _was_asked(now[case]) and _was_asked(was[case]), order)
    return [_change(now[case], was[case]) for case in asked]


def _unpaired_fall(rung: str, was: Standing, now: Standing, name: str) -> _Fall:
    """The test of two counts of which it is not known which cases they share."""
    # As in `_change`: a trial that was given up counts as passed now and as failed before.
    unknown_before, unknown_now = was.given_up + was.unanswered, now.given_up + now.unanswered
    before = (was.passed, was.trials + unknown_before)
    after = (now.passed + unknown_now, now.trials + unknown_now)
    return _Fall(
        p=fisher_fell(before, after),
        words=f"{rung} passes {now.passed} of {now.trials}, and passed {was.passed} of {was.trials} in {name} "
        "(exact Fisher, one-sided,",
    )


def _cases(run: Run, task: str, rung: str) -> _Cases:
    """The trials of each case by sample, if passed, failed or given up; a fault says nothing about the model."""
    cases: dict[str, dict[int, Trial]] = defaultdict(dict)
    for trial in run.trials:
        counts = trial.outcome in ("passed", "failed") or trial.reason == "settled"
        if (trial.key.task, trial.key.rung) == (task, rung) and counts:
            cases[trial.key.case][trial.key.sample] = trial
    return cases


def _was_asked(samples: Mapping[int, Trial]) -> bool:
    return all(trial.outcome != "not_run" for trial in samples.values())


def _passed(trial: Trial, *, given_up: bool) -> int:
    return given_up if trial.outcome == "not_run" else trial.outcome == "passed"
