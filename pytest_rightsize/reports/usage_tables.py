"""Usage of a session and the conclusions from it, as lines of text for its end: a table, joules' origins, savings."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from tabulate import tabulate

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.conclusions import Conclusion
from pytest_rightsize.judging.usage import RunUsage, Usage
from pytest_rightsize.reports.saving_words import saving_words, shown_savings
from pytest_rightsize.reports.units import count, percent
from pytest_rightsize.statistics.estimates import Interval

__all__ = ["usage_lines"]

_LEAST: Mapping[str, tuple[str, str]] = {
    "energy": ("least energy", "J"),
    "cost": ("least cost", "USD"),
    "latency": ("fastest", "s"),
    "completion_tokens": ("fewest completion tokens", "tokens"),
}
# Columns that are left out where the terminal is narrow, the least needed first.
_DISPENSABLE = ("J/token", "prompt", "reasoning", "USD/passed", "completion", "J/passed", "rate", "s/case")
_NEEDED = ("J/case",)


def usage_lines(
    run_usage: RunUsage,
    conclusions: Sequence[Conclusion],
    *,
    intervals: Mapping[tuple[str, str], Interval] | None = None,
    partial: Collection[tuple[str, str]] = (),
    corrected: Mapping[tuple[str, str], float] | None = None,
    width: int | None = None,
    note: str | None = None,
) -> list[str]:
    """A table of the usage of each task on each rung, the origins of its joules, a `note` on them, and the conclusions.

    There is no table where no tokens, joules, seconds or money are known: it would hold nothing but question marks.
    `intervals` are those of the pass rates by task and rung, `partial` those that have none as they were stopped,
    `corrected` the rates that are no share of the cases, as a judge's errors are corrected.
    Where the table is wider than `width`, columns are left out.
    """
    usages = list(run_usage.by_task_rung.values())
    conclusion_lines = [line for conclusion in conclusions for line in _conclusion_lines(conclusion)]
    if not any(map(_is_known, usages)):
        return conclusion_lines
    keys = [(usage.task or "", usage.rung or "") for usage in usages]
    rows = [
        _row(usage, (intervals or {}).get(key), is_partial=key in partial, corrected=(corrected or {}).get(key))
        for usage, key in zip(usages, keys, strict=True)
    ]
    unknown = [name for name in rows[0] if name in _DISPENSABLE + _NEEDED and all(row.get(name) == "?" for row in rows)]
    rows = [{name: cell for name, cell in row.items() if name not in unknown} for row in _grouped(rows)]
    table, left_out = _table(rows, width)
    return [
        "",
        *table,
        *_legend(rows, unknown, intervals, partial, left_out=left_out),
        *_doubts(usages),
        *_origins(usages),
        *([note] if note else []),
        *conclusion_lines,
    ]


def _is_known(usage: Usage) -> bool:
    amounts = (usage.prompt, usage.completion, usage.cost_usd, usage.seconds)
    return bool(usage.energies) or any(amount.known for amount in amounts)


def _grouped(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with each task named once, at its first rung."""
    before = [None, *(row["task"] for row in rows)]
    return [row | {"task": "" if row["task"] == last else row["task"]} for row, last in zip(rows, before, strict=False)]


def _table(rows: Sequence[dict[str, str]], width: int | None) -> tuple[list[str], list[str]]:
    """The rows under their headers without the columns that do not fit, and the names of those."""
    dispensable = [name for name in _DISPENSABLE if name in rows[0]]
    if not {*_NEEDED} & rows[0].keys() and "completion" in dispensable:
        # Without it there may be nothing that the rungs took.
        dispensable = [*(name for name in dispensable if name != "completion"), "completion"]
    left_out: list[str] = []
    while True:
        lines = tabulate(rows, headers="keys", tablefmt="plain", disable_numparse=True).splitlines()
        if width is None or not dispensable or max(map(len, lines)) <= width:
            return lines, left_out
        left_out.append(dispensable.pop(0))
        rows = [{name: cell for name, cell in row.items() if name not in left_out} for row in rows]


def _legend(
    rows: Sequence[dict[str, str]],
    unknown: Sequence[str],
    intervals: Mapping[tuple[str, str], Interval] | None,
    partial: Collection[tuple[str, str]],
    *,
    left_out: Sequence[str] = (),
) -> list[str]:
    """The meaning of the marks in the table, and the columns it lacks: no value is known, or the terminal is narrow."""
    two_sided = [interval for interval in (intervals or {}).values() if not interval.one_sided]
    cells = {cell for row in rows for cell in row.values()}
    tokens = [name for name in ("prompt", "completion") if name in rows[0] and name not in left_out]
    has_partial = any(row.get("rate", "").startswith("[") for row in rows) and bool(partial)
    parts = [
        *([f"rate [,] pass rate with its {100 * two_sided[0].confidence:g} % interval"] if two_sided else []),
        *(["[,] alone: bounds of a rate that is not known, as the rung was stopped early"] if has_partial else []),
        *([f"{' and '.join(tokens)} in tokens a case"] if tokens else []),
        *(["? not known"] if "?" in cells else []),
        *(["- no case passed"] if "-" in cells else []),
        *([f"not measured: {' '.join(unknown)}"] if unknown else []),
        *([f"left out, as the terminal is narrow: {' '.join(left_out)}"] if left_out else []),
    ]
    return [f"({', '.join(parts)})"] if parts else []


