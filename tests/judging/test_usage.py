"""Usage of a run: sums of what adds up, subtotals of what does not, and counts of what is unknown."""

import json
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.usage import Amount, Usage, usage_of
from pytest_rightsize.records import AnswerRecord, Run, Rung, Tokens, Trial, TrialKey


def joules(amount: float, provenance: Any = "measured", **more: Any) -> Energy:
    return Energy(
        joules=amount, low=amount, high=amount, provenance=provenance, boundary=frozenset({"gpu.board"}), **more
    )


def trial(task: str, rung: str, case: int, answer: AnswerRecord | None, outcome: Any = "passed") -> Trial:
    key = TrialKey(task=task, case=f"c{case}", rung=rung)
    return Trial(
        key=key, outcome=outcome, reason=None if outcome == "passed" else "wrong", answers=(answer,) if answer else ()
    )


def answer(energy: Energy | None = None, **more: Any) -> AnswerRecord:
    tokens = Tokens(prompt=10, cached=4, completion=8, reasoning=6, source="reported")
    given: dict[str, Any] = {"tokens": tokens, "seconds": 0.5, "cost_usd": 0.01, "energy": energy}
    return AnswerRecord(text="x", **(given | more))


def spent_on(*answers: AnswerRecord, outcomes: str = "") -> Usage:
    marks = outcomes or "1" * len(answers)
    trials = [
        trial("t", "r", number, one, "passed" if mark == "1" else "failed")
        for number, (one, mark) in enumerate(zip(answers, marks, strict=True))
    ]
    return usage_of(Run(rungs=[Rung(name="r", provider="replay")], trials=trials)).by_task_rung["t", "r"]


def test_rungs_stand_in_the_order_of_the_ladder_whichever_was_asked_first() -> None:
    """Bisect begins in the middle."""
    rungs = [Rung(name=name, provider="replay") for name in "smxl"]
    trials = [trial(task, name, 0, answer()) for task in ("t", "u") for name in "mslx"]
    usage = usage_of(Run(rungs=rungs, trials=trials))
    assert [*usage.by_task_rung] == [(task, name) for task in ("t", "u") for name in "smxl"]
    assert [*usage.by_rung] == [*"smxl"]


def test_what_is_known_of_every_answer_has_sums_and_rates() -> None:
    usage = spent_on(answer(joules(3)), answer(joules(5)), outcomes="10")
    assert (usage.judged, usage.passed, usage.answers) == (2, 1, 2)
    assert usage.energy_per_case is not None
    assert usage.energy_per_case.joules == 4
    assert usage.energy_per_pass is not None
    assert usage.energy_per_pass.joules == 8
    assert usage.energy_per_output_token is not None
    assert usage.energy_per_output_token.joules == 0.5
    assert (usage.prompt.sum, usage.answer_tokens, usage.reasoning_share) == (20, 4, 0.75)
    assert (usage.per_pass(usage.cost_usd), usage.per_case(usage.seconds)) == (0.02, 0.5)


def test_joules_known_in_two_ways_stand_in_two_subtotals_and_have_no_rate() -> None:
    usage = spent_on(answer(joules(3)), answer(joules(5, "modelled")), answer(joules(7, "modelled")))
    assert [(sub.kind.provenance, sub.energy.joules, sub.answers) for sub in usage.energies] == [
        ("measured", 3, 1),
        ("modelled", 12, 2),
    ]
    assert (usage.energy, usage.energy_per_case) == (None, None)


def test_what_was_replayed_stands_apart_but_is_the_same_kind() -> None:
    usage = spent_on(answer(joules(3)), answer(joules(5, replayed=True), cached=True))
    assert [(sub.replayed, sub.energy.joules) for sub in usage.energies] == [(False, 3), (True, 5)]
    assert usage.energy is not None
    assert (usage.energy.joules, usage.energy.flags) == (8, ("partly_replayed",))


