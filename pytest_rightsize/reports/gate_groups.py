"""Gates that failed; those of tasks that wait for the same rungs stand together, with one sentence for all. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_rightsize.reports.facts import failure, silent_rungs
from pytest_rightsize.verdict_records import Verdict

__all__ = ["GateGroup", "gate_groups"]

# Of tasks that need the same change so many are named.
_MOST_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class GateGroup:
    """A gate, the verdicts that tripped it for one reason, and that reason with what to change."""

    gate: str
    verdicts: Sequence[Verdict]
    text: str

    @property
    def tasks(self) -> str:
        """`route`, or `4 tasks (a, b, c, d)`; of many only the first are named."""
        names = [verdict.task for verdict in self.verdicts]
        if len(names) == 1:
            return names[0]
        more = len(names) - _MOST_NAMED
        named = f"{', '.join(names[:_MOST_NAMED])}, and {more:,} more" if more > 0 else ", ".join(names)
        return f"{len(names):,} tasks ({named})"

    @property
    def only(self) -> Verdict | None:
        """The verdict, where it is alone: only then is there one place to change."""
        return self.verdicts[0] if len(self.verdicts) == 1 else None


def gate_groups(tripped: Iterable[tuple[str, Verdict]]) -> list[GateGroup]:
    """The gates in the order in which they first occur.

    Only what no line of the project can change is said once for several tasks: that rungs could not answer.
    """
    groups: dict[tuple[str, str, str | None], list[Verdict]] = {}
    for gate, verdict in tripped:
        is_shared = gate == "undecided" and bool(silent_rungs(verdict))
        key = (gate, failure(gate, verdict), None if is_shared else verdict.task)
        groups.setdefault(key, []).append(verdict)
    return [GateGroup(gate=gate, verdicts=verdicts, text=text) for (gate, text, _), verdicts in groups.items()]
