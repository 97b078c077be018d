"""Judging: which rung is the smallest, and what that says of the chosen one."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.judging.gates import failed_gates
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Verdict
from tests.runs import make_run


def only_verdict(outcomes: dict[str, str], chosen: str | None = None) -> Verdict:
    """The verdict on one task with the bar at three quarters."""
    (verdict,) = judge(make_run({"t": outcomes}, chosen=chosen))
    return verdict


@pytest.mark.parametrize(
    ("outcomes", "chosen", "smallest", "word"),
    [
        ({"s": "1111", "m": "----", "l": "----"}, "l", "s", "over-sized"),
        ({"s": "1100", "m": "1110", "l": "----"}, "m", "m", "right-sized"),
        ({"s": "0000", "m": "1111", "l": "1111"}, "s", "m", "under-sized"),
        ({"s": "0000", "m": "0000", "l": "0000"}, "m", None, "unsolved"),
        ({"s": "1111", "m": "----", "l": "----"}, None, "s", "unchosen"),
        ({"s": "111E", "m": "1111", "l": "1111"}, "m", None, "undecided"),
        ({"s": "EEEE", "m": "EEEE", "l": "EEEE"}, "m", None, "undecided"),
        ({"s": "0000", "m": "11E1", "l": "1111"}, "l", None, "undecided"),
        ({"s": "1111", "m": "1E11", "l": "EEEE"}, "s", "s", "right-sized"),  # what lies above cannot change it
        ({"s": "----", "m": "1111", "l": "----"}, "m", None, "undecided"),  # the smallest was never asked
        ({"s": "1111", "m": "----"}, "elsewhere", "s", "undecided"),
    ],
)
def test_verdict(outcomes: dict[str, str], chosen: str | None, smallest: str | None, word: str) -> None:
    verdict = only_verdict(outcomes, chosen)
    assert (verdict.verdict, verdict.smallest) == (word, smallest)


def test_a_larger_rung_that_fails_is_noted() -> None:
    verdict = only_verdict({"s": "1111", "m": "0000", "l": "1111"}, "s")
    assert verdict.notes == ("non-monotone: s passes, m fails",)


def test_undecided_says_which_rung_and_why() -> None:
    verdict = only_verdict({"s": "111E", "m": "1111"}, "m")
    assert verdict.notes == ("s: 1 of 4 trials had no answer",)


def test_a_chosen_rung_off_the_ladder_is_said() -> None:
    verdict = only_verdict({"s": "1111"}, "xl")
    assert verdict.notes == ("the chosen rung xl is not on this ladder: add it to --rightsize-ladder",)


def test_a_rung_that_may_not_see_a_private_task_is_left_out() -> None:
    run = make_run({"t": {"cloud": "----", "local": "1111"}}, chosen="local")
    run = replace(run, trials=[replace(t, reason="private") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert verdict.verdict == "right-sized"


def test_cases_that_the_test_skips_are_not_missed() -> None:
    run = make_run({"t": {"s": "11-1"}}, chosen="s")
    run = replace(run, trials=[replace(t, reason="skipped") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert verdict.verdict == "right-sized"
    assert verdict.standing["s"].trials == 3


@given(st.data())
def test_the_order_of_trials_does_not_matter(data: st.DataObject) -> None:
    marks = st.text(alphabet="10E-", min_size=1, max_size=5)
    outcomes = {task: {rung: data.draw(marks) for rung in ("s", "m", "l")} for task in ("a", "b")}
    run = make_run(outcomes, chosen="m")
    shuffled = list(run.trials)
    random.Random(data.draw(st.integers())).shuffle(shuffled)
    assert judge(run) == judge(replace(run, trials=shuffled))


@given(st.data())
def test_smallest_really_passes_and_nothing_below_is_open(data: st.DataObject) -> None:
    marks = st.text(alphabet="10E-", min_size=1, max_size=5)
    (verdict,) = judge(make_run({"t": {rung: data.draw(marks) for rung in ("s", "m", "l")}}, chosen="m"))
    states = [standing.state for standing in verdict.standing.values()]
    if verdict.smallest is None:
        assert verdict.verdict in ("unsolved", "undecided")
    else:
        place = list(verdict.standing).index(verdict.smallest)
        assert states[place] == "passes"
        assert set(states[:place]) <= {"fails"}


@pytest.mark.parametrize(
    ("gates", "failed"),
    [
        (["oversized", "unsolved"], ["oversized: a", "unsolved: b"]),
        (["undersized"], []),
        ([], []),
    ],
)
def test_gate(gates: list[str], failed: list[str]) -> None:
    verdicts = judge(make_run({"a": {"s": "1" * 20, "l": "-" * 20}, "b": {"s": "0000", "l": "0000"}}, chosen="l"))
    assert [f"{gate}: {verdict.task}" for gate, verdict in failed_gates(verdicts, gates)] == failed


def test_a_confidence_leaves_few_cases_undecided_and_says_what_it_needs() -> None:
    run = make_run({"t": {"s": "1" * 10}}, chosen="s")
    run = replace(run, policies={"t": replace(run.policies["t"], pass_rate=0.9, confidence=0.95)})
    (verdict,) = judge(run)
    assert verdict.verdict == "undecided"
    assert verdict.notes == ("s: needs about 19 more trials to show 0.9 at this rate",)


@pytest.mark.parametrize(("marks", "verdict"), [("00--", "under-sized"), ("11--", "undecided")])
def test_curtailed_trials_are_judged_only_where_they_change_nothing(marks: str, verdict: str) -> None:
    run = make_run({"t": {"s": marks, "m": "1111"}}, chosen="s")
    run = replace(run, trials=[replace(t, reason="settled") if t.outcome == "not_run" else t for t in run.trials])
    (found,) = judge(run)
    assert found.verdict == verdict


def test_a_rung_that_could_not_answer_is_said_in_words() -> None:
    run = make_run({"t": {"small": "--", "big": "--"}}, chosen="big")
    down = [replace(trial, reason="down", detail="no route") for trial in run.trials]
    (verdict,) = judge(replace(run, trials=down))
    assert verdict.notes == ("small: it could not answer",)
