"""Comparison of two rungs, of one run or of two, on the cases that both answered; pure. Differences are A - B."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial as partial_call
from statistics import fmean

from pytest_rightsize.judging.differences import prompts_differ, shortened, what_differs
from pytest_rightsize.judging.economy import AMOUNTS, Economy, economy
from pytest_rightsize.judging.sample_pairs import FirstSample, SamplePairs, first_sample, sample_pairs
from pytest_rightsize.judging.token_counts import RungTokens, rung_tokens, says_it_reasons
from pytest_rightsize.plain_data import plain_fields
from pytest_rightsize.records import Json, Run, Trial
from pytest_rightsize.statistics import difference, holm, mcnemar, non_inferiority_p, paired_t, pass_rate_interval
from pytest_rightsize.statistics.estimates import Difference, Interval, NonInferiority, Ratio

__all__ = ["Changed", "Comparison", "Paired", "compare", "compare_several"]

_ALPHA = 0.05
_Cases = Mapping[str, Sequence[Trial]]


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A case with different results on the two rungs: the trials that passed, and the last answer of each trial."""

    case: str
    passed_a: int
    passed_b: int
    trials_a: int
    trials_b: int
    texts_a: tuple[str, ...]
    texts_b: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Rungs `a` and `b` on the `n` cases that both answered.

    `only_a` counts the cases on which A passed more of its samples than B, `only_b` those on which B did; `changed`
    are both. `mcnemar_p` is exact and two-sided, None where a case has several samples. `unpaired` counts the cases
    that only one of the two answered. `partial` says why the cases are not a fair sample; nothing is claimed then.
    `tokens_a` and `tokens_b` are what the two took on these cases. `samples` pairs their trials by sample, and
    `first_sample` compares the first of each case, where cases have several. `paired_t` is the difference as most
    published comparisons give it; no claim rests on it.
    """

    a: str
    b: str
    n: int
    rate_a: float
    rate_b: float
    interval_a: Interval
    interval_b: Interval
    only_a: int
    only_b: int
    mcnemar_p: float | None
    difference: Difference
    non_inferior: NonInferiority
    economy: Economy = field(default_factory=Economy)
    tokens_a: RungTokens
    tokens_b: RungTokens
    samples: SamplePairs
    first_sample: FirstSample | None = None
    paired_t: Difference | None = None
    changed: tuple[Changed, ...] = ()
    unpaired: int = 0
    partial: str | None = None

    def to_dict(self) -> dict[str, Json]:
        """The pair as JSON data: unknown amounts are null, and `unknown` says why."""
        plain = plain_fields(self)
        del plain["economy"]
        return plain | {
            "tokens_a": self.tokens_a.to_dict(),
            "tokens_b": self.tokens_b.to_dict(),
            "first_sample": self.first_sample and self.first_sample.to_dict(),
            "ratios": self.economy.to_dict(),
            "unknown": dict(self.economy.unknown),
            "cautions": dict(self.economy.cautions),
            "changed": [plain_fields(case) for case in self.changed],
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rungs `a` and `b` on each task and on all cases together; `answer` is the result as a sentence.

    `labels` are the names of the two in reports. `differs` lists what else differs between the two runs, and which
    cases were left out because of it.
    """

    a: str
    b: str
    tasks: Mapping[str, Paired]
    overall: Paired | None
    answer: str
    labels: tuple[str, str]
    differs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The comparison as JSON data."""
        return {
            "a": self.a,
            "b": self.b,
            "labels": list(self.labels),
            "answer": self.answer,
            "overall": self.overall.to_dict() if self.overall else None,
            "tasks": {task: paired.to_dict() for task, paired in self.tasks.items()},
            "differs": list(self.differs),
        }


def compare(
    run_a: Run, rung_a: str, run_b: Run, rung_b: str, *, margin: float = 0.05, names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """Compare `rung_a` of `run_a` with `rung_b` of `run_b`, which may be the same run, on the cases both answered.

    A is non-inferior if it is shown, at 95 %, to be worse by less than `margin` (a fraction of 1). All cases together
    are one test. The tasks are a family of their own, whose p values Holm adjusts. Tasks without a common case are left
    out. Cases of `overall` are named `task: case`. `names` are those of the runs.
    """
    (comparison,) = compare_several(run_a, [rung_a], run_b, rung_b, margin=margin, names=names)
    return comparison


def compare_several(
    run_a: Run,
    rungs: Sequence[str],
    run_b: Run,
    reference: str,
    *,
    margin: float = 0.05,
    names: tuple[str, str] = ("A", "B"),
) -> list[Comparison]:
    """Compare each of `rungs` with one `reference`, as `compare` does; Holm's p values are over the rungs too."""
    compared = [_compare(run_a, rung, run_b, reference, margin, names) for rung in rungs]
    task_p = holm([paired.non_inferior.p for comparison in compared for paired in comparison.tasks.values()])
    overall_p = holm([comparison.overall.non_inferior.p for comparison in compared if comparison.overall is not None])
    next_task_p, next_overall_p = iter(task_p), iter(overall_p)
    return [_answered(comparison, next_task_p, next_overall_p) for comparison in compared]


