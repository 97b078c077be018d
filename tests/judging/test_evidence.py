"""How sure a verdict is: the grade, the rung it rests on, and how many cases more it would take."""

from dataclasses import replace
from math import ceil, comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.statistics import clopper_pearson, more_cases
from pytest_rightsize.verdict_records import Verdict
from tests.benchmarks.bench_evidence import ends
from tests.runs import make_run


def verdict_of(
    outcomes: dict[str, str], chosen: str | None, *, bar: float = 0.75, confidence: float | None = None
) -> Verdict:
    (verdict,) = judge(with_confidence(make_run({"t": outcomes}, chosen=chosen, pass_rate=bar), confidence))
    return verdict


def with_confidence(run: Run, confidence: float | None, *, early: bool = False) -> Run:
    """The run with a confidence, its tasks stopping early if so asked."""
    seed = 0 if early else None
    policies = {
        task: replace(policy, confidence=confidence, shuffle_seed=seed) for task, policy in run.policies.items()
    }
    return replace(run, policies=policies)


FEW, SOME, MANY = "1" * 4, "1" * 7, "1" * 20


@pytest.mark.parametrize(
    ("outcomes", "chosen", "grade", "rung"),
    [
        # Over-sized: the smaller rung passes, whatever lies below it.
        ({"s": FEW, "l": "----"}, "l", "provisional", "s"),
        ({"s": SOME, "l": "-" * 7}, "l", "likely", "s"),
        ({"s": MANY, "l": "-" * 20}, "l", "shown", "s"),
        ({"s": "1100", "m": MANY, "l": "-" * 20}, "l", "shown", "m"),
        # Under-sized: the chosen rung fails.
        ({"s": "0000", "m": "1110"}, "s", "shown", "s"),
        ({"s": "1100", "m": MANY}, "s", "provisional", "s"),
        # Right-sized and unchosen: the smallest passes, and each below it fails.
        ({"s": MANY}, "s", "shown", "s"),
        ({"s": FEW}, None, "provisional", "s"),
        ({"s": "1100", "m": MANY}, "m", "provisional", "s"),
        ({"s": "0000", "m": MANY}, None, "shown", "m"),
        ({"s": "0000", "m": FEW}, "m", "provisional", "m"),
        # Unsolved: every rung fails.
        ({"s": "0000", "m": "1000", "l": "1100"}, "m", "provisional", "l"),
        ({"s": "0" * 20, "m": "0" * 20}, "m", "shown", "m"),
        # Undecided: nothing to be sure of.
        ({"s": "10E1", "m": MANY}, "m", None, None),
    ],
)
def test_a_verdict_is_as_sure_as_the_weakest_rate_it_rests_on(
    outcomes: dict[str, str], chosen: str | None, grade: str | None, rung: str | None
) -> None:
    verdict = verdict_of(outcomes, chosen)
    assert (verdict.evidence, verdict.evidence_rung if grade != "shown" else rung) == (grade, rung)


def test_it_says_how_many_cases_more_it_would_take() -> None:
    few, some, many = (verdict_of({"s": marks, "l": "-" * len(marks)}, "l") for marks in (FEW, SOME, MANY))
    assert (few.cases_to_likely, few.cases_to_shown) == (2, 7)  # 0.75 ** 6 < 0.2, and 0.75 ** 11 < 0.05
    assert (some.cases_to_likely, some.cases_to_shown) == (0, 4)
    assert (many.cases_to_likely, many.cases_to_shown) == (0, 0)


def test_no_number_of_cases_shows_a_rate_that_is_just_the_bar() -> None:
    verdict = verdict_of({"s": "1110", "l": "----"}, "l")
    assert (verdict.evidence, verdict.cases_to_likely, verdict.cases_to_shown) == ("provisional", None, None)


def test_a_pass_at_a_bar_of_1_is_never_more_than_provisional_and_a_failure_is_shown() -> None:
    passing = verdict_of({"s": "1" * 1000}, "s", bar=1.0)
    assert (passing.evidence, passing.cases_to_shown) == ("provisional", None)
    assert verdict_of({"s": "1110", "l": "1111"}, "s", bar=1.0).evidence == "shown"


