"""Totals of a rung: each part within a tick at either end of each run of requests, and None where nothing was seen."""

import threading
from typing import Any

import pytest

from pytest_rightsize.energy import Basis, Energy
from pytest_rightsize.meter_records import IdlePower, Metering
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.accounts import Account
from pytest_rightsize.meters.attribution.idling import IdleMemory, Idling, Reading
from pytest_rightsize.meters.attribution.prompt_weights import PromptWeights
from pytest_rightsize.meters.attribution.rung_totals import metering_of, with_findings
from pytest_rightsize.meters.attribution.sharing import Ledger
from pytest_rightsize.meters.attribution.timeline import Timeline

PARTS = ("load", "served", "repeated", "lost", "others", "idle", "total")


def ledger_of(*accounts: Account, busy_s: float = 6.0, runs: int = 1, **more: Any) -> Ledger:
    """Ten seconds of devices whose counters tick every half second."""
    made = Ledger([Timeline(period_s=0.5) for _ in accounts], opened=100.0, patience_s=1.0, loads=False)
    made.until, made.busy_s, made.busy_runs = 110.0, busy_s, runs
    made.accounts = list(accounts)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def facts(device: str = "sim:0", **more: Any) -> Facts:
    return Facts(device=device, boundary="gpu.board", meter="sim", **more)


def totals(ledger: Ledger, *of: Facts, basis: Basis = "gross", several: bool = False) -> Metering:
    return metering_of(ledger, of or [facts()], rung="1b", meter="sim", basis=basis, answers=3, several=several)


def bounds(energy: Energy | None) -> tuple[float, float, float]:
    assert energy is not None
    assert energy.joules is not None
    assert energy.low is not None
    assert energy.high is not None
    return energy.low, energy.joules, energy.high


def test_each_run_of_requests_may_be_off_by_a_tick_at_either_end() -> None:
    """200 J in 10 s are 10 J for each tick of half a second; three runs have six ends, the whole has two."""
    found = totals(ledger_of(Account(total=200, served=120, idle=80), runs=3))
    assert bounds(found.served) == pytest.approx((60, 120, 180))
    assert bounds(found.idle) == pytest.approx((20, 80, 140))
    assert bounds(found.total) == pytest.approx((180, 200, 220))
    assert (found.tick_s, found.busy_s, found.answers, found.rung, found.meter) == (0.5, 6.0, 3, "1b", "sim")
    assert [found.served.window_s if found.served else None, found.idle.window_s if found.idle else None] == [6, 10]


@pytest.mark.parametrize("runs", [0, 1])
def test_no_run_has_two_ends_as_one_has(runs: int) -> None:
    found = totals(ledger_of(Account(total=200, idle=200), busy_s=0.0, runs=runs))
    assert bounds(found.idle) == pytest.approx((180, 200, 220))


def test_a_part_of_which_nothing_was_seen_is_none() -> None:
    found = totals(ledger_of(Account(total=200, served=120, lost=80)))
    assert [name for name in PARTS if getattr(found, name) is not None] == ["served", "lost", "total"]
    assert totals(ledger_of(Account(total=5, served=5), busy_s=0.0)).served is None


def test_small_amounts_are_kept_and_bounds_do_not_fall_below_0() -> None:
    found = totals(ledger_of(Account(total=200, served=199.5, lost=0.5)))
    assert bounds(found.lost) == pytest.approx((0, 0.5, 20.5))


def test_the_instruments_error_widens_either_end() -> None:
    found = totals(ledger_of(Account(total=200, served=200)), facts(factors=(0.9, 1.2), systematic=0.05))
    assert bounds(found.served) == pytest.approx((162, 200, 264))
    assert found.served is not None
    assert found.served.systematic == 0.05


def test_above_idle_power_answers_are_as_uncertain_as_that_power_and_idle_is_not() -> None:
    """2 W over the 6 s in which requests were in flight."""
    account = Account(total=200, served=100, others=50, idle=50)
    found = totals(ledger_of(account, idle_error_w=2.0), basis="marginal")
    assert bounds(found.served) == pytest.approx((68, 100, 132))
    assert bounds(found.others) == pytest.approx((18, 50, 82))
    assert bounds(found.idle) == pytest.approx((30, 50, 70))
    bases = {name: part.basis for name in PARTS if (part := getattr(found, name)) is not None}
    assert bases == {"served": "marginal", "others": "gross", "idle": "gross", "total": "gross"}
    gross = totals(ledger_of(account, idle_error_w=2.0))
    assert bounds(gross.served) == pytest.approx((80, 100, 120))