def _row(usage: Usage, interval: Interval | None, *, is_partial: bool, corrected: float | None) -> dict[str, str]:
    share = usage.reasoning_share
    seen = usage.passed / usage.judged if usage.judged else 0.0
    shown = _rate(seen if corrected is None else corrected, interval)
    rate = {} if interval is None else {"rate": _bounds(interval) if is_partial else shown}
    return {
        "task": usage.task or "",
        "rung": usage.rung or "",
        **rate,
        "J/case": _joules(usage, usage.energy_per_case),
        "J/passed": _joules(usage, usage.energy_per_pass),
        # No figure where no token is counted: that is not known, and says nothing of what passed.
        "J/token": "?" if usage.completion.complete is None else _joules(usage, usage.energy_per_output_token),
        "prompt": _count(usage.per_case(usage.prompt)),
        "completion": _count(usage.per_case(usage.completion)),
        "reasoning": "?" if share is None else f"{100 * share:.0f} %",
        "s/case": _figure(usage.per_case(usage.seconds)),
        "USD/passed": _usd(usage),
    }


def _rate(rate: float, interval: Interval | None) -> str:
    """`95 % [83,99]`."""
    return "" if interval is None else f"{percent(rate)} {_bounds(interval)}"


def _bounds(interval: Interval) -> str:
    """`[83,99]`, in percent."""
    return f"[{100 * interval.low:.0f},{100 * interval.high:.0f}]"


def _joules(usage: Usage, energy: Energy | None) -> str:
    """The figure; `mixed` where joules are of several kinds, `?` where they are not known of every answer."""
    if energy is not None and energy.joules is not None:
        return f"{energy.joules:.3g}"
    if usage.energy_unknown:
        return "?"
    return "mixed" if len({subtotal.kind for subtotal in usage.energies}) > 1 else "-"


def _usd(usage: Usage) -> str:
    """The cost of a passed case; a dash where none passed and the cost is known, as there is no such figure then."""
    cost = usage.cost_usd.complete
    return "-" if cost is not None and not usage.passed else _figure(usage.per_pass(usage.cost_usd))


def _count(tokens: float | None) -> str:
    return count(tokens) or "?"


def _figure(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def _origins(usages: Iterable[Usage]) -> list[str]:
    """The origins of the table's joules: kinds that may not be added up or compared have a line each."""
    rungs_by_origin: dict[str, list[str]] = {}
    lines = []
    for usage in usages:
        for subtotal in usage.energies:
            origin = f"{subtotal.kind}{', replayed' if subtotal.replayed else ''}"
            rungs_by_origin.setdefault(origin, []).append(usage.rung or "")
        if usage.energies and (usage.energy_unknown or len({subtotal.kind for subtotal in usage.energies}) > 1):
            parts = [f"{usage.energy_unknown} of {usage.answers} unknown"] if usage.energy_unknown else []
            parts += [f"{sub.energy.joules:.3g} J of {sub.answers} ({sub.kind})" for sub in usage.energies]
            lines.append(f"{usage.task} on {usage.rung}: {'; '.join(parts)}")
    origins = sorted(rungs_by_origin.items())
    return [f"J: {origin} ({', '.join(dict.fromkeys(rungs))})" for origin, rungs in origins] + lines


def _doubts(usages: Iterable[Usage]) -> list[str]:
    """Why a count of reasoning tokens is not known or not quite right, once for each rung."""
    rungs = list(usages)
    why = {usage.rung: usage.reasoning_doubt for usage in rungs if usage.reasoning_doubt}
    unsound: Counter[str] = Counter()
    for usage in rungs:
        unsound[usage.rung or ""] += usage.impossible
    return [f"reasoning of {rung} is not known: {doubt}" for rung, doubt in why.items()] + [
        f"reasoning of {rung}: {number:,} of its answers report more reasoning than completion tokens"
        for rung, number in unsound.items()
        if number and rung not in why
    ]


def _leaders(conclusion: Conclusion) -> list[str]:
    """The rungs that take least, where more than one that passes could be compared."""
    parts = []
    for leader in conclusion.leaders:
        if leader.rung is None or leader.per_pass is None or len(leader.compared) < 2:
            continue
        tied = f", tied with {', '.join(leader.tied)}" if leader.tied else ""
        absent = f"; {', '.join(leader.left_out)} not compared" if leader.left_out else ""
        word, unit = _LEAST[leader.quantity]
        parts.append(f"{word} {leader.rung} ({leader.per_pass:.3g} {unit} a passed case{tied}{absent})")
    smallest = f"smallest {conclusion.smallest}, " if conclusion.smallest else ""
    return [f"of those that pass: {smallest}{', '.join(parts)}"] if parts else []


def _conclusion_lines(conclusion: Conclusion) -> list[str]:
    lines = [*_leaders(conclusion), *(str(economy) for economy in conclusion.false_economies)]
    lines += [saving_words(saving) for saving in shown_savings(conclusion)]
    if conclusion.objective != "size":
        reason = f" ({conclusion.why})" if conclusion.why else ""
        lines.append(f"recommended by {conclusion.objective}: {conclusion.recommended or 'none'}{reason}")
    if conclusion.no_savings is not None:
        lines.append(conclusion.no_savings)
    return [f"{conclusion.task}: {line}" for line in lines]
