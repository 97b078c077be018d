"""From two rungs of one or two runs to what their difference on the same cases shows; pure. Differences are A - B."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from pytest_rightsize.records import Comparison, Interval, NonInferiority, Paired, Run
from pytest_rightsize.statistics import difference, holm, mcnemar, non_inferiority_p, pass_rate_interval

__all__ = ["compare"]

_ALPHA = 0.05
_Cases = Mapping[str, Sequence[bool]]


def compare(run_a: Run, rung_a: str, run_b: Run, rung_b: str, *, margin: float = 0.05) -> Comparison:
    """Compare `rung_a` of `run_a` with `rung_b` of `run_b`, which may be the same run, on the cases both answered.

    A is non-inferior if it is shown, at 95 %, to be worse by less than `margin` (a fraction of 1); over several tasks
    the p values are Holm's. All cases together are one further comparison, not adjusted. Tasks without a common case
    are left out. Cases of `overall` are named `task: case`.
    """
    by_task_a, by_task_b = _answered(run_a, rung_a), _answered(run_b, rung_b)
    common = [task for task in by_task_a if by_task_a[task].keys() & by_task_b.get(task, {}).keys()]
    tasks = {task: _pair(rung_a, rung_b, by_task_a[task], by_task_b[task], margin) for task in common}
    adjusted = holm([paired.non_inferior.p for paired in tasks.values()])
    tasks = {
        task: replace(paired, non_inferior=NonInferiority(margin=margin, holds=p < _ALPHA, p=p))
        for (task, paired), p in zip(tasks.items(), adjusted, strict=True)
    }
    if not tasks:
        return Comparison(tasks={}, overall=None, answer=f"{rung_a} and {rung_b} answered no case in common")
    overall = _pair(rung_a, rung_b, _flat(by_task_a), _flat(by_task_b), margin)
    return Comparison(tasks=tasks, overall=overall, answer=_answer(overall))


def _answered(run: Run, rung: str) -> dict[str, dict[str, list[bool]]]:
    """Task -> case -> samples that passed or failed; what had no answer says nothing of the rung."""
    cases: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for trial in run.trials:
        if trial.key.rung == rung and trial.outcome in ("passed", "failed"):
            cases[trial.key.task][trial.key.case].append(trial.outcome == "passed")
    return cases


def _flat(by_task: Mapping[str, _Cases]) -> dict[str, Sequence[bool]]:
    return {f"{task}: {case}": samples for task, cases in by_task.items() for case, samples in cases.items()}


def _pair(rung_a: str, rung_b: str, all_a: _Cases, all_b: _Cases, margin: float) -> Paired:
    """The pair on the cases that both have; there is at least one."""
    a = {case: samples for case, samples in all_a.items() if case in all_b}
    b = {case: all_b[case] for case in a}
    only_a, only_b = _ahead(a, b), _ahead(b, a)
    single = all(len(samples) == 1 for cases in (a, b) for samples in cases.values())
    p = non_inferiority_p(a, b, margin=margin)
    return Paired(
        a=rung_a,
        b=rung_b,
        n=len(a),
        rate_a=_mean(a),
        rate_b=_mean(b),
        interval_a=_interval(a),
        interval_b=_interval(b),
        only_a=len(only_a),
        only_b=len(only_b),
        mcnemar_p=mcnemar(len(only_a), len(only_b)) if single else None,
        difference=difference(a, b),
        non_inferior=NonInferiority(margin=margin, holds=p < _ALPHA, p=p),
        only_a_cases=only_a,
        only_b_cases=only_b,
        unpaired=len(all_a.keys() ^ all_b.keys()),
    )


def _ahead(one: _Cases, other: _Cases) -> tuple[str, ...]:
    return tuple(case for case in one if fmean(one[case]) > fmean(other[case]))


def _mean(cases: _Cases) -> float:
    return fmean(_means(cases))


def _means(cases: _Cases) -> Iterable[float]:
    return (fmean(samples) for samples in cases.values())


def _interval(cases: _Cases) -> Interval:
    interval = pass_rate_interval(cases)
    assert interval is not None  # a pair has at least one case
    return interval


def _answer(paired: Paired) -> str:
    """What is shown, and what is not: no significant difference is never "as good as"."""
    a, b, delta = paired.a, paired.b, paired.difference
    points = f"{100 * paired.non_inferior.margin:g} points"
    figures = f"{100 * delta.value:+.1f} points, 95 % interval {100 * delta.low:+.1f} to {100 * delta.high:+.1f}"
    where = f"on {paired.n} common cases ({figures})"
    if delta.low > 0:
        return f"{a} is better than {b} {where}."
    worse = delta.high < 0
    if paired.non_inferior.holds:
        but = (
            f"{a} is worse than {b}, but by less than {points}," if worse else f"{a} is not worse than {b} by {points}"
        )
        return f"{but} {where}."
    if worse:
        return f"{a} is worse than {b} {where}; that it is by less than {points} is not shown."
    return f"Nothing is shown {where}: {a} may be worse than {b} by {points} or more, or not."
