"""What to run next: climbing saves trials and never changes which rung is the smallest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.records import Standing, State
from pytest_rightsize.schedule import reason_not_to_run
from pytest_rightsize.verdict import judge, standings
from tests.runs import make_run

LADDER = ("s", "m", "l")


def reason(rung: str, **states: State) -> str | None:
    """Why climb would not run `rung` with these standings below."""
    standing = {name: Standing(state=state) for name, state in states.items()}
    return reason_not_to_run(rung, ladder=LADDER, standings=standing, strategy="climb")


def test_the_smallest_rung_always_runs() -> None:
    assert reason("s") is None


def test_a_task_that_passes_below_is_settled() -> None:
    assert reason("l", s="fails", m="passes") == "settled: m passes"


def test_a_task_that_fails_below_climbs() -> None:
    assert reason("l", s="fails", m="fails") is None


def test_above_an_undecided_rung_nothing_can_be_the_smallest() -> None:
    assert reason("m", s="undecided") == "s is undecided, so no larger rung can be called the smallest"


@pytest.mark.parametrize("rung", LADDER)
def test_full_runs_everything(rung: str) -> None:
    passing = {name: Standing(state="passes") for name in LADDER}
    assert reason_not_to_run(rung, ladder=LADDER, standings=passing, strategy="full") is None


@given(st.data())
def test_climb_and_full_name_the_same_smallest(data: st.DataObject) -> None:
    """Over any table of outcomes, non-monotone ones and faults too; and climb never asks more."""
    cases = data.draw(st.integers(1, 5))
    marks = st.text(alphabet="10E", min_size=cases, max_size=cases)
    table = {rung: data.draw(marks) for rung in LADDER}
    climbed: dict[str, str] = {}
    for rung in LADDER:
        run = make_run({"t": {**dict.fromkeys(LADDER, "-" * cases), **climbed}})
        known = standings(run.policies["t"], [t for t in run.trials if t.outcome != "not_run"], run)
        stop = reason_not_to_run(rung, ladder=LADDER, standings=known, strategy="climb")
        climbed[rung] = "-" * cases if stop else table[rung]
    (full,) = judge(make_run({"t": table}, chosen="m"))
    (climb,) = judge(make_run({"t": climbed}, chosen="m"))
    assert climb.smallest == full.smallest
    assert climb.verdict == full.verdict
