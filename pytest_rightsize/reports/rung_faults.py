"""Faults of a session, each told once: which rung could not answer, how often, and what to do about it.

In come trials as they end; only the first message of each kind is kept. Nothing here is held against a model.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pytest_rightsize.records import Trial

__all__ = ["Faults", "fault_lines"]


@dataclass(kw_only=True)
class _Kind:
    """The faults of one kind on one rung: the message of the first, and how many there were."""

    message: str
    count: int = 0


class Faults:
    """The faults of a session's rungs."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._down: set[str] = set()

    def add(self, trial: Trial) -> None:
        """Take in a trial that has ended."""
        rung = trial.key.rung
        if trial.reason == "down":
            self._down.add(rung)
        if not trial.is_fault:
            return
        reason = trial.reason or "error"
        has_words = trial.detail is not None and not trial.detail.startswith("withheld (sha256:")
        message = trial.detail if has_words else None
        kind = self._kinds.setdefault((rung, reason), _Kind(message=message or f"rung {rung}: {reason}"))
        kind.count += 1

    def lines(self, *, told: Collection[str] = ()) -> list[str]:
        """One line for each kind of fault; what was `told` before is not said again."""
        return [
            f"{kind.message}{self._extent(rung, reason, kind.count)}"
            for (rung, reason), kind in self._kinds.items()
            if kind.message not in told
        ]

    def _extent(self, rung: str, reason: str, count: int) -> str:
        """How many answers that concerns; of a rung that was missing from the start none was asked for."""
        if reason == "missing":
            return ""
        answers = "1 answer did not come" if count == 1 else f"{count:,} answers did not come"
        return f" ({answers}{', and it was asked no more' if rung in self._down else ''})"


def fault_lines(trials: Iterable[Trial]) -> list[str]:
    """One line for each kind of fault of a whole run."""
    faults = Faults()
    for trial in trials:
        faults.add(trial)
    return faults.lines()
