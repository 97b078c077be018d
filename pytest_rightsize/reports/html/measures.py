"""The four measures of the page (energy, completion tokens, time, cost), and the reason why one is not known."""

from collections.abc import Mapping

from pytest_rightsize.records import Rung
from pytest_rightsize.reports.facts import Facts, per_case

__all__ = ["MEASURES", "first_measure", "judged_rungs", "why_unknown"]

# The key of a measure in the page's data: its label, and its unit.
MEASURES: Mapping[str, tuple[str, str]] = {
    "joules": ("Energy", "J"),
    "completion": ("Completion tokens", "tokens"),
    "seconds": ("Time", "s"),
    "usd": ("Cost", "USD"),
}


def why_unknown(facts: Facts, key: str) -> str | None:
    """The reason why no chart can show a measure; None if some cell has a value of it."""
    if any(per_case(cell.usage)[key] is not None for cell in facts.cells.values()):
        return None
    if key == "joules":
        mixed = any(len({part.kind for part in usage.energies}) > 1 for usage in facts.run_usage.by_rung.values())
        reasons = "; ".join(facts.run_usage.total.reasons) or "no answer came"
        return "joules of several kinds are not added up." if mixed else f"not known ({reasons})."
    reason_by_key = {
        "completion": "not known: no endpoint or tokenizer told for every answer.",
        "seconds": "not known: the recorded answers do not tell.",
        "usd": "not known: no rung of this ladder names a price for what it answered.",
    }
    return reason_by_key[key]


def first_measure(facts: Facts) -> str | None:
    """The measure that the charts open on: the one that is known of most rungs; of equals, what costs comes first."""
    known = {
        key: sum(
            cell.standing.rate is not None and per_case(cell.usage)[key] is not None for cell in facts.cells.values()
        )
        for key in ("joules", "usd", "completion", "seconds")
    }
    best = max(known, key=lambda key: known[key])
    return best if known[best] else None


def judged_rungs(facts: Facts) -> list[Rung]:
    """The rungs with a trial that passed or failed, smallest first."""
    return [rung for rung in facts.run.rungs if rung.name in facts.run_usage.by_rung]
