"""The summary at the end of a session, as lines of text: the table, one sentence, and what to change.

The lines have no colour; `styled` says which parts of a line of the table get one on a terminal with colours.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tabulate import tabulate

from pytest_rightsize.judging.gates import WaiverState
from pytest_rightsize.judging.savings import joules_of, saved, tokens_of
from pytest_rightsize.records import Run, Waiver
from pytest_rightsize.reports.bars import bar_lines, bar_words, bars_differ
from pytest_rightsize.reports.facts import effort, failure, place_to_change, strength_of, tokens_spent
from pytest_rightsize.reports.gate_groups import gate_groups
from pytest_rightsize.reports.order_words import order_lines
from pytest_rightsize.reports.sureness import (
    NO_ANSWER,
    more_words,
    note_lines,
    short_count,
    stopped_words,
    sure_words,
)
from pytest_rightsize.verdict_records import Verdict

__all__ = [
    "TITLE",
    "gate_lines",
    "styled",
    "summary_lines",
    "table_lines",
    "waiver_lines",
    "warning_lines",
    "wrapped",
]

TITLE = "smallest model that passes each task"
_CAPITALS = {"over-sized": "OVER-SIZED", "under-sized": "UNDER-SIZED", "unsolved": "UNSOLVED", "undecided": "UNDECIDED"}
# The parts of a line of the table that get a colour; the words say the same without it.
_STYLES = (
    (re.compile(r"(?<!\S)((>=)?\d+/\d+|passes@\d+)\*|right-sized$"), "green"),
    (re.compile("OVER-SIZED$|UNDER-SIZED$|UNSOLVED$"), "red"),
    (re.compile(r"(?<!\S)(\d+/\d+|@\d+)?\?(?!\S)|(?<!\S)provisional(?!\S)|could not answer|UNDECIDED$"), "yellow"),
)

# What stands in the table for a rung that was stopped early, and what it means.
_STOPPED_LEGENDS = {
    "<": "< stopped: cannot reach so many",
    ">=": ">= stopped: reaches so many",
    "@": "@ stopped: decided after so many",
}


def table_lines(run: Run, verdicts: Sequence[Verdict], *, width: int | None = None) -> list[str]:
    """The table of verdicts; where it is wider than `width`, each task on lines of its own.

    It has a column for the bars where those differ.
    """
    ladder = [rung.name for rung in run.rungs]
    bars = {task: bar_words(policy) for task, policy in run.policies.items()} if bars_differ(run, verdicts) else {}
    rows = [_row(verdict, ladder, bars) for verdict in verdicts]
    headers = ["task", *(["bar"] if bars else []), *ladder, "smallest", "chosen", "evidence", "verdict"]
    table = tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines()
    if width is None or max(map(len, table), default=0) <= width:
        return table
    return [line for row in rows for line in _stacked(headers, row, width)]


def _stacked(headers: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """One task for a narrow terminal: the verdict, then the cells of its row, in lines that fit."""
    task, *cells, smallest, chosen, evidence, verdict = row
    yield f"{task}: {verdict}{f' ({evidence})' if evidence != '-' else ''}"
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


def summary_lines(run: Run, verdicts: Sequence[Verdict], *, verbose: bool = False) -> list[str]:
    """A legend of the table, the bars, how sure each verdict is, the notes, and one sentence about the whole.

    With `verbose` it says in any case where the bars come from.
    """
    notes = [f"{verdict.task}: {line}" for verdict in verdicts for line in _below_the_table(verdict)]
    extra = [*notes, *_strengths(run, verdicts), *_retries(run), *_recorded(run)]
    return [
        *_legend(verdicts),
        *bar_lines(run, verdicts, verbose=verbose),
        *order_lines(run),
        *extra,
        _sentence(run, verdicts),
        *_savings(run),
    ]


def _below_the_table(verdict: Verdict) -> Iterator[str]:
    """What the row of a task has no room for: how sure it is, what was decided early, and the notes."""
    if (sure := sure_words(verdict)) is not None:
        yield sure
    # The sentence before names one of them already.
    if (stopped := stopped_words(verdict, without=verdict.evidence_rung)) is not None:
        yield stopped
    yield from note_lines(verdict)


def _row(verdict: Verdict, ladder: Sequence[str], bars: Mapping[str, str]) -> list[str]:
    cells = [_cell(verdict, rung) for rung in ladder]
    word = _CAPITALS.get(verdict.verdict, verdict.verdict)
    bar = [bars.get(verdict.task, "?")] if bars else []
    return [
        *(verdict.task, *bar, *cells),
        *(verdict.smallest or "-", verdict.chosen or "-", verdict.evidence or "-", word),
    ]


def _cell(verdict: Verdict, rung: str) -> str:
    """`38/40* [85,99]`: passed of trials, and the bounds of the rate in percent where a confidence was asked for.

    Where the rung was stopped early, what was decided stands instead of a count. A star marks the smallest that passes,
    a question mark one that is undecided.
    """
    standing = verdict.standing[rung]
    if standing.could_not_answer:
        return NO_ANSWER
    if standing.state == "not_run":
        return "-"
    if standing.trials == 0:
        return "?"
    mark = "*" if rung == verdict.smallest else "?" if standing.state == "undecided" else ""
    counts = f"{short_count(verdict, rung)}{mark}"
    if verdict.confidence is None or standing.low is None or standing.high is None:
        return counts
    return f"{counts} [{100 * standing.low:.0f},{100 * standing.high:.0f}]"


def _legend(verdicts: Sequence[Verdict]) -> list[str]:
    standings = [standing for verdict in verdicts for standing in verdict.standing.values()]
    states = {standing.state for standing in standings if not standing.could_not_answer}
    levels = sorted({verdict.confidence for verdict in verdicts if verdict.confidence is not None})
    counts = [short_count(verdict, rung) for verdict in verdicts for rung in verdict.standing]
    parts = [
        *(["* smallest that passes"] if any(verdict.smallest for verdict in verdicts) else []),
        *(["? undecided"] if "undecided" in states else []),
        *(legend for mark, legend in _STOPPED_LEGENDS.items() if any(mark in count for count in counts)),
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


def _strengths(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    """How many wrong answers the tests of each task let pass, where they were played some."""
    return [f"{verdict.task}: {words}" for verdict in verdicts for words in strength_of(run, verdict.task)]


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
    return [f"{count:,} of {len(cached):,} answers came from the cache or a recording"] if count else []


def warning_lines(warned: Iterable[tuple[str, Verdict]], run: Run) -> list[str]:
    """For each gate that only warns one line: what would have failed, why it did not, and what would settle it."""
    return [
        f"warning: {verdict.task} would fail gate {gate}, but its evidence is only provisional: "
        f"{failure(gate, verdict)}{_place(gate, verdict, run)}"
        f"{f'; {more}' if (more := more_words(verdict)) else ''}"
        for gate, verdict in warned
    ]


def gate_lines(failed: Iterable[tuple[str, Verdict]], run: Run) -> list[str]:
    """For each failed gate one line that says what to change, and where; tasks that need the same share a line."""
    return [
        f"gate {group.gate}: {group.tasks}: {group.text}{_place(group.gate, group.only, run) if group.only else ''}"
        for group in gate_groups(failed)
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
