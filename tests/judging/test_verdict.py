"""Verdicts: the smallest rung that passes, compared with the chosen one."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.judging.gates import failed_gates, waiver_states
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import GateName, Run, Trial, TrialKey, Waiver
from pytest_rightsize.statistics import clopper_pearson
from pytest_rightsize.verdict_records import Verdict
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
        ({"s": "110E", "m": "1111", "l": "1111"}, "m", None, "undecided"),
        ({"s": "111E", "m": "1111", "l": "1111"}, "m", "s", "over-sized"),  # whatever it had brought
        ({"s": "001E", "m": "1111", "l": "1111"}, "m", "m", "right-sized"),  # whatever it had brought
        ({"s": "0-1E", "m": "1111", "l": "1111"}, "m", None, "undecided"),  # what was given up may have passed, too
        ({"s": "EEEE", "m": "EEEE", "l": "EEEE"}, "m", None, "undecided"),
        ({"s": "0000", "m": "10E1", "l": "1111"}, "l", None, "undecided"),
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


@pytest.mark.parametrize(
    "outcomes", [{"s": "0000", "m": "1111", "l": "----"}, {"xs": "0000", "s": "0000", "m": "1111", "l": "1111"}]
)
def test_smaller_rungs_that_fail_below_one_that_passes_are_no_surprise(outcomes: dict[str, str]) -> None:
    assert only_verdict(outcomes, "m").notes == ()


def test_undecided_says_which_rung_and_why() -> None:
    verdict = only_verdict({"s": "110E", "m": "1111"}, "m")
    assert verdict.notes == ("s: 1 of 4 trials had no answer",)


def test_a_chosen_rung_off_the_ladder_is_said() -> None:
    verdict = only_verdict({"s": "1111"}, "xl")
    assert verdict.notes == ("the chosen rung xl is not on this ladder: add it to --rightsize-ladder",)


def test_a_rung_that_may_not_see_a_private_task_is_left_out() -> None:
    run = make_run({"t": {"cloud": "----", "local": "1111"}}, chosen="local")
    run = replace(run, trials=[replace(t, reason="private") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert verdict.verdict == "right-sized"


@pytest.mark.parametrize("reason", ["skipped", "xfail"])
def test_cases_that_the_test_takes_out_are_not_missed(reason: str) -> None:
    run = make_run({"t": {"s": "11-1"}}, chosen="s")
    run = replace(run, trials=[replace(t, reason=reason) if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert verdict.verdict == "right-sized"
    assert verdict.standing["s"].trials == 3


@pytest.mark.parametrize("reason", ["budget", "offline", "down", None])
def test_cases_that_were_not_run_for_another_reason_are_missed(reason: str | None) -> None:
    run = make_run({"t": {"s": "11-1"}}, chosen="s")
    run = replace(run, trials=[replace(t, reason=reason) if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert verdict.verdict == "undecided"


def test_a_case_that_was_never_asked_is_missed_although_others_had_no_answer() -> None:
    """Of four cases three would be enough whatever the fourth had brought, but five were planned."""
    run = make_run({"t": {"s": "111E-"}}, chosen="s")
    run = replace(run, trials=[replace(t, reason="budget") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert verdict.verdict == "undecided"
    assert verdict.notes == ("s: only 3 of 5 trials had an answer",)


def sure(run: Run, confidence: float, *, early: bool = False) -> Run:
    """The run with a confidence; `early` says that its tasks stop early."""
    seed = 0 if early else None
    policies = {
        task: replace(policy, confidence=confidence, shuffle_seed=seed) for task, policy in run.policies.items()
    }
    return replace(run, policies=policies)


@pytest.mark.parametrize(
    ("marks", "reason", "is_open"),
    [
        ("1010", None, True),
        ("1010--", "budget", False),  # two cases were not asked
        ("1010--", "skipped", True),  # two cases are none
        ("101010--", "settled", True),  # six of eight, and all eight would be undecided too
        ("111E", None, False),  # 4 of 4 would be enough
        ("1010101010E", None, True),  # 5 or 6 of 11 would not
    ],
)
def test_larger_rungs_are_named_above_one_whose_cases_are_all_in_and_did_not_decide(
    marks: str, reason: str | None, is_open: bool
) -> None:
    """At 0.8 a bar of 0.5 is reached by 4 of 4 (0.5 ** 4 is below 0.2), and not by 3 of 4."""
    run = sure(make_run({"t": {"s": marks, "m": "1" * 20}}, pass_rate=0.5), 0.8)
    run = replace(run, trials=[replace(t, reason=reason) if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    standing = verdict.standing["s"]
    assert (standing.state, standing.is_open) == ("undecided", is_open)
    assert (verdict.smallest, verdict.open_rungs) == (("m", ("s",)) if is_open else (None, ()))


def test_samples_that_were_given_up_and_samples_without_an_answer_are_both_unknown() -> None:
    """Case a passed 1 of 3, one was given up and one had no answer; case b passed all: at worst the mean is 2 / 3."""
    run = make_run({"t": {"s": "1"}}, pass_rate=0.6, planned=6)
    marks = {"a": ["passed", "not_run", "error"], "b": ["passed"] * 3}
    trials = [
        Trial(
            key=TrialKey(task="t", case=case, rung="s", sample=sample),
            outcome=outcome,  # type: ignore[arg-type]  # each is one
            reason="settled" if outcome == "not_run" else None,
        )
        for case, outcomes in marks.items()
        for sample, outcome in enumerate(outcomes)
    ]
    (verdict,) = judge(replace(run, trials=trials))
    standing = verdict.standing["s"]
    assert (standing.state, standing.given_up, standing.unanswered) == ("passes", 1, 1)


def test_trials_that_nobody_planned_are_counted_all_the_same() -> None:
    (verdict,) = judge(make_run({"t": {"s": "110E"}}, planned=0))
    assert verdict.notes == ("s: 1 of 4 trials had no answer",)


@pytest.mark.parametrize(
    ("planned", "state", "reason"), [(10, "passes", None), (20, "undecided", "only 10 of 20 trials ran")]
)
def test_cases_of_which_not_even_the_name_is_known_may_come_first_in_the_order(
    planned: int, state: str, reason: str | None
) -> None:
    run = sure(make_run({"t": {"s": "1" * 10}}, pass_rate=0.5, planned=planned), 0.8, early=True)
    (verdict,) = judge(run)
    assert (verdict.standing["s"].state, verdict.standing["s"].reason) == (state, reason)


def test_a_boundary_stays_where_it_was_planned_when_cases_turn_out_to_be_skipped() -> None:
    """Where 20 cases share the error, 8 passes decide; where 10 do, 6 would. The schedule has stopped by the first."""
    run = sure(make_run({"t": {"s": "1" * 10 + "-" * 10}}, pass_rate=0.5), 0.95, early=True)
    run = replace(run, trials=[replace(t, reason="skipped") if t.outcome == "not_run" else t for t in run.trials])
    (verdict,) = judge(run)
    assert (verdict.standing["s"].state, verdict.standing["s"].decided_at) == ("passes", 8)


def early(marks: str, *, bar: float = 0.5, confidence: float = 0.8) -> Verdict:
    """The verdict on the only rung of a task that stops early."""
    (verdict,) = judge(sure(make_run({"t": {"s": marks}}, pass_rate=bar), confidence, early=True))
    return verdict


def test_a_rung_that_was_asked_all_its_cases_has_a_rate_within_its_bounds() -> None:
    standing = early("1" * 15 + "0" * 5).standing["s"]
    assert (standing.state, standing.passed, standing.trials, standing.rate) == ("passes", 15, 20, 0.75)
    assert (standing.given_up, standing.unanswered) == (0, 0)
    assert standing.low is not None
    assert standing.high is not None
    assert 0.5 <= standing.low < 0.75 < standing.high < 1


def test_a_rung_that_was_stopped_has_no_rate_and_says_what_is_missing() -> None:
    """Whatever eight of twenty would have brought, twelve passes show a bar of 0.3."""
    standing = early("1" * 12 + "-" * 6 + "EE", bar=0.3).standing["s"]
    assert (standing.state, standing.trials, standing.rate) == ("passes", 12, None)
    assert (standing.given_up, standing.unanswered) == (6, 2)


def test_further_cases_are_counted_from_those_that_were_heard() -> None:
    """At 65 % the bound of 37 cases is the first that reaches a bar of 0.5."""
    verdict = early("1" * 13 + "0" * 7)
    assert (verdict.evidence, verdict.cases_to_likely, verdict.cases_to_shown) == ("likely", 0, 17)


def test_one_case_is_planned_for_as_one() -> None:
    """A rung whose rate is the bar, 0.95, fails its only case in one of twenty sessions, and a second rung is asked."""
    (verdict,) = judge(sure(make_run({"t": {"s": "1", "m": "1"}}, pass_rate=0.95), 0.8))
    assert verdict.standing["s"].claim == pytest.approx(1 - 0.2 / 1.05)


def test_a_chosen_rung_that_is_open_is_too_large_above_one_that_passes() -> None:
    run = sure(make_run({"t": {"s": "1" * 20, "m": "10" * 10}}, pass_rate=0.5, chosen="m"), 0.8)
    (verdict,) = judge(run)
    assert (verdict.standing["m"].is_open, verdict.verdict, verdict.smallest) == (True, "over-sized", "s")


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


@pytest.mark.parametrize(("confidence", "sure"), [(None, 0.95), (0.8, 0.8), (0.99, 0.99)])
@pytest.mark.parametrize("marks", ["1" * 17 + "000", "1" * 20, "0" * 20])
def test_both_bounds_are_as_sure_as_the_task_asks_and_at_95_percent_where_it_does_not(
    marks: str, confidence: float | None, sure: float
) -> None:
    run = make_run({"t": {"s": marks}}, chosen="s")
    run = replace(run, policies={"t": replace(run.policies["t"], confidence=confidence)})
    standing = judge(run)[0].standing["s"]
    bounds = clopper_pearson(marks.count("1"), 20, confidence=sure, one_sided=True)
    assert bounds is not None
    assert (standing.low, standing.high) == pytest.approx((bounds.low, bounds.high))


@pytest.mark.parametrize(
    ("today", "honoured"), [("2026-11-26", True), ("2026-11-27", True), ("2026-11-28", False), ("2027-01-01", False)]
)
def test_a_waiver_holds_up_to_and_including_its_last_day(today: str, honoured: bool) -> None:
    waiver = Waiver(gate="oversized", until="2026-11-27", reason="a new model is on its way")
    run = make_run({"t": {"s": "1" * 20, "l": "-" * 20}}, chosen="l")
    policies = {"t": replace(run.policies["t"], waivers=(waiver,))}
    verdicts = judge(run)
    states = waiver_states(policies, verdicts, ["oversized"], today=today)
    assert [(state.task, state.honoured, state.needed) for state in states] == [("t", honoured, True)]
    assert failed_gates(verdicts, ["oversized"], states) == ([] if honoured else [("oversized", verdicts[0])])


@pytest.mark.parametrize(
    ("gates", "gate", "needed"),
    [
        (["oversized"], "oversized", True),
        ([], "oversized", False),
        (["undersized"], "oversized", False),
        (["oversized", "unsolved"], "unsolved", False),
    ],
)
def test_a_waiver_is_needed_where_its_gate_would_fail(gates: list[str], gate: GateName, needed: bool) -> None:
    run = make_run({"t": {"s": "1111", "l": "----"}}, chosen="l")
    policies = {"t": replace(run.policies["t"], waivers=(Waiver(gate=gate, until="2026-11-27", reason="later"),))}
    (state,) = waiver_states(policies, judge(run), gates, today="2026-11-27")
    assert state.needed is needed


def test_a_waiver_excuses_its_own_task_and_gate_only() -> None:
    run = make_run({task: {"s": "1" * 20, "l": "-" * 20} for task in "ab"}, chosen="l")
    waiver = Waiver(gate="oversized", until="2026-11-27", reason="later")
    policies = dict(run.policies) | {"a": replace(run.policies["a"], waivers=(waiver,))}
    verdicts = judge(run)
    states = waiver_states(policies, verdicts, ["oversized"], today="2026-11-27")
    assert [verdict.task for _, verdict in failed_gates(verdicts, ["oversized"], states)] == ["b"]
    other = [replace(states[0], waiver=replace(waiver, gate="undecided"))]
    assert len(failed_gates(verdicts, ["oversized"], other)) == 2


@pytest.mark.parametrize(("marks", "verdict"), [("00--", "under-sized"), ("11--", "undecided")])
def test_curtailed_trials_are_judged_only_where_they_change_nothing(marks: str, verdict: str) -> None:
    run = make_run({"t": {"s": marks, "m": "1111"}}, chosen="s")
    run = replace(run, trials=[replace(t, reason="settled") if t.outcome == "not_run" else t for t in run.trials])
    (found,) = judge(run)
    assert found.verdict == verdict


def test_a_case_with_a_trial_given_up_and_one_without_an_answer_lacks_both() -> None:
    """One of three passed: what the other two would have brought decides at a bar of a half."""
    (passed,) = make_run({"t": {"s": "1"}}, pass_rate=0.5).trials
    lost = replace(passed, outcome="error", reason="transport", key=replace(passed.key, sample=1))
    given_up = replace(passed, outcome="not_run", reason="settled", key=replace(passed.key, sample=2))
    run = make_run({"t": {"s": "1"}}, pass_rate=0.5, planned=3, chosen="s")
    policies = {"t": replace(run.policies["t"], samples=3)}
    (verdict,) = judge(replace(run, trials=[passed, lost, given_up], policies=policies))
    assert verdict.verdict == "undecided"


def test_a_rung_that_could_not_answer_is_said_in_words() -> None:
    run = make_run({"t": {"small": "--", "big": "--"}}, chosen="big")
    down = [replace(trial, reason="down", detail="no route") for trial in run.trials]
    (verdict,) = judge(replace(run, trials=down))
    assert verdict.notes == ("small: it could not answer",)
