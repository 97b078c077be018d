"""What the answers took, and what follows from it, as lines of text for the end of a session."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from pytest_rightsize.conclusions import Conclusion
from pytest_rightsize.energy import Energy
from pytest_rightsize.spending import Spending, Spent

__all__ = ["spending_lines"]


def spending_lines(spending: Spending, conclusions: Sequence[Conclusion], *, note: str | None = None) -> list[str]:
    """A table of what each task took on each rung, its joules' origins, a `note` on them, and what to make of it.

    Empty where nobody knows any joules, seconds or money: a table of question marks helps nobody.
    """
    spent = list(spending.by_task_rung.values())
    told = [line for conclusion in conclusions for line in _told(conclusion)]
    if not any(one.energies or one.cost_usd.known or one.seconds.known for one in spent):
        return told
    headers = ["task", "rung", "J/case", "J/passed", "J/token", "tokens", "reasoning", "s/case", "USD/passed"]
    rows = [_row(one) for one in spent]
    return [
        *tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines(),
        *_origins(spent),
        *([note] if note else []),
        *told,
    ]


def _row(spent: Spent) -> list[str]:
    tokens = spent.tokens
    share = spent.reasoning_share
    return [
        spent.task or "",
        spent.rung or "",
        _joules(spent, spent.energy_per_case),
        _joules(spent, spent.energy_per_pass),
        _joules(spent, spent.energy_per_output_token),
        "?" if tokens is None else f"{tokens:,.0f}",
        "?" if share is None else f"{100 * share:.0f} %",
        _figure(spent.per_case(spent.seconds)),
        _figure(spent.per_pass(spent.cost_usd)),
    ]


def _joules(spent: Spent, energy: Energy | None) -> str:
    """The figure; `mixed` where it is known in several ways, `?` where it is not known of every answer."""
    if energy is not None and energy.joules is not None:
        return f"{energy.joules:.3g}"
    if spent.energy_unknown:
        return "?"
    return "mixed" if len({subtotal.kind for subtotal in spent.energies}) > 1 else "-"


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
        if one.energy_unknown and one.energies:
            parts = "; ".join(f"{sub.energy.joules:.3g} J of {sub.answers} ({sub.kind})" for sub in one.energies)
            lines.append(f"{one.task} on {one.rung}: {one.energy_unknown} of {one.answers} unknown; {parts}")
    return [f"J: {words} ({', '.join(dict.fromkeys(names))})" for words, names in sorted(rungs.items())] + lines


def _told(conclusion: Conclusion) -> list[str]:
    lines = [str(found) for found in conclusion.false_economies]
    lines += [str(saving) for saving in conclusion.savings if saving.quantity != "tokens"]
    if conclusion.objective != "size":
        why = f" ({conclusion.why})" if conclusion.why else ""
        lines.append(f"recommended by {conclusion.objective}: {conclusion.recommended or 'none'}{why}")
    if conclusion.no_savings is not None:
        lines.append(conclusion.no_savings)
    return [f"{conclusion.task}: {line}" for line in lines]