def test_only_answers_of_several_at_once_share_their_joules() -> None:
    account = Account(total=200, served=100, idle=100)
    for several, provenance in ((False, "measured"), (True, "measured_shared")):
        found = totals(ledger_of(account), several=several)
        assert found.served is not None
        assert found.idle is not None
        assert (found.served.provenance, found.idle.provenance) == (provenance, "measured")
    modelled = totals(ledger_of(account), facts(provenance="modelled"), several=True)
    assert modelled.served is not None
    assert modelled.served.provenance == "modelled"


def test_devices_add_up_and_none_takes_less_than_nothing() -> None:
    """Others took a little more on the second device than was booked there."""
    ledger = ledger_of(Account(total=200, served=100), Account(total=40, served=-1))
    found = totals(ledger, facts(), facts("sim:1"))
    assert bounds(found.served) == pytest.approx((80, 100, 124))
    assert found.served is not None
    assert found.served.devices == ("sim:0", "sim:1")


@pytest.mark.parametrize(
    ("start", "end", "load_s"), [(101.0, 104.0, 3.0), (None, 104.0, 4.0), (104.0, 101.0, 0.0), (101.0, None, None)]
)
def test_loading_lasts_from_the_first_request_to_the_first_answer(
    start: float | None, end: float | None, load_s: float | None
) -> None:
    found = totals(ledger_of(Account(total=200, load=30 if load_s else 0), load_start=start, load_end=end))
    assert found.load_s == load_s
    if load_s:
        assert bounds(found.load) == pytest.approx((10, 30, 50))
        assert found.load is not None
        assert found.load.window_s == load_s
    else:
        assert found.load is None


@pytest.mark.parametrize(("watts", "sum_w"), [([5.0, 0.0], 5.0), ([5.0, 7.0], 12.0), ([5.0, None], None)])
def test_idle_power_is_that_of_all_devices_or_unknown(watts: list[float | None], sum_w: float | None) -> None:
    ledger = ledger_of(Account(total=2), Account(total=2), idle_w=watts)
    assert totals(ledger, facts(), facts("sim:1")).idle_w == sum_w


@pytest.mark.parametrize(
    ("unknown_s", "notes"), [(0.0, ()), (0.001, ()), (0.25, ("of 0.25 s the counters say nothing",))]
)
def test_time_of_which_a_counter_says_nothing_is_told(unknown_s: float, notes: tuple[str, ...]) -> None:
    ledger = ledger_of(Account(total=2), Account(total=2, unknown_s=unknown_s))
    assert totals(ledger, facts(), facts("sim:1")).notes == notes


# --- what is learned at the end ---------------------------------------------------------------------------------------


def findings(*, answers: int, several: bool, is_cold_known: bool = True) -> Metering:
    ledger, memory = ledger_of(Account(total=2)), IdleMemory()
    power = IdlePower(state="cold", watts=40.0, low=39.0, high=41.0, seconds=3.0, ticks=6, at_s=0.0)
    if is_cold_known:
        memory.cold["sim:0",] = Reading(watts=(40.0,), error_w=1.0, at=90.0, power=power)
    idling = Idling(
        ledger.timelines, rung="1b", devices=["sim:0"], memory=memory, opened=100.0, wanted_s=0.0, loads=False
    )
    weights = PromptWeights(ledger, ["sim:0"], lock=threading.RLock())
    metering = Metering(rung="1b", meter="sim", answers=answers, idle_w=9.0)
    return with_findings(metering, idling, weights, several=several)


def test_the_powers_that_were_measured_are_told_with_their_time() -> None:
    found = findings(answers=0, several=False)
    assert (found.cold_w, found.idle_w, [power.at_s for power in found.idle_powers]) == (40.0, None, [-10.0])
    assert findings(answers=0, several=False, is_cold_known=False).cold_w is None


def test_weights_are_told_where_answers_share_joules_and_a_fit_where_there_are_answers() -> None:
    shared, alone = findings(answers=0, several=True), findings(answers=2, several=False)
    assert (shared.prompt_weights, shared.weighed_by) == ({"sim:0": 0.1}, {"sim:0": 0.0})
    assert (alone.prompt_weights, alone.weighed_by) == ({}, {})
    assert (shared.phases, shared.no_phases) == ((), None)
    assert alone.no_phases == "its counters can tell 0 answers apart, or stretches of them; it takes 8"
