"""The result of a session: verdicts, conclusions, failed gates and notes. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_rightsize.config.task_settings import TaskSettings
from pytest_rightsize.judging.conclusions import Conclusion, Objective, conclude, idle_note
from pytest_rightsize.judging.gates import WaiverState, failed_gates, waiver_states, warned_gates
from pytest_rightsize.judging.judge_usage import judge_usage
from pytest_rightsize.judging.usage import RunUsage, usage_of
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Policy, Run, Waiver
from pytest_rightsize.reports.facts import tokens_spent
from pytest_rightsize.verdict_records import Verdict

if TYPE_CHECKING:
    from pytest_rightsize.judging.baseline import Baseline

__all__ = ["SessionResult", "session_result"]


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """A session that has ended: its run, the verdicts, which gates failed, warn or were waived, and notes as lines.

    `unmet` are waivers of tasks that no test of the session has, each with its task.
    """

    run: Run
    verdicts: Sequence[Verdict]
    run_usage: RunUsage
    conclusions: Sequence[Conclusion]
    failed: Sequence[tuple[str, Verdict]] = ()
    warned: Sequence[tuple[str, Verdict]] = ()
    waivers: Sequence[WaiverState] = ()
    unmet: Sequence[tuple[str, Waiver]] = ()
    notes: Sequence[str] = ()

    @property
    def fails(self) -> bool:
        """Whether the session fails, even if every test passed: by a gate, or a fault that hid an answer."""
        return bool(self.failed) or any(trial.outcome == "error" for trial in self.run.trials)

    def totals(self) -> dict[str, Any]:
        """Sums over the whole run, as plain data; what is not known of every answer is null."""
        cost = self.run_usage.total.cost_usd
        return {
            "trials": dict(Counter(trial.outcome for trial in self.run.trials)),
            "answers": self.run_usage.total.answers,
            "tokens": tokens_spent(self.run.trials),
            "cost_usd": None if cost.unknown else cost.sum,
            "interrupted": self.run.interrupted,
            "spending": self.run_usage.to_dict(),
            **({"judges": judges} if (judges := [usage.to_dict() for usage in judge_usage(self.run)]) else {}),
            "conclusions": [conclusion.to_dict() for conclusion in self.conclusions],
            "ranking_note": idle_note(self.run, self.run_usage),
        }


def session_result(
    run: Run,
    *,
    objective: Objective,
    gates: Collection[str],
    policies: Mapping[str, Policy],
    tasks: Mapping[str, TaskSettings],
    baseline: "Baseline | None",
    deselected: int,
    today: str,
) -> SessionResult:
    """Judge the run and conclude from it.

    `policies` are those of its tasks, `tasks` the settings of the ladder file; the verdicts leave out the `deselected`
    trials. `today`, a day as `YYYY-MM-DD`, ends waivers.
    """
    verdicts = judge(run)
    conclusions = conclude(run, verdicts, objective=objective)
    verdicts = [
        replace(verdict, recommended=conclusion.recommended)
        for verdict, conclusion in zip(verdicts, conclusions, strict=True)
    ]
    if baseline is not None:
        from pytest_rightsize.judging.baseline import with_regressions

        verdicts = with_regressions(run, verdicts, baseline)
    waivers = waiver_states(policies, verdicts, gates, today=today)
    return SessionResult(
        run=run,
        verdicts=verdicts,
        run_usage=usage_of(run),
        conclusions=conclusions,
        failed=failed_gates(verdicts, gates, waivers),
        warned=warned_gates(verdicts, gates, waivers),
        waivers=waivers,
        unmet=[
            (task, waiver)
            for task, settings in tasks.items()
            if task not in policies
            for waiver in settings.waive or ()
        ],
        notes=[*_notes(verdicts, baseline, deselected)],
    )


def _notes(verdicts: Sequence[Verdict], baseline: "Baseline | None", deselected: int) -> Iterator[str]:
    """What the verdicts leave out."""
    if deselected:
        yield f"{deselected} trials were deselected; the verdicts leave them out"
    if baseline is None:
        return
    from pytest_rightsize.judging.baseline import tasks_not_run

    left_out = tasks_not_run(verdicts, baseline)
    if left_out:
        yield f"{baseline.name} has {len(left_out)} tasks more: {', '.join(left_out)}"
