"""The page's tables of numbers: amounts per case for each task and rung, and tokens per case for each rung."""

from pytest_rightsize.judging.usage import Usage
from pytest_rightsize.records import Json
from pytest_rightsize.reports.facts import Cell, Facts, bounds, per_case
from pytest_rightsize.reports.html.measures import judged_rungs
from pytest_rightsize.reports.units import bounded_joules, count, percent, seconds, usd

__all__ = ["figures_row", "tokens_caution", "tokens_row"]


def figures_row(cell: Cell) -> dict[str, Json]:
    """One rung in one task: passes, interval, and mean energy, tokens, time and cost of a case."""
    values = per_case(cell.usage)
    energy = None if cell.usage is None else cell.usage.energy_per_case
    return {
        "task": cell.task,
        "rung": cell.rung,
        "ratio": cell.decided or f"{cell.standing.passed}/{cell.standing.trials}",
        "interval": bounds(cell.interval),
        "amounts": [
            bounded_joules(energy),
            count(values["completion"]),
            seconds(values["seconds"]),
            usd(values["usd"]),
        ],
    }


def tokens_row(rung: str, usage: Usage) -> dict[str, Json]:
    """Mean tokens of a case on one rung."""
    values = per_case(usage)
    # Where reasoning is not counted apart, the whole completion is shown and named as that.
    answer = values["answer"]
    completion = usage.per_case(usage.completion)
    shown = count(answer) if answer is not None or completion is None else f"{count(completion)} (with any reasoning)"
    return {
        "rung": rung,
        "trials": f"{usage.judged:,}",
        "prompt": count(values["prompt"]),
        "completion": count(completion),
        "reasoning": count(values["reasoning"]),
        "share": percent(usage.reasoning_share),
        "answer": shown,
    }


def tokens_caution(facts: Facts) -> str:
    """A caution where the rungs did not all answer the same number of cases; else empty."""
    judged = {facts.run_usage.by_rung[rung.name].judged for rung in judged_rungs(facts)}
    return "" if len(judged) < 2 else "The models did not all answer the same cases: compare across rows with care."
