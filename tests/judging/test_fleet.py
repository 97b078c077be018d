"""What a choice means at scale: per 1,000 and per million requests, per month and year, each by its own provenance."""

import json
from dataclasses import replace

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.conclusions import conclude
from pytest_rightsize.judging.fleet import FleetRow, PerRequest, fleet
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Policy, Price, Run, Rung, Trial, TrialKey
from pytest_rightsize.reports.facts import gather
from pytest_rightsize.reports.fleet_words import amount_words, fleet_lines, provenance
from pytest_rightsize.reports.html.fleet_section import fleet_section
from pytest_rightsize.reports.markdown import MarkdownReport
from pytest_rightsize.reports.tables import JsonReport

LAPTOP = Energy(
    joules=36.0, low=32.4, high=39.6, provenance="measured", boundary=frozenset({"cpu.package"}), meter="rapl"
)
CENTRE = Energy(
    joules=360.0, low=36.0, high=3600.0, provenance="modelled", boundary=frozenset({"gpu.board", "pue"}), meter="served"
)


def run_of(
    *,
    small: Energy | None = LAPTOP,
    big: Energy | None = CENTRE,
    grams: float | None = 400.0,
    monthly: float | None = None,
) -> Run:
    def trials(rung: str, energy: Energy | None, usd: float) -> list[Trial]:
        return [
            Trial(
                key=TrialKey(task="t", case=f"c{case}", rung=rung),
                outcome="passed",
                answers=(AnswerRecord(text="x", energy=energy, cost_usd=usd),),
            )
            for case in range(4)
        ]

    price = Price(prompt=1.0, completion=1.0)
    return Run(
        rungs=[
            Rung(name="small", provider="llama_cpp", price=price, gco2_per_kwh=grams),
            Rung(name="big", provider="openai", price=price, gco2_per_kwh=grams),
        ],
        trials=[*trials("small", small, 0.0), *trials("big", big, 0.002)],
        policies={"t": Policy(task="t", chosen="big", requests_per_month=monthly)},
        planned={("t", "small"): 4, ("t", "big"): 4},
        strategy="full",
    )


def rows_of(run: Run) -> dict[str, FleetRow]:
    verdicts = judge(run)
    return {row.rung: row for row in fleet(run, verdicts, {one.task: one for one in conclude(run, verdicts)})}


def test_a_laptop_stands_beside_a_data_centre_and_they_are_never_added_up() -> None:
    rows = rows_of(run_of())
    small, big = rows["small"], rows["big"]
    assert (small.roles, big.roles) == (("smallest",), ("chosen",))
    million = small.amounts["energy"].times(small.scales["per million requests"])
    # 36 J a request are 10 kWh a million, and the meter is known to 10 %.
    assert (million.value, million.low, million.high) == pytest.approx((10.0, 9.0, 11.0))
    co2e = small.amounts["co2e"].times(1e6)
    assert co2e.unit == "kg CO2e"
    assert co2e.value == pytest.approx(4.0)
    centre = big.amounts["energy"].times(1e6)
    assert (centre.value, centre.low, centre.high) == pytest.approx((100.0, 10.0, 1000.0))
    assert provenance(small) == "measured, cpu.package, gross; meter rapl"
    assert provenance(big) == "modelled, gpu.board+pue, gross; meter served"
    # Of both only the money is known in one way.
    saved = rows["small instead of big"]
    assert set(saved.amounts) == {"cost"}
    assert saved.amounts["cost"].times(1000).value == pytest.approx(2.0)


def test_amounts_have_three_digits_as_they_are_known_no_better() -> None:
    assert (
        amount_words(PerRequest(unit="USD", value=19_686.0, low=6_399.4, high=59_951.0)) == "$19,700 (6,400 to 60,000)"
    )
    assert amount_words(PerRequest(unit="kWh", value=-0.01234, low=-2.0, high=0.0)) == "-0.0123 kWh (-2 to 0)"


def test_what_is_not_known_has_a_reason_and_no_figure() -> None:
    rows = rows_of(run_of(small=None, grams=None))
    assert set(rows["small"].amounts) == {"cost"}
    assert rows["small"].unknown == {"energy": "nothing measured its energy", "co2e": "no gco2_per_kwh is set"}
    assert provenance(rows["small"]) == "energy not known: nothing measured its energy"