@pytest.mark.parametrize(("confidence", "grade"), [(0.95, "shown"), (0.99, "shown"), (0.8, "likely")])
def test_what_was_decided_at_a_confidence_is_as_sure_as_that(confidence: float, grade: str) -> None:
    cases = {0.99: 20, 0.95: 11, 0.8: 7}[confidence]
    assert verdict_of({"s": "1" * cases}, "s", confidence=confidence).evidence == grade


def stopped(marks: str, planned: int, *, bar: float = 0.9) -> Verdict:
    """The verdict of a rung that was asked so far, the rest given up, as it could change nothing."""
    run = make_run({"t": {"s": marks + "-" * (planned - len(marks))}}, chosen="s", pass_rate=bar)
    run = replace(run, trials=[replace(t, reason="settled") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    return verdict


@pytest.mark.parametrize(
    ("marks", "planned", "grade", "bound"),
    [
        ("1" * 36, 40, "shown", 0.05 ** (1 / 36)),  # so many passes without a failure: 0.9 ** 36 = 0.02
        ("1" * 18, 20, "likely", 0.05 ** (1 / 18)),
        ("1" * 9, 10, "provisional", 0.05 ** (1 / 9)),
        ("0" * 5, 40, "shown", 1 - 0.05 ** (1 / 5)),
        ("00", 10, "shown", 1 - 0.05 ** (1 / 2)),
        ("1" * 25 + "0" * 5, 40, "likely", None),
        ("1" * 33 + "0" * 5, 40, "provisional", None),
    ],
)
def test_a_rung_that_was_stopped_is_judged_by_how_soon_it_was(
    marks: str, planned: int, grade: str, bound: float | None
) -> None:
    verdict = stopped(marks, planned)
    assert (verdict.evidence, verdict.standing["s"].rate) == (grade, None)
    if bound is not None:
        assert verdict.evidence_bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("marks", "planned", "bar", "more"),
    [
        # 29 passes show nine of ten (0.9 ** 29 = 0.047), and of 33 cases 30 end the rung; 32 would end it at 29.
        ("1" * 18, 20, 0.9, 33 - 20),
        # 4 failures show less than half (0.5 ** 5 = 0.03 needs 5 of 5); of 10 cases the fifth or sixth ends the rung.
        ("0" * 3, 4, 0.5, 10 - 4),
        # At the present rate 9 of 11 failures show it (P(X <= 2) = 0.03): 8.8 end the rung where half of 17.6 fail.
        ("0" * 4 + "1", 6, 0.5, 18 - 6),
        # 3 of 3 failures show less than three quarters (0.25 ** 3 = 0.016), and are a quarter of 12 cases.
        ("00", 4, 0.75, 12 - 4),
    ],
)
def test_a_rung_that_was_stopped_needs_a_task_so_much_larger(
    marks: str, planned: int, bar: float, more: int | None
) -> None:
    assert stopped(marks, planned, bar=bar).cases_to_shown == more


def test_answers_in_flight_at_the_stop_make_it_no_surer() -> None:
    """The 37th pass was asked only by chance; of three failures more any may have come before the stop."""
    soon, late = stopped("1" * 36, 40), stopped("1" * 37, 40)
    assert late.evidence_bound == soon.evidence_bound
    bounds = clopper_pearson(36, 39, one_sided=True)
    assert bounds is not None
    assert stopped("1" * 36 + "0" * 3, 40).evidence_bound == pytest.approx(bounds.low)


@pytest.mark.parametrize(
    ("marks", "counts", "end"), [("1" * 36 + "E", (36, 37), "low"), ("0" * 5 + "E", (1, 6), "high")]
)
def test_an_answer_that_is_missing_counts_against_what_is_claimed(
    marks: str, counts: tuple[int, int], end: str
) -> None:
    """Of 40 cases 36 passes end the rung, and 5 failures do; the one without an answer may have been anything."""
    bounds = clopper_pearson(*counts, one_sided=True)
    assert stopped(marks, 40).evidence_bound == pytest.approx(getattr(bounds, end))


def test_many_failures_in_flight_still_show_that_a_rung_fails() -> None:
    verdict = stopped("1" * 10 + "0" * 27, 40, bar=0.5)
    assert verdict.evidence == "shown"
    assert verdict.evidence_bound == pytest.approx(0.48542, abs=1e-5)


def test_a_rung_five_points_below_its_bar_is_named_in_41_percent_of_sessions_and_blocks_a_merge_in_4() -> None:
    """Of 20 cases at a bar of 0.9, by the chances of each number of passes at a true rate of 0.85."""
    named = blocked = 0.0
    for passed in range(21):
        verdict = verdict_of({"s": "1" * passed + "0" * (20 - passed), "l": "-" * 20}, "l", bar=0.9)
        chance = comb(20, passed) * 0.85**passed * 0.15 ** (20 - passed)
        named += chance * (verdict.verdict == "over-sized")
        blocked += chance * (verdict.verdict == "over-sized" and verdict.evidence in ("likely", "shown"))
    assert named == pytest.approx(0.405, abs=5e-4)
    assert blocked == pytest.approx(0.0388, abs=5e-5)


@pytest.mark.parametrize("bar", [0.5, 0.7, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("cases", [5, 10, 20, 30])
def test_a_climb_blocks_a_merge_wrongly_no_more_often_than_if_every_case_were_asked(cases: int, bar: float) -> None:
    """Exactly, over all orders of the answers, at a true rate five points below the bar."""
    blocked = []
    for all_asked in (False, True):
        chance = 0.0
        for passed, failed, orders in ends(cases, bar=bar, all_asked=all_asked):
            verdict = stopped("1" * passed + "0" * failed, cases, bar=bar)
            assert verdict.smallest == "s"
            if verdict.evidence != "provisional":
                chance += orders * (bar - 0.05) ** passed * (1.05 - bar) ** failed
        blocked.append(chance)
    climb, full = blocked
    assert climb <= full + 1e-9
    if (cases, bar) == (20, 0.9):
        assert full == pytest.approx(0.0388, abs=5e-5)
        assert climb == pytest.approx(full)


@pytest.mark.parametrize("bar", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("planned", [4, 10, 20, 41])
def test_at_a_rate_that_is_the_bar_a_stopped_rung_is_seldom_shown_or_likely(planned: int, bar: float) -> None:
    """Exactly, over all ways to end: wrongly shown in at most 5 %, at least likely in at most 20 %, for both states."""
    enough = ceil(planned * bar - 1e-9)
    too_many = planned - enough + 1
    passing = [(enough, failed) for failed in range(too_many)]
    failing = [(passed, too_many) for passed in range(enough)]
    for all_ends in (passing, failing):
        chance = dict.fromkeys(("shown", "likely", "provisional"), 0.0)
        for passed, failed in all_ends:
            trials = passed + failed
            last = passed if all_ends is passing else failed
            marks = "1" * passed + "0" * failed
            ways = comb(trials - 1, last - 1)
            verdict = stopped(marks, planned, bar=bar)
            chance[str(verdict.evidence)] += ways * bar**passed * (1 - bar) ** failed
        assert chance["shown"] <= 0.05 + 1e-9
        assert chance["shown"] + chance["likely"] <= 0.2 + 1e-9


def test_a_task_that_stops_early_at_95_percent_shows_what_it_decides() -> None:
    run = with_confidence(make_run({"t": {"s": "1" * 40, "l": "-" * 40}}, chosen="l"), 0.95, early=True)
    (verdict,) = judge(run)
    assert (verdict.verdict, verdict.evidence, verdict.cases_to_shown) == ("over-sized", "shown", 0)
    assert verdict.standing["s"].rate == 1.0


def test_a_case_that_its_test_skips_takes_no_part_in_a_task_that_stops_early() -> None:
    run = with_confidence(make_run({"t": {"s": "1" * 39 + "0-"}}, chosen="s"), 0.95, early=True)
    run = replace(run, trials=[replace(t, reason="skipped") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert (verdict.standing["s"].trials, verdict.standing["s"].rate) == (40, 39 / 40)


def test_a_task_that_stops_early_at_80_percent_may_leave_cases_to_be_wished_for() -> None:
    run = with_confidence(make_run({"t": {"s": "1" * 8, "l": "-" * 8}}, chosen="l"), 0.8, early=True)
    (verdict,) = judge(run)
    assert (verdict.verdict, verdict.evidence, verdict.cases_to_likely) == ("over-sized", "likely", 0)
    assert verdict.cases_to_shown is not None
    assert verdict.cases_to_shown >= 1


def test_an_open_rung_below_leaves_right_sized_provisional_and_over_sized_shown() -> None:
    outcomes = {"a": "1" * 66 + "0" * 10, "b": "1" * 76, "c": "1" * 76}
    right = verdict_of(outcomes, "b", bar=0.9, confidence=0.95)
    assert (right.verdict, right.open_rungs, right.evidence_rung) == ("right-sized", ("a",), "a")
    assert right.evidence != "shown"
    over = verdict_of(outcomes, "c", bar=0.9, confidence=0.95)
    assert (over.verdict, over.evidence, over.evidence_rung) == ("over-sized", "shown", "b")


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.5, 0.75, 0.9, 0.99]))
@settings(deadline=None)
def test_the_grade_is_that_of_the_exact_bound(passed: int, failed: int, bar: float) -> None:
    if passed + failed == 0:
        return
    verdict = verdict_of({"s": "1" * passed + "0" * failed}, "s", bar=bar)
    for grade, level in (("shown", 0.95), ("likely", 0.8)):
        bounds = clopper_pearson(passed, passed + failed, confidence=level, one_sided=True)
        assert bounds is not None
        passes = verdict.verdict == "right-sized"
        if bounds.low >= bar + 1e-9 if passes else bounds.high < bar - 1e-9:
            assert verdict.evidence == grade
            return
    assert verdict.evidence == "provisional"


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 3), st.sampled_from([0.3, 0.5, 0.75, 0.9]), st.booleans())
@settings(deadline=None)
def test_further_cases_are_enough_and_not_one_too_many(
    passed: int, failed: int, missing: int, bar: float, claims_pass: bool
) -> None:
    """By formula: so many cases more at the present rate, the missing ones against it, reach the bound."""
    cases = {str(number): [number < passed] for number in range(passed + failed)}
    remaining = {f"missing {number}": 1 for number in range(missing)}
    state = "passes" if claims_pass else "fails"
    needed = more_cases(cases, remaining, state=state, pass_rate=bar, confidence=0.95)  # type: ignore[arg-type]  # a literal
    rate = passed / (passed + failed)
    if needed is None:
        assert rate <= bar + 1e-9 if claims_pass else rate >= bar - 1e-9
        return

    def shown(more: int) -> bool:
        good, total = passed + more * rate + (0 if claims_pass else missing), passed + failed + missing + more
        bounds = clopper_pearson(good, total, one_sided=True)
        assert bounds is not None
        return bounds.low >= bar - 1e-9 if claims_pass else bounds.high < bar + 1e-9

    assert shown(needed)
    assert needed == 0 or not shown(needed - 1) or needed == 1


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.3, 0.5, 0.75, 0.9]))
@settings(deadline=None)
def test_one_more_pass_never_makes_a_pass_need_more_nor_a_failure_fewer(passed: int, failed: int, bar: float) -> None:
    def needed(passes: int, state: str) -> float:
        cases = {str(number): [number < passes] for number in range(passed + failed)}
        found = more_cases(cases, {}, state=state, pass_rate=bar)  # type: ignore[arg-type]  # a literal
        return float("inf") if found is None else found

    assert needed(passed + 1, "passes") <= needed(passed, "passes")
    assert needed(passed + 1, "fails") >= needed(passed, "fails")


def test_several_samples_of_few_cases_show_little() -> None:
    cases = {str(number): [True] * 10 for number in range(4)}
    assert more_cases(cases, {}, state="passes", pass_rate=0.75) == 7  # as if each case had one sample


@pytest.mark.parametrize(
    ("outcomes", "rung"),
    [({"s": "0" * 20, "m": "1" * 4 + "0" * 16}, "m"), ({"s": "1" * 4 + "0" * 16, "m": "0" * 20}, "s")],
)
def test_of_two_rungs_that_are_shown_to_fail_the_one_nearer_to_the_bar_is_named(
    outcomes: dict[str, str], rung: str
) -> None:
    verdict = verdict_of(outcomes, "m")
    assert (verdict.verdict, verdict.evidence, verdict.evidence_rung) == ("unsolved", "shown", rung)


@pytest.mark.parametrize("marks", ["1111", "0000"])
def test_a_bar_of_0_is_reached_by_any_rate(marks: str) -> None:
    verdict = verdict_of({"s": marks}, "s", bar=0.0)
    assert (verdict.verdict, verdict.evidence) == ("right-sized", "shown")
