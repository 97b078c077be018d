"""From what counters showed of an answer, a load or an idle time to `Energy`; pure."""

from collections.abc import Iterable, Sequence
from functools import reduce

from pytest_rightsize.energy import Basis, Energy, unknown_energy
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.ledger import Ledger
from pytest_rightsize.meters.attribution.processes import OwnShare
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.timeline import Break

__all__ = ["energy_of_share", "energy_of_total", "in_flags", "metering_of"]


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
    """An answer's energy over all devices; `own` is this process's part, of devices that are shared by that.

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
        if own is not None and isinstance(part, Part):
            part = Part(
                low=part.low * own.low, joules=part.joules * own.share, high=part.high * own.high, ticks=part.ticks
            )
        if isinstance(part, Break):
            return unknown_energy(part.reason, meter=one.meter, flags=in_flags(part.flag))
        every.append(
            _energy(
                part,
                one,
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


def metering_of(
    ledger: Ledger, facts: Sequence[Facts], *, rung: str, meter: str, basis: Basis, answers: int, several: bool
) -> Metering:
    """What a rung's counters showed from its first request to its closing; the parts add up to the total.

    Each part is sure but for a tick's worth at either end of each run of requests.
    """
    accounts, ticks_s = ledger.accounts, [line.tick_s or 0.0 for line in ledger.timelines]
    seconds = max(ledger.until - ledger.opened, 1e-9)
    load_s = None
    if ledger.load_end is not None:
        load_s = max(0.0, ledger.load_end - (ledger.opened if ledger.load_start is None else ledger.load_start))
    edges = 2 * max(1, ledger.busy_runs)
    ticks_j = [tick_s * account.total / seconds for tick_s, account in zip(ticks_s, accounts, strict=True)]

    def part(name: str, window_s: float, ends: int, *, shared: bool = False) -> Energy | None:
        # What is told above idle power is as unsure as that is.
        idle_j = ledger.idle_error_w * window_s if name in ("served", "others") and basis == "marginal" else 0.0
        return energy_of_total(
            [getattr(account, name) for account in accounts],
            [tick_j * ends + idle_j for tick_j in ticks_j],
            facts,
            window_s=window_s,
            shared=shared,
            basis=basis if name == "served" else "gross",
        )

    unknown_s = max(account.unknown_s for account in accounts)
    return Metering(
        rung=rung,
        meter=meter,
        load=part("load", load_s or 0.0, 2),
        served=part("served", ledger.busy_s, edges, shared=several),
        repeated=part("repeated", ledger.busy_s, edges),
        lost=part("lost", ledger.busy_s, edges),
        others=part("others", ledger.busy_s, edges),
        idle=part("idle", seconds, edges),
        total=part("total", seconds, 2),
        answers=answers,
        load_s=load_s,
        busy_s=ledger.busy_s,
        tick_s=max(ticks_s, default=None),
        idle_w=None if None in ledger.idle_w else sum(watts or 0.0 for watts in ledger.idle_w),
        notes=(f"of {unknown_s:.2g} s the counters say nothing",) if unknown_s > 0.001 else (),
    )
