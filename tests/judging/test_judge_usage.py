"""Usage of judges: one entry for each rung that judged, sums of what is known, and joules of one kind alone."""

from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.judgement_records import Judgement
from pytest_rightsize.judging.judge_usage import JudgeUsage, judge_usage
from pytest_rightsize.judging.usage import Amount
from pytest_rightsize.records import Run, Tokens, Trial, TrialKey


def judged(*judgements: Judgement, task: str = "t", case: str = "a") -> Trial:
    return Trial(key=TrialKey(task=task, case=case, rung="r"), outcome="passed", judgements=judgements)


def judgement(by: str = "big", **known: Any) -> Judgement:
    return Judgement(by=by, **known)


def joules(amount: float, provenance: Any = "measured") -> Energy:
    return Energy(joules=amount, provenance=provenance, boundary=frozenset({"gpu.board"}))


def usage(*trials: Trial) -> list[JudgeUsage]:
    return list(judge_usage(Run(rungs=[], trials=trials)))


def test_a_run_that_no_judge_decided_has_no_usage_of_judges() -> None:
    assert usage(judged(), judged(case="b")) == []


def test_judges_stand_in_the_order_in_which_they_first_judged_with_their_tasks() -> None:
    found = usage(
        judged(judgement("z"), task="second"),
        judged(judgement("a"), judgement("z"), task="first"),
        judged(judgement("z"), task="second", case="b"),
    )
    assert [(each.by, each.tasks, each.judgements) for each in found] == [
        ("z", ("second", "first"), 3),
        ("a", ("first",), 1),
    ]


def test_what_is_known_adds_up_over_all_trials_and_what_is_not_is_counted() -> None:
    whole = judgement(tokens=Tokens(prompt=10, completion=5), seconds=0.5, energy=joules(3), cost_usd=0.25, cached=True)
    (found,) = usage(judged(whole, judgement()), judged(whole, case="b"))
    assert (found.judgements, found.cached) == (3, 2)
    assert found.tokens == Amount(sum=30, known=2, unknown=1)
    assert found.seconds == Amount(sum=1.0, known=2, unknown=1)
    assert found.joules == Amount(sum=6, known=2, unknown=1)
    assert found.cost_usd == Amount(sum=0.5, known=2, unknown=1)
    assert found.kinds == ("measured, gpu.board, gross",)


def test_tokens_without_a_count_of_the_completion_are_not_known() -> None:
    (found,) = usage(judged(judgement(tokens=Tokens(prompt=10))))
    assert found.tokens == Amount(unknown=1)


def test_joules_of_two_kinds_make_no_sum_and_both_kinds_are_named() -> None:
    (found,) = usage(judged(judgement(energy=joules(3, "modelled")), judgement(energy=joules(4))))
    assert found.joules == Amount(unknown=2)
    assert found.kinds == ("measured, gpu.board, gross", "modelled, gpu.board, gross")


def test_joules_that_were_lost_are_unknown_and_no_second_kind() -> None:
    lost = judgement(energy=Energy(reason="the counter was reset"))
    (found,) = usage(judged(lost, judgement(energy=joules(4))))
    assert (found.joules, found.kinds) == (Amount(sum=4, known=1, unknown=1), ("measured, gpu.board, gross",))


def test_a_judge_that_nothing_measured_has_no_joules_and_no_kind() -> None:
    (found,) = usage(judged(judgement(seconds=1.0)))
    assert (found.joules, found.kinds) == (Amount(unknown=1), ())


def test_as_json_what_is_not_known_is_null() -> None:
    (found,) = usage(judged(judgement("big", seconds=1.5)))
    assert found.to_dict() == {
        "by": "big",
        "tasks": ["t"],
        "judgements": 1,
        "cached": 0,
        "tokens": {"sum": None, "known": 0, "unknown": 1},
        "seconds": {"sum": 1.5, "known": 1, "unknown": 0},
        "joules": {"sum": None, "known": 0, "unknown": 1},
        "cost_usd": {"sum": None, "known": 0, "unknown": 1},
    }
