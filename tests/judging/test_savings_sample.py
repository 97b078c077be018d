"""How many cases a sample for savings wants, and that no verdict counts one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.judging.baseline import Baseline, with_regressions
from pytest_rightsize.judging.savings_sample import cases_wanted, costs_nothing
from pytest_rightsize.judging.usage import usage_of
from pytest_rightsize.judging.verdict import claimed_standings, judge
from pytest_rightsize.records import AnswerRecord, Policy, Price, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.facts import intervals
from pytest_rightsize.results.lockfile import lock_of
from pytest_rightsize.running.schedule import EarlyProgress, Progress


def cases(amounts: Sequence[int | None]) -> Mapping[str, Sequence[Trial]]:
    return {
        f"c{place}": [
            Trial(
                key=TrialKey(task="t", case=f"c{place}", rung="r"),
                outcome="passed",
                answers=(AnswerRecord(text="x", tokens=Tokens(completion=amount), seconds=float(place + 1)),),
            )
        ]
        for place, amount in enumerate(amounts)
    }


@pytest.mark.parametrize(
    ("chosen", "instead", "wanted"),
    [
        ([100] * 9, [10] * 9, 10),  # too few to say anything
        ([10] * 10, [0, 1] * 5, 1),  # nothing at all is an amount
        ([100] * 10, [10] * 10, 0),  # no spread at all
        ([1, 1000] * 5, [1] * 10, 20),  # far more, but at most twice as many at a time
        ([None] * 10, [1] * 10, 0),  # by their times, which are alike
    ],
)
def test_a_sample_grows_with_the_spread_of_what_is_saved(
    chosen: list[int | None], instead: list[int | None], wanted: int
) -> None:
    assert cases_wanted(cases(chosen), cases(instead)) == wanted


def test_enough_is_an_interval_of_a_fifth_of_what_the_chosen_rung_takes() -> None:
    """90 +- 10 of 100: of 10 cases the interval reaches about 6 either way, and of 5 times the spread 30."""
    spread = cases([90, 110] * 10)
    assert cases_wanted(spread, cases([10] * 20)) < 20
    assert cases_wanted(cases([50, 150] * 5), cases([10] * 10)) > 10


@pytest.mark.parametrize(
    ("provider", "price", "leaves", "free"),
    [
        ("openai", None, False, True),
        ("openai", None, True, False),
        ("openai", Price(prompt=0.0, completion=0.0), True, True),
        ("openai", Price(prompt=0.0, completion=1.0), False, False),
        ("openai", Price(prompt=0.0, completion=0.0, cached=0.5), True, False),
        ("replay", Price(prompt=1.0, completion=1.0), False, True),
    ],
)
def test_what_takes_no_money(provider: str, price: Price | None, leaves: bool, free: bool) -> None:
    assert costs_nothing(Rung(name="r", provider=provider, price=price), leaves_machine=leaves) is free


marks = st.sampled_from("10E-")
tables = st.lists(st.lists(marks, min_size=4, max_size=9), min_size=3, max_size=3)


def run_of(table: Sequence[Sequence[str]], policy: Policy) -> Run:
    size = max(map(len, table))
    rungs = ["small", "middle", "big"]
    trials = [
        _trial(rung, place, mark) for rung, row in zip(rungs, table, strict=True) for place, mark in enumerate(row)
    ]
    return Run(
        rungs=[Rung(name=rung, provider="replay") for rung in rungs],
        trials=trials,
        policies={"t": policy},
        planned={("t", rung): size for rung in rungs},
    )


def _trial(rung: str, place: int, mark: str) -> Trial:
    key = TrialKey(task="t", case=f"c{place}", rung=rung)
    if mark in "10":
        answer = AnswerRecord(text="x", tokens=Tokens(prompt=1, completion=place + 1))
        return Trial(key=key, outcome="passed" if mark == "1" else "failed", answers=(answer,))
    if mark == "E":
        return Trial(key=key, outcome="error", reason="transport", detail="refused")
    return Trial(key=key, outcome="not_run", reason="settled", detail="settled: small passes")


def sampled(run: Run, chosen: Sequence[bool]) -> Run:
    """Some trials that were not run, asked for savings."""
    answer = AnswerRecord(text="x", tokens=Tokens(prompt=1, completion=7), seconds=1.0)
    ended: Any = ("passed", "failed")
    trials = [
        replace(trial, sampled=ended[place % 2], answers=(answer,))
        if trial.outcome == "not_run" and chosen[place % len(chosen)]
        else trial
        for place, trial in enumerate(run.trials)
    ]
    return replace(run, trials=trials)


@given(
    table=tables,
    chosen=st.lists(st.booleans(), min_size=1, max_size=5),
    confidence=st.sampled_from([None, 0.8]),
    seed=st.sampled_from([None, 0]),
)
@settings(max_examples=60)
def test_no_verdict_counts_what_was_asked_for_savings(
    table: list[list[str]], chosen: list[bool], confidence: float | None, seed: int | None
) -> None:
    """Nor do rates, claims, a lock or a baseline; and a schedule goes on as if they had not been run."""
    policy = Policy(task="t", pass_rate=0.6, confidence=confidence, chosen="big", shuffle_seed=seed)
    plain = run_of(table, policy)
    more = sampled(plain, chosen)
    verdicts = judge(plain)
    assert judge(more) == verdicts
    assert intervals(more, verdicts) == intervals(plain, verdicts)
    claims = [claimed_standings(policy, one.trials, one)["big"][0] for one in (more, plain)]
    assert claims[0] == claims[1]
    assert usage_of(more).by_task_rung == usage_of(plain).by_task_rung
    lock = lock_of(plain, verdicts)
    assert lock_of(more, judge(more)) == lock
    baseline = Baseline(name="before", lock=lock, run=plain)
    assert with_regressions(more, judge(more), baseline) == with_regressions(plain, verdicts, baseline)
    for rung in ("small", "middle", "big"):
        reasons = []
        for run in (plain, more):
            of_rung = [trial for trial in run.trials if trial.key.rung == rung]
            planned = {trial.key.case: 1 for trial in of_rung}
            progress = (
                EarlyProgress(planned, task="t", seed=0, pass_rate=0.6, confidence=0.8)
                if policy.stops_early
                else Progress(planned, pass_rate=0.6, confidence=confidence)
            )
            for trial in of_rung:
                progress.add(trial)
            reasons.append((progress.reason_to_stop(), progress.room))
        assert reasons[0] == reasons[1]
