"""Amounts of one rung in one task: sums by case, reasons in place of what is not known, and the meter's error."""

from math import inf, nan
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.rung_amounts import (
    CaseAmount,
    MeterErrors,
    Quantity,
    RungAmounts,
    meter_errors,
    rung_amounts,
)
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.records import AnswerRecord, Outcome, Price, Run, Rung, Tokens, Trial, TrialKey

PRICED = MeterErrors(of={}, electric=frozenset())
ELECTRIC = MeterErrors(of={}, electric=frozenset({"r"}))


def joules(amount: float, low: float, high: float, **more: Any) -> Energy:
    given: dict[str, Any] = {"provenance": "measured", "boundary": frozenset({"gpu.board"})}
    return Energy(joules=amount, low=low, high=high, **(given | more))


def trial(case: str, *answers: AnswerRecord, outcome: Outcome = "passed", sample: int = 0, **more: Any) -> Trial:
    return Trial(key=TrialKey(task="t", case=case, rung="r", sample=sample), outcome=outcome, answers=answers, **more)


def answer(**known: Any) -> AnswerRecord:
    return AnswerRecord(text="x", **known)


def amounts(quantity: Quantity, *trials: Trial, errors: MeterErrors = PRICED) -> RungAmounts:
    found = rung_amounts("r", trials, quantity, errors)
    assert isinstance(found, RungAmounts), found
    return found


def test_a_case_has_the_sums_over_its_samples_and_their_answers() -> None:
    found = amounts(
        "latency",
        trial("a", answer(seconds=1.0), answer(seconds=2.0)),
        trial("a", answer(seconds=4.0), outcome="failed", sample=1),
        trial("b", answer(seconds=8.0), outcome="failed"),
    )
    assert found.cases == {"a": CaseAmount(7.0, 1, 2), "b": CaseAmount(8.0, 0, 1)}
    assert (found.rung, found.kind, found.energy, found.bounds) == ("r", None, None, (1.0, 1.0))


def test_a_trial_that_was_asked_for_the_savings_alone_counts_as_it_ended() -> None:
    sampled = trial("a", answer(seconds=1.0), outcome="not_run", reason="settled", sampled="passed")
    assert amounts("latency", sampled).cases == {"a": CaseAmount(1.0, 1, 1)}


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [("completion_tokens", 5.0), ("reasoning_tokens", 3.0), ("prompt_tokens", 11.0), ("cost", 0.25), ("latency", 2.5)],
)
def test_each_quantity_is_read_from_its_own_field(quantity: Quantity, amount: float) -> None:
    one = answer(tokens=Tokens(prompt=11, completion=5, reasoning=3), cost_usd=0.25, seconds=2.5)
    assert amounts(quantity, trial("a", one)).cases["a"].amount == amount


@pytest.mark.parametrize("quantity", ["completion_tokens", "reasoning_tokens", "prompt_tokens", "cost", "latency"])
def test_an_amount_of_0_is_known(quantity: Quantity) -> None:
    free = answer(tokens=Tokens(prompt=0, completion=0, reasoning=0), cost_usd=0.0, seconds=0.0)
    assert amounts(quantity, trial("a", free)).cases == {"a": CaseAmount(0.0, 1, 1)}


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [
        ("energy", "nothing measured its energy"),
        ("cost", "its price is not known"),
        ("latency", "its time is not known"),
        ("completion_tokens", "its completion tokens are not known"),
        ("reasoning_tokens", "its reasoning tokens are not known"),
        ("prompt_tokens", "its prompt tokens are not known"),
    ],
)
def test_one_answer_of_an_unknown_amount_leaves_the_whole_unknown(quantity: Quantity, reason: str) -> None:
    known = answer(
        tokens=Tokens(prompt=1, completion=1, reasoning=1), cost_usd=1.0, seconds=1.0, energy=joules(1, 1, 1)
    )
    assert rung_amounts("r", [trial("a", known), trial("b", known, answer())], quantity, PRICED) == reason