def test_an_unknown_amount_is_counted_and_takes_the_rates_with_it() -> None:
    unknown = answer(tokens=Tokens(), seconds=None, cost_usd=None, energy=Energy(reason="the counter was reset"))
    usage = spent_on(answer(joules(3)), unknown, answer())
    assert (usage.energy_unknown, usage.reasons) == (2, ("the counter was reset", "nothing measured it"))
    assert (usage.energy, usage.completion.complete, usage.reasoning_share) == (None, None, None)
    assert (usage.cost_usd.sum, usage.cost_usd.unknown, usage.cost_usd.complete) == (0.02, 1, None)
    assert usage.cost_usd.to_dict() == {"sum": 0.02, "known": 2, "unknown": 1}


def test_a_rate_of_tokens_needs_both_counts_and_some_tokens() -> None:
    counts = [Tokens(completion=8), Tokens(reasoning=6), Tokens(completion=0, reasoning=0)]
    usages = [spent_on(answer(tokens=tokens)) for tokens in counts]
    assert [usage.reasoning_share for usage in usages] == [None, None, None]
    assert [usage.answer_tokens for usage in usages] == [None, None, 0]


def test_no_answer_is_no_amount() -> None:
    empty = usage_of(Run(rungs=[Rung(name="r", provider="replay")], trials=[trial("t", "r", 1, None)])).total
    assert empty == Usage(judged=1, passed=1)
    assert empty.seconds.to_dict() == {"sum": None, "known": 0, "unknown": 0}
    assert (empty.energy, empty.per_case(empty.seconds), empty.per_pass(empty.cost_usd)) == (None, None, None)


def test_nothing_known_is_null_and_not_zero() -> None:
    usage = spent_on(answer(tokens=Tokens(), seconds=None, cost_usd=None))
    assert usage.cost_usd.to_dict() == {"sum": None, "known": 0, "unknown": 1}
    assert usage.to_dict()["energy_per_case"] is None


def test_totals_hold_every_answer_and_rates_only_those_that_were_judged() -> None:
    trials = [trial("t", "r", 1, answer(joules(3))), trial("t", "r", 2, answer(joules(5)), "error")]
    run_usage = usage_of(Run(rungs=[Rung(name="r", provider="replay")], trials=trials))
    assert run_usage.total.energy is not None
    assert run_usage.total.energy.joules == 8
    rung = run_usage.by_rung["r"].energy_per_case
    assert rung is not None
    assert rung.joules == 3
    json.dumps(run_usage.to_dict(), allow_nan=False)


def test_what_this_session_spent_leaves_replayed_answers_out() -> None:
    trials = [trial("t", "r", 1, answer(joules(3))), trial("t", "r", 2, answer(joules(5, replayed=True), cached=True))]
    live = usage_of(Run(rungs=[Rung(name="r", provider="replay")], trials=trials)).live
    assert live.energy is not None
    assert (live.energy.joules, live.answers, live.cost_usd.sum) == (3, 1, 0.01)


def test_of_many_values_those_that_are_not_known_are_counted() -> None:
    assert Amount.of([2.0, None, None]) == Amount(sum=2.0, known=1, unknown=2)


def test_a_task_without_a_judged_trial_has_no_usage_and_counts_in_the_total() -> None:
    trials = [trial("lost", "r", 1, answer(), "error"), trial("t", "r", 1, answer())]
    usage = usage_of(Run(rungs=[Rung(name="r", provider="replay")], trials=trials))
    assert (list(usage.by_task), list(usage.by_task_rung)) == (["t"], [("t", "r")])
    assert (usage.by_task["t"].answers, usage.by_rung["r"].answers, usage.total.answers) == (1, 1, 2)
    assert (usage.total.judged, usage.total.passed) == (1, 1)
    assert (usage.live.judged, usage.live.passed, usage.live.answers) == (0, 0, 2)


def test_impossible_counts_of_reasoning_are_told_where_the_rung_as_a_whole_can_be_believed() -> None:
    fine, wrong = (answer(tokens=Tokens(completion=10, reasoning=count)) for count in (2, 11))
    assert (spent_on(fine, wrong).impossible, spent_on(fine, wrong).reasoning_doubt) == (1, None)
    assert (spent_on(wrong).impossible, spent_on(wrong).reasoning.complete) == (0, None)
    assert spent_on(answer(tokens=Tokens(completion=10, reasoning=10))).impossible == 0
