"""Nouns of a task's strength: which wrong answers its tests were played, and how many of them passed.

Counts only; no prompt and no answer is in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pytest_rightsize.plain_data import plain_fields

__all__ = ["KINDS", "Played", "Strength", "WrongKind"]

WrongKind = Literal["other", "empty", "refusal", "truncated", "prompt"]
"""A wrong answer: that of another case, nothing, a refusal, half of the case's own answer, the case's own prompt."""
KINDS: tuple[WrongKind, ...] = get_args(WrongKind)


@dataclass(frozen=True, kw_only=True)
class Played:
    """How many wrong answers were played, and how many of them a test let pass."""

    passed: int = 0
    played: int = 0


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How many wrong answers the tests of one task let pass; they were played to the cases that passed on `rung`.

    `uncounted` starts told nothing: the test was skipped, asked no model, or failed for a reason of its own, of which
    `uncounted_because` names the first. `unmeasured` says why there are no counts although answers were played; None
    where there are.
    """

    task: str
    rung: str
    kinds: Mapping[WrongKind, Played] = field(default_factory=dict)
    uncounted: int = 0
    uncounted_because: str | None = None
    unmeasured: str | None = None

    @property
    def others(self) -> Played:
        """The answers of other cases."""
        return self.kinds.get("other", Played())

    @property
    def share(self) -> float | None:
        """The share of all wrong answers that passed, or None where none was played."""
        played = sum(kind.played for kind in self.kinds.values())
        return sum(kind.passed for kind in self.kinds.values()) / played if played else None

    def to_dict(self) -> dict[str, Any]:
        """The strength as a line of the results file."""
        return {"kind": "strength", **plain_fields(self), "share": self.share}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Strength":
        """The inverse of `to_dict`; keys and kinds that a later version added are left out."""
        values = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        counts = plain.get("kinds", {})
        kinds = {
            kind: Played(passed=counts[kind]["passed"], played=counts[kind]["played"])
            for kind in KINDS
            if kind in counts
        }
        return cls(**values | {"kinds": kinds})
