"""Sentences on cascades: how often they pass on, and what they take against a single rung."""

import pytest

from pytest_rightsize.records import AnswerRecord, Price, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.escalation_words import escalation_lines
from pytest_rightsize.verdict_records import Standing, Verdict

PRICE = Price(prompt=1, completion=1)
RUNGS = [
    Rung(name="small", provider="openai", price=PRICE),
    Rung(name="large", provider="openai", price=PRICE),
    Rung(name="both", provider="cascade", options={"rungs": ["small", "large"], "accept": "schema"}),
]


def trial(rung: str, case: str, usd: float | None, *via: str) -> Trial:
    tokens = Tokens(completion=None if usd is None else 5)
    answer = AnswerRecord(text="x", tokens=tokens, cost_usd=usd, seconds=usd, via=via)
    return Trial(key=TrialKey(task="t", case=case, rung=rung), outcome="passed", answers=(answer,))


def lines(*trials: Trial, large: Standing) -> list[str]:
    standing = {"small": Standing(state="fails"), "large": large, "both": Standing(state="passes")}
    return escalation_lines(Run(rungs=RUNGS, trials=trials), [Verdict(task="t", verdict="unsolved", standing=standing)])


PASSES, FAILS = Standing(state="passes"), Standing(state="fails")


def test_the_cost_of_priced_rungs_is_compared_whatever_measures_their_energy() -> None:
    (line,) = lines(
        *(trial("both", case, 0.25, "small") for case in "abc"),
        trial("both", "d", 0.25, "small", "large"),
        *(trial("large", case, 1.0) for case in "abcd"),
        large=PASSES,
    )
    assert line == (
        "t: both passed 1 of 4 answers on towards large (25 %); for a passed case it takes 0.25 times (0.25 to 0.25) "
        "the cost, 0.25 times (0.25 to 0.25) the time, 1 times (1 to 1) the completion tokens of large, "
        "the best single rung"
    )


@pytest.mark.parametrize(
    ("large", "end"),
    [
        (FAILS, "no single rung was shown to pass, so that it is compared with none"),
        (
            PASSES,
            "what it takes against large, the best single rung, is not known: completion tokens (its completion tokens "
            "are not known), time (its time is not known), cost (its price is not known), energy (nothing measured its "
            "energy)",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(large: Standing, end: str) -> None:
    (line,) = lines(trial("both", "a", None, "small"), trial("large", "a", None), large=large)
    assert line == f"t: both passed 0 of 1 answers on towards large (0 %); {end}"
