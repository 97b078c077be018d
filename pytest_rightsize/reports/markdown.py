"""The summary for pull requests in Markdown: headline, table, what to change and what that saves.

It is never longer than a comment may be: tasks that need a change come first, and lines that do not fit are counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pytest_rightsize.escaping import visible
from pytest_rightsize.judging.fleet import fleet
from pytest_rightsize.records import Run
from pytest_rightsize.reports import Report
from pytest_rightsize.reports.bars import bar_lines, bar_words, bars_differ
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.facts import (
    Cell,
    Facts,
    effort,
    gather,
    headline,
    place_to_change,
    remedy,
    strength_of,
    verdict_counts,
    waived,
)
from pytest_rightsize.reports.fleet_words import amount_words, provenance, told_rows
from pytest_rightsize.reports.gate_groups import gate_groups
from pytest_rightsize.reports.judge_words import judge_words
from pytest_rightsize.reports.reasons import Reasons
from pytest_rightsize.reports.rung_faults import fault_lines
from pytest_rightsize.reports.saving_words import saving_words, shown_savings
from pytest_rightsize.reports.sureness import NO_ANSWER, is_partial, note_lines, short_count, stopped_words, sure_words
from pytest_rightsize.reports.units import count, percent
from pytest_rightsize.verdict_records import Verdict

__all__ = ["MOST_CHARS", "MarkdownReport", "escaped", "pytest_rightsize_reports"]

# GitHub refuses a comment of more than 65,536 characters.
MOST_CHARS = 60_000
_MARKS = {"passes": "✅", "fails": "❌", "undecided": "❔", "not_run": "⬜"}
_URGENCY = ("under-sized", "unsolved", "undecided", "over-sized", "unchosen", "right-sized")
# Half of it for the table, the rest for the lists below it.
_TABLE_CHARS = 30_000
_LIST_CHARS = 3_900
_LONGEST_NAME = 120
# A comment, which is shown nowhere.
_MARK = "<!-- pytest-rightsize -->"


class MarkdownReport:
    """The summary as one file."""

    texts: ClassVar[str] = "single"
    own_mark: ClassVar[str] = _MARK

    def check(self) -> str | None:
        """See `Report`."""
        return None

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        """See `Report`."""
        facts = gather(run, verdicts)
        counts = ", ".join(f"{number} {word}" for word, number in verdict_counts(verdicts))
        head = f"{_MARK}\n## {escaped(headline(facts))}\n\n{counts or 'no tasks'}; {escaped(effort(run))}.\n"
        sections = [head, _table(facts), *_lists(facts), _legend(facts)]
        return "\n".join(section for section in sections if section)


def escaped(text: str, longest: int = 2_000) -> str:
    """Text from outside on one line, without effect: no markup, no mention, no link."""
    plain = visible(" ".join(text.split()))
    plain = plain if len(plain) <= longest else f"{plain[:longest]}…"
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*_[]#|~":
        plain = plain.replace(character, f"\\{character}")
    # A backslash does not stop a mention or a bare link, a comment inside it does.
    return plain.replace("@", "@<!-- -->").replace("://", ":<!-- -->//").replace("www.", "www<!-- -->.")


def _table(facts: Facts) -> str:
    rungs = [rung.name for rung in facts.run.rungs]
    names = [_name(rung) for rung in rungs]
    bars = {task: bar_words(policy) for task, policy in facts.run.policies.items()}
    has_bars = bars_differ(facts.run, facts.verdicts)
    columns = [*(["bar"] if has_bars else []), *names]
    lines = [f"| task | {' | '.join(columns)} | verdict |", f"| --- |{' ---: |' * len(columns)} --- |"]
    verdicts = sorted(facts.verdicts, key=lambda verdict: _URGENCY.index(verdict.verdict))
    rows = [_row(facts, verdict, rungs, bars if has_bars else {}) for verdict in verdicts]
    return _fitting([*lines, *rows], _TABLE_CHARS, "tasks") + "\n"


def _row(facts: Facts, verdict: Verdict, rungs: Sequence[str], bars: Mapping[str, str]) -> str:
    cells = [_cell(facts.cells[verdict.task, rung], short_count(verdict, rung)) for rung in rungs]
    cells = [*([bars.get(verdict.task, "?")] if bars else []), *cells]
    evidence = f" ({verdict.evidence})" if verdict.evidence else ""
    return f"| {_name(verdict.task)} | {' | '.join(cells)} | {verdict.verdict}{evidence} |"


def _cell(cell: Cell, count: str) -> str:
    """`✅ **38/40** chosen`: bold where it is the smallest that passes."""
    standing = cell.standing
    ratio = escaped(count.replace("@", " @ "))
    emphasised = f"**{ratio}**" if cell.smallest and ratio else ratio
    if standing.could_not_answer:
        emphasised = NO_ANSWER
    parts = [
        _MARKS["undecided" if standing.could_not_answer else standing.state],
        emphasised,
        _bounds(cell),
        "chosen" if cell.chosen else "",
    ]
    return " ".join(part for part in parts if part)


def _bounds(cell: Cell) -> str:
    """`[85,99]`, where a confidence was asked for: the verdict depends on these bounds."""
    interval = cell.interval
    decides = interval is not None and cell.confidence is not None and cell.standing.trials
    return f"[{100 * interval.low:.0f},{100 * interval.high:.0f}]" if interval is not None and decides else ""


def _lists(facts: Facts) -> Iterator[str]:
    """The lists below the table, each folded under its title."""
    urgent = sorted(facts.verdicts, key=lambda verdict: _URGENCY.index(verdict.verdict))
    changes = [
        f"- **{escaped(group.tasks)}**: {escaped(group.text)}{_place(facts, group.only) if group.only else ''}"
        for group in gate_groups((verdict.verdict, verdict) for verdict in urgent if remedy(verdict))
    ]
    changes += [
        f"- **{_name(verdict.task)}** regressed: {escaped(verdict.regressed)}"
        for verdict in facts.verdicts
        if verdict.regressed
    ]
    sure = [
        f"- {_name(verdict.task)}: {escaped(words)}"
        for verdict in facts.verdicts
        for words in (sure_words(verdict), stopped_words(verdict, without=verdict.evidence_rung))
        if words
    ]
    savings = [
        f"- {_name(task)}: {escaped(saving_words(saving))}"
        for task, conclusion in facts.conclusions.items()
        for saving in shown_savings(conclusion)[:1]
    ]
    economies = [
        f"- {_name(task)}: {escaped(str(economy))}"
        for task, conclusion in facts.conclusions.items()
        for economy in conclusion.false_economies
    ]
    notes = [
        f"- {_name(verdict.task)}: {escaped(note)}"
        for verdict in facts.verdicts
        for note in (
            *waived(facts.run, verdict.task),
            *note_lines(verdict),
            *filter(None, [judge_words(verdict)]),
            *strength_of(facts.run, verdict.task),
        )
    ]
    for title, lines in (
        ("What to change", changes),
        ("What could not answer", [f"- {escaped(line)}" for line in fault_lines(facts.run.trials)]),
        ("Why answers are too small", [*_reasons(facts.run)]),
        ("How sure that is", sure),
        ("What that saves", savings),
        ("Where the tokens go", [*_tokens(facts)]),
        ("At scale", [*_at_scale(facts)]),
        ("False economies", economies),
        ("Notes", notes),
    ):
        if lines:
            opened = " open" if title == "What to change" else ""
            fitting = _fitting(lines, _LIST_CHARS, "lines")
            yield f"<details{opened}><summary>{title}</summary>\n\n{fitting}\n\n</details>\n"


def _tokens(facts: Facts) -> Iterator[str]:
    """A table of the mean tokens of a case on each model, each kind apart; nothing where none are known."""
    usages = facts.run_usage.by_rung
    if not any(usage.completion.known for usage in usages.values()):
        return
    yield "| model | trials | prompt | completion | of it reasoning | share of reasoning |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for rung in facts.run.rungs:
        if (usage := usages.get(rung.name)) is not None:
            amounts = (usage.prompt, usage.completion, usage.reasoning)
            cells = [*(count(usage.per_case(amount)) for amount in amounts), percent(usage.reasoning_share)]
            yield f"| {_name(rung.name)} | {usage.judged:,} | {' | '.join(cell or 'not known' for cell in cells)} |"


def _at_scale(facts: Facts) -> Iterator[str]:
    """A table of what the rungs that a choice is between take for many requests; nothing where nothing is known."""
    rows = told_rows(fleet(facts.run, facts.verdicts, facts.conclusions))
    if not rows:
        return
    scales = list(dict.fromkeys(scale for row in rows for scale in row.scales))
    yield f"| task | model | {' | '.join(scales)} | known how |"
    yield f"| --- | --- |{' --- |' * len(scales)} --- |"
    for row in rows:
        cells = [
            ", ".join(escaped(amount_words(amount.times(row.scales[scale]))) for amount in row.amounts.values())
            if scale in row.scales
            else ""
            for scale in scales
        ]
        name = f"{_name(row.rung)} ({', '.join(row.roles)})"
        yield f"| {_name(row.task)} | {name} | {' | '.join(cells)} | {escaped(provenance(row))} |"


def _reasons(run: Run) -> Iterator[str]:
    """The first reasons of each task; not of one that is private, as many people may read a comment."""
    first, reasons = (Reasons([rung.name for rung in run.rungs]) for _ in range(2))
    failed = {trial.key: trial for trial in run.trials if trial.outcome == "failed"}
    for trial in failed.values():
        policy = run.policies.get(trial.key.task)
        if policy is None or not policy.private:
            first.add(trial)
    for task in run.policies:
        # Only of those that are shown are the texts read again.
        for shown in first.first(task):
            reasons.add(run.whole(failed[shown.key]))
        for reason in reasons.first(task):
            case = readable_case(reason.key.case)
            answer = "" if reason.answer is None else f" answers {_name(reason.answer)}"
            explanation = escaped(reason.explanation.replace("\n", "; "), _LONGEST_NAME)
            yield f"- {_name(task)}, {_name(case)}: **{_name(reason.key.rung)}**{answer} ({reason.word}: {explanation})"


def _place(facts: Facts, verdict: Verdict) -> str:
    place = place_to_change(facts.run, verdict)
    return f" (`{place.replace('`', '')}`)" if place else ""


def _legend(facts: Facts) -> str:
    states = {cell.standing.state for cell in facts.cells.values()}
    words = {"passes": "reaches the bar", "fails": "does not", "undecided": "undecided", "not_run": "not run"}
    marks = [f"{mark} {words[state]}" for state, mark in _MARKS.items() if state in states]
    levels = {cell.confidence for cell in facts.cells.values() if cell.interval and cell.confidence is not None}
    bounds = [f"; [,]: bounds of the pass rate in %, each sure at {level:g}" for level in sorted(levels)]
    bars = "".join(f"{escaped(line)}; " for line in bar_lines(facts.run, facts.verdicts, verbose=True))
    has_stopped = any(is_partial(cell.standing) for cell in facts.cells.values())
    stopped = "; &lt; &gt;= after: what was decided of a model that was stopped early" if has_stopped else ""
    legend = f"{bars}{', '.join(marks)}; bold: the smallest that passes{stopped}{''.join(bounds)}"
    return f"<sub>{legend}</sub>\n" if marks else ""


def _name(text: str) -> str:
    return escaped(text, _LONGEST_NAME)


def _fitting(lines: Sequence[str], max_chars: int, noun: str) -> str:
    """The lines that fit into `max_chars` characters, and how many more there are."""
    kept: list[str] = []
    left_chars = max_chars
    for line in lines:
        left_chars -= len(line) + 1
        if left_chars < 0:
            break
        kept.append(line)
    left_out = len(lines) - len(kept)
    return "\n".join([*kept, *([f"\n…and {left_out:,} more {noun}"] if left_out else [])])


def pytest_rightsize_reports() -> Mapping[str, type[Report]]:
    """The report of this file."""
    return {"markdown": MarkdownReport}