def _compare(run_a: Run, rung_a: str, run_b: Run, rung_b: str, margin: float, names: tuple[str, str]) -> Comparison:
    """The comparison without adjusted p values and without its sentence."""
    labels = (rung_a, rung_b) if rung_a != rung_b else (f"{rung_a} of {names[0]}", f"{rung_b} of {names[1]}")
    tasks_a, tasks_b = _answered_trials(run_a, rung_a), _answered_trials(run_b, rung_b)
    partial = _partial_tasks(run_a, rung_a, labels[0]) | _partial_tasks(run_b, rung_b, labels[1])
    dropped, unknown = _drop_other_prompts(tasks_a, tasks_b)
    common = [task for task in tasks_a if tasks_a[task].keys() & tasks_b.get(task, {}).keys()]
    reason = (_reasons(run_a, rung_a), _reasons(run_b, rung_b))
    pair = partial_call(_pair, rung_a, rung_b, labels=labels, margin=margin, reason=reason)
    overall = pair(_flat(tasks_a), _flat(tasks_b)) if common else None
    notes = [
        *what_differs(run_a, run_b, names, [rung_a, rung_b]),
        *([f"{_left_out(len(dropped), *labels)}: {shortened(dropped)}"] if dropped else []),
        *(
            [f"of {unknown} cases the prompts were not recorded: that they ask the same is not known"]
            if unknown
            else []
        ),
    ]
    return Comparison(
        a=rung_a,
        b=rung_b,
        tasks={task: replace(pair(tasks_a[task], tasks_b[task]), partial=partial.get(task)) for task in common},
        overall=replace(overall, partial=next(iter(partial.values()), None)) if overall else None,
        answer="",
        labels=labels,
        differs=tuple(notes),
    )


def _reasons(run: Run, name: str) -> bool:
    return says_it_reasons(next((rung for rung in run.rungs if rung.name == name), None))


def _left_out(count: int, a: str, b: str) -> str:
    many = count != 1
    asks, are = ("cases ask", "are") if many else ("case asks", "is")
    return f"{count} {asks} {a} and {b} something else and {are} left out"


