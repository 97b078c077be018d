"""Figures of the study "Specialists", from the results file of its session."""

from collections.abc import Mapping
from math import fsum
from pathlib import Path
from typing import Any

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run, Trial
from pytest_rightsize.results.results_file import no_trial, read_run
from studies.sessions import FOLDER, run_session

__all__ = ["figures", "missing", "run_sessions"]

SUITE = FOLDER / "specialists"


def missing() -> None:
    """None: the answers are part of the repository."""


def run_sessions(folder: Path) -> dict[str, Path]:
    """Ask every rung every case."""
    return {"full": run_session(SUITE, folder / "full.jsonl", "--rightsize-strategy=full")}


def figures(results: Mapping[str, Path]) -> dict[str, Any]:
    """All that the page's template names."""
    run = read_run(results["full"], words_of=no_trial)
    return {
        "rounded": _rounded,
        "rungs": [{"name": rung.name, "parameters": round(1e9 * (rung.params_b or 0))} for rung in run.rungs],
        "tasks": [_task(verdict.task, verdict.smallest, verdict.evidence, run) for verdict in judge(run)],
    }


def _task(task: str, smallest: str | None, evidence: str | None, run: Run) -> dict[str, Any]:
    by_rung = {rung.name: _rung(task, rung.name, run) for rung in run.rungs}
    largest = run.rungs[-1]
    assert smallest is not None
    of_smallest = next(rung for rung in run.rungs if rung.name == smallest)
    return {
        "name": task,
        "bar": run.policies[task].pass_rate,
        "by_rung": by_rung,
        "smallest": smallest,
        "evidence": evidence,
        "largest": largest.name,
        "times_smaller": (largest.params_b or 0) / (of_smallest.params_b or 1),
        "times_faster": by_rung[largest.name]["ms"] / by_rung[smallest]["ms"],
    }


def _rung(task: str, rung: str, run: Run) -> dict[str, Any]:
    """Passes, and the mean of what an answer took; None where that was not measured of each."""
    trials = [trial for trial in run.trials if (trial.key.task, trial.key.rung) == (task, rung)]
    joules = [None if trial.answers[0].energy is None else trial.answers[0].energy.joules for trial in trials]
    return {
        "passed": sum(trial.outcome == "passed" for trial in trials),
        "trials": len(trials),
        "ms": _mean_ms(trials),
        "joules": None if None in joules else fsum(each or 0.0 for each in joules) / len(joules),
    }


def _mean_ms(trials: list[Trial]) -> float | None:
    seconds = [trial.answers[0].seconds for trial in trials]
    return None if None in seconds else 1000 * fsum(each or 0.0 for each in seconds) / len(seconds)


def _rounded(value: float) -> int:
    """To two digits: what another machine would find too."""
    return round(float(f"{value:.2g}"))