@pytest.mark.parametrize(
    ("quantity", "value", "reason"),
    [
        ("latency", -0.5, "one of its amounts is -0.5 s, which cannot be"),
        ("latency", inf, "one of its amounts is inf s, which cannot be"),
        ("cost", nan, "one of its amounts is nan USD, which cannot be"),
    ],
)
def test_an_amount_that_cannot_be_is_no_amount(quantity: Quantity, value: float, reason: str) -> None:
    assert rung_amounts("r", [trial("a", answer(seconds=value, cost_usd=value))], quantity, PRICED) == reason


def test_a_rung_without_a_trial_was_not_run() -> None:
    assert rung_amounts("r", [], "energy", PRICED) == "it was not run"


def test_joules_without_a_figure_give_the_reason_of_the_meter() -> None:
    lost = answer(energy=Energy(reason="the counter was reset"))
    assert rung_amounts("r", [trial("a", lost)], "energy", PRICED) == "the counter was reset"


def test_joules_of_two_kinds_are_never_added_up() -> None:
    mixed = [answer(energy=joules(1, 1, 1)), answer(energy=joules(1, 1, 1, provenance="modelled"))]
    assert rung_amounts("r", [trial("a", *mixed)], "energy", PRICED) == (
        "its joules are of several kinds (measured, gpu.board, gross; modelled, gpu.board, gross)"
    )


def test_trials_that_asked_nothing_measured_nothing() -> None:
    assert rung_amounts("r", [trial("a")], "energy", PRICED) == "it was not measured"
    assert amounts("latency", trial("a")).cases == {"a": CaseAmount(0.0, 1, 1)}


def test_the_error_of_joules_is_that_of_their_sum_as_factors() -> None:
    """3 J and 5 J make 8 J, between 2 + 4 and 4 + 8 J: 0.75 to 1.5 of them."""
    found = amounts("energy", trial("a", answer(energy=joules(3, 2, 4))), trial("b", answer(energy=joules(5, 4, 8))))
    assert found.bounds == (0.75, 1.5)
    assert found.energy is not None
    assert (found.energy.joules, found.kind) == (8, found.energy.kind)


def test_the_error_of_all_that_the_meter_served_comes_before_that_of_the_split() -> None:
    one = joules(3, 2, 4)
    errors = MeterErrors(of={("r", one.kind): (0.98, 1.02), ("other", one.kind): (0.5, 2.0)}, electric=frozenset())
    assert amounts("energy", trial("a", answer(energy=one)), errors=errors).bounds == (0.98, 1.02)


def test_0_joules_have_no_error_as_a_factor() -> None:
    assert amounts("energy", trial("a", answer(energy=joules(0, 0, 4)))).bounds == (1.0, 1.0)


def test_the_cost_of_electricity_has_the_error_of_its_joules_and_no_kind() -> None:
    powered = trial("a", answer(cost_usd=0.5, energy=joules(4, 3, 5)))
    found = amounts("cost", powered, errors=ELECTRIC)
    assert (found.cases["a"].amount, found.kind, found.bounds) == (0.5, None, (0.75, 1.25))
    assert amounts("latency", trial("a", answer(seconds=1.0, energy=joules(4, 3, 5))), errors=ELECTRIC).energy is None


def test_a_price_has_no_error_whatever_the_joules() -> None:
    priced = trial("a", answer(cost_usd=0.5, energy=joules(4, 3, 5)))
    assert amounts("cost", priced).bounds == (1.0, 1.0)


def test_reasoning_that_contradicts_the_completion_is_not_known() -> None:
    many = trial("a", answer(tokens=Tokens(completion=4, reasoning=9)))
    none = trial("a", answer(tokens=Tokens(completion=4, reasoning=0)))
    reasons = MeterErrors(of={}, electric=frozenset(), reasoning=frozenset({"r"}))
    assert rung_amounts("r", [many], "reasoning_tokens", PRICED) == (
        "9 reasoning tokens are reported of 4 completion tokens"
    )
    assert rung_amounts("r", [none], "reasoning_tokens", reasons) == "it reasons, and reports 0 reasoning tokens"
    assert amounts("completion_tokens", many).cases["a"].amount == 4
    assert amounts("reasoning_tokens", none).cases["a"].amount == 0


# --- what a run says of its meters ------------------------------------------------------------------------------------


