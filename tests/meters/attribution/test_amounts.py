"""Energy of one answer from its shares of the devices: bounds, provenance, scope and flags."""

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.amounts import energy_of_share
from pytest_rightsize.meters.attribution.processes import OwnShare
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.timeline import Break

GPU = Facts(device="gpu0", boundary="gpu.board", meter="nvml", factors=(0.9, 1.2), systematic=0.05)
CPU = Facts(device="cpu0", boundary="cpu.package", meter="rapl")
TEN = Part(low=8.0, joules=10.0, high=12.0, ticks=4)


def energy(
    *parts: Part | Break, facts: Sequence[Facts] = (GPU,), shared: bool = False, guarded: bool = True, **more: Any
) -> Energy:
    """The energy of an answer that took 2 seconds; each device ticks every 0.1 s and idles at 5 W."""
    by_time = more.pop("by_time", False)
    share = Share(
        ticket=1, start=0.0, end=2.0, window_s=2.0, parts=parts, shared=shared, by_time=by_time, guarded=guarded
    )
    given: dict[str, Any] = {"basis": "total", "several": False, "ticks_s": [0.1] * len(facts)}
    return energy_of_share(share, facts, **(given | {"idle_w": [5.0] * len(facts)} | more))


def test_the_bounds_hold_what_the_instrument_leaves_open_too() -> None:
    """8 J at least, of which a counter that is at most a tenth too high has told 7.2; 12 J at most, or 14.4."""
    found = energy(TEN)
    assert (found.low, found.joules, found.high) == pytest.approx((7.2, 10.0, 14.4))
    assert (found.provenance, found.scope, found.meter, found.devices) == ("measured", "case", "nvml", ("gpu0",))
    assert (found.window_s, found.tick_s, found.ticks, found.idle_w, found.systematic) == (2.0, 0.1, 4, 5.0, 0.05)
    assert found.boundary == frozenset({"gpu.board"})
    assert found.flags == ()


def test_a_process_has_its_own_part_of_what_a_device_took() -> None:
    found = energy(TEN, facts=(CPU,), own=OwnShare(low=0.25, share=0.5, high=0.75))
    assert (found.low, found.joules, found.high, found.ticks) == (2.0, 5.0, 9.0, 4)
    assert (found.provenance, found.scope, found.flags) == ("measured_shared", "case", ("shared",))


def test_devices_are_added_up() -> None:
    found = energy(TEN, Part(low=1.0, joules=2.0, high=3.0, ticks=9), facts=(GPU, CPU))
    assert (found.low, found.joules, found.high) == pytest.approx((8.2, 12.0, 17.4))
    assert (found.devices, found.boundary) == (("cpu0", "gpu0"), frozenset({"gpu.board", "cpu.package"}))


@pytest.mark.parametrize("place", [0, 1])
def test_a_device_that_says_nothing_makes_all_of_it_unknown(place: int) -> None:
    parts: list[Part | Break] = [TEN, TEN]
    parts[place] = Break(reason="the counter was reset", flag="reset")
    found = energy(*parts, facts=(GPU, CPU))
    assert (found.joules, found.low, found.high) == (None, None, None)
    assert (found.reason, found.meter, found.flags) == ("the counter was reset", ("nvml", "rapl")[place], ("reset",))


@pytest.mark.parametrize(
    ("more", "provenance", "scope", "flags"),
    [
        ({}, "measured", "case", ()),
        ({"several": True}, "measured_shared", "case", ("shared",)),  # a rung of several at once, this one alone
        ({"contended": "another session"}, "measured_shared", "device", ("contended", "shared")),
        (
            {"contended": "another session", "own": OwnShare(low=1.0, share=1.0, high=1.0)},
            "measured_shared",
            "case",  # what the others took is left out
            ("contended", "shared"),
        ),
        ({"by_time": True}, "measured", "case", ("shared_by_time",)),
        ({"guarded": False}, "measured", "case", ("no_guard",)),
        ({"guarded": False, "shared": True}, "measured", "case", ()),
    ],
)
def test_how_an_answer_was_measured_is_told(
    more: dict[str, Any], provenance: str, scope: str, flags: tuple[str, ...]
) -> None:
    found = energy(TEN, facts=(CPU,), **more)
    assert (found.provenance, found.scope, found.flags) == (provenance, scope, flags)


@pytest.mark.parametrize(
    ("facts", "provenance", "scope"),
    [
        (Facts(device="m", boundary="host", meter="declared", provenance="modelled"), "modelled", "case"),
        (Facts(device="n", boundary="node", meter="prometheus", whole_device=True), "measured_shared", "device"),
    ],
)
def test_a_model_stays_a_model_and_a_whole_device_is_no_answers_own(facts: Facts, provenance: str, scope: str) -> None:
    found = energy(TEN, facts=(facts,), several=True)
    assert (found.provenance, found.scope) == (provenance, scope)


@pytest.mark.parametrize(
    ("part", "exact", "flags"),
    [
        (Part(low=0.0, joules=0.5, high=1.0, ticks=0), False, ("below_resolution",)),
        (Part(low=0.0, joules=0.5, high=1.0, ticks=0), True, ()),  # it has no ticks
        (Part(low=0.1, joules=0.5, high=1.0, ticks=0), False, ()),
        (Part(low=0.0, joules=0.5, high=1.0, ticks=1), False, ()),
    ],
)
def test_an_answer_between_two_ticks_is_below_the_resolution(part: Part, exact: bool, flags: tuple[str, ...]) -> None:
    facts = Facts(device="cpu0", boundary="cpu.package", meter="rapl", exact=exact)
    assert energy(part, facts=(facts,)).flags == flags


def test_an_exact_counter_needs_no_guard() -> None:
    facts = Facts(device="cpu0", boundary="cpu.package", meter="cpu_time", exact=True)
    assert energy(TEN, facts=(facts,), guarded=False).flags == ()
