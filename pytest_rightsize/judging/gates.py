"""Decides which gates fail a session, which ones only warn, and which ones are waived: pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pytest_rightsize.records import GateName, Policy, Waiver
from pytest_rightsize.verdict_records import Verdict

__all__ = ["GATES", "PROVISIONAL", "WaiverState", "failed_gates", "waiver_states", "warned_gates"]

# Which word trips which gate; "right-sized" and "unchosen" trip none. "regressed" stands beside a verdict.
GATES: Mapping[GateName, str] = {
    "oversized": "over-sized",
    "undersized": "under-sized",
    "unsolved": "unsolved",
    "undecided": "undecided",
    "regressed": "regressed",
}
# The name beside them that lets provisional verdicts fail the session too.
PROVISIONAL = "provisional"


@dataclass(frozen=True, kw_only=True)
class WaiverState:
    """A waiver of a task on one day: whether it is still honoured, and whether its gate would have failed."""

    task: str
    waiver: Waiver
    honoured: bool
    needed: bool


def failed_gates(
    verdicts: Iterable[Verdict], gates: Collection[str], waivers: Iterable[WaiverState] = ()
) -> list[tuple[str, Verdict]]:
    """The gates that failed, each with the verdict that failed it; a waiver that is still honoured excuses one.

    A verdict whose evidence is only provisional fails no gate, unless `gates` names `provisional` too.
    """
    return [
        (gate, verdict) for gate, verdict in _tripped(verdicts, gates, waivers) if not _only_warns(verdict, gate, gates)
    ]


def warned_gates(
    verdicts: Iterable[Verdict], gates: Collection[str], waivers: Iterable[WaiverState] = ()
) -> list[tuple[str, Verdict]]:
    """The gates that would have failed if the evidence were more than provisional, each with its verdict."""
    return [
        (gate, verdict) for gate, verdict in _tripped(verdicts, gates, waivers) if _only_warns(verdict, gate, gates)
    ]


def _only_warns(verdict: Verdict, gate: str, gates: Collection[str]) -> bool:
    """Whether a gate that was tripped fails nothing. A regression has a test of its own."""
    return gate != "regressed" and verdict.evidence == "provisional" and PROVISIONAL not in gates


def _tripped(
    verdicts: Iterable[Verdict], gates: Collection[str], waivers: Iterable[WaiverState]
) -> list[tuple[str, Verdict]]:
    """The gates that were tripped and are not waived."""
    excused = {(state.task, state.waiver.gate) for state in waivers if state.honoured}
    return [
        (gate, verdict)
        for verdict in verdicts
        for gate in GATES
        if gate in gates and _trips(verdict, gate) and (verdict.task, gate) not in excused
    ]


def waiver_states(
    policies: Mapping[str, Policy], verdicts: Iterable[Verdict], gates: Collection[str], *, today: str
) -> list[WaiverState]:
    """Every waiver of the tasks; `today` is a day as `YYYY-MM-DD`, and a waiver is honoured on its last day too."""
    return [
        WaiverState(
            task=verdict.task,
            waiver=waiver,
            honoured=today <= waiver.until,
            needed=waiver.gate in gates and _trips(verdict, waiver.gate),
        )
        for verdict in verdicts
        if verdict.task in policies
        for waiver in policies[verdict.task].waivers
    ]


def _trips(verdict: Verdict, gate: GateName) -> bool:
    return verdict.regressed is not None if gate == "regressed" else verdict.verdict == GATES[gate]
