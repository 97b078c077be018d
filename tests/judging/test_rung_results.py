"""Trials counted by rung: what counts, what may still turn out either way, and what a judge's errors change."""

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.judgement_records import Criterion, Judgement
from pytest_rightsize.judging.rung_results import RungResults, results_by_rung
from pytest_rightsize.records import Outcome, Run, Trial, TrialKey
from pytest_rightsize.statistics import Correction

POLITE = Criterion(question="judged", rubric="It is polite.", template="0f", at_least=4)
SHARP = Calibration(judge="a1", by="big", criterion=POLITE, good=50, good_passed=46, bad=50, bad_passed=3)
GUESSING = Calibration(judge="a1", by="big", criterion=POLITE, good=50, good_passed=25, bad=50, bad_passed=25)


def trial(case: str, outcome: Outcome, reason: str | None = None, *, rung: str = "r", **more: Any) -> Trial:
    return Trial(key=TrialKey(task="t", case=case, rung=rung), outcome=outcome, reason=reason, **more)


def judged(case: str, *, passed: bool, rung: str = "r") -> Trial:
    judgement = Judgement(by="big", judge="a1", criterion=POLITE, passed=passed)
    return trial(case, "passed" if passed else "failed", rung=rung, judgements=(judgement,))


def counted(*trials: Trial) -> RungResults:
    results = RungResults()
    for each in trials:
        results.add(each)
    return results


def by_rung(*trials: Trial, calibrations: Sequence[Calibration] = ()) -> dict[str, RungResults]:
    return results_by_rung(trials, Run(rungs=[], trials=trials, calibrations=calibrations))


def test_nothing_counted_is_nothing_known() -> None:
    empty = counted()
    assert (empty.faults, empty.broken, empty.excused) == (0, 0, 0)
    assert (empty.cases, empty.unknown, empty.idle_reason, empty.correction, empty.chance) == ({}, {}, None, None, None)


def test_two_rungs_do_not_share_their_counts() -> None:
    found = by_rung(trial("a", "passed", rung="x"), trial("a", "failed", rung="y"), trial("b", "error", rung="y"))
    assert (found["x"].cases, found["y"].cases) == ({"a": [True]}, {"a": [False]})
    assert (found["x"].faults, found["y"].faults) == (0, 1)


def test_each_case_keeps_its_samples_in_their_order() -> None:
    found = counted(trial("a", "passed"), trial("b", "failed"), trial("a", "failed"))
    assert (found.cases, found.names) == ({"a": [True, False], "b": [False]}, {"a", "b"})


def test_what_may_turn_out_either_way_is_what_was_given_up_and_what_had_no_answer() -> None:
    found = counted(
        *[trial("a", "not_run", "settled")] * 2,
        *[trial("a", "error", "transport")] * 3,
        trial("b", "error", "test"),
        trial("c", "not_run", "budget"),
        trial("d", "passed"),
    )
    assert found.unknown == {"a": 5, "b": 1}
    assert (found.given_up, found.unanswered, found.faults) == ({"a": 2}, {"a": 3, "b": 1}, 4)
    assert found.names == {"a", "b", "c", "d"}


def test_a_test_that_broke_by_itself_is_no_fault_of_the_rung() -> None:
    found = counted(trial("a", "error", "transport"), trial("b", "error", "test"), trial("c", "error", "unasked"))
    assert (found.faults, found.broken) == (3, 2)


@pytest.mark.parametrize("reason", ["skipped", "xfail"])
def test_a_test_that_skips_leaves_the_plan(reason: str) -> None:
    found = counted(trial("a", "not_run", reason), trial("b", "not_run", reason), trial("c", "not_run", "settled"))
    assert (found.excused, found.left_out) == (2, {"a", "b"})
    assert (found.given_up, found.faults, found.cases) == ({"c": 1}, 0, {})


def test_the_first_reason_for_not_running_is_kept() -> None:
    assert counted(trial("a", "not_run", "budget"), trial("b", "not_run", "settled")).idle_reason == "budget"
    assert counted(trial("a", "not_run"), trial("b", "not_run", "settled")).idle_reason == "not said"
    assert counted(trial("a", "failed", "wrong")).idle_reason is None


# --- why some have no answer ------------------------------------------------------------------------------------------

DOWN, BROKEN, PASSED = trial("a", "error", "transport"), trial("b", "error", "test"), trial("c", "passed")


@pytest.mark.parametrize(
    ("trials", "planned", "why"),
    [
        ([DOWN, BROKEN], 2, "down"),
        ([BROKEN, BROKEN], 2, "broken"),
        ([PASSED, BROKEN], 4, "the test itself broke in 1 of 4 trials"),
        ([PASSED, DOWN, DOWN, BROKEN], 4, "3 of 4 trials had no answer"),
        ([PASSED, DOWN, BROKEN], 4, "only 1 of 4 trials had an answer"),
        # More than was planned, as of a run that was merged: all that there is counts.
        ([PASSED, PASSED, PASSED, DOWN, DOWN, BROKEN], 1, "3 of 6 trials had no answer"),
    ],
)
def test_trials_without_an_answer_have_a_reason(trials: list[Trial], planned: int, why: str) -> None:
    assert counted(*trials).why_unanswered(planned) == why


# --- a judge that was calibrated --------------------------------------------------------------------------------------


def test_rates_of_a_calibrated_judge_are_corrected_on_each_rung_that_it_judged() -> None:
    found = by_rung(
        judged("a", passed=True, rung="x"),
        judged("b", passed=False, rung="x"),
        trial("c", "failed", "format", rung="x"),
        judged("a", passed=True, rung="y"),
        trial("a", "passed", rung="z"),
        calibrations=[SHARP],
    )
    labels = {"good": 50, "good_passed": 46, "bad": 50, "bad_passed": 3}
    assert found["x"].correction == Correction(**labels, unjudged_passed=0, unjudged_failed=1)
    assert found["y"].correction == Correction(**labels, unjudged_passed=0, unjudged_failed=0)
    assert found["z"].correction is None
    assert {results.chance for results in found.values()} == {None}


def test_a_judge_no_better_than_chance_decides_nothing_on_the_rungs_that_it_judged() -> None:
    found = by_rung(judged("a", passed=True, rung="x"), trial("a", "passed", rung="y"), calibrations=[GUESSING])
    assert found["x"].chance == "the judge big is not shown to be better than chance"
    assert (found["y"].chance, found["x"].correction) == (None, None)


def test_a_judge_without_a_calibration_changes_no_count() -> None:
    found = by_rung(judged("a", passed=True))
    assert (found["r"].correction, found["r"].chance, found["r"].cases) == (None, None, {"a": [True]})


def test_trials_that_no_judge_decided_are_left_as_they_are() -> None:
    found = by_rung(trial("a", "passed"), trial("b", "error", "transport"), calibrations=[GUESSING])
    assert (found["r"].correction, found["r"].chance) == (None, None)