def test_a_run_tells_the_error_of_each_meter_by_kind() -> None:
    served = joules(200, 190, 212)
    meters = [
        Metering(rung="a", meter="nvml", served=served),
        Metering(rung="b", meter="nvml", served=joules(0, 0, 1)),
        Metering(rung="c", meter="none", served=Energy(reason="no meter")),
        Metering(rung="d", meter="none"),
    ]
    assert meter_errors(Run(rungs=[], meters=meters)).of == {("a", served.kind): (0.95, 1.06)}


def test_the_meters_of_replicas_are_one_instrument_each_whose_bounds_add_up() -> None:
    """300 J between 290 and 330: the errors of two instruments do not cancel."""
    replicas = [joules(200, 195, 210), joules(100, 95, 120)]
    meters = [Metering(rung="a", meter="nvml", served=served) for served in replicas]
    assert meter_errors(Run(rungs=[], meters=meters)).of == {("a", replicas[0].kind): (290 / 300, 1.1)}


def test_a_declared_figure_without_bounds_has_no_error() -> None:
    declared = Energy(joules=7, provenance="vendor_declared")
    errors = meter_errors(Run(rungs=[], meters=[Metering(rung="a", meter="declared", served=declared)]))
    assert errors.of == {("a", declared.kind): (1.0, 1.0)}


def test_a_rung_without_a_price_pays_for_electricity_and_one_with_it_does_not() -> None:
    priced = Rung(name="api", provider="openai", price=Price(prompt=1, completion=1))
    local = Rung(name="local", provider="llama_cpp", electricity_usd_per_kwh=0.3)
    thinker = Rung(name="thinker", provider="openai", options={"reasoning_effort": "high"})
    errors = meter_errors(Run(rungs=[priced, local, thinker]))
    assert (errors.electric, errors.reasoning) == (frozenset({"local", "thinker"}), frozenset({"thinker"}))


@pytest.mark.parametrize(
    ("members", "is_electric"), [(("local", "other"), True), (("local", "api"), False), (("api", "dear"), False)]
)
def test_a_cascade_costs_electricity_where_all_its_members_do(members: tuple[str, ...], is_electric: bool) -> None:
    rungs = [
        *(Rung(name=name, provider="openai", price=Price(prompt=1, completion=1)) for name in ("api", "dear")),
        *(Rung(name=name, provider="llama_cpp", electricity_usd_per_kwh=0.3) for name in ("local", "other")),
        Rung(name="r", provider="cascade", options={"rungs": list(members)}),
    ]
    assert ("r" in meter_errors(Run(rungs=rungs)).electric) is is_electric


def test_the_cost_of_a_cascade_of_priced_rungs_is_known_without_a_meter() -> None:
    rungs = [
        *(Rung(name=name, provider="openai", price=Price(prompt=1, completion=1)) for name in ("api", "dear")),
        Rung(name="r", provider="cascade", options={"rungs": ["api", "dear"]}),
    ]
    passed_on = trial("a", answer(cost_usd=0.5, via=("api", "dear")))
    assert amounts("cost", passed_on, errors=meter_errors(Run(rungs=rungs))).cases["a"].amount == 0.5


def test_the_cost_of_a_cascade_is_off_by_no_greater_part_than_that_of_its_electric_members() -> None:
    rungs = [
        *(Rung(name=name, provider="llama_cpp", electricity_usd_per_kwh=0.3) for name in ("local", "other", "third")),
        Rung(name="api", provider="openai", price=Price(prompt=1, completion=1)),
        Rung(name="r", provider="cascade", options={"rungs": ["local", "other", "api"]}),
        Rung(name="priced", provider="cascade", options={"rungs": ["api", "api"]}),
        Rung(name="electric", provider="cascade", options={"rungs": ["local", "third"]}),
    ]
    served = {"local": joules(100, 95, 102), "other": joules(10, 9.8, 11), "third": joules(10, 5, 20)}
    meters = [Metering(rung=name, meter="nvml", served=energy) for name, energy in served.items()]
    errors = meter_errors(Run(rungs=rungs, meters=meters))
    assert errors.of_cost == {"r": (0.95, 1.1)}
    mixed = trial("a", answer(cost_usd=0.5, seconds=1.0, via=("local", "api")))
    assert amounts("cost", mixed, errors=errors).bounds == (0.95, 1.1)
    assert amounts("latency", mixed, errors=errors).bounds == (1.0, 1.0)
