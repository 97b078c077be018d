"""One account of a rung from those of each time its model was loaded: a host frees it for others in between. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.meter_records import Metering

__all__ = ["NO_METER", "together", "total_of_answers"]

NO_METER = "unknown"
"""The meter of totals that a host took with it."""


def together(meterings: Sequence[Metering]) -> list[Metering]:
    """One metering with the sums, or one of each replica; those of before where amounts cannot be added.

    What is a finding and no sum (the weight of a prompt token, reading and writing apart) is that of most answers. Of
    a total of which a part is unknown nothing is known.
    """
    by_replica: dict[tuple[int | None, str | None], list[Metering]] = {}
    for metering in meterings:
        by_replica.setdefault((metering.replica, metering.node), []).append(metering)
    return [one for group in by_replica.values() for one in _sum_of(group)]


def _sum_of(meterings: Sequence[Metering]) -> list[Metering]:
    if len(meterings) < 2:
        return [*meterings]
    best = max(meterings, key=lambda one: (one.meter != NO_METER, one.answers))
    try:
        parts: dict[str, Any] = {
            name: _sum(getattr(one, name) for one in meterings)
            for name in ("load", "served", "repeated", "lost", "others", "idle", "total")
        }
    except MixedEnergyError:
        return [*meterings]
    return [
        replace(
            best,
            **parts,
            answers=sum(one.answers for one in meterings),
            busy_s=sum(one.busy_s for one in meterings),
            load_s=_sum_s(one.load_s for one in meterings),
            tick_s=max((one.tick_s for one in meterings if one.tick_s is not None), default=None),
            cold_w=next((one.cold_w for one in meterings if one.cold_w is not None), None),
            idle_powers=tuple(power for one in meterings for power in one.idle_powers),
            notes=tuple(note for one in meterings for note in one.notes),
        )
    ]


def total_of_answers(first: Energy | None, second: Energy | None) -> Energy | None:
    """The joules of answers so far and of one more; unknown where they are of two kinds."""
    if first is None or second is None:
        return first or second
    try:
        return first + second
    except MixedEnergyError:
        return unknown_energy("its answers' amounts are of several kinds")


def _sum(amounts: Iterable[Energy | None]) -> Energy | None:
    return Energy.total(amount for amount in amounts if amount is not None)


def _sum_s(seconds: Iterable[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return sum(known) if known else None
