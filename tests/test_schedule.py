"""What to run next: climbing saves trials and never changes which rung is the smallest."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.records import Policy, Run, Standing, State, Strategy, Verdict
from pytest_rightsize.schedule import fallback, next_rung, reason_not_to_run, reason_to_stop
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


def search(
    table: Mapping[str, str],
    strategy: Strategy | Literal["bisect"],
    *,
    pass_rate: float = 0.75,
    confidence: float | None = None,
    curtail: bool = False,
) -> tuple[Verdict, list[str], int]:
    """The verdict, the rungs in the order asked, and how many trials that took; `table` holds each rung's outcomes."""
    blank = {rung: "-" * len(marks) for rung, marks in table.items()}
    asked: list[str] = []
    known: dict[str, str] = {}
    while True:
        run = _run({**blank, **known}, pass_rate, confidence)
        answered = [trial for trial in run.trials if trial.key.rung in asked]
        so_far = standings(run.policies["t"], answered, run)
        rung = next_rung(list(table), so_far, strategy)
        if rung is None:
            (verdict,) = judge(run)
            return verdict, asked, sum(mark != "-" for marks in known.values() for mark in marks)
        asked.append(rung)
        known[rung] = _curtail(table[rung], pass_rate, confidence) if curtail else table[rung]


def _run(outcomes: Mapping[str, str], pass_rate: float, confidence: float | None) -> Run:
    """A run in which what was not asked was curtailed, where the rung was asked at all."""
    run = make_run({"t": outcomes}, pass_rate=pass_rate, chosen="m")
    cut = {rung for rung, marks in outcomes.items() if marks.strip("-")}
    trials = [
        replace(trial, reason="curtailed") if trial.outcome == "not_run" and trial.key.rung in cut else trial
        for trial in run.trials
    ]
    policy = Policy(task="t", pass_rate=pass_rate, confidence=confidence, chosen="m")
    return replace(run, trials=trials, policies={"t": policy})


def _curtail(marks: str, pass_rate: float, confidence: float | None) -> str:
    """The outcomes up to the one that settles the rung."""
    for end in range(1, len(marks)):
        cases = {str(place): [mark == "1"] for place, mark in enumerate(marks[:end])}
        rest = {str(place): 1 for place in range(end, len(marks))}
        if reason_to_stop(cases, rest, pass_rate=pass_rate, confidence=confidence):
            return marks[:end] + "-" * (len(marks) - end)
    return marks


TABLES = (
    st.integers(1, 6)
    .flatmap(lambda cases: st.lists(st.text(alphabet="10", min_size=cases, max_size=cases), min_size=1, max_size=7))
    .map(lambda marks: dict(zip("abmdefg", marks, strict=False)))
)
FAULTY = st.lists(st.sampled_from(["1", "0", "E"]), min_size=1, max_size=7).map(
    lambda marks: dict(zip("abmdefg", marks, strict=False))
)


@given(table=TABLES | FAULTY, confidence=st.sampled_from([None, 0.6, 0.8]))
def test_every_strategy_names_the_same_smallest(table: dict[str, str], confidence: float | None) -> None:
    """Over any table of outcomes; and none asks more than `full`, or any rung twice."""
    full, all_rungs, _ = search(table, "full", confidence=confidence)
    assert sorted(all_rungs) == sorted(table)
    for strategy in ("climb", "bisect"):
        verdict, asked, _ = search(table, strategy, confidence=confidence)
        assert (verdict.smallest, verdict.verdict) == (full.smallest, full.verdict)
        assert len(asked) == len(set(asked)) <= len(table)


@given(table=TABLES, bar=st.sampled_from([0.0, 0.5, 0.75, 1.0]), confidence=st.sampled_from([None, 0.6, 0.8]))
def test_curtailment_changes_no_standing(table: dict[str, str], bar: float, confidence: float | None) -> None:
    full, _, trials = search(table, "full", pass_rate=bar, confidence=confidence)
    short, _, fewer = search(table, "full", pass_rate=bar, confidence=confidence, curtail=True)
    assert {rung: s.state for rung, s in short.standing.items()} == {rung: s.state for rung, s in full.standing.items()}
    assert (short.smallest, short.verdict) == (full.smallest, full.verdict)
    assert fewer <= trials


@pytest.mark.parametrize(
    ("passing", "asked"),
    [
        ("0000111", "dbfeca"),
        ("0001111", "dbca"),
        ("1111111", "dba"),
        ("0000000", "dfgecba"),
        ("1000111", "dbfecag"),  # a passes below d: the rest is asked as well
    ],
)
def test_bisect_halves_and_then_asks_what_it_jumped_over(passing: str, asked: str) -> None:
    _, order, _ = search(dict(zip("abcdefg", passing, strict=True)), "bisect")
    assert len(order) == len(asked)
    assert order[0] == "d"
    assert set(order) == set(asked)


def test_bisect_says_that_it_fell_back() -> None:
    known = {"s": Standing(state="passes"), "m": Standing(state="fails")}
    assert fallback(LADDER, known) == "non-monotone: s passes, m fails, so bisect fell back to full"
    assert next_rung(LADDER, known, "bisect") == "l"
    assert fallback(LADDER, {"s": Standing(state="fails"), "m": Standing(state="passes")}) is None


def test_bisect_leaves_out_rungs_that_may_not_see_the_task() -> None:
    private = {"l": Standing(state="not_run", reason="private")}
    assert next_rung(LADDER, private, "bisect") == "s"


def test_a_task_that_is_settled_stops_and_says_so() -> None:
    failed = {str(place): [False] for place in range(4)}
    rest = {str(place): 1 for place in range(4, 30)}
    reason = reason_to_stop(failed, rest, pass_rate=0.9)
    assert reason == "settled: fails whatever the remaining 26 trials bring"
    assert reason_to_stop({"0": [False]}, rest, pass_rate=0.9) is None
    assert reason_to_stop(failed, {}, pass_rate=0.9) is None
