"""The joules of replicas: devices are told apart by their nodes, and the dead have no total."""

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.hosting.ray.accounts_of_replicas import Where, energy_at, metering_at, of_dead
from pytest_rightsize.meter_records import Metering, Phases


def joules(amount: float, *devices: str) -> Energy:
    boundary = frozenset({"gpu.board"})
    return Energy(joules=amount, provenance="measured", boundary=boundary, meter="nvml", devices=devices)


def at(node: str, replica: int, amount: float, device: str) -> Energy:
    energy = energy_at(Where(node, replica), joules(amount, device))
    assert energy is not None
    return energy


def test_devices_have_their_nodes_name() -> None:
    assert energy_at(Where("node7", 1), None) is None
    both = at("node7", 1, 2.0, "nvml:0") + at("node8", 2, 3.0, "nvml:0")
    assert (both.joules, both.devices) == (5.0, ("node7/nvml:0", "node8/nvml:0"))
    both = at("node7", 1, 2.0, "cpu_time:process") + at("node7", 2, 3.0, "cpu_time:process")
    assert both.devices == ("node7#1/cpu_time:process", "node7#2/cpu_time:process")


def test_two_interfaces_of_one_device_are_no_sum_on_one_node_alone() -> None:
    with pytest.raises(MixedEnergyError, match="two interfaces show the same device"):
        at("node7", 1, 1.0, "rapl:0") + at("node7", 2, 1.0, "rapl-mmio:0")
    assert (at("node7", 1, 1.0, "rapl:0") + at("node8", 2, 1.0, "rapl-mmio:0")).joules == 2.0


def test_all_that_a_metering_says_of_a_device_is_under_its_place() -> None:
    phases = Phases(
        device="nvml:0",
        prompt_j=1,
        completion_j=2,
        answer_j=0,
        prompt_share=0.5,
        completion_share=0.5,
        answer_share=0,
        stretches=9,
        answers=9,
        condition=1,
        explained=1,
    )
    metering = Metering(
        rung="4b",
        meter="nvml",
        total=joules(3.0, "nvml:0"),
        prompt_weights={"nvml:0": 0.1},
        weighed_by={"nvml:0": 9.0},
        phases=(phases,),
    )
    there = metering_at(Where("node7", 1), metering)
    assert there.total is not None
    assert (there.total.devices, dict(there.prompt_weights), dict(there.weighed_by), there.phases[0].device) == (
        ("node7/nvml:0",),
        {"node7/nvml:0": 0.1},
        {"node7/nvml:0": 9.0},
        "node7/nvml:0",
    )
    assert there.load is None


def test_the_dead_leave_what_they_told_last_and_no_total() -> None:
    told = Metering(rung="4b", meter="nvml", load=joules(5, "a"), served=joules(7, "a"), total=joules(14, "a"))
    (dead,) = of_dead("4b", "replica 2 on node7", last=[told], last_at="12:03:11", answers=4, answered=joules(9, "a"))
    assert (dead.load, dead.answers) == (told.load, 4)
    assert dead.served == joules(9, "a")
    assert dead.total is not None
    assert dead.total.joules is None
    assert dead.notes == ("replica 2 on node7 died; what it took after 12:03:11 is not known, but for its answers",)


def test_who_died_before_it_told_anything_leaves_its_answers() -> None:
    (dead,) = of_dead("4b", "replica 2 on node7", last=(), last_at=None, answers=4, answered=None)
    assert (dead.meter, dead.load, dead.served, dead.answers) == ("unknown", None, None, 4)
    assert dead.notes == ("replica 2 on node7 died after 4 answers: what it took beside those is not known",)
