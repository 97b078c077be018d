"""From what counters showed of an answer, a load or an idle time to `Energy`; pure."""

from collections.abc import Iterable, Sequence
from functools import reduce

from pytest_rightsize.energy import Basis, Energy, unknown_energy
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.sharing import Part, Share
from pytest_rightsize.meters.timeline import Break

__all__ = ["energy_of_share", "energy_of_total", "in_flags"]


def energy_of_share(
    share: Share,
    facts: Sequence[Facts],
    *,
    basis: Basis,
    several: bool,
    ticks_s: Sequence[float | None],
    idle_w: Sequence[float | None],
    contended: str | None = None,
) -> Energy:
    """An answer's energy over all devices.

    `several` says whether the rung takes several requests at once: then all of its answers count as shared, those too
    that happened to be alone, so that they can be added up.
    """
    flags = (
        *(["contended"] if contended else []),
        *(["shared_by_time"] if share.by_time else []),
        *(["no_guard"] if not share.guarded and not share.shared and any(not one.exact for one in facts) else []),
    )
    every = []
    for part, one, tick_s, watts in zip(share.parts, facts, ticks_s, idle_w, strict=True):
        if isinstance(part, Break):
            return unknown_energy(part.reason, meter=one.meter, flags=in_flags(part.flag))
        every.append(
            _energy(
                part,
                one,
                basis=basis,
                window_s=share.window_s,
                shared=several or contended is not None,
                tick_s=tick_s,
                idle_w=watts,
                device=contended is not None,
                flags=flags,
            )
        )
    return reduce(Energy.beside, every)


def in_flags(*flags: str) -> tuple[str, ...]:
    """Flags as a record keeps them: sorted, each once."""
    return tuple(sorted(set(flags)))


def _energy(
    part: Part,
    facts: Facts,
    *,
    basis: Basis,
    window_s: float,
    shared: bool,
    tick_s: float | None,
    idle_w: float | None,
    device: bool,
    flags: Iterable[str],
) -> Energy:
    low, high = facts.factors
    unresolved = ["below_resolution"] if part.low <= 0 and part.ticks == 0 and not facts.exact else []
    return Energy(
        joules=part.joules,
        low=part.low * low,
        high=part.high * high,
        provenance="measured_shared" if shared and facts.provenance == "measured" else facts.provenance,
        boundary=frozenset({facts.boundary}),
        basis=basis,
        scope="device" if device or facts.whole_device else "case",
        meter=facts.meter,
        devices=(facts.device,),
        window_s=window_s,
        tick_s=tick_s,
        ticks=part.ticks,
        idle_w=idle_w,
        systematic=facts.systematic,
        flags=in_flags(*flags, *facts.flags, *unresolved, *(["shared"] if shared else [])),
    )


def energy_of_total(
    amounts: Sequence[float],
    slacks: Sequence[float],
    facts: Sequence[Facts],
    *,
    window_s: float,
    shared: bool,
    basis: Basis = "gross",
) -> Energy | None:
    """What all devices took over a long time: `amounts` in joules, each sure but for `slacks` at its ends.

    None where there is nothing to tell of.
    """
    if not amounts or window_s <= 0 or sum(amounts) <= 0:
        return None
    every = []
    for amount, slack, one in zip(amounts, slacks, facts, strict=True):
        part = Part(low=max(0.0, amount - slack), joules=max(0.0, amount), high=max(0.0, amount) + slack, ticks=0)
        every.append(
            Energy(
                joules=part.joules,
                low=part.low * one.factors[0],
                high=part.high * one.factors[1],
                provenance="measured_shared" if shared and one.provenance == "measured" else one.provenance,
                boundary=frozenset({one.boundary}),
                basis=basis,
                scope="device",
                meter=one.meter,
                devices=(one.device,),
                window_s=window_s,
                systematic=one.systematic,
                flags=one.flags,
            )
        )
    return reduce(Energy.beside, every)
