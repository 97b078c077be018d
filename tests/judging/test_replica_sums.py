"""What the replicas of a rung took together: nothing twice, and said where something is missing."""

from dataclasses import replace

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.judging.replica_sums import ReplicaSums, replica_sums
from pytest_rightsize.meter_records import Metering


def joules(amount: float, device: str, *, boundary: str = "gpu.board") -> Energy:
    return Energy(
        joules=amount, low=amount, high=amount, provenance="measured", boundary=frozenset({boundary}), devices=(device,)
    )


def told(replica: int | None, *, shard: str | None = None, **parts: object) -> Metering:
    return replace(Metering(rung="4b", meter="nvml"), replica=replica, shard=shard, **parts)  # type: ignore[arg-type]  # parts are its fields


UNKNOWN = Energy(reason="its meter broke")


@pytest.mark.parametrize(
    "meterings",
    [[], [told(None)], [told(None), told(None)], [told(1)], [told(1), told(1)], [told(None), told(1)]],
)
def test_fewer_than_two_have_no_sum(meterings: list[Metering]) -> None:
    assert replica_sums(meterings) is None


def test_two_and_three_are_added_by_what_they_loaded_and_what_they_idled() -> None:
    first = told(0, load=joules(10, "a/nvml:0"), idle=joules(1, "a/nvml:0"), idle_w=50.0)
    second = told(1, load=joules(20, "b/nvml:0"), idle=joules(2, "b/nvml:0"), idle_w=60.0)
    third = told(2, load=joules(40, "c/nvml:0"))

    of_two, of_three = replica_sums([first, second]), replica_sums([first, second, third])

    assert of_two is not None
    assert of_three is not None
    assert (of_two.replicas, of_three.replicas) == (2, 3)
    assert [energy.joules for energy in of_two.load] == [30]
    assert [energy.joules for energy in of_three.load] == [70]
    assert [energy.joules for energy in of_two.idle] == [energy.joules for energy in of_three.idle] == [3]
    assert (of_two.idle_w, of_two.with_idle_w) == (of_three.idle_w, of_three.with_idle_w) == (110.0, 2)
    assert (of_two.shared, of_two.unknown) == (None, ())


def test_two_lives_of_a_replica_are_one_replica_with_the_power_of_the_last() -> None:
    lives = [
        told(0, idle=joules(1, "a/nvml:0"), idle_w=50.0),
        told(0, idle=joules(2, "a/nvml:0"), idle_w=55.0),
        told(1, idle=joules(4, "b/nvml:0")),
    ]

    sums = replica_sums(lives)

    assert sums is not None
    assert sums.replicas == 2
    assert [energy.joules for energy in sums.idle] == [7]
    assert (sums.idle_w, sums.with_idle_w) == (55.0, 1)


def test_what_is_not_known_is_no_zero() -> None:
    assert replica_sums([told(0), told(1)]) == ReplicaSums(replicas=2)
    assert replica_sums([told(0, idle=UNKNOWN), told(1, total=UNKNOWN)]) == ReplicaSums(
        replicas=2, unknown=("its meter broke",)
    )


def test_each_total_that_is_not_known_is_named_and_the_rest_is_added() -> None:
    known = joules(5, "a/nvml:0")
    sums = replica_sums([told(0, total=known, idle=known), told(1, total=UNKNOWN), told(2, total=UNKNOWN)])

    assert sums is not None
    assert sums.unknown == ("its meter broke", "its meter broke")
    assert sums.idle == (known,)


@pytest.mark.parametrize("part", ["total", "idle", "load", "served"])
def test_a_device_that_two_replicas_read_is_named_and_nothing_is_added(part: str) -> None:
    both = [
        told(replica, idle_w=50.0, **{part: joules(5, "a/nvml:0")})  # type: ignore[arg-type]  # no part is the shard
        for replica in (0, 1)
    ]

    assert replica_sums(both) == ReplicaSums(replicas=2, shared="a/nvml:0")
    assert replica_sums([*both, told(2, total=UNKNOWN)]) == ReplicaSums(
        replicas=3, shared="a/nvml:0", unknown=("its meter broke",)
    )


def test_of_two_shared_devices_the_first_by_name_is_named() -> None:
    both = [told(replica, idle=joules(5, "b"), load=joules(5, "a")) for replica in (0, 1)]
    alone = told(2, idle=joules(1, "0"))

    sums = replica_sums([*both, alone])

    assert sums is not None
    assert sums.shared == "a"


def test_a_process_alone_is_shared_with_nobody() -> None:
    both = [told(replica, idle=joules(5, "a/cpu:process")) for replica in (0, 1)]

    sums = replica_sums(both)

    assert sums is not None
    assert sums.shared is None
    assert [energy.joules for energy in sums.idle] == [10]


def test_a_replica_of_each_shard_is_another_one_and_their_powers_are_of_other_times() -> None:
    shards = [told(0, shard=shard, idle=joules(5, f"{shard}/nvml:0"), idle_w=50.0) for shard in ("1/2", "2/2")]

    sums = replica_sums(shards)

    assert sums is not None
    assert sums.replicas == 2
    assert [energy.joules for energy in sums.idle] == [10]
    assert (sums.idle_w, sums.with_idle_w) == (None, 0)
    twice = replica_sums([told(0, shard=shard, idle=joules(5, "a/nvml:0")) for shard in ("1/2", "2/2")])
    assert twice is not None
    assert twice.shared == "a/nvml:0"


def test_two_kinds_are_two_sums() -> None:
    sums = replica_sums(
        [told(0, idle=joules(5, "a")), told(1, idle=joules(9, "b", boundary="host")), told(2, idle=joules(6, "c"))]
    )

    assert sums is not None
    assert [(sorted(energy.boundary), energy.joules) for energy in sums.idle] == [(["gpu.board"], 11), (["host"], 9)]
