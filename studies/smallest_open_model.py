"""Figures of the study "The smallest open model", from the results file of its session on all five rungs."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_rightsize.judging.comparison import compare
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import no_trial, read_run
from studies.sessions import FOLDER, run_session

__all__ = ["BARS", "DATA", "figures", "missing", "run_sessions"]

SUITE = FOLDER / "smallest-open-model"
DATA = SUITE / "data"
BARS = (0.5, 0.8, 0.9)
_MARGIN = 0.05


def missing() -> str | None:
    """What is missing, and how to get it; the answers are prepared first where RIGHTSIZE_ZEROEVAL says where from."""
    source = os.environ.get("RIGHTSIZE_ZEROEVAL")
    if not (DATA / "items.jsonl").is_file() and source:
        from runpy import run_path

        run_path(str(SUITE / "prepare.py"))["prepare"](Path(source), DATA)
    if (DATA / "items.jsonl").is_file():
        return None
    return (
        "the recorded answers are no part of this repository: clone https://github.com/WildEval/ZeroEval, and set "
        "RIGHTSIZE_ZEROEVAL to its folder"
    )


def run_sessions(folder: Path) -> dict[str, Path]:
    """Run every rung on all questions; the results file by name."""
    return {"full": run_session(SUITE, folder / "full.jsonl", "--rightsize-strategy=full")}


def figures(results: Mapping[str, Path]) -> dict[str, Any]:
    """All that the page's template names."""
    run = read_run(results["full"], words_of=no_trial)
    ladder = [rung.name for rung in run.rungs]
    verdicts = {verdict.task: verdict for verdict in judge(run)}
    pairs = (*pairwise(ladder), (ladder[0], ladder[-1]))
    comparisons = [compare(run, a, run, b, margin=_MARGIN).to_dict() for a, b in pairs]
    intervals = {
        (each[side], task): paired[f"interval_{side}"]
        for each in comparisons
        for task, paired in each["tasks"].items()
        for side in ("a", "b")
    }
    return {
        "tasks": list(verdicts),
        "cases": {task: verdict.standing[ladder[0]].trials for task, verdict in verdicts.items()},
        "trials": len(run.trials),
        "rungs": [
            {
                "name": rung,
                "by_task": {
                    task: {
                        "passed": verdict.standing[rung].passed,
                        "trials": verdict.standing[rung].trials,
                        **intervals[rung, task],
                    }
                    for task, verdict in verdicts.items()
                },
            }
            for rung in ladder
        ],
        "smallest": [_smallest(run, bar) for bar in BARS],
        "pairs": [
            {"a": each["a"], "b": each["b"], "task": task, **paired}
            for task in verdicts
            for each in comparisons
            for paired in [each["tasks"][task]]
        ],
        "margin": _MARGIN,
        "case_sizes": _case_sizes(run, ladder),
    }


def _smallest(run: Run, bar: float) -> dict[str, Any]:
    """The smallest rung that passes each task at a bar, by the observed rate, and the evidence for it."""
    policies = {task: replace(policy, pass_rate=bar) for task, policy in run.policies.items()}
    verdicts = {verdict.task: verdict for verdict in judge(replace(run, policies=policies))}
    return {"bar": bar, "by_task": {task: (one.smallest, one.evidence) for task, one in verdicts.items()}}


def _case_sizes(run: Run, ladder: list[str]) -> dict[str, Counter[str]]:
    """How many cases of each task a rung is the smallest to pass, how many none passes, how many are out of order."""
    passing: dict[tuple[str, str], set[str]] = defaultdict(set)
    for trial in run.trials:
        rungs = passing[trial.key.task, trial.key.case]
        if trial.outcome == "passed":
            rungs.add(trial.key.rung)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (task, _), rungs in passing.items():
        outcomes = [rung in rungs for rung in ladder]
        counts[task][ladder[outcomes.index(True)] if any(outcomes) else "none"] += 1
        counts[task]["non_monotone"] += outcomes != sorted(outcomes)
    return dict(counts)
