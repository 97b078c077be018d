"""Words for how sure a verdict is, and for what was decided of a rung that was stopped early: the same in every report.

A share of the trials of a rung that was stopped is no pass rate, so none is ever shown. Pure.
"""

from collections.abc import Iterable
from math import ceil, floor

from pytest_rightsize.reports.units import percent
from pytest_rightsize.statistics import bar_of
from pytest_rightsize.verdict_records import Standing, Verdict

__all__ = [
    "NO_ANSWER",
    "corrected_rates",
    "decided",
    "is_corrected",
    "is_partial",
    "more_cases_words",
    "more_words",
    "note_lines",
    "open_words",
    "partial_rungs",
    "short_count",
    "stopped_words",
    "sure_words",
    "undecided_words",
]

# A larger number of cases is not told to its last digit: the rate is too near its bar for any suite to tell.
_MOST_COUNTED = 20_000
NO_ANSWER = "could not answer"
"""What stands in the place of a count for a rung that gave no answer to any trial of a task."""


def note_lines(verdict: Verdict) -> list[str]:
    """The notes of a verdict, without that of a rung which could not answer: its cell in the table says so."""
    silent = [rung for rung, standing in verdict.standing.items() if standing.could_not_answer]
    return [
        note for note in verdict.notes if not any(note.startswith(f"{rung}: it could not answer") for rung in silent)
    ]


def is_corrected(verdict: Verdict) -> bool:
    """Whether its rates and bounds are corrected for the errors of a judge."""
    return verdict.judge is not None and verdict.judge.state == "calibrated"


def corrected_rates(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], float]:
    """The pass rates that are corrected for the errors of a judge, by task and rung."""
    return {
        (verdict.task, rung): standing.rate
        for verdict in verdicts
        if is_corrected(verdict)
        for rung, standing in verdict.standing.items()
        if standing.rate is not None
    }


def is_partial(standing: Standing) -> bool:
    """Whether only a part of the trials was heard, so that the share that passed is no pass rate."""
    return standing.trials > 0 and standing.rate is None


def partial_rungs(verdicts: Iterable[Verdict]) -> frozenset[tuple[str, str]]:
    """The tasks and rungs of which only a part was heard."""
    return frozenset(
        (verdict.task, rung)
        for verdict in verdicts
        for rung, standing in verdict.standing.items()
        if is_partial(standing)
    )


def short_count(verdict: Verdict, rung: str) -> str:
    """`38/40` for the cell of a table; of a rung that was stopped early what was decided: `<36/40`, `passes@29`."""
    standing = verdict.standing[rung]
    if not is_partial(standing):
        return f"{standing.passed}/{standing.trials}" if standing.trials else ""
    if not _is_decided(standing):
        return ""
    if verdict.confidence is not None:
        word = standing.state if standing.state in ("passes", "fails") else ""
        return f"{word}@{_decided_after(standing)}"
    sign = ">=" if standing.state == "passes" else "<"
    return f"{sign}{_needed(verdict, standing)}/{_planned(standing)}"


def decided(verdict: Verdict, rung: str) -> str | None:
    """`cannot reach 9 of 10 (2 of 4 asked)`: what was decided of a rung that was stopped early, else None."""
    standing = verdict.standing[rung]
    if not is_partial(standing) or not _is_decided(standing):
        return None
    if verdict.confidence is not None:
        noun = "trials" if standing.decided_at is None else "cases"
        after = f"after {_decided_after(standing)} of {_planned(standing)} {noun}"
        if standing.state == "undecided":
            return f"stopped {after}: the rest could not decide it"
        return f"decided {after}: {standing.state}"
    verb = "reaches" if standing.state == "passes" else "cannot reach"
    lost = f", {standing.unanswered} without an answer" if standing.unanswered else ""
    asked = f"{standing.passed} of {standing.trials} asked{lost}"
    return f"{verb} {_needed(verdict, standing)} of {_planned(standing)} ({asked})"


def stopped_words(verdict: Verdict, *, without: str | None = None) -> str | None:
    """What was decided of each rung of a task that was stopped early, in a clause; None where none was.

    The rung `without` is left out.
    """
    parts = [f"{rung} {words}" for rung in verdict.standing if rung != without and (words := decided(verdict, rung))]
    return "; ".join(parts) or None


def _is_decided(standing: Standing) -> bool:
    """Whether the rung was decided without the trials that are missing, and not cut off."""
    missing = standing.given_up or (standing.unanswered and standing.state in ("passes", "fails"))
    return bool(missing) or standing.decided_at is not None


