"""Energy of one answer: its share of each device's joules in, `Energy` with its provenance and bounds out; pure.

A device that says nothing of the answer makes the whole energy unknown, never smaller.
"""

from collections.abc import Iterable, Sequence
from functools import reduce

from pytest_rightsize.energy import Basis, Energy, unknown_energy
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.processes import OwnShare
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.timeline import Break

__all__ = ["energy_of_share"]


def energy_of_share(
    share: Share,
    facts: Sequence[Facts],
    *,
    basis: Basis,
    several: bool,
    ticks_s: Sequence[float | None],
    idle_w: Sequence[float | None],
    contended: str | None = None,
    own: OwnShare | None = None,
) -> Energy:
    """An answer's energy over all devices; raises MixedEnergyError where the devices' amounts have no sum.

    `several` says whether the rung takes several requests at once: then all of its answers count as shared, those too
    that happened to be alone, so that they can be added up. `ticks_s` and `idle_w` are each device's. `contended` names
    who else used the devices; `own` is this process's part, on devices that are shared by processor time.
    """
    is_inexact = any(not fact.exact for fact in facts)
    flags = (
        *(["contended"] if contended else []),
        *(["shared_by_time"] if share.by_time else []),
        *(["no_guard"] if not share.guarded and not share.shared and is_inexact else []),
    )
    energies = []
    for part, fact, tick_s, watts in zip(share.parts, facts, ticks_s, idle_w, strict=True):
        if isinstance(part, Break):
            return unknown_energy(part.reason, meter=fact.meter, flags=_sorted_flags(part.flag))
        energies.append(
            _energy(
                part if own is None else _own_part(part, own),
                fact,
                basis=basis,
                window_s=share.window_s,
                shared=several or contended is not None or own is not None,
                tick_s=tick_s,
                idle_w=watts,
                # What others took is left out already where processes are told apart.
                device=contended is not None and own is None,
                flags=flags,
            )
        )
    return reduce(Energy.beside, energies)


def _own_part(part: Part, own: OwnShare) -> Part:
    """This process's part of what a device took."""
    return Part(low=part.low * own.low, joules=part.joules * own.share, high=part.high * own.high, ticks=part.ticks)


def _energy(
    part: Part,
    fact: Facts,
    *,
    basis: Basis,
    window_s: float,
    shared: bool,
    tick_s: float | None,
    idle_w: float | None,
    device: bool,
    flags: Iterable[str],
) -> Energy:
    """The energy of one device."""
    low, high = fact.factors
    unresolved = ["below_resolution"] if part.low <= 0 and part.ticks == 0 and not fact.exact else []
    return Energy(
        joules=part.joules,
        low=part.low * low,
        high=part.high * high,
        provenance="measured_shared" if shared and fact.provenance == "measured" else fact.provenance,
        boundary=frozenset({fact.boundary}),
        basis=basis,
        scope="device" if device or fact.whole_device else "case",
        meter=fact.meter,
        devices=(fact.device,),
        window_s=window_s,
        tick_s=tick_s,
        ticks=part.ticks,
        idle_w=idle_w,
        systematic=fact.systematic,
        flags=_sorted_flags(*flags, *fact.flags, *unresolved, *(["shared"] if shared else [])),
    )


def _sorted_flags(*flags: str) -> tuple[str, ...]:
    return tuple(sorted(set(flags)))
