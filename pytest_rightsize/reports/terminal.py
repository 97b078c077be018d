"""The summary at the end of a session, as lines of text: the table, one sentence, and what to change.

The lines have no colour; `styled` says which parts of a line of the table get one on a terminal with colours.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from pytest_rightsize.judging.savings import joules_of, saved, tokens_of
from pytest_rightsize.judging.gates import WaiverState
from pytest_rightsize.records import Run, Standing, Verdict, Waiver
from pytest_rightsize.reports.facts import effort, failure, place_to_change, tokens_spent

__all__ = [
    "TITLE",
    "gate_lines",
    "styled",
    "summary_lines",
    "table_lines",
    "waiver_lines",
    "wrapped",
]

TITLE = "smallest model that passes each task"
_CAPITALS = {"over-sized": "OVER-SIZED", "under-sized": "UNDER-SIZED", "unsolved": "UNSOLVED", "undecided": "UNDECIDED"}
# The parts of a line of the table that get a colour; the words say the same without it.
_STYLES = (
    (re.compile(r"(?<!\S)\d+/\d+~?\*|right-sized$"), "green"),
    (re.compile("OVER-SIZED$|UNDER-SIZED$|UNSOLVED$"), "red"),
    (re.compile(r"(?<!\S)(\d+/\d+~?)?\?(?!\S)|UNDECIDED$"), "yellow"),
)


def table_lines(run: Run, verdicts: Sequence[Verdict], *, width: int | None = None) -> list[str]:
    """The table of verdicts; where it is wider than `width`, each task on lines of its own."""
    ladder = [rung.name for rung in run.rungs]
    rows = [_row(verdict, ladder) for verdict in verdicts]
    headers = ["task", *ladder, "smallest", "chosen", "verdict"]
    table = tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines()
    if width is None or max(map(len, table), default=0) <= width:
        return table
    return [line for row in rows for line in _stacked(headers, row, width)]


def _stacked(headers: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """One task for a narrow terminal: the verdict, then the cells of its row, in lines that fit."""
    task, *cells, smallest, chosen, verdict = row
    yield f"{task}: {verdict}"
    parts = [f"{rung} {cell}" for rung, cell in zip(headers[1:], cells, strict=False)]
    parts += [f"smallest {smallest}", f"chosen {chosen}"]
    # A part is never broken, however narrow the terminal is: its spaces are hidden from textwrap.
    unbroken = "  ".join(part.replace(" ", "\0") for part in parts)
    for line in textwrap.wrap(unbroken, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False):
        yield line.replace("\0", " ")


def styled(line: str) -> list[tuple[str, str | None]]:
    """A line of the table in parts, each with its colour or None."""
    spans = sorted(
        (match.start(), match.end(), style) for pattern, style in _STYLES for match in pattern.finditer(line)
    )
    parts: list[tuple[str, str | None]] = []
    end = 0
    for start, stop, style in spans:
        if start >= end:
            parts += [(line[end:start], None), (line[start:stop], style)]
            end = stop
    return [part for part in (*parts, (line[end:], None)) if part[0]]


def summary_lines(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    """A legend of the marks that occur in the table, the notes, and one sentence about the whole."""
    notes = [f"{verdict.task}: {note}" for verdict in verdicts for note in verdict.notes]
    extra = [*notes, *_retries(run), *_recorded(run)]
    return [*_legend(verdicts), *extra, _sentence(run, verdicts), *_savings(run)]


def _row(verdict: Verdict, ladder: Sequence[str]) -> list[str]:
    bounded = verdict.confidence is not None
    cells = [_cell(verdict.standing[rung], smallest=rung == verdict.smallest, bounded=bounded) for rung in ladder]
    word = _CAPITALS.get(verdict.verdict, verdict.verdict)
    return [verdict.task, *cells, verdict.smallest or "-", verdict.chosen or "-", word]


def _cell(standing: Standing, *, smallest: bool, bounded: bool) -> str:
    """`38/40* [85,99]`: passed of trials, and the bounds of the rate in percent where a confidence was asked for.

    A tilde marks a rung that was settled early, a star the smallest that passes, a question mark one that is undecided.
    """
    if standing.state == "not_run":
        return "-"
    if standing.trials == 0:
        return "?"
    early = "~" if standing.given_up else ""
    mark = "*" if smallest else "?" if standing.state == "undecided" else ""
    counts = f"{standing.passed}/{standing.trials}{early}{mark}"
    if not bounded or standing.low is None or standing.high is None:
        return counts
    return f"{counts} [{100 * standing.low:.0f},{100 * standing.high:.0f}]"


def _legend(verdicts: Sequence[Verdict]) -> list[str]:
    standings = [standing for verdict in verdicts for standing in verdict.standing.values()]
    states = {standing.state for standing in standings}
    levels = sorted({verdict.confidence for verdict in verdicts if verdict.confidence is not None})
    parts = [
        *(["* smallest that passes"] if any(verdict.smallest for verdict in verdicts) else []),
        *(["? undecided"] if "undecided" in states else []),
        *(["~ settled early"] if any(standing.given_up for standing in standings) else []),
        *(["- not run"] if "not_run" in states else []),
        *(f"[,] bounds of the pass rate in %, each sure at {level:g}" for level in levels),
    ]
    return [f"({', '.join(parts)})"] if parts else []


def _sentence(run: Run, verdicts: Sequence[Verdict]) -> str:
    tasks = f"{len(verdicts)} task{'s' if len(verdicts) != 1 else ''}"
    counts = [(name, sum(verdict.verdict == name for verdict in verdicts)) for name in _CAPITALS]
    others = [f"{count} {name}" for name, count in counts if count]
    right = sum(verdict.verdict == "right-sized" for verdict in verdicts)
    verdict_text = ", ".join([*([f"{right} right-sized"] if right else []), *others])
    return f"rightsize: of {tasks}, {verdict_text or 'no chosen model to compare with'}; {effort(run)}"


def _savings(run: Run) -> list[str]:
    """What was saved against the full ladder; an amount that cannot be estimated is named, not left out."""
    if run.strategy == "full" or run.interrupted:
        return []
    tokens, joules = saved(run, tokens_of), saved(run, joules_of)
    parts = [
        *(f"{amount:,.0f} tokens" for amount in tokens.amounts.values()),
        *(f"{amount:,.3g} J ({kind})" for kind, amount in sorted(joules.amounts.items())),
    ]
    # Energy is often not metered, which is no news; tokens are expected to be known.
    unknown = [f"{count:,} trial{'s' * (count != 1)} on {rung}" for rung, count in tokens.unknown.items()]
    known = [f"saved about {' and '.join(parts)} against the full ladder"] if parts else []
    missing = [f"what {' and '.join(unknown)} would have taken is not known"] if unknown else []
    clauses = [*known, *(missing if known or tokens_spent(run.trials) is not None else [])]
    return [f"rightsize: {'; '.join(clauses)}"] if clauses else []


def _retries(run: Run) -> list[str]:
    """The number of requests that were sent again, for each rung that had any."""
    retries: Counter[str] = Counter()
    for trial in run.trials:
        retries[trial.key.rung] += sum(answer.retries for answer in trial.answers)
    return [
        f"{rung}: {count:,} retries before its answers came; their waiting is in no figure"
        for rung, count in retries.items()
        if count
    ]


def _recorded(run: Run) -> list[str]:
    """The number of answers that were recorded before."""
    cached = [answer.cached for trial in run.trials for answer in trial.answers]
    count = sum(cached)
    return [f"{count:,} of {len(cached):,} answers were recorded before, and took nothing now"] if count else []


def gate_lines(failed: Iterable[tuple[str, Verdict]], run: Run) -> list[str]:
    """For each failed gate one line that says what to change, and where."""
    return [
        f"gate {gate}: {verdict.task}: {failure(gate, verdict)}{_place(gate, verdict, run)}" for gate, verdict in failed
    ]


def _place(gate: str, verdict: Verdict, run: Run) -> str:
    """The place to change, in brackets; not for a regression, whose text names the line of the baseline itself."""
    place = None if gate == "regressed" else place_to_change(run, verdict)
    return f" ({place})" if place else ""


def waiver_lines(states: Iterable[WaiverState], unmet: Iterable[tuple[str, Waiver]] = ()) -> list[str]:
    """Every waiver, whether used, not needed or over; `unmet` are those of tasks that no test has, perhaps misspelt."""
    return [_waiver_line(state) for state in states] + [
        f"waiver of no test here, until {waiver.until}: gate {waiver.gate}: {task}: {waiver.reason}"
        for task, waiver in unmet
    ]


def _waiver_line(state: WaiverState) -> str:
    waiver = state.waiver
    if not state.honoured:
        return f"waiver over since {waiver.until}: gate {waiver.gate}: {state.task}: {waiver.reason}"
    unused = "" if state.needed else " (not needed now)"
    return f"waived until {waiver.until}: gate {waiver.gate}: {state.task}: {waiver.reason}{unused}"


def wrapped(line: str, width: int | None) -> list[str]:
    """A sentence in lines of the terminal's width, broken between words; elsewhere it stays one line."""
    if width is None or len(line) < width or line.startswith("::"):
        return [line]
    return textwrap.wrap(line, width - 1, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
