"""Costs of answers: token prices with cached and unknown counts, sums with missing amounts, and savings."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.savings import joules_of, saved, tokens_of
from pytest_rightsize.judging.usage import Amount, Usage, usage_of
from pytest_rightsize.records import AnswerRecord, Price, Request, Run, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.reports.facts import per_case, tokens_spent

PRICE = Price(prompt=3.0, completion=15.0, cached=0.3)
counts = st.one_of(st.none(), st.integers(0, 10**6))


def joules(amount: float, **more: Any) -> Energy:
    given: dict[str, Any] = {"low": amount, "high": amount, "provenance": "measured"}
    return Energy(joules=amount, boundary=frozenset({"gpu.board"}), **(given | more))


def trial(rung: str, case: int, *answers: AnswerRecord, outcome: Any = "passed", sample: int = 0) -> Trial:
    key = TrialKey(task="t", case=f"c{case}", rung=rung, sample=sample)
    reason = {"passed": None, "failed": "wrong", "not_run": "settled"}[outcome]
    return Trial(key=key, outcome=outcome, reason=reason, answers=answers)


def answer(prompt: int | None = 10, completion: int | None = 5, **more: Any) -> AnswerRecord:
    return AnswerRecord(text="x", tokens=Tokens(prompt=prompt, completion=completion), **more)


def run_of(*trials: Trial) -> Run:
    return Run(rungs=[Rung(name=name, provider="replay") for name in ("a", "b")], trials=trials)


def spent_on(*trials: Trial) -> Usage:
    return usage_of(run_of(*trials)).by_task_rung["t", "a"]


# --- the price of one answer ------------------------------------------------------------------------------------------


def test_prompt_and_completion_tokens_have_each_their_own_price() -> None:
    cost = Price(prompt=3.0, completion=15.0).cost_usd(Tokens(prompt=1_000_000, completion=2_000_000))
    assert cost == pytest.approx(3.0 + 30.0)


def test_cached_tokens_are_part_of_the_prompt_and_have_a_price_of_their_own() -> None:
    """Of a million prompt tokens 800,000 are cached: 0.2 x 3 USD and 0.8 x 0.3 USD."""
    cost = PRICE.cost_usd(Tokens(prompt=1_000_000, cached=800_000, completion=0))
    assert cost == pytest.approx(0.6 + 0.24)


def test_cached_tokens_cost_what_the_prompt_costs_where_no_price_is_given() -> None:
    cost = Price(prompt=3.0, completion=15.0).cost_usd(Tokens(prompt=1_000_000, cached=800_000, completion=0))
    assert cost == pytest.approx(3.0)


def test_an_unknown_count_of_cached_tokens_is_no_discount() -> None:
    assert PRICE.cost_usd(Tokens(prompt=1_000_000, cached=None, completion=0)) == 3.0


def test_cached_tokens_may_be_free() -> None:
    price = Price(prompt=3.0, completion=15.0, cached=0.0)
    assert price.cost_usd(Tokens(prompt=1_000_000, cached=1_000_000, completion=0)) == 0.0


@pytest.mark.parametrize(("prompt", "completion"), [(None, 5), (5, None), (None, None)])
def test_an_unknown_count_is_never_free(prompt: int | None, completion: int | None) -> None:
    tokens = Tokens(prompt=prompt, completion=completion)
    assert PRICE.cost_usd(tokens) is None
    assert tokens.total is None


def test_no_tokens_cost_nothing_and_that_is_known() -> None:
    assert PRICE.cost_usd(Tokens(prompt=0, completion=0)) == 0.0
    assert Tokens(prompt=0, completion=0).total == 0


def test_where_prompts_are_free_an_unknown_length_of_theirs_costs_nothing() -> None:
    unknown_prompt = Tokens(completion=2_000_000)
    assert Price(prompt=0, completion=10.0).cost_usd(unknown_prompt) == 20.0
    assert Price(prompt=0, completion=10.0).cost_usd(Tokens()) is None
    assert Price(prompt=0, cached=1.0, completion=10.0).cost_usd(unknown_prompt) is None
    assert Price(prompt=0, completion=10.0, up_to_prompt_tokens=1000).cost_usd(unknown_prompt) is None


def test_all_tokens_are_prompt_and_completion_and_the_cached_are_not_counted_twice() -> None:
    assert Tokens(prompt=10, cached=4, completion=8, reasoning=6).total == 18


@pytest.mark.parametrize(
    ("second", "sums", "source"),
    [
        (Tokens(prompt=1, cached=1, completion=2, reasoning=2, source="reported"), (11, 5, 10, 8), "reported"),
        (Tokens(prompt=1, completion=2, source="reported"), (11, None, 10, None), "reported"),
        (Tokens(prompt=1, cached=0, completion=2, reasoning=0, source="counted"), (11, 4, 10, 6), "unknown"),
    ],
)
def test_tokens_together_are_sums_of_what_every_answer_has(
    second: Tokens, sums: tuple[int | None, ...], source: str
) -> None:
    first = Tokens(prompt=10, cached=4, completion=8, reasoning=6, source="reported")
    found = Tokens.together([first, second])
    assert (found.prompt, found.cached, found.completion, found.reasoning) == sums
    assert (found.characters, found.source) == (None, source)


@given(prompt=counts, completion=counts, cached_share=st.floats(0, 1))
def test_a_price_is_known_just_where_both_counts_are_and_caching_never_makes_it_dearer(
    prompt: int | None, completion: int | None, cached_share: float
) -> None:
    full = PRICE.cost_usd(Tokens(prompt=prompt, completion=completion))
    cached = PRICE.cost_usd(Tokens(prompt=prompt, completion=completion, cached=int(cached_share * (prompt or 0))))
    assert (full is None) == (prompt is None or completion is None)
    assert (cached is None) == (full is None)
    if full is not None and cached is not None:
        assert 0 <= cached <= full + 1e-12


def test_a_rung_shows_what_is_set_and_nothing_else() -> None:
    rung = Rung(name="a", provider="openai", model="m", base_dir="/home/me", options={"base_url": "http://x"})
    assert rung.to_dict() == {"name": "a", "provider": "openai", "model": "m", "base_url": "http://x"}


def test_a_request_is_the_first_sample_unless_it_says_otherwise() -> None:
    assert Request(messages=()).sample == 0


# --- sums -------------------------------------------------------------------------------------------------------------


def test_a_sum_is_complete_only_where_every_part_is_known() -> None:
    assert Amount.of([1.0, 2.0]).complete == 3.0
    assert Amount.of([1.0, None]).complete is None
    assert Amount.of([]).complete is None


def test_a_sum_of_zeros_is_zero_and_known() -> None:
    assert Amount.of([0.0, 0.0]).complete == 0.0
    assert Amount.of([0.0]).to_dict() == {"sum": 0.0, "known": 1, "unknown": 0}


def test_what_is_free_has_a_price_for_a_passed_case_and_what_is_unknown_has_none() -> None:
    free = spent_on(trial("a", 1, answer(cost_usd=0.0)))
    unknown = spent_on(trial("a", 1, answer(cost_usd=None)))
    assert free.per_pass(free.cost_usd) == 0.0
    assert unknown.per_pass(unknown.cost_usd) is None


def test_a_failed_case_is_paid_by_the_passed_ones() -> None:
    usage = spent_on(trial("a", 1, answer(cost_usd=1.0)), trial("a", 2, answer(cost_usd=2.0), outcome="failed"))
    assert usage.per_case(usage.cost_usd) == 1.5
    assert usage.per_pass(usage.cost_usd) == 3.0


def test_where_no_case_passed_nothing_is_said_for_a_passed_case() -> None:
    usage = spent_on(trial("a", 1, answer(cost_usd=1.0, energy=joules(1.0)), outcome="failed"))
    assert (usage.per_pass(usage.cost_usd), usage.energy_per_pass) == (None, None)


def test_every_answer_of_a_conversation_is_paid() -> None:
    usage = spent_on(trial("a", 1, answer(cost_usd=1.0), answer(cost_usd=0.5)))
    assert (usage.judged, usage.answers, usage.per_case(usage.cost_usd)) == (1, 2, 1.5)


def test_the_means_of_a_case_are_totals_over_the_cases() -> None:
    means = per_case(spent_on(trial("a", 1, answer(10, 6)), trial("a", 2, answer(20, 4), outcome="failed")))
    assert (means["prompt"], means["completion"], means["joules"]) == (15.0, 5.0, None)


def test_one_unknown_count_leaves_all_tokens_unknown() -> None:
    assert tokens_spent([trial("a", 1, answer(1, 2)), trial("a", 2, answer(3, 4))]) == 10
    assert tokens_spent([trial("a", 1, answer(1, 2)), trial("a", 2, answer(3, None))]) is None


# --- what a strategy saved --------------------------------------------------------------------------------------------


def test_a_trial_left_out_is_taken_for_the_mean_of_its_task_on_its_rung() -> None:
    run = run_of(trial("a", 1, answer(10, 0)), trial("a", 2, answer(20, 0)), trial("a", 3, outcome="not_run"))
    assert saved(run, tokens_of).amounts == {"tokens": 15.0}


def test_a_trial_that_was_not_run_for_another_reason_saves_nothing() -> None:
    run = run_of(trial("a", 1, answer(10, 0)), replace(trial("a", 2, outcome="not_run"), reason="budget"))
    assert saved(run, tokens_of) == saved(run_of(trial("a", 1, answer(10, 0))), tokens_of)
    assert saved(run, tokens_of).amounts == {}


def test_a_trial_that_asked_nothing_is_no_mean() -> None:
    found = saved(run_of(trial("a", 1), trial("a", 2, outcome="not_run")), tokens_of)
    assert (found.amounts, found.unknown) == ({}, {"a": 1})


def test_a_saving_of_a_conversation_counts_all_of_its_answers() -> None:
    run = run_of(trial("a", 1, answer(10, 0), answer(30, 0)), trial("a", 2, outcome="not_run"))
    assert saved(run, tokens_of).amounts == {"tokens": 40.0}


def test_where_one_answer_is_not_known_nothing_is_made_up() -> None:
    run = run_of(trial("a", 1, answer(10, 0)), trial("a", 2, answer(None, 0)), trial("a", 3, outcome="not_run"))
    found = saved(run, tokens_of)
    assert (found.amounts, found.unknown) == ({}, {"a": 1})


def test_joules_of_two_kinds_make_no_mean() -> None:
    run = run_of(
        trial("a", 1, answer(energy=joules(1.0))),
        trial("a", 2, answer(energy=joules(1.0, provenance="modelled"))),
        trial("a", 3, outcome="not_run"),
    )
    found = saved(run, joules_of)
    assert (found.amounts, found.unknown) == ({}, {"a": 1})


def test_joules_saved_on_two_rungs_stay_apart_by_kind() -> None:
    run = run_of(
        trial("a", 1, answer(energy=joules(2.0))),
        trial("b", 1, answer(energy=joules(3.0, provenance="modelled"))),
        trial("a", 2, outcome="not_run"),
        trial("b", 2, outcome="not_run"),
    )
    assert saved(run, joules_of).amounts == {
        "measured, gpu.board, gross": 2.0,
        "modelled, gpu.board, gross": 3.0,
    }


def test_unmeasured_joules_save_nothing_that_is_known() -> None:
    run = run_of(trial("a", 1, answer(energy=Energy(reason="the counter was reset"))), trial("a", 2, outcome="not_run"))
    assert saved(run, joules_of).amounts == {}


def test_joules_of_two_kinds_in_one_conversation_are_no_sum() -> None:
    mixed = [answer(energy=joules(1.0)), answer(energy=joules(1.0, provenance="modelled"))]
    found = saved(run_of(trial("a", 1, *mixed), trial("a", 2, outcome="not_run")), joules_of)
    assert (found.amounts, found.unknown) == ({}, {"a": 1})
