"""The trials of one task, counted for each rung: what came of them, and what corrects for errors of a judge; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_rightsize.judging.judge_checks import check_judge, correction_of
from pytest_rightsize.judging.unanswered import why_unanswered
from pytest_rightsize.records import Run, Trial
from pytest_rightsize.statistics import Correction

__all__ = ["RungResults", "results_by_rung"]


@dataclass(kw_only=True)
class RungResults:
    """The trials of one rung, counted: samples of each case, trials without an answer, trials that were not run."""

    names: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)
    cases: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    given_up: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    excused: int = 0
    idle_reason: str | None = None
    correction: Correction | None = None
    chance: str | None = None

    @property
    def faults(self) -> int:
        """How many trials had no answer."""
        return self.unanswered.total()

    @property
    def unknown(self) -> Counter[str]:
        """The trials of each case that may have turned out either way: given up, or without an answer."""
        return self.given_up + self.unanswered

    def why_unanswered(self, planned: int) -> str:
        """Why some of the `planned` trials have no answer, where some have none."""
        answered = sum(map(len, self.cases.values()))
        return why_unanswered(
            answered=answered,
            faults=self.faults - self.broken,
            broken=self.broken,
            planned=max(planned, answered + self.faults),
        )

    def add(self, trial: Trial) -> None:
        """Count one trial; a test that skips or is expected to fail takes its trial out of the plan."""
        self.names.add(trial.key.case)
        if trial.outcome in ("passed", "failed"):
            self.cases[trial.key.case].append(trial.outcome == "passed")
        elif trial.outcome == "error":
            self.unanswered[trial.key.case] += 1
            self.broken += not trial.is_fault
        else:
            if trial.reason in ("skipped", "xfail"):
                self.excused += 1
                self.left_out.add(trial.key.case)
            self.idle_reason = self.idle_reason or trial.reason or "not said"
            if trial.reason == "settled":
                self.given_up[trial.key.case] += 1


def results_by_rung(trials: Iterable[Trial], run: Run) -> dict[str, RungResults]:
    """The trials of each rung, counted, with what corrects them for the errors of their judge."""
    results: dict[str, RungResults] = defaultdict(RungResults)
    judged: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        results[trial.key.rung].add(trial)
        if run.calibrations:
            judged[trial.key.rung].append(trial)
    check = check_judge((trial for each in judged.values() for trial in each), run.calibrations) if judged else None
    for rung, of_rung in judged.items():
        results[rung].correction = correction_of(check, of_rung)
        calibration = None if check is None or check.state != "chance" else check.calibration
        if calibration is not None and any(trial.judgements for trial in of_rung):
            results[rung].chance = f"the judge {calibration.by} is not shown to be better than chance"
    return results
