"""An unsolved task whose trials all ended in one exception at one line: perhaps the test's own bug."""

import pytest

from pytest_rightsize.judging.suspicion import with_suspicion
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Outcome, Policy, Run, Rung, Trial, TrialKey
from pytest_rightsize.reports.facts import remedy
from pytest_rightsize.verdict_records import Verdict

LADDER = ("small", "large")
KEY_ERROR, OTHER_LINE = "KeyError at test_it.py:12", "KeyError at test_it.py:13"


def trial(rung: str, case: str, outcome: Outcome, raised_at: str | None = None) -> Trial:
    reason = None if outcome == "passed" else "format" if raised_at else "wrong"
    return Trial(
        key=TrialKey(task="t", case=case, rung=rung), outcome=outcome, reason=reason, raised_at=raised_at, seconds=0.1
    )


def run(*trials: Trial) -> Run:
    planned = {("t", rung): sum(trial.key.rung == rung for trial in trials) for rung in LADDER}
    rungs = [Rung(name=rung, provider="replay") for rung in LADDER]
    return Run(rungs=rungs, trials=trials, policies={"t": Policy(task="t")}, planned=planned, strategy="full")


ALIKE = [trial(rung, case, "failed", KEY_ERROR) for rung in LADDER for case in "ab"]


def test_one_exception_at_one_line_everywhere_is_suspicious_and_no_larger_rung_is_called_for() -> None:
    (verdict,) = judge(run(*ALIKE))
    assert (verdict.verdict, verdict.suspicion) == ("unsolved", KEY_ERROR)
    assert any(note.startswith(f"suspicious: every trial ended in {KEY_ERROR}") for note in verdict.notes)
    assert "larger rung" not in remedy(verdict)
    assert f"every trial ended in {KEY_ERROR}: look there for a bug of the test first" in remedy(verdict)


@pytest.mark.parametrize(
    "last",
    [
        trial("large", "b", "failed", OTHER_LINE),
        trial("large", "b", "failed"),
        trial("large", "b", "passed"),
    ],
)
def test_one_trial_that_ended_otherwise_is_enough(last: Trial) -> None:
    (verdict,) = judge(run(*ALIKE[:-1], last))
    assert (verdict.verdict, verdict.suspicion) == ("unsolved", None)
    assert "add a larger rung" in remedy(verdict)


def test_where_the_largest_rung_was_not_asked_nothing_is_said() -> None:
    (verdict,) = judge(run(*ALIKE[:2]))
    assert verdict.suspicion is None


def test_wrong_answers_alone_are_not_suspicious() -> None:
    (verdict,) = judge(run(*(trial(rung, case, "failed") for rung in LADDER for case in "ab")))
    assert (verdict.verdict, verdict.suspicion) == ("unsolved", None)


@pytest.mark.parametrize("ladder", [("small", "large"), ("large", "small"), ()])
def test_only_trials_on_the_largest_rung_rule_out_that_a_larger_one_mends_it(ladder: tuple[str, ...]) -> None:
    unsolved = Verdict(task="t", verdict="unsolved", standing={})
    for rung in ("mid", *ladder[:1]):
        assert with_suspicion(unsolved, ladder, [trial(rung, "a", "failed", KEY_ERROR)]) == unsolved
    for rung in ladder[1:]:
        assert with_suspicion(unsolved, ladder, [trial(rung, "a", "failed", KEY_ERROR)]).suspicion == KEY_ERROR


def test_nothing_is_suspicious_without_a_trial_or_where_a_rung_passes() -> None:
    solved = Verdict(task="t", verdict="right-sized", standing={})
    assert with_suspicion(solved, LADDER, ALIKE) == solved
    unsolved = Verdict(task="t", verdict="unsolved", standing={})
    assert with_suspicion(unsolved, LADDER, [trial("large", "a", "error", KEY_ERROR)]) == unsolved
