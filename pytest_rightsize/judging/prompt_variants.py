"""Compares the variants of a prompt: which of them lets the smallest model pass, and how sure that is; pure.

Each variant is a task of its own, `TASK @ NAME`. Of several prompts the best looks better than it is: with a confidence
each variant has to be that much surer (Bonferroni, the first step of Holm), and without one the bound that is shown for
the best holds over all of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil

from pytest_rightsize.records import Policy, Run
from pytest_rightsize.statistics import bar_of, clopper_pearson
from pytest_rightsize.verdict_records import Standing, Verdict

__all__ = ["confidence_over", "prompts_by_task", "variant_task", "with_prompts_compared"]

_BETWEEN = " @ "
_SURE = 0.95


def variant_task(task: str, variant: str) -> str:
    """The name of the task that a variant of a prompt is."""
    return f"{task}{_BETWEEN}{variant}"


def prompts_by_task(tasks: Iterable[str]) -> Mapping[str, tuple[str, str]]:
    """The task and the prompt's name of each variant, by the variant's own task, where a task has several prompts."""
    parted = [task.rpartition(_BETWEEN) for task in tasks]
    groups = Counter(task for task, between, _ in parted if between)
    return {variant_task(task, name): (task, name) for task, between, name in parted if between and groups[task] > 1}


def confidence_over(confidence: float, variants: int) -> float:
    """The confidence of each variant at which all their claims hold together."""
    return 1 - (1 - confidence) / variants


def with_prompts_compared(run: Run, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts; of each task with several prompts, the best variant has a note that compares them."""
    named = prompts_by_task(verdict.task for verdict in verdicts)
    groups: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        if verdict.task in named:
            task, variant = named[verdict.task]
            groups.setdefault(task, {})[variant] = verdict
    notes = {}
    for variants in groups.values():
        best, note = _compared(run, variants)
        notes[variants[best].task] = note
    return [
        replace(verdict, notes=(*verdict.notes, notes[verdict.task])) if verdict.task in notes else verdict
        for verdict in verdicts
    ]


def _compared(run: Run, variants: Mapping[str, Verdict]) -> tuple[str, str]:
    """The variant that lets the smallest model pass, the first of several, and what to say of it."""
    sizes = {rung.name: place for place, rung in enumerate(run.rungs)}
    passing = {name: each.smallest for name, each in variants.items() if each.smallest is not None}
    if not passing:
        return next(
            iter(variants)
        ), f"of {len(variants)} prompts none is known to let a model pass: {_of_each(variants)}"
    best = min(passing, key=lambda name: sizes[passing[name] or ""])
    rung = passing[best] or ""
    others = {name: each for name, each in variants.items() if name != best}
    alike = [name for name, smallest in passing.items() if smallest == rung and name != best]
    doubt = _doubt(variants[best], run.policies.get(variants[best].task), len(variants))
    if len(alike) == len(others):
        return best, f"no prompt lets a smaller model pass than another: all {len(variants)} pass from {rung} on"
    undecided = [name for name, each in others.items() if each.verdict == "undecided"]
    if undecided:
        return best, f"passes on {rung}, but {', '.join(undecided)} is undecided: {_of_each(others)}{doubt}"
    also = f" (as {', '.join(alike)} does)" if alike else ""
    rest = {name: each for name, each in others.items() if name not in alike}
    return best, f"this prompt lets a smaller model pass: {rung}{also}; {_of_each(rest)}{doubt}"


def _of_each(variants: Mapping[str, Verdict]) -> str:
    return ", ".join(f"{name} {_needs(verdict)}" for name, verdict in variants.items())


def _needs(verdict: Verdict) -> str:
    if verdict.verdict == "undecided":
        return "is undecided"
    return "passes on none" if verdict.smallest is None else f"needs {verdict.smallest}"


def _doubt(best: Verdict, policy: Policy | None, variants: int) -> str:
    """How low the rate of the best may be, given that it is the best of several; nothing where that is not known."""
    standing = best.standing.get(best.smallest or "")
    if policy is None or standing is None or policy.samples != 1:
        return ""
    if policy.confidence is not None:
        return f"; each was held to a confidence of {policy.confidence:.4g}, as there are {variants}"
    passed, trials = _up_to_the_stop(standing, policy.pass_rate)
    bounds = clopper_pearson(passed, trials, confidence=confidence_over(_SURE, variants), one_sided=True)
    if bounds is None or policy.pass_rate <= 0:
        return ""
    if bounds.low >= policy.pass_rate:
        return f"; shown at 95 % over {variants} prompts"
    return (
        f"; the best of {variants} prompts looks better than it is: its true rate may be as low as "
        f"{100 * bounds.low:.0f} %, and the bar is {100 * policy.pass_rate:g} %"
    )


def _up_to_the_stop(standing: Standing, pass_rate: float) -> tuple[int, int]:
    """Passes and trials; where the rest was left out, passes after the last one that was needed count for nothing."""
    failed = standing.trials - standing.passed + standing.unanswered
    passed = standing.passed
    if standing.given_up:
        passed = min(passed, ceil(bar_of(pass_rate) * (passed + failed + standing.given_up)))
    return passed, passed + failed
