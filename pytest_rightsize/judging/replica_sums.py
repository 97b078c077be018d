"""What the replicas of one rung took together: joules and idle power, each with what is missing of the sum.

In go the rung's totals, one for each life of a replica. Nothing is added that might be counted twice.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_rightsize.energy import Energy, Kind
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.meter_records import Metering

__all__ = ["ReplicaSums", "replica_sums"]

# A device of this name is one process alone, which no other replica is in.
_OWN_PROCESS = ":process"


@dataclass(frozen=True, kw_only=True)
class ReplicaSums:
    """Sums over so many `replicas`, those of each shard apart.

    `load` and `idle` have an amount for each kind, none where nothing was seen; they are the least where totals of a
    replica are `unknown`: each a clause. `idle_w` is the idle power with the models loaded, in watts, of so many
    `with_idle_w`; None for a run of shards, which need not be of one time. `shared` is a device that several replicas
    read: then there are no sums.
    """

    replicas: int
    load: tuple[Energy, ...] = ()
    idle: tuple[Energy, ...] = ()
    idle_w: float | None = None
    with_idle_w: int = 0
    unknown: tuple[str, ...] = ()
    shared: str | None = None


def replica_sums(meterings: Sequence[Metering]) -> ReplicaSums | None:
    """The sums of a rung's replicas; None where it has fewer than two."""
    replicas = len({(each.shard, each.replica) for each in meterings if each.replica is not None})
    if replicas < 2:
        return None
    unknown = tuple(each.total.reason or "" for each in meterings if each.total is not None and not each.is_whole)
    shared = _shared_device(meterings)
    if shared is not None:
        return ReplicaSums(replicas=replicas, unknown=unknown, shared=shared)
    # Of each replica that of its last life: power is no sum over time.
    watts = {each.replica: each.idle_w for each in meterings if each.shard is None and each.idle_w is not None}
    return ReplicaSums(
        replicas=replicas,
        load=_by_kind([each.load for each in meterings]),
        idle=_by_kind([each.idle for each in meterings]),
        idle_w=sum(watts.values()) if watts else None,
        with_idle_w=len(watts),
        unknown=unknown,
    )


def _shared_device(meterings: Sequence[Metering]) -> str | None:
    """A device whose joules are on the accounts of two replicas: each has all that it took meanwhile."""
    readers: dict[str, set[tuple[str | None, int | None]]] = defaultdict(set)
    for each in meterings:
        for energy in (each.total, each.idle, each.load, each.served):
            for device in () if energy is None else energy.devices:
                readers[device].add((each.shard, each.replica))
    return next(
        (name for name, who in sorted(readers.items()) if len(who) > 1 and not name.endswith(_OWN_PROCESS)), None
    )


def _by_kind(amounts: Sequence[Energy | None]) -> tuple[Energy, ...]:
    """The sums of the amounts that are known, of each kind one; those of before where two cannot be added."""
    by_kind: dict[Kind, list[Energy]] = defaultdict(list)
    for amount in amounts:
        if amount is not None and amount.joules is not None:
            by_kind[amount.kind].append(amount)
    sums: list[Energy] = []
    for energies in by_kind.values():
        try:
            total = Energy.total(energies)
        except MixedEnergyError:
            sums += energies
        else:
            sums += [] if total is None else [total]
    return tuple(sums)