def test_a_month_and_a_year_need_a_number_of_requests() -> None:
    assert list(rows_of(run_of())["small"].scales) == ["per 1,000 requests", "per million requests"]
    row = rows_of(run_of(monthly=200_000.0))["small"]
    assert (row.scales["per month"], row.scales["per year"]) == (200_000.0, 2_400_000.0)
    assert amount_words(row.amounts["energy"].times(row.scales["per year"])) == "24 kWh (21.6 to 26.4)"


def test_the_interval_is_over_cases_and_holds_the_meters_error() -> None:
    run = run_of()
    joules = [10.0, 20.0, 30.0, 40.0]
    trials = [
        replace(
            trial, answers=(replace(trial.answers[0], energy=replace(LAPTOP, joules=of, low=0.9 * of, high=1.1 * of)),)
        )
        for trial, of in zip(run.trials[:4], joules, strict=True)
    ]
    amount = rows_of(replace(run, trials=[*trials, *run.trials[4:]]))["small"].amounts["energy"]
    assert amount.value * 3.6e6 == pytest.approx(25.0)
    assert amount.low is not None
    assert amount.high is not None
    assert amount.low * 3.6e6 < 25.0 - 12 * 0.9
    assert amount.high * 3.6e6 > 25.0 + 12 * 1.1


def test_reports_and_the_terminal_have_it() -> None:
    run = run_of(monthly=1_000_000.0)
    verdicts = judge(run)
    facts = gather(run, verdicts)
    lines = [*fleet_lines(fleet(run, verdicts, facts.conclusions))]
    assert lines[0] == (
        "t: per year on small (smallest): 120 kWh (108 to 132), $0, 48 kg CO2e (43.2 to 52.8); "
        "energy measured, cpu.package, gross"
    )
    assert "t: per year saved by small instead of big: $24,000, energy not known" in lines
    markdown = MarkdownReport().render(run, verdicts)
    assert "| task | model | per 1,000 requests | per million requests | per month | per year | known how |" in markdown
    section = fleet_section(facts)
    assert section is not None
    assert section["rows"][1]["cells"][1] == ["100 kWh (10 to 1,000)", "$2,000", "40 kg CO2e (4 to 400)"]
    plain = json.loads(JsonReport().render(run, verdicts))["fleet"]
    assert plain[0]["per million requests"]["energy"]["value"] == pytest.approx(10.0)
    assert plain[0]["energy_kind"] == "measured, cpu.package, gross"


def test_the_terminal_is_silent_where_the_ladder_file_asks_for_nothing() -> None:
    run = run_of(grams=None)
    verdicts = judge(run)
    assert [*fleet_lines(fleet(run, verdicts, gather(run, verdicts).conclusions))] == []


def test_of_a_single_case_the_bounds_are_those_of_the_meter() -> None:
    """36 J, known to 10 %: nothing is known of other cases. Without an error of the meter there are no bounds."""
    run = run_of()
    trials = [trial for trial in run.trials if trial.key.case == "c0"]
    amount = rows_of(replace(run, trials=trials))["small"].amounts["energy"]
    assert (amount.value, amount.low, amount.high) == pytest.approx((36 / 3.6e6, 32.4 / 3.6e6, 39.6 / 3.6e6))
    exact = replace(LAPTOP, low=36.0, high=36.0)
    run = run_of(small=exact)
    amount = rows_of(replace(run, trials=[one for one in run.trials if one.key.case == "c0"]))["small"].amounts[
        "energy"
    ]
    assert (amount.low, amount.high) == (None, None)


def test_a_meter_that_only_tells_too_little_has_bounds_too() -> None:
    run = run_of(small=replace(LAPTOP, low=36.0, high=39.6))
    trials = [trial for trial in run.trials if trial.key.case == "c0"]
    amount = rows_of(replace(run, trials=trials))["small"].amounts["energy"]
    assert (amount.low, amount.high) == pytest.approx((36 / 3.6e6, 39.6 / 3.6e6))


def test_what_a_smaller_rung_saves_is_told_in_energy_and_in_co2e() -> None:
    """360 J less 36 J a request, at 400 g a kWh."""
    rows = rows_of(run_of(big=replace(LAPTOP, joules=360.0, low=360.0, high=360.0)))
    saved = rows["small instead of big"]
    assert saved.roles == ("saved",)
    assert saved.amounts["energy"].value * 3.6e6 == pytest.approx(324.0)
    assert saved.amounts["co2e"].value == pytest.approx(0.4 * 324.0 / 3.6e6)
    assert saved.amounts["co2e"].unit == "kg CO2e"
    assert saved.amounts["cost"].value == pytest.approx(0.002)