def _answered_trials(run: Run, rung: str) -> dict[str, dict[str, list[Trial]]]:
    """Task -> case -> trials that passed or failed, also such as were asked for savings alone.

    A trial without an answer says nothing about the rung.
    """
    cases: dict[str, dict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in sorted(run.trials, key=lambda trial: trial.key.sample):
        if trial.key.rung == rung and trial.ended is not None:
            cases[trial.key.task][trial.key.case].append(replace(trial, outcome=trial.ended))
    return cases


def _partial_tasks(run: Run, rung: str, label: str) -> dict[str, str]:
    """Tasks that stopped once they were settled, so that the results so far chose which cases were asked."""
    return {
        trial.key.task: (
            f"{label} was not asked all of {trial.key.task} because that was settled before, so the cases are no fair "
            f"sample: run with --rightsize-strategy=full"
        )
        for trial in run.trials
        if trial.key.rung == rung and trial.outcome == "not_run" and trial.reason == "settled" and not trial.ended
    }


def _drop_other_prompts(
    tasks_a: Mapping[str, dict[str, list[Trial]]], tasks_b: Mapping[str, dict[str, list[Trial]]]
) -> tuple[list[str], int]:
    """Remove the cases whose prompts differ; returns their names, and how many cases have an unrecorded prompt."""
    dropped, unknown = [], 0
    for task in tasks_a:
        for case in list(tasks_a[task].keys() & tasks_b.get(task, {}).keys()):
            differs = prompts_differ(tasks_a[task][case], tasks_b[task][case])
            unknown += differs is None
            if differs:
                dropped.append(f"{task}: {case}")
                del tasks_a[task][case], tasks_b[task][case]
    return sorted(dropped), unknown


def _flat(by_task: Mapping[str, _Cases]) -> dict[str, Sequence[Trial]]:
    return {f"{task}: {case}": trials for task, cases in by_task.items() for case, trials in cases.items()}


def _pair(
    rung_a: str,
    rung_b: str,
    all_a: _Cases,
    all_b: _Cases,
    *,
    labels: tuple[str, str],
    margin: float,
    reason: tuple[bool, bool],
) -> Paired:
    """Compare the two on the cases they have in common, of which there is at least one."""
    trials_a = {case: trials for case, trials in all_a.items() if case in all_b}
    trials_b = {case: all_b[case] for case in trials_a}
    a, b = _outcomes(trials_a), _outcomes(trials_b)
    ahead = [case for case in a if fmean(a[case]) > fmean(b[case])]
    behind = [case for case in a if fmean(a[case]) < fmean(b[case])]
    single = all(len(samples) == 1 for cases in (a, b) for samples in cases.values())
    p = non_inferiority_p(a, b, margin=margin)
    return Paired(
        a=rung_a,
        b=rung_b,
        n=len(a),
        rate_a=_rate(a),
        rate_b=_rate(b),
        interval_a=_interval(a),
        interval_b=_interval(b),
        only_a=len(ahead),
        only_b=len(behind),
        mcnemar_p=mcnemar(len(ahead), len(behind)) if single else None,
        difference=difference(a, b),
        non_inferior=NonInferiority(margin=margin, holds=p < _ALPHA, p=p),
        economy=economy(trials_a, trials_b, names=labels, reason=reason),
        tokens_a=_tokens(trials_a, reasons=reason[0]),
        tokens_b=_tokens(trials_b, reasons=reason[1]),
        samples=sample_pairs(trials_a, trials_b),
        first_sample=first_sample(trials_a, trials_b, margin=margin, names=labels, reason=reason),
        paired_t=paired_t(a, b),
        changed=tuple(_changed(case, trials_a[case], trials_b[case]) for case in [*ahead, *behind]),
        unpaired=len(all_a.keys() ^ all_b.keys()),
    )


def _tokens(cases: _Cases, *, reasons: bool) -> RungTokens:
    return rung_tokens([trial for trials in cases.values() for trial in trials], reasons=reasons)


def _outcomes(cases: _Cases) -> dict[str, list[bool]]:
    return {case: [trial.outcome == "passed" for trial in trials] for case, trials in cases.items()}


def _rate(cases: Mapping[str, Sequence[bool]]) -> float:
    return fmean(fmean(samples) for samples in cases.values())


def _interval(cases: Mapping[str, Sequence[bool]]) -> Interval:
    interval = pass_rate_interval(cases)
    assert interval is not None  # as a pair has at least one case
    return interval


def _changed(case: str, a: Sequence[Trial], b: Sequence[Trial]) -> Changed:
    return Changed(
        case=case,
        passed_a=sum(trial.outcome == "passed" for trial in a),
        passed_b=sum(trial.outcome == "passed" for trial in b),
        trials_a=len(a),
        trials_b=len(b),
        texts_a=tuple(trial.answers[-1].text for trial in a if trial.answers),
        texts_b=tuple(trial.answers[-1].text for trial in b if trial.answers),
    )


def _answered(comparison: Comparison, tasks: Iterator[float], overall: Iterator[float]) -> Comparison:
    """The comparison with its sentence, and with its adjusted p values taken from the two iterators."""
    if comparison.overall is None:
        return replace(comparison, answer=f"{' and '.join(comparison.labels)} answered no case in common.")
    adjusted = _with_p(comparison.overall, next(overall))
    return replace(
        comparison,
        tasks={task: _with_p(paired, next(tasks)) for task, paired in comparison.tasks.items()},
        overall=adjusted,
        answer=f"{_claim(adjusted, *comparison.labels)}{_price(adjusted)}.",
    )


def _with_p(paired: Paired, p: float) -> Paired:
    """The pair with its adjusted p value; nothing is claimed for a partial pair."""
    holds = p < _ALPHA and paired.partial is None
    return replace(paired, non_inferior=replace(paired.non_inferior, holds=holds, p=p))


def _claim(paired: Paired, a: str, b: str) -> str:
    """The claim as a sentence, which never calls the absence of a significant difference "as good as"."""
    delta = paired.difference
    margin = f"{100 * paired.non_inferior.margin:g} points"
    bound = f"(lower bound {100 * delta.low90:+.1f})"
    if paired.partial is not None:
        return f"nothing is claimed of {a} and {b}: {paired.partial}"
    if delta.low > 0:
        return f"{a} is better than {b} by {_points(delta, 1)}"
    if paired.non_inferior.holds and delta.high < 0:
        return f"{a} is worse than {b}, but not by more than {margin} {bound}"
    if paired.non_inferior.holds:
        return f"{a} is not worse than {b} by more than {margin} {bound}"
    if delta.high < -paired.non_inferior.margin:
        return f"{a} is worse than {b} by {_points(delta, -1)}, which is more than the margin of {margin}"
    if delta.high < 0:
        return f"{a} is worse than {b} by {_points(delta, -1)}, which may be more than the margin of {margin}"
    return f"it is not shown that {a} is not worse than {b} by more than {margin} {bound}"


def _points(delta: Difference, sign: int) -> str:
    """The size of the difference, without its sign: `8.8 points [5.8, 11.8]`."""
    ends = sorted((100 * sign * delta.low, 100 * sign * delta.high))
    return f"{100 * sign * delta.value:.1f} points [{ends[0]:.1f}, {ends[1]:.1f}]"


def _price(paired: Paired) -> str:
    """`, at 7 % [5, 9] of its energy in a typical case`, for the first of `AMOUNTS` that is known."""
    if paired.partial is not None:
        return ""
    name = next((name for name in AMOUNTS if name in paired.economy.ratios), None)
    if name is None:
        return ""
    word = ", at" if paired.non_inferior.holds else "; it takes"
    return f"{word} {_percent(paired.economy.ratios[name])} of its {name.replace('_', ' ')} in a typical case"


def _percent(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return f"{100 * ratio.value:.0f} %"
    return f"{100 * ratio.value:.0f} % [{100 * ratio.low:.0f}, {100 * ratio.high:.0f}]"
