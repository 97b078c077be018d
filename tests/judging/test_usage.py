"""What a run's answers took: sums where there are sums, subtotals where there are none, and counts of the unknown."""

import json
from typing import Any

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.usage import Spent, spend
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


def spent_on(*answers: AnswerRecord, outcomes: str = "") -> Spent:
    marks = outcomes or "1" * len(answers)
    trials = [
        trial("t", "r", number, one, "passed" if mark == "1" else "failed")
        for number, (one, mark) in enumerate(zip(answers, marks, strict=True))
    ]
    return spend(Run(rungs=[Rung(name="r", provider="replay")], trials=trials)).by_task_rung["t", "r"]


def test_what_is_known_of_every_answer_has_sums_and_rates() -> None:
    spent = spent_on(answer(joules(3)), answer(joules(5)), outcomes="10")
    assert (spent.judged, spent.passed, spent.answers) == (2, 1, 2)
    assert spent.energy_per_case is not None
    assert spent.energy_per_case.joules == 4
    assert spent.energy_per_pass is not None
    assert spent.energy_per_pass.joules == 8
    assert spent.energy_per_output_token is not None
    assert spent.energy_per_output_token.joules == 0.5
    assert (spent.tokens, spent.answer_tokens, spent.reasoning_share) == (36, 4, 0.75)
    assert (spent.per_pass(spent.cost_usd), spent.per_case(spent.seconds)) == (0.02, 0.5)


def test_joules_known_in_two_ways_stand_in_two_subtotals_and_have_no_rate() -> None:
    spent = spent_on(answer(joules(3)), answer(joules(5, "modelled")), answer(joules(7, "modelled")))
    assert [(sub.kind.provenance, sub.energy.joules, sub.answers) for sub in spent.energies] == [
        ("measured", 3, 1),
        ("modelled", 12, 2),
    ]
    assert (spent.energy, spent.energy_per_case) == (None, None)


def test_what_was_replayed_stands_apart_but_is_the_same_kind() -> None:
    spent = spent_on(answer(joules(3)), answer(joules(5, replayed=True), cached=True))
    assert [(sub.replayed, sub.energy.joules) for sub in spent.energies] == [(False, 3), (True, 5)]
    assert spent.energy is not None
    assert (spent.energy.joules, spent.energy.flags) == (8, ("partly_replayed",))


def test_an_unknown_amount_is_counted_and_takes_the_rates_with_it() -> None:
    unknown = answer(tokens=Tokens(), seconds=None, cost_usd=None, energy=Energy(reason="the counter was reset"))
    spent = spent_on(answer(joules(3)), unknown, answer())
    assert (spent.energy_unknown, spent.reasons) == (2, ("the counter was reset", "nothing measured it"))
    assert (spent.energy, spent.tokens, spent.reasoning_share) == (None, None, None)
    assert (spent.cost_usd.sum, spent.cost_usd.unknown, spent.cost_usd.complete) == (0.02, 1, None)
    assert spent.cost_usd.to_dict() == {"sum": 0.02, "known": 2, "unknown": 1}


def test_nothing_known_is_null_and_not_zero() -> None:
    spent = spent_on(answer(tokens=Tokens(), seconds=None, cost_usd=None))
    assert spent.cost_usd.to_dict() == {"sum": None, "known": 0, "unknown": 1}
    assert spent.to_dict()["energy_per_case"] is None


def test_totals_hold_every_answer_and_rates_only_those_that_were_judged() -> None:
    trials = [trial("t", "r", 1, answer(joules(3))), trial("t", "r", 2, answer(joules(5)), "error")]
    spending = spend(Run(rungs=[Rung(name="r", provider="replay")], trials=trials))
    assert spending.total.energy is not None
    assert spending.total.energy.joules == 8
    rung = spending.by_rung["r"].energy_per_case
    assert rung is not None
    assert rung.joules == 3
    json.dumps(spending.to_dict(), allow_nan=False)


def test_what_this_session_spent_leaves_replayed_answers_out() -> None:
    trials = [trial("t", "r", 1, answer(joules(3))), trial("t", "r", 2, answer(joules(5, replayed=True), cached=True))]
    live = spend(Run(rungs=[Rung(name="r", provider="replay")], trials=trials)).live
    assert live.energy is not None
    assert (live.energy.joules, live.answers, live.cost_usd.sum) == (3, 1, 0.01)
