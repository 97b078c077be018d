"""One amount of energy: the amounts it may be added to or compared with, its bounds, and unknown amounts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.records import AnswerRecord


def measured(joules: float, **more: Any) -> Energy:
    given: dict[str, Any] = {
        "low": joules * 0.9,
        "high": joules * 1.1,
        "provenance": "measured",
        "boundary": frozenset({"gpu.board"}),
        "devices": ("nvml:GPU-1",),
        "meter": "nvml",
        "window_s": 2.0,
    }
    return Energy(joules=joules, **(given | more))


PACKAGE: dict[str, Any] = {"boundary": frozenset({"cpu.package"}), "devices": ("rapl:package-0",), "meter": "rapl"}


def test_amounts_of_one_kind_add_up_with_their_bounds_and_windows() -> None:
    both = measured(10) + measured(20, ticks=3)
    assert both.bounds == pytest.approx((27, 33))
    assert (both.joules, both.window_s) == (30, 4.0)
    assert both.ticks is None


@pytest.mark.parametrize(
    "other",
    [
        measured(1, provenance="modelled"),
        measured(1, provenance="measured_shared"),
        measured(1, basis="marginal"),
        measured(1, **PACKAGE | {"boundary": frozenset({"cpu.psys"})}, window_s=9.0),
    ],
    ids=["modelled", "shared", "marginal", "another window"],
)
def test_amounts_of_two_kinds_have_no_sum_and_no_order(other: Energy) -> None:
    with pytest.raises(MixedEnergyError, match=r"cannot add energy that is measured, gpu\.board, gross"):
        measured(1) + other
    with pytest.raises(MixedEnergyError, match="cannot compare"):
        _ = measured(1) < other


def test_board_and_package_over_one_window_are_the_union_of_their_boundaries() -> None:
    both = measured(10) + measured(5, **PACKAGE)
    assert both.kind.boundary == ("cpu.package", "gpu.board")
    assert (both.joules, both.window_s, both.meter) == (15, 2.0, "nvml+rapl")
    assert (both + both).joules == 30


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"boundary": frozenset({"cpu.psys"}), "devices": ("rapl:psys",)}, PACKAGE),
        ({"boundary": frozenset({"cpu.core"}), "devices": ("rapl:core-0",)}, PACKAGE),
        ({"boundary": frozenset({"gpu.module"}), "devices": ("nvml:GPU-1",)}, PACKAGE),
        ({"boundary": frozenset({"host"}), "devices": ("plug:1",)}, PACKAGE),
        (PACKAGE | {"devices": ("rapl-mmio:package-0",)}, PACKAGE),
        (PACKAGE | {"devices": ()}, {}),
    ],
    ids=["psys+package", "core+package", "module+package", "host+package", "mmio+msr", "devices not known"],
)
def test_what_would_count_a_joule_twice_has_no_sum(one: dict[str, Any], other: dict[str, Any]) -> None:
    for a, b in ((one, other), (other, one)):
        with pytest.raises(MixedEnergyError, match="cannot add energy"):
            measured(1, **a) + measured(1, **b)


def test_an_unknown_amount_makes_the_sum_unknown_and_keeps_its_reason() -> None:
    for total in (measured(3) + unknown_energy("no counter"), unknown_energy("no counter") + measured(3)):
        assert (total.joules, total.low, total.high, total.reason) == (None, None, None, "no counter")
        assert total.provenance == "unknown"


def test_less_is_said_only_where_the_intervals_are_apart() -> None:
    assert measured(10) < measured(20)
    assert not measured(10) < measured(11)
    assert not measured(11) < measured(10)
    assert not unknown_energy("no counter") < measured(10)


def test_the_error_of_one_instrument_cancels_where_it_measured_both() -> None:
    """Two readings of one board, each known to 5 % and no better, differ by 4 %: the board errs alike in both."""
    a = measured(10, low=9.5, high=10.5, systematic=0.05)
    b = measured(10.4, low=10.4 * 0.95, high=10.4 * 1.05, systematic=0.05)
    elsewhere = measured(10.4, low=10.4 * 0.95, high=10.4 * 1.05, systematic=0.05, devices=("nvml:GPU-2",))
    assert a < b
    assert not a < elsewhere


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "must say why"),
        ({"reason": "x", "low": 0.0, "high": 1.0}, "have no bounds"),
        ({"joules": 1.0}, "must say where from"),
        ({"joules": 1.0, "provenance": "measured", "low": 1.0}, "one of low and high"),
        ({"joules": 3.0, "provenance": "measured", "low": 1.0, "high": 2.0}, "cannot be"),
        ({"joules": -1.0, "provenance": "measured"}, "cannot be"),
        ({"joules": float("inf"), "provenance": "modelled"}, "cannot be"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Energy(**values)


def test_it_travels_as_json_and_back() -> None:
    energy = measured(3, flags=("contended",), replayed=True, systematic=0.05, tick_s=0.1, ticks=20)
    assert Energy.from_dict(json.loads(json.dumps(energy.to_dict()))) == energy
    unknown = unknown_energy("the counter was reset", meter="nvml", flags=("counter_reset",))
    assert Energy.from_dict(json.loads(json.dumps(unknown.to_dict()))) == unknown


def test_an_answer_keeps_its_energy_on_the_way_through_a_file() -> None:
    answer = AnswerRecord(text="x", energy=measured(3))
    assert AnswerRecord.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


def test_joules_that_do_not_say_where_from_are_declared_and_flagged() -> None:
    energy = Energy.from_dict({"joules": 2, "from a later version": 1})
    assert (energy.joules, energy.provenance, energy.flags) == (2, "vendor_declared", ("source_not_said",))
    assert Energy.from_dict({}).joules is None


@pytest.mark.parametrize(
    "plain", [{"joules": "2"}, {"joules": 2, "provenance": "guess"}, {"joules": 2, "boundary": ["sun"]}]
)
def test_a_mapping_that_is_no_energy_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has (joules|provenance|boundary)"):
        Energy.from_dict(plain)


KINDS = st.sampled_from(["measured", "measured_shared", "vendor_declared", "modelled"])
BOUNDARIES = st.frozensets(st.sampled_from(["gpu.board", "gpu.module", "cpu.package", "cpu.psys", "dram"]), min_size=1)
DEVICES = st.sampled_from([("nvml:GPU-1",), ("nvml:GPU-2",), ("rapl:package-0",), ("rapl-mmio:package-0",), ()])
SOME = st.builds(
    lambda joules, provenance, boundary, devices, basis: measured(
        joules, provenance=provenance, boundary=boundary, devices=devices, basis=basis
    ),
    st.floats(0, 1e9),
    KINDS,
    BOUNDARIES,
    DEVICES,
    st.sampled_from(["gross", "marginal"]),
)


@given(SOME, SOME)
def test_a_sum_is_honest_or_there_is_none(a: Energy, b: Energy) -> None:
    """Whatever two amounts: one provenance and basis, no twin devices, no boundary within another, or an error."""
    try:
        both = a + b
    except MixedEnergyError:
        with pytest.raises(MixedEnergyError):
            b + a
        return
    assert (a.provenance, a.basis) == (b.provenance, b.basis)
    assert a.boundary == b.boundary or not set(a.devices) & set(b.devices)
    assert both.bounds == pytest.approx((a.bounds[0] + b.bounds[0], a.bounds[1] + b.bounds[1]))  # type: ignore[index]
    assert both.joules == b.__add__(a).joules
