"""Gates: what fails a session, what only warns, and what a waiver excuses."""

from dataclasses import replace

import pytest

from pytest_rightsize.judging.gates import GATES, PROVISIONAL, WaiverState, failed_gates, waiver_states, warned_gates
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Waiver
from pytest_rightsize.verdict_records import Verdict
from tests.runs import make_run

# "few" is over-sized on 4 cases, "many" on 20; nothing of "lost" passes; "fault" is undecided.
RUN = make_run(
    {
        "few": {"s": "1111", "l": "----"},
        "many": {"s": "1" * 20, "l": "-" * 20},
        "lost": {"s": "0000", "l": "0000"},
        "fault": {"s": "10E1", "l": "1111"},
    },
    chosen="l",
)


def names(tripped: list[tuple[str, Verdict]]) -> list[str]:
    return [f"{gate}: {verdict.task}" for gate, verdict in tripped]


@pytest.mark.parametrize(
    ("gates", "failed", "warned"),
    [
        (tuple(GATES), ["oversized: many", "unsolved: lost", "undecided: fault"], ["oversized: few"]),
        ((*GATES, PROVISIONAL), ["oversized: few", "oversized: many", "unsolved: lost", "undecided: fault"], []),
        (("oversized",), ["oversized: many"], ["oversized: few"]),
        (("unsolved", PROVISIONAL), ["unsolved: lost"], []),
        ((), [], []),
    ],
)
def test_a_provisional_verdict_only_warns_unless_that_is_named(
    gates: tuple[str, ...], failed: list[str], warned: list[str]
) -> None:
    verdicts = judge(RUN)
    assert names(failed_gates(verdicts, gates)) == failed
    assert names(warned_gates(verdicts, gates)) == warned


def test_a_regression_has_a_test_of_its_own() -> None:
    few = replace(judge(RUN)[0], regressed="s passes fewer cases")
    assert names(failed_gates([few], GATES)) == ["regressed: few"]
    assert names(warned_gates([few], GATES)) == ["oversized: few"]


def test_a_waiver_silences_a_warning_too() -> None:
    waiver = Waiver(gate="oversized", until="2027-01-31", reason="contract")
    run = replace(RUN, policies={**RUN.policies, "few": replace(RUN.policies["few"], waivers=(waiver,))})
    verdicts = judge(run)
    states = waiver_states(run.policies, verdicts, GATES, today="2027-01-31")
    assert states == [WaiverState(task="few", waiver=waiver, honoured=True, needed=True)]
    assert names(warned_gates(verdicts, GATES, states)) == []
    over = waiver_states(run.policies, verdicts, GATES, today="2027-02-01")
    assert names(warned_gates(verdicts, GATES, over)) == ["oversized: few"]
