"""Skipping rungs and trials never changes which rung is the smallest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_rightsize.judging.verdict import claimed_standings, judge
from pytest_rightsize.records import Outcome, Policy, Run, State, Strategy, Trial, TrialKey
from pytest_rightsize.running.schedule import (
    EarlyProgress,
    Progress,
    falls_back,
    reason_not_to_run,
    visiting_order,
)
from pytest_rightsize.statistics import cases_in_order, stand
from pytest_rightsize.verdict_records import Standing, Verdict
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


def test_above_a_rung_whose_cases_ran_out_the_climb_goes_on() -> None:
    standing = {"s": Standing(state="undecided", is_open=True)}
    assert reason_not_to_run("m", ladder=LADDER, standings=standing, strategy="climb") is None


@pytest.mark.parametrize(("strategy", "reason"), [("climb", "settled: s passes"), ("bisect", None), ("full", None)])
def test_only_bisect_runs_all_of_a_ladder_that_is_not_monotone(strategy: Strategy, reason: str | None) -> None:
    standing = {"s": Standing(state="passes"), "m": Standing(state="fails")}
    assert reason_not_to_run("l", ladder=LADDER, standings=standing, strategy=strategy) == reason


@pytest.mark.parametrize("rung", LADDER)
def test_full_runs_everything(rung: str) -> None:
    passing = {name: Standing(state="passes") for name in LADDER}
    assert reason_not_to_run(rung, ladder=LADDER, standings=passing, strategy="full") is None


def search(
    table: Mapping[str, str],
    strategy: Strategy,
    *,
    pass_rate: float = 0.75,
    confidence: float | None = None,
    seed: int | None = None,
) -> tuple[Verdict, list[str], int]:
    """What a session does: the verdict, the rungs that were asked, and how many trials were.

    `table` holds each rung's outcomes. Every task comes to each rung once, in the strategy's order. With a `seed` it
    stops early.
    """
    ladder, known, asked = list(table), {rung: "-" * len(marks) for rung, marks in table.items()}, []
    for rung in visiting_order(ladder, strategy):
        run = _run(known, pass_rate, confidence, strategy, seed)
        found = claimed_standings(run.policies["t"], run.trials, run)
        standing = {name: own for name, (_, own) in found.items()}
        if reason_not_to_run(rung, ladder=ladder, standings=standing, strategy=strategy) is None:
            asked.append(rung)
            claims, _ = found[rung]
            rest = _curtailed if seed is None else _stopped_early
            known[rung] = table[rung] if strategy == "full" else rest(table[rung], pass_rate, confidence, claims)
    (verdict,) = judge(_run(known, pass_rate, confidence, strategy, seed))
    return verdict, asked, sum(mark != "-" for marks in known.values() for mark in marks)


def _run(
    outcomes: Mapping[str, str],
    pass_rate: float,
    confidence: float | None,
    strategy: Strategy,
    seed: int | None = None,
) -> Run:
    run = make_run({"t": outcomes}, strategy=strategy)
    policy = Policy(task="t", pass_rate=pass_rate, confidence=confidence, chosen="m", shuffle_seed=seed)
    return replace(run, policies={"t": policy})


def _curtailed(marks: str, pass_rate: float, confidence: float | None, claims: Sequence[float]) -> str:
    """The outcomes up to the one that settles the rung."""
    run = make_run({"t": {"s": marks}})
    progress = Progress(Counter(t.key.case for t in run.trials), pass_rate=pass_rate, confidence=confidence)
    progress.demand(claims)
    for count, trial in enumerate(run.trials, 1):
        progress.add(trial)
        if progress.reason_to_stop():
            return marks[:count] + "-" * (len(marks) - count)
    return marks


def _stopped_early(marks: str, pass_rate: float, confidence: float | None, claims: Sequence[float]) -> str:
    """The outcomes that were asked, in the order of the seed with two in flight, when the rung was decided."""
    assert confidence is not None
    run = make_run({"t": {"s": marks}})
    trials = {trial.key.case: trial for trial in run.trials}
    progress = EarlyProgress(dict.fromkeys(trials, 1), task="t", seed=SEED, pass_rate=pass_rate, confidence=confidence)
    progress.demand(claims)
    asked: list[str] = []
    for case in cases_in_order(trials, task="t", seed=SEED):
        asked.append(case)
        if len(asked) > 1:  # the one before is heard when this one is on its way
            progress.add(trials[asked[-2]])
        if progress.reason_to_stop():
            break
    return "".join(mark if case in asked else "-" for case, mark in zip(trials, marks, strict=True))


SEED = 7
TABLES = (
    st.integers(1, 6)
    .flatmap(lambda cases: st.lists(st.text(alphabet="10", min_size=cases, max_size=cases), min_size=1, max_size=7))
    .map(lambda marks: dict(zip("abmdefg", marks, strict=False)))
)
FAULTY = (
    st.integers(1, 6)
    .flatmap(lambda cases: st.lists(st.text(alphabet="110E", min_size=cases, max_size=cases), min_size=1, max_size=7))
    .map(lambda marks: dict(zip("abmdefg", marks, strict=False)))
)


BARS = st.sampled_from([0.0, 0.5, 0.75, 1.0])
CONFIDENCES = st.sampled_from([None, 0.6, 0.8])


@given(table=TABLES | FAULTY, bar=BARS, confidence=CONFIDENCES)
def test_every_strategy_names_the_same_smallest_and_none_asks_more_than_full(
    table: dict[str, str], bar: float, confidence: float | None
) -> None:
    """Over any table of outcomes, non-monotone ones and faults too; what is settled gives up its trials at once."""
    full, all_rungs, every = search(table, "full", pass_rate=bar, confidence=confidence)
    assert (all_rungs, every) == (list(table), sum(map(len, table.values())))
    climb, climbed, fewer = search(table, "climb", pass_rate=bar, confidence=confidence)
    bisect, bisected, some = search(table, "bisect", pass_rate=bar, confidence=confidence)
    for found in (climb, bisect):
        assert (found.smallest, found.verdict) == (full.smallest, full.verdict)
    assert fewer <= some <= every
    assert set(climbed) <= set(bisected)
    fell_back = any("bisect fell back to full" in note for note in bisect.notes)
    assert fell_back == falls_back(list(table), bisect.standing)
    if fell_back:
        assert set(bisected) == set(table)
    # What recordings complete beyond that does not make it so.
    (completed,) = judge(_run(table, bar, confidence, "bisect"))
    assert any("bisect fell back to full" in note for note in completed.notes) == fell_back


@settings(max_examples=40)  # each is six whole searches
@given(table=FAULTY, bar=BARS, confidence=CONFIDENCES, order=st.permutations(range(6)))
def test_the_smallest_rung_is_the_same_in_whatever_order_the_trials_end(
    table: dict[str, str], bar: float, confidence: float | None, order: list[int]
) -> None:
    """Other trials are given up then, and other ones have had no answer; neither may decide."""
    shuffled = {rung: "".join(marks[place] for place in order if place < len(marks)) for rung, marks in table.items()}
    strategies: tuple[Strategy, ...] = ("full", "climb", "bisect")
    found = {
        search(outcomes, strategy, pass_rate=bar, confidence=confidence)[0].smallest
        for outcomes in (table, shuffled)
        for strategy in strategies
    }
    assert len(found) == 1


@given(table=TABLES, bar=BARS, confidence=CONFIDENCES)
def test_what_was_asked_stands_as_in_full(table: dict[str, str], bar: float, confidence: float | None) -> None:
    """Giving up trials changes no state, and the bounds of what was asked hold those of all trials."""
    full, _, _ = search(table, "full", pass_rate=bar, confidence=confidence)
    climb, asked, _ = search(table, "climb", pass_rate=bar, confidence=confidence)
    for rung in asked:
        short, whole = climb.standing[rung], full.standing[rung]
        assert short.state == whole.state
        assert short.trials + short.given_up == whole.trials
        assert None not in (short.low, short.high, whole.low, whole.high)
        assert (short.low or 0.0) <= (whole.low or 0.0)
        assert (short.high or 0.0) >= (whole.high or 0.0)


@given(cases=st.lists(st.text(alphabet="10", min_size=3, max_size=3), min_size=1, max_size=5), confidence=CONFIDENCES)
def test_samples_are_given_up_only_when_nothing_can_change(cases: list[str], confidence: float | None) -> None:
    """Three samples a case: the state on stopping is that of all trials."""
    progress = Progress({str(case): 3 for case in range(len(cases))}, pass_rate=0.75, confidence=confidence)
    heard: dict[str, list[bool]] = {}
    for sample in range(3):
        for case, marks in enumerate(cases):
            heard.setdefault(str(case), []).append(marks[sample] == "1")
            key = TrialKey(task="t", case=str(case), rung="s", sample=sample)
            progress.add(Trial(key=key, outcome="passed" if marks[sample] == "1" else "failed"))
            reason = progress.reason_to_stop()
            if reason is not None:
                whole = {str(case): [mark == "1" for mark in marks] for case, marks in enumerate(cases)}
                state = stand(whole, pass_rate=0.75, planned=3 * len(cases), confidence=confidence).state
                assert reason.startswith(f"settled: {state} whatever the remaining ")
                return


@given(marks=st.text(alphabet="10e", min_size=1, max_size=8), bar=BARS, confidence=CONFIDENCES, left=st.integers(1, 4))
@example(marks="1110", bar=0.5, confidence=None, left=1)
def test_a_task_stops_as_soon_as_nothing_unknown_can_change_its_state(
    marks: str, bar: float, confidence: float | None, left: int
) -> None:
    """The trials that are left and those without an answer may all have passed, or any number of them.

    A rung that passes at its observed rate, and likely so by what settled it, goes on until it is shown whatever comes.
    """
    cases = len(marks) + left
    enough = ceil(Fraction(str(bar)) * cases)

    def passes(passed: int, failed: int, confidence: float) -> bool:
        heard = {str(place): [place < passed] for place in range(passed + failed)}
        return stand(heard, pass_rate=bar, planned=passed + failed, confidence=confidence).state == "passes"

    progress = Progress({str(case): 1 for case in range(cases)}, pass_rate=bar, confidence=confidence)
    for case, mark in enumerate(marks):
        progress.add(ended(str(case), {"1": "passed", "0": "failed", "e": "error"}[mark]))  # type: ignore[arg-type]  # outcomes
        passed, failed = marks[: case + 1].count("1"), marks[: case + 1].count("0")
        states = {
            stand(
                {str(place): [place < passed + more] for place in range(cases)},
                pass_rate=bar,
                planned=cases,
                confidence=confidence,
            ).state
            for more in range(cases - passed - failed + 1)
        }
        is_likely = passes(min(passed, enough), case + 1 - passed, 0.8) if passed + failed else False
        goes_on = confidence is None and states == {"passes"} and is_likely and not passes(passed, cases - passed, 0.95)
        assert (progress.reason_to_stop() is not None) == (passed + failed > 0 and len(states) == 1 and not goes_on)
        if len(states) == 1 and passed + failed and not goes_on:
            assert f"settled: {states.pop()} " in str(progress.reason_to_stop())
            return


@pytest.mark.parametrize(
    ("ladder", "order"), [("", ""), ("a", "a"), ("ab", "ab"), ("abc", "bac"), ("abcd", "bacd"), ("abcdefg", "dbacfeg")]
)
def test_bisect_starts_in_the_middle(ladder: str, order: str) -> None:
    assert visiting_order(ladder, "bisect") == list(order)
    assert visiting_order(ladder, "climb") == visiting_order(ladder, "full") == list(ladder)


@pytest.mark.parametrize(
    ("passing", "asked"),
    [
        ("0000111", "dbacfe"),
        ("0001111", "dbac"),
        ("1111111", "dba"),
        ("0000000", "dbacfeg"),
        ("1000111", "dbacfeg"),  # a passes below d, which fails: all are asked
    ],
)
def test_bisect_asks_every_smaller_rung_and_all_of_a_ladder_that_is_not_monotone(passing: str, asked: str) -> None:
    verdict, order, _ = search(dict(zip("abcdefg", passing, strict=True)), "bisect")
    assert order == list(asked)
    assert verdict.smallest == ("abcdefg"[passing.index("1")] if "1" in passing else None)


def test_bisect_says_that_it_fell_back() -> None:
    verdict, _, _ = search({"s": "1", "m": "0", "l": "1"}, "bisect")
    assert verdict.notes[-1] == "non-monotone: s passes, m fails, so bisect fell back to full"


@pytest.mark.parametrize(
    ("cases", "passed", "failed", "bar", "room"),
    [
        (40, 0, 0, 0.75, 11),  # eleven failures of forty settle it, so the first eleven may
        (39, 0, 0, 0.75, 10),  # thirty must pass, so ten failures settle it
        (40, 1, 0, 0.75, 39),  # one answer, and it passed: 29 more passes at three of four
        (40, 0, 5, 0.75, 8),  # six failures more, which are as good as certain
        (40, 20, 0, 1.0, 21),  # nothing but passes: the twenty that are left
        (40, 0, 0, 1.0, 8),
        (40, 1, 5, 0.75, 8),  # six failures more, at 5.5 of 7
        (40, 3, 1, 0.75, 34),  # ten failures more at 1.5 of 5 take 34, and 27 passes more at 3.5 of 5 take 39
    ],
)
def test_about_as_many_are_in_flight_as_will_settle_the_task(
    cases: int, passed: int, failed: int, bar: float, room: int
) -> None:
    progress = Progress({str(case): 1 for case in range(cases)}, pass_rate=bar)
    for case in range(passed + failed):
        outcome: Outcome = "passed" if case < passed else "failed"
        progress.add(Trial(key=TrialKey(task="t", case=str(case), rung="s"), outcome=outcome))
    assert progress.room == room
    assert [progress.has_room(count) for count in (0, room - 1, room)] == [True, True, False]


def test_of_many_cases_an_eighth_is_always_in_flight() -> None:
    assert Progress({str(case): 1 for case in range(1000)}, pass_rate=1.0).room == 125


def ended(case: str, outcome: Outcome, reason: str | None = None, sample: int = 0) -> Trial:
    return Trial(key=TrialKey(task="t", case=case, rung="s", sample=sample), outcome=outcome, reason=reason)


@pytest.mark.parametrize(
    ("outcomes", "bar", "reasons"),
    [
        ("11", 0.5, [None, "settled: passes whatever the remaining 2 trials bring"]),
        ("00", 0.75, [None, "settled: fails whatever the remaining 2 trials bring"]),
        ("101", 0.5, [None, None, "settled: passes whatever the remaining trial brings"]),
        ("1111", 1.0, [None, None, None, None]),  # the last decides, and then nothing is left to give up
    ],
)
def test_a_task_stops_at_the_trial_that_settles_it(outcomes: str, bar: float, reasons: list[str | None]) -> None:
    progress = Progress({str(case): 1 for case in range(4)}, pass_rate=bar)
    told = []
    for case, mark in enumerate(outcomes):
        progress.add(ended(str(case), "passed" if mark == "1" else "failed"))
        told.append(progress.reason_to_stop())
    assert told == reasons


@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_samples_of_one_case_settle_a_task_as_one_case_and_not_as_independent_trials(confidence: float) -> None:
    """Four cases of three samples: eleven independent passes of twelve would show 0.6 at 0.9."""
    progress = Progress({str(case): 3 for case in range(4)}, pass_rate=0.6, confidence=confidence)
    for place in range(11):
        progress.add(ended(str(place % 4), "passed", sample=place // 4))
    state = "passes" if confidence == 0.8 else "undecided"
    assert progress.reason_to_stop() == f"settled: {state} whatever the remaining trial brings"


def test_a_rung_that_was_the_smallest_is_asked_to_its_end_unless_it_passes() -> None:
    for outcome, stops in (("failed", False), ("passed", True)):
        progress = Progress({str(case): 1 for case in range(8)}, pass_rate=0.5)
        progress.demand((), to_be_finished=True)
        for case in range(7):
            progress.add(ended(str(case), outcome))  # type: ignore[arg-type]  # both are outcomes
        assert (progress.reason_to_stop() is not None) is stops


@pytest.mark.parametrize(
    ("marks", "cases", "bar", "stops"),
    [
        ("1" * 9, 10, 0.9, True),  # nine passes of nine are too few to make 0.9 likely
        ("1" * 18, 20, 0.9, False),  # 0.9 ** 18 = 0.15: likely, and two failures would undo that
        ("1" * 18 + "0", 20, 0.9, True),  # provisional
        ("1" * 12, 20, 0.6, False),  # 0.6 ** 12 = 0.002: shown, and eight failures would undo that
        ("1" * 16, 20, 0.6, False),  # 16 of 20 are 0.051
        ("1" * 17, 20, 0.6, True),  # 17 of 20 are 0.016
        ("1" * 2, 4, 0.5, True),  # 0.25
        ("1" * 12 + "E", 20, 0.6, False),  # the one without an answer may have been anything
        ("1" * 17 + "E", 20, 0.6, True),
    ],
)
def test_a_rung_that_passes_is_asked_on_while_the_rest_may_change_how_sure_that_is(
    marks: str, cases: int, bar: float, *, stops: bool
) -> None:
    progress = Progress({str(case): 1 for case in range(cases)}, pass_rate=bar)
    for case, mark in enumerate(marks):
        progress.add(ended(str(case), {"1": "passed", "0": "failed", "E": "error"}[mark]))  # type: ignore[arg-type]  # all are outcomes
    assert (progress.reason_to_stop() is not None) is stops


def early(cases: int, **more: Any) -> EarlyProgress:
    names = dict.fromkeys(map(str, range(cases)), 1)
    return EarlyProgress(names, task="t", seed=SEED, **{"pass_rate": 0.5, "confidence": 0.8} | more)


def test_a_task_that_stops_early_is_decided_by_its_cases_in_their_order() -> None:
    """Passes at the end of the order decide nothing while its beginning is not known."""
    order = cases_in_order(map(str, range(20)), task="t", seed=SEED)
    forwards, backwards = early(20), early(20)
    counts = []
    for progress, cases in ((forwards, order), (backwards, order[::-1])):
        for count, case in enumerate(cases, 1):
            progress.add(ended(case, "passed"))
            if progress.reason_to_stop():
                counts.append(count)
                break
    assert counts[0] < 10 < counts[1]


def test_a_fault_does_not_keep_a_task_going_that_is_decided_without_it() -> None:
    order = cases_in_order(map(str, range(20)), task="t", seed=SEED)
    progress = early(20)
    progress.add(ended(order[0], "error", "transport"))
    for case in order[1:19]:
        progress.add(ended(case, "passed"))
    assert progress.reason_to_stop() == "settled: passes whatever the remaining trial brings"


def test_a_fault_alone_stops_nothing_at_a_bar_that_everything_reaches() -> None:
    """The rung would be left without an answer, and so undecided."""
    for progress in (early(20, pass_rate=0.0), Progress(dict.fromkeys(map(str, range(20)), 1), pass_rate=0.0)):
        progress.add(ended("0", "error", "transport"))
        assert progress.reason_to_stop() is None
        progress.add(ended("1", "failed"))
        assert progress.reason_to_stop() == "settled: passes whatever the remaining 18 trials bring"


@pytest.mark.parametrize("reason", ["skipped", "xfail"])
def test_a_case_that_its_test_takes_out_is_not_waited_for(reason: str) -> None:
    """Four passes decide the five cases that are left; if the first of the order were to come, they would not."""
    order = cases_in_order(map(str, range(6)), task="t", seed=SEED)
    for outcome, stops in (("not_run", True), (None, False)):
        progress = early(6)
        if outcome is not None:
            progress.add(ended(order[0], "not_run", reason))
        for case in order[1:5]:
            progress.add(ended(case, "passed"))
        assert (progress.reason_to_stop() is not None) is stops


def test_a_fault_is_taken_for_no_failure() -> None:
    """The first ten of twenty had no answer: one failure more shows nothing, where eleven would."""
    order = cases_in_order(map(str, range(20)), task="t", seed=SEED)
    progress, failing = early(20), early(20)
    for case in order[:10]:
        progress.add(ended(case, "error", "transport"))
        failing.add(ended(case, "failed"))
    for one in (progress, failing):
        one.add(ended(order[10], "failed"))
    assert progress.reason_to_stop() is None
    assert failing.reason_to_stop() is not None


@pytest.mark.parametrize(("pass_rate", "settled"), [(0.3, True), (0.6, False)])
def test_a_trial_without_an_answer_stops_nothing_that_it_could_change(pass_rate: float, settled: bool) -> None:
    progress = Progress({"a": 1, "b": 1, "c": 1}, pass_rate=pass_rate)
    progress.add(Trial(key=TrialKey(task="t", case="a", rung="s"), outcome="error", reason="transport"))
    assert progress.reason_to_stop() is None
    progress.add(Trial(key=TrialKey(task="t", case="b", rung="s"), outcome="passed"))
    assert (progress.reason_to_stop() is not None) == settled


def test_a_task_that_is_settled_stops_and_says_so() -> None:
    names = [str(place) for place in range(30)]
    progress = Progress(dict.fromkeys(names, 1), pass_rate=0.9)
    reasons = []
    for name in names:
        progress.add(Trial(key=TrialKey(task="t", case=name, rung="s"), outcome="failed"))
        reasons.append(progress.reason_to_stop())
    assert reasons[:3] == [None, None, None]
    assert reasons[3] == "settled: fails whatever the remaining 26 trials bring"
