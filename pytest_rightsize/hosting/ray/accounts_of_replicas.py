"""The energy of one replica: its devices under the names of their nodes, and its totals when it took them with it.

Pure.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.hosting.totals import NO_METER
from pytest_rightsize.meter_records import Metering

__all__ = ["Where", "energy_at", "metering_at", "of_dead", "of_unmeasured"]

_PARTS = ("load", "served", "repeated", "lost", "others", "idle", "total")
# A meter of one process calls its device so, whichever process that is.
_OWN_PROCESS = ":process"


class Where:
    """The place of a replica: `name` of a device there, unlike that of any other place."""

    def __init__(self, node: str, replica: int) -> None:
        self.node = node
        self.replica = replica

    def device(self, name: str) -> str:
        """`node7/GPU-ab12`; what is the replica's process alone has its number too.

        >>> Where("node7", 2).device("cpu_time:process")
        'node7#2/cpu_time:process'
        """
        return f"{self.node}#{self.replica}/{name}" if name.endswith(_OWN_PROCESS) else f"{self.node}/{name}"


def energy_at(where: Where, energy: Energy | None) -> Energy | None:
    """The same energy, of devices that are named with their place."""
    return None if energy is None else replace(energy, devices=tuple(map(where.device, energy.devices)))


def metering_at(where: Where, metering: Metering) -> Metering:
    """The same totals, of devices that are named with their place."""
    parts: dict[str, Any] = {name: energy_at(where, getattr(metering, name)) for name in _PARTS}
    return replace(
        metering,
        **parts,
        prompt_weights={where.device(name): value for name, value in metering.prompt_weights.items()},
        weighed_by={where.device(name): value for name, value in metering.weighed_by.items()},
        phases=tuple(replace(phase, device=where.device(phase.device)) for phase in metering.phases),
    )


def of_dead(
    rung: str,
    who: str,
    *,
    last: Sequence[Metering],
    last_at: str | None,
    answers: int,
    answered: Energy | None,
    ended: str = "died",
) -> list[Metering]:
    """The totals of a replica that `ended`: those it told last, at the time `last_at`, and the joules of its answers.

    The total is unknown: nobody knows what it took after that.
    """
    unknown = f"{who} {ended}"
    if not last or last_at is None:
        note = f"{unknown} after {answers} answers: what it took beside those is not known"
        last = [Metering(rung=rung, meter=NO_METER)]
    else:
        note = f"{unknown}; what it took after {last_at} is not known, but for its answers"
    first, *others = last
    dead = replace(
        first,
        served=answered if answered is not None else first.served,
        answers=answers,
        total=unknown_energy(unknown),
        notes=(*first.notes, note),
    )
    return [dead, *(replace(each, total=unknown_energy(unknown)) for each in others)]


def of_unmeasured(rung: str, who: str, why: str, *, answers: int = 0, answered: Energy | None = None) -> Metering:
    """The totals of a replica that has none, as `why` says: it took joules, and nobody knows how many."""
    return Metering(
        rung=rung,
        meter=NO_METER,
        served=answered,
        total=unknown_energy(f"{who} {why}"),
        answers=answers,
        notes=(f"{who} {why}: what it took is not known",),
    )
