"""Data of the page's charts: quality against price for each task, and the tokens of each rung.

The scripts in `page/` draw it. A number that is not known is null, never 0.
"""

from pytest_rightsize.judging.usage import Usage
from pytest_rightsize.records import Json
from pytest_rightsize.reports.facts import Cell, Facts, per_case, remedy
from pytest_rightsize.reports.html.measures import MEASURES, judged_rungs, why_unknown
from pytest_rightsize.reports.html.verdict_table import no_answer_words
from pytest_rightsize.reports.units import percent
from pytest_rightsize.verdict_records import Verdict

__all__ = ["chart_data"]


def chart_data(facts: Facts) -> dict[str, Json]:
    """The data of all charts, as JSON data."""
    by_task = {verdict.task: verdict for verdict in facts.verdicts}
    return {
        "policies": [_policy(facts, verdict) for verdict in facts.verdicts],
        "points": [_point(cell, by_task[cell.task]) for cell in facts.cells.values() if cell.standing.rate is not None],
        "token_means": [
            {"rung": rung.name, **_token_means(facts.run_usage.by_rung[rung.name])} for rung in judged_rungs(facts)
        ],
        "measures": {
            key: {"label": label, "unit": unit, "known": why_unknown(facts, key) is None}
            for key, (label, unit) in MEASURES.items()
        },
    }


def _policy(facts: Facts, verdict: Verdict) -> dict[str, Json]:
    """One task: its bar and verdict, and the rungs that have no point, each with the reason."""
    policy = facts.run.policies.get(verdict.task)
    return {
        "task": verdict.task,
        "verdict": verdict.verdict,
        "smallest": verdict.smallest,
        "chosen": verdict.chosen,
        "bar": percent(verdict.pass_rate),
        "test_at": policy.test_at if policy else None,
        "remedy": remedy(verdict),
        "without": [
            [rung.name, no_answer_words(cell)]
            for rung in facts.run.rungs
            for cell in [facts.cells[verdict.task, rung.name]]
            if cell.standing.rate is None
        ],
    }


def _point(cell: Cell, verdict: Verdict) -> dict[str, Json]:
    """One rung in one task: pass rate with its interval, and the four prices of a case."""
    energy = None if cell.usage is None else cell.usage.energy_per_case
    low, high = (None, None) if energy is None or energy.bounds is None else energy.bounds
    return {
        "task": cell.task,
        "rung": cell.rung,
        "state": cell.standing.state,
        "rate": cell.standing.rate,
        "low": cell.interval.low if cell.interval else None,
        "high": cell.interval.high if cell.interval else None,
        "passed": cell.standing.passed,
        "trials": cell.standing.trials,
        "goal": verdict.pass_rate,
        "smallest": cell.smallest,
        "chosen": cell.chosen,
        "kind": None if energy is None else str(energy.kind),
        "joules_low": low,
        "joules_high": high,
        **{key: value for key, value in per_case(cell.usage).items() if key in MEASURES},
    }


def _token_means(usage: Usage) -> dict[str, Json]:
    values = per_case(usage)
    means = {name: values[name] for name in ("prompt", "reasoning", "answer")}
    return {"cases": usage.judged, **means, "completion": usage.per_case(usage.completion)}
