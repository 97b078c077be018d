"""The page's table of verdicts: a row for each task, a cell for each rung, and the legend of the intervals."""

from urllib.parse import quote

from pytest_rightsize.records import Json
from pytest_rightsize.reports.bars import bar_lines, bar_sources, bar_words
from pytest_rightsize.reports.facts import (
    Cell,
    Facts,
    bounds,
    remedy,
    strength_of,
    waived,
)
from pytest_rightsize.reports.sureness import NO_ANSWER, is_partial, note_lines
from pytest_rightsize.reports.units import percent
from pytest_rightsize.verdict_records import BROKEN, Verdict

__all__ = ["bar_line", "interval_legend", "no_answer_words", "verdict_row"]

_STATE_WORDS = {"passes": "passes", "fails": "fails", "undecided": "undecided", "not_run": "not run"}


def interval_legend(facts: Facts) -> str:
    """The meaning of the thin lines in the cells, for the intervals that occur."""
    shown = [cell for cell in facts.cells.values() if not is_partial(cell.standing)]
    intervals = [cell.interval for cell in shown if cell.interval is not None]
    levels = sorted({interval.confidence for interval in intervals if interval.one_sided})
    has_two_sided = any(not interval.one_sided for interval in intervals)
    one_sided = [
        f"Where a confidence was asked for, the thin line spans the two one-sided bounds, each sure at {level:g}."
        for level in levels
    ]
    two_sided = "The thin line is the 95 % interval of the rate" + ("." if not levels else " where none was asked for.")
    has_early = any(cell.decided for cell in facts.cells.values())
    early = "A model that was stopped early has no pass rate: its cell says what was decided."
    return " ".join([*one_sided, *([two_sided] if has_two_sided else []), *([early] if has_early else [])])


def verdict_row(facts: Facts, verdict: Verdict) -> dict[str, Json]:
    """One task: its cells, its verdict and the notes; what to do about it stands in the section before."""
    advice = remedy(verdict)
    conclusion = facts.conclusions[verdict.task]
    return {
        "task": verdict.task,
        "href": f"#task={quote(verdict.task.encode('utf-8', 'replace'))}",
        "bar": _bar(facts, verdict),
        "verdict": verdict.verdict,
        "evidence": verdict.evidence,
        "notes": [
            *([f"Regressed: {verdict.regressed}."] if verdict.regressed else []),
            *(f"{words[0].upper()}{words[1:]}." for words in waived(facts.run, verdict.task)),
            *(note for note in note_lines(verdict) if note not in advice),
            *(f"{words[0].upper()}{words[1:]}." for words in strength_of(facts.run, verdict.task)),
            *([conclusion.no_savings] if conclusion.no_savings else []),
        ],
        "cells": [_cell(facts.cells[verdict.task, rung.name], verdict.pass_rate) for rung in facts.run.rungs],
    }


def bar_line(facts: Facts) -> str:
    """Where the bars were set, as a sentence, if that is one place for all tasks; else each task's row says it."""
    lines = bar_lines(facts.run, facts.verdicts, verbose=True) if _has_one_source(facts) else []
    return "".join(f"{line[0].upper()}{line[1:]}." for line in lines)


def _has_one_source(facts: Facts) -> bool:
    return len({bar_sources(policy) for policy in facts.run.policies.values()}) == 1


def _bar(facts: Facts, verdict: Verdict) -> str:
    """`90 % at 0.95, 3 samples`, and where that was set, such as `(marker)`, unless it is one place for all tasks."""
    policy = facts.run.policies.get(verdict.task)
    if policy is None:
        return percent(verdict.pass_rate) or "?"
    _, comma, samples = bar_words(policy).partition(", ")
    sure = "" if policy.confidence is None else f" at {policy.confidence:g}"
    sources = "" if _has_one_source(facts) else bar_sources(policy)
    return f"{percent(policy.pass_rate)}{sure}{comma}{samples}{f' ({sources})' if sources else ''}"


def _cell(cell: Cell, pass_rate: float) -> dict[str, Json]:
    standing, interval = cell.standing, cell.interval
    return {
        "rung": cell.rung,
        "state": "undecided" if standing.could_not_answer else standing.state,
        "words": _STATE_WORDS[standing.state],
        "none": no_answer_words(cell),
        "rate": None if standing.rate is None or not standing.trials else round(100 * standing.rate, 2),
        "percent": percent(standing.rate),
        "ratio": f"{standing.passed}/{standing.trials}",
        "early": cell.decided is not None,
        "low": None if interval is None else round(100 * interval.low, 2),
        "high": None if interval is None else round(100 * interval.high, 2),
        "goal": round(100 * pass_rate, 2),
        "interval": f"{percent(standing.rate)}, interval {bounds(interval)}, bar {percent(pass_rate)}",
        "smallest": cell.smallest,
        "chosen": cell.chosen,
    }


def no_answer_words(cell: Cell) -> str:
    """The words for a rung without a pass rate: what was decided of it, not run, private, or why no answer came."""
    standing = cell.standing
    if cell.decided is not None:
        return cell.decided
    if standing.could_not_answer:
        return NO_ANSWER
    if standing.state == "not_run":
        return "private" if standing.reason == "private" else "not run"
    if standing.trials == 0 and standing.reason == BROKEN:
        return "its tests broke"
    return standing.reason or "no answer"
