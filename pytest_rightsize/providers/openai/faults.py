"""The kinds of fault an endpoint may have, and what follows from each; pure.

A kind is decided in `outcomes.py`. Here stands what is done about it.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from pytest_rightsize.portable import Portable

__all__ = ["OWN", "TREATMENTS", "AnswerFaultError", "Fault", "Infrastructure", "Kind", "Treatment"]

# The model's or the prompt's own doing: the trial fails.
Own = Literal["format", "refusal", "too_long", "truncated"]
OWN: frozenset[str] = frozenset(get_args(Own))
# Faults of the infrastructure: the trial is an error, whatever the model would have said.
Infrastructure = Literal[
    "auth",
    "closed",
    "credit",
    "crowded",
    "forbidden",
    "loading",
    "missing",
    "rate_limit",
    "redirect",
    "request",
    "server",
    "stale",
    "timeout",
    "too_large",
    "unreachable",
    "unreadable",
    "untrusted",
]
Kind = Own | Infrastructure


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What follows from a fault of one kind.

    `reason` is the word in the results file. `retry` is `never`, `counted` (against `retries`), `timed` (as long as
    `patience_s` allows) or `at_once`. A `suspect` fault may be true of every request, which a plain one decides.
    """

    reason: str
    retry: Literal["never", "counted", "timed", "at_once"] = "never"
    slows_down: bool = False
    suspect: Literal["no", "at_once", "in_a_row"] = "no"


TREATMENTS: dict[str, Treatment] = {
    "format": Treatment(reason="format"),
    "refusal": Treatment(reason="refusal"),
    "too_long": Treatment(reason="too_long"),
    "truncated": Treatment(reason="truncated"),
    "auth": Treatment(reason="auth", suspect="at_once"),
    "closed": Treatment(reason="transport"),
    "credit": Treatment(reason="credit", suspect="at_once"),
    "crowded": Treatment(reason="server", retry="timed", slows_down=True),
    "forbidden": Treatment(reason="auth", suspect="at_once"),
    "loading": Treatment(reason="server", retry="timed"),
    "missing": Treatment(reason="missing", suspect="at_once"),
    "rate_limit": Treatment(reason="rate_limit", retry="timed", slows_down=True),
    "redirect": Treatment(reason="request", suspect="at_once"),
    "request": Treatment(reason="request"),
    "server": Treatment(reason="server", retry="counted", suspect="in_a_row"),
    "stale": Treatment(reason="transport", retry="at_once", suspect="in_a_row"),
    "timeout": Treatment(reason="timeout", retry="counted", suspect="in_a_row"),
    "too_large": Treatment(reason="too_large"),
    "unreachable": Treatment(reason="transport", retry="counted", suspect="in_a_row"),
    "unreadable": Treatment(reason="bad_reply", retry="counted", suspect="in_a_row"),
    "untrusted": Treatment(reason="transport", suspect="in_a_row"),
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why there is no answer: its kind, the endpoint's own words, and the status (0 where there is none).

    `wait_s` is how long the body asks to wait; None where it does not.
    """

    kind: Kind
    words: str
    status: int = 0
    wait_s: float | None = None


class AnswerFaultError(Portable, ValueError):
    """An answer of status 200 that is a fault, or that a fault has cut off."""

    def __init__(self, fault: Fault) -> None:
        """Keep the fault."""
        super().__init__(fault.words)
        self.fault = fault
