"""What the answers took, and what follows from it, as lines of text for the end of a session."""

from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from pytest_rightsize.conclusions import Conclusion
from pytest_rightsize.energy import Energy
from pytest_rightsize.records import Interval
from pytest_rightsize.reports.amounts import percent
from pytest_rightsize.reports.facts import saving_words, told_savings
from pytest_rightsize.spending import Spending, Spent

__all__ = ["spending_lines"]


_LEAST: Mapping[str, tuple[str, str]] = {
    "energy": ("least energy", "J"),
    "cost": ("least cost", "USD"),
    "latency": ("fastest", "s"),
    "tokens": ("fewest tokens", "tokens"),
}
# What a narrow terminal can do without, the least needed first.
_DISPENSABLE = ("J/token", "reasoning", "USD/passed", "tokens", "J/passed", "rate", "s/case")
_NEEDED = ("J/case",)


def spending_lines(
    spending: Spending,
    conclusions: Sequence[Conclusion],
    *,
    intervals: Mapping[tuple[str, str], Interval] | None = None,
    width: int | None = None,
    note: str | None = None,
) -> list[str]:
    """A table of what each task took on each rung, its joules' origins, a `note` on them, and what to make of it.

    Empty where nobody knows any joules, seconds or money: a table of question marks helps nobody. `intervals` are those
    of the pass rates by task and rung; where the table is wider than `width`, columns are left out.
    """
    spent = list(spending.by_task_rung.values())
    told = [line for conclusion in conclusions for line in _told(conclusion)]
    if not any(one.energies or one.cost_usd.known or one.seconds.known for one in spent):
        return told
    rows = [_row(one, (intervals or {}).get((one.task or "", one.rung or ""))) for one in spent]
    unknown = [name for name in rows[0] if name in _DISPENSABLE + _NEEDED and all(row.get(name) == "?" for row in rows)]
    rows = [{name: cell for name, cell in row.items() if name not in unknown} for row in _grouped(rows)]
    return [
        "",
        *_table(rows, width),
        *_legend(rows, unknown, intervals),
        *_origins(spent),
        *([note] if note else []),
        *told,
    ]


def _grouped(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with each task named once, at its first rung."""
    before = [None, *(row["task"] for row in rows)]
    return [row | {"task": "" if row["task"] == last else row["task"]} for row, last in zip(rows, before, strict=False)]


def _table(rows: Sequence[dict[str, str]], width: int | None) -> list[str]:
    """The rows under their names, without what does not fit."""
    dispensable = [name for name in _DISPENSABLE if name in rows[0]]
    while True:
        lines = tabulate(rows, headers="keys", tablefmt="plain", disable_numparse=True).splitlines()
        if width is None or not dispensable or max(map(len, lines)) <= width:
            return lines
        left_out = dispensable.pop(0)
        rows = [{name: cell for name, cell in row.items() if name != left_out} for row in rows]


def _legend(
    rows: Sequence[dict[str, str]], unknown: Sequence[str], intervals: Mapping[tuple[str, str], Interval] | None
) -> list[str]:
    """What the marks mean that occur in the table, and which columns it lacks because nobody knows them."""
    usual = [interval for interval in (intervals or {}).values() if not interval.one_sided]
    cells = {cell for row in rows for cell in row.values()}
    parts = [
        *([f"rate [,] pass rate with its {100 * usual[0].confidence:g} % interval"] if usual else []),
        *(["? not known"] if "?" in cells else []),
        *(["- no case passed"] if "-" in cells else []),
        *([f"not known of any rung: {' '.join(unknown)}"] if unknown else []),
    ]
    return [f"({', '.join(parts)})"] if parts else []


def _row(spent: Spent, interval: Interval | None) -> dict[str, str]:
    tokens = spent.tokens
    share = spent.reasoning_share
    rate = {"rate": _rate(spent, interval)} if interval is not None else {}
    return {
        "task": spent.task or "",
        "rung": spent.rung or "",
        **rate,
        "J/case": _joules(spent, spent.energy_per_case),
        "J/passed": _joules(spent, spent.energy_per_pass),
        "J/token": _joules(spent, spent.energy_per_output_token),
        "tokens": "?" if tokens is None else f"{tokens:,.0f}",
        "reasoning": "?" if share is None else f"{100 * share:.0f} %",
        "s/case": _figure(spent.per_case(spent.seconds)),
        "USD/passed": _usd(spent),
    }


def _rate(spent: Spent, interval: Interval) -> str:
    """`95 % [83,99]`."""
    return f"{percent(spent.passed / spent.judged)} [{100 * interval.low:.0f},{100 * interval.high:.0f}]"


def _joules(spent: Spent, energy: Energy | None) -> str:
    """The figure; `mixed` where it is known in several ways, `?` where it is not known of every answer."""
    if energy is not None and energy.joules is not None:
        return f"{energy.joules:.3g}"
    if spent.energy_unknown:
        return "?"
    return "mixed" if len({subtotal.kind for subtotal in spent.energies}) > 1 else "-"


def _usd(spent: Spent) -> str:
    """What a passed case costs; where none passed that is not unknown, but not to be had."""
    cost = spent.cost_usd.complete
    return "-" if cost is not None and not spent.passed else _figure(spent.per_pass(spent.cost_usd))


def _figure(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def _origins(spent: Iterable[Spent]) -> list[str]:
    """Where the joules of the table come from: kinds that may not be added up or compared stand on their own."""
    rungs: dict[str, list[str]] = {}
    lines = []
    for one in spent:
        for subtotal in one.energies:
            words = f"{subtotal.kind}{', replayed' if subtotal.replayed else ''}"
            rungs.setdefault(words, []).append(one.rung or "")
        if one.energies and (one.energy_unknown or len({subtotal.kind for subtotal in one.energies}) > 1):
            parts = [f"{one.energy_unknown} of {one.answers} unknown"] if one.energy_unknown else []
            parts += [f"{sub.energy.joules:.3g} J of {sub.answers} ({sub.kind})" for sub in one.energies]
            lines.append(f"{one.task} on {one.rung}: {'; '.join(parts)}")
    return [f"J: {words} ({', '.join(dict.fromkeys(names))})" for words, names in sorted(rungs.items())] + lines


def _leaders(conclusion: Conclusion) -> list[str]:
    """Who takes least beside the smallest, where more than one rung that passes could be compared."""
    parts = []
    for leader in conclusion.leaders:
        if leader.rung is None or leader.per_pass is None or len(leader.compared) < 2:
            continue
        tied = f", tied with {', '.join(leader.tied)}" if leader.tied else ""
        absent = f"; {', '.join(leader.left_out)} not compared" if leader.left_out else ""
        word, unit = _LEAST[leader.quantity]
        parts.append(f"{word} {leader.rung} ({leader.per_pass:.3g} {unit} a passed case{tied}{absent})")
    return [f"of those that pass: smallest {conclusion.smallest}, {', '.join(parts)}"] if parts else []


def _told(conclusion: Conclusion) -> list[str]:
    lines = [*_leaders(conclusion), *(str(found) for found in conclusion.false_economies)]
    lines += [saving_words(saving) for saving in told_savings(conclusion)]
    if conclusion.objective != "size":
        why = f" ({conclusion.why})" if conclusion.why else ""
        lines.append(f"recommended by {conclusion.objective}: {conclusion.recommended or 'none'}{why}")
    if conclusion.no_savings is not None:
        lines.append(conclusion.no_savings)
    return [f"{conclusion.task}: {line}" for line in lines]