def _decided_after(standing: Standing) -> int:
    return standing.trials if standing.decided_at is None else standing.decided_at


def _planned(standing: Standing) -> int:
    return standing.trials + standing.given_up + standing.unanswered


def _needed(verdict: Verdict, standing: Standing) -> int:
    """How many passes reach the bar."""
    return ceil(bar_of(verdict.pass_rate) * _planned(standing))


def open_words(verdict: Verdict) -> str | None:
    """`b passes; a is undecided`: the smaller rungs that may pass too, beside the one that does; None without any."""
    undecided = undecided_words(verdict)
    return f"{verdict.smallest} passes; {undecided}" if undecided else None


def undecided_words(verdict: Verdict) -> str | None:
    """`a is undecided`: the smaller rungs that may pass too; None without any, or where no rung passes."""
    if not verdict.open_rungs or verdict.smallest is None:
        return None
    names, be = " and ".join(verdict.open_rungs), "is" if len(verdict.open_rungs) == 1 else "are"
    return f"{names} {be} undecided"


def sure_words(verdict: Verdict) -> str | None:
    """How sure a verdict is: its evidence, the rate it rests on, and how many cases more it would take.

    `provisional: mid passed 3 of 4; its true rate may be as low as 25 %, and the bar is 50 %; about 4 more cases like
    these would make it likely, 12 would show it`. None for an undecided task.
    """
    rung = verdict.evidence_rung
    if verdict.evidence is None or rung is None:
        return None
    clauses = [open_words(verdict), _heard(verdict, rung), _bound(verdict, rung), more_words(verdict)]
    return f"{verdict.evidence}: {'; '.join(clause for clause in clauses if clause)}"


def _heard(verdict: Verdict, rung: str) -> str:
    standing = verdict.standing[rung]
    by = " by its judge" if is_corrected(verdict) else ""
    return f"{rung} {decided(verdict, rung) or f'passed {standing.passed} of {standing.trials}{by}'}"


def _bound(verdict: Verdict, rung: str) -> str | None:
    """The end of the interval that is held against the bar."""
    bound, bar = verdict.evidence_bound, verdict.pass_rate
    if bound is None:
        return None
    if rung == verdict.smallest:
        words = (
            f"is at least {percent(bound)} (95 % sure)" if bound >= bar else f"may be as low as {_rounded(bound, bar)}"
        )
    elif bound < bar:
        words = f"is at most {_rounded(bound, bar)} (95 % sure)"
    else:
        words = f"may be as high as {_rounded(bound, bar)}"
    corrected = "corrected for the judge's errors, " if is_corrected(verdict) else ""
    return f"{corrected}its true rate {words}, and the bar is {_exactly(bar)}"


def _exactly(bar: float) -> str:
    return f"{100 * bar:.6g} %"


def _rounded(rate: float, bar: float) -> str | None:
    """A bound, rounded as everywhere; away from the bar where it would look like it."""
    if rate == bar or percent(rate) != percent(bar):
        return percent(rate)
    return f"{(floor if rate < bar else ceil)(1000 * rate) / 10:.1f} %"


def more_words(verdict: Verdict) -> str | None:
    """How many cases more would make the verdict likely, and show it; None where it is shown already."""
    likely, shown = verdict.cases_to_likely, verdict.cases_to_shown
    if verdict.evidence in (None, "shown"):
        return None
    if shown is None and verdict.pass_rate >= 1 and verdict.evidence_rung == verdict.smallest:
        return "no number of cases can show a rate of 1: set pass_rate below 1"
    if (likely is None or shown is None) and is_corrected(verdict):
        return "no number of cases would settle it with so few labels for its judge: label more answers"
    if likely is None or shown is None:
        return "at this rate no number of cases would settle it"
    if verdict.evidence == "likely":
        return f"{more_cases_words(shown)} like these would show it"
    if likely == shown or likely > _MOST_COUNTED:
        return f"{more_cases_words(shown)} like these would settle it"
    number = f"{shown:,}" if shown <= _MOST_COUNTED else f"more than {_MOST_COUNTED:,}"
    return f"{more_cases_words(likely)} like these would make it likely, {number} would show it"


def more_cases_words(number: int) -> str:
    """`about 12 more cases`; a number that nobody would write is not told to its last digit."""
    if number > _MOST_COUNTED:
        return f"more than {_MOST_COUNTED:,} more cases"
    return f"about {number:,} more case{'s' * (number != 1)}"
