"""Totals of one rung, from its first request to its closing: a ledger's accounts in, a `Metering` out; pure.

The parts of the metering add up to its total. A part of which nothing was seen is None, never 0.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from pytest_rightsize.energy import Basis, Energy
from pytest_rightsize.meter_records import Metering
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.idling import Idling
from pytest_rightsize.meters.attribution.prompt_weights import PromptWeights
from pytest_rightsize.meters.attribution.sharing import Ledger

__all__ = ["metering_of", "with_findings"]


def metering_of(
    ledger: Ledger, facts: Sequence[Facts], *, rung: str, meter: str, basis: Basis, answers: int, several: bool
) -> Metering:
    """The totals of all devices; `several` says whether the rung takes several requests at once.

    Each part is exact but for one tick at either end of each run of requests.
    """
    accounts, ticks_s = ledger.accounts, [line.tick_s or 0.0 for line in ledger.timelines]
    seconds = max(ledger.until - ledger.opened, 1e-9)
    edges = 2 * max(1, ledger.busy_runs)
    ticks_j = [tick_s * account.total / seconds for tick_s, account in zip(ticks_s, accounts, strict=True)]

    def part(name: str, window_s: float, ends: int, *, shared: bool = False) -> Energy | None:
        # Joules above idle power are as uncertain as the idle power is.
        idle_j = ledger.idle_error_w * window_s if name in ("served", "others") and basis == "marginal" else 0.0
        return _energy_of_total(
            [getattr(account, name) for account in accounts],
            [tick_j * ends + idle_j for tick_j in ticks_j],
            facts,
            window_s=window_s,
            shared=shared,
            basis=basis if name == "served" else "gross",
        )

    load_s = _load_s(ledger)
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


def with_findings(totals: Metering, idling: Idling, weights: PromptWeights, *, several: bool) -> Metering:
    """The totals with the idle powers that were found and what tokens take; weights only where answers are shared."""
    fits = weights.fit() if totals.answers else ()
    return replace(
        totals,
        cold_w=None if idling.cold is None else idling.cold.power.watts,
        idle_w=idling.resident_w,
        idle_powers=idling.powers,
        prompt_weights=weights.by_device() if several else {},
        weighed_by=weights.answers_by_device() if several else {},
        phases=() if isinstance(fits, str) else fits,
        no_phases=fits if isinstance(fits, str) else None,
    )


def _load_s(ledger: Ledger) -> float | None:
    """How long the model was being loaded; None if it never was loaded."""
    if ledger.load_end is None:
        return None
    return max(0.0, ledger.load_end - (ledger.opened if ledger.load_start is None else ledger.load_start))


def _energy_of_total(
    amounts: Sequence[float],
    slacks: Sequence[float],
    facts: Sequence[Facts],
    *,
    window_s: float,
    shared: bool,
    basis: Basis,
) -> Energy | None:
    """The energy of all devices over a long time, each of `amounts` in joules within plus or minus its slack.

    None where nothing was taken.
    """
    if not amounts or window_s <= 0 or sum(amounts) <= 0:
        return None
    energies = []
    for amount, slack, fact in zip(amounts, slacks, facts, strict=True):
        energies.append(
            Energy(
                joules=max(0.0, amount),
                low=max(0.0, amount - slack) * fact.factors[0],
                high=(max(0.0, amount) + slack) * fact.factors[1],
                provenance="measured_shared" if shared and fact.provenance == "measured" else fact.provenance,
                boundary=frozenset({fact.boundary}),
                basis=basis,
                scope="device",
                meter=fact.meter,
                devices=(fact.device,),
                window_s=window_s,
                systematic=fact.systematic,
                flags=fact.flags,
            )
        )
    return reduce(Energy.beside, energies)
