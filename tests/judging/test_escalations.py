"""Escalations: how often a cascade passed on, and what it takes against the smallest single rung that passes."""

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_rightsize.judging.escalations import QUANTITIES, Escalation, cascades, escalations
from pytest_rightsize.records import AnswerRecord, Outcome, Price, Run, Rung, State, Tokens, Trial, TrialKey
from pytest_rightsize.statistics.estimates import Ratio
from pytest_rightsize.verdict_records import Standing, Verdict

PRICE = Price(prompt=1, completion=1)
RUNGS = [
    *(Rung(name=name, provider="openai", price=PRICE) for name in ("small", "mid", "large")),
    Rung(name="both", provider="cascade", options={"rungs": ["small", "mid", "large"], "accept": "schema"}),
]


def trial(
    rung: str,
    case: str,
    *via: Sequence[str],
    outcome: Outcome = "passed",
    task: str = "t",
    tokens: int = 4,
    **more: Any,
) -> Trial:
    """A trial with an answer for each of `via`, the members that were asked; none of an answer of a plain rung."""
    answers = tuple(
        AnswerRecord(
            text="x", via=tuple(each), cost_usd=0.5 * tokens, seconds=1.0 * tokens, tokens=Tokens(completion=tokens)
        )
        for each in via
    )
    return Trial(key=TrialKey(task=task, case=case, rung=rung), outcome=outcome, answers=answers, **more)


def verdict(task: str = "t", **states: State) -> Verdict:
    return Verdict(
        task=task, verdict="undecided", standing={name: Standing(state=state) for name, state in states.items()}
    )


def found(*trials: Trial, verdicts: Sequence[Verdict] = (), rungs: Sequence[Rung] = RUNGS) -> list[Escalation]:
    return list(escalations(Run(rungs=rungs, trials=trials), verdicts or [verdict(both="passes")]))


def test_the_members_of_each_cascade_stand_in_their_order() -> None:
    assert cascades(Run(rungs=RUNGS)) == {"both": ("small", "mid", "large")}


def test_answers_that_a_larger_member_gave_were_passed_on() -> None:
    (both,) = found(
        trial("both", "a", ["small"]),
        trial("both", "b", ["small", "mid"], ["small"]),
        trial("both", "c", ["small", "mid", "large"], outcome="failed"),
    )
    assert (both.task, both.rung, both.answers, both.passed_on, both.last) == ("t", "both", 4, 2, "large")


def test_trials_without_an_outcome_do_not_count_and_those_for_the_savings_do() -> None:
    (both,) = found(
        trial("both", "a", ["small"]),
        trial("both", "b", ["small", "mid"], outcome="error", reason="transport"),
        trial("both", "c", ["small", "mid"], outcome="not_run", reason="settled", sampled="failed"),
    )
    assert (both.answers, both.passed_on) == (2, 1)


def test_a_cascade_that_gave_no_answer_is_left_out_and_so_is_a_ladder_without_one() -> None:
    passing = [verdict(both="passes", small="passes")]
    assert found(trial("small", "a", []), trial("both", "a"), verdicts=passing) == []
    assert found(trial("small", "a", ["small"]), verdicts=passing, rungs=RUNGS[:-1]) == []


def test_each_task_and_each_cascade_has_its_own_counts() -> None:
    rungs = [*RUNGS, Rung(name="pair", provider="cascade", options={"rungs": ["small", "large"], "accept": "schema"})]
    escalated = found(
        trial("both", "a", ["small"], task="x"),
        trial("pair", "a", ["small", "large"], task="x"),
        trial("pair", "a", ["small"], task="y"),
        verdicts=[verdict("x", both="passes", pair="passes"), verdict("y", both="passes", pair="passes")],
        rungs=rungs,
    )
    assert [(each.task, each.rung, each.answers, each.passed_on) for each in escalated] == [
        ("x", "both", 1, 0),
        ("x", "pair", 1, 1),
        ("y", "pair", 1, 0),
    ]


def test_it_is_compared_with_the_smallest_plain_rung_that_passes() -> None:
    rows = [
        *(trial("both", case, ["small"], tokens=2) for case in "ab"),
        *(trial("small", case, [], tokens=1, outcome="failed") for case in "ab"),
        *(trial("mid", case, [], tokens=8) for case in "ab"),
        *(trial("large", case, [], tokens=16) for case in "ab"),
    ]
    (both,) = found(*rows, verdicts=[verdict(both="passes", small="fails", mid="passes", large="passes")])
    assert both.single == "mid"
    assert tuple(both.ratios) == QUANTITIES == ("energy", "cost", "latency", "completion_tokens")
    for quantity in QUANTITIES[1:]:
        ratio = both.ratios[quantity]
        assert isinstance(ratio, Ratio), ratio
        assert ratio.value == pytest.approx(0.25)
    assert both.ratios["energy"] == "nothing measured its energy"


@pytest.mark.parametrize("lacking", ["both", "mid"])
def test_an_amount_that_either_lacks_has_a_reason_and_no_ratio(lacking: str) -> None:
    rows = [trial("both", "a", ["small"]), trial("mid", "a", [])]
    rows = [
        Trial(key=row.key, outcome="passed", answers=(AnswerRecord(text="x", via=row.answers[0].via, seconds=1.0),))
        if row.key.rung == lacking
        else row
        for row in rows
    ]
    (both,) = found(*rows, verdicts=[verdict(both="passes", mid="passes")])
    assert (both.ratios["cost"], both.ratios["completion_tokens"]) == (
        "its price is not known",
        "its completion tokens are not known",
    )
    assert isinstance(both.ratios["latency"], Ratio)


def test_without_a_plain_rung_that_passes_it_is_compared_with_none() -> None:
    (both,) = found(trial("both", "a", ["small"]), verdicts=[verdict(both="passes", mid="undecided", large="not_run")])
    assert (both.single, both.ratios) == (None, {})


def test_a_task_without_a_trial_has_no_escalation() -> None:
    assert found(trial("both", "a", ["small"]), verdicts=[verdict("other", both="not_run")]) == []
