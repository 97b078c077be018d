"""What a choice means at scale, as words for the terminal, Markdown and the page."""

from collections.abc import Iterator, Mapping, Sequence

from pytest_rightsize.judging.fleet import FleetRow, PerRequest
from pytest_rightsize.reports.units import significant

__all__ = ["amount_words", "fleet_lines", "provenance", "told_rows"]

_NAMES: Mapping[str, str] = {"energy": "energy", "cost": "money", "co2e": "CO2e"}


def amount_words(amount: PerRequest) -> str:
    """`1.2 kWh (1.1 to 1.3)`, `$4.2`, `0.5 kg CO2e (0.4 to 0.6)`."""
    low, high = ("" if end is None else _signed(end) for end in (amount.low, amount.high))
    bounds = f" ({low} to {high})" if low and low != high else ""
    if amount.unit == "USD":
        return f"{'-' * (amount.value < 0)}${_signed(abs(amount.value))}{bounds}"
    return f"{_signed(amount.value)} {amount.unit}{bounds}"


def _signed(value: float) -> str:
    """Three significant digits, also of a large number: it is known no better."""
    return f"{'-' * (value < 0)}{significant(float(f'{abs(value):.3g}'))}"


def provenance(row: FleetRow) -> str:
    """`measured, gpu.board, gross; meter nvml`; why the energy is unknown where it is."""
    if row.estimate is not None:
        return f"estimate: {row.estimate}"
    if row.energy_kind is None:
        return f"energy not known: {row.unknown['energy']}"
    return f"{row.energy_kind}{f'; meter {row.meter}' if row.meter else ''}"


def told_rows(rows: Sequence[FleetRow]) -> list[FleetRow]:
    """The rows of the rungs that a choice is between, of which anything is known."""
    return [row for row in rows if row.roles and row.amounts]


def fleet_lines(rows: Sequence[FleetRow]) -> Iterator[str]:
    """A line for each rung that a choice is between, where the ladder file asks for it.

    That is where it says how often the application asks, or what a kilowatt hour stands for.
    """
    for row in told_rows(rows):
        if "per month" not in row.scales and "co2e" not in row.amounts:
            continue
        last = "per year" if "per year" in row.scales else "per million requests"
        amounts = [amount_words(amount.times(row.scales[last])) for amount in row.amounts.values()]
        unknown = [f"{_NAMES[name]} not known" for name in row.unknown if name != "co2e"]
        roles = " and ".join(row.roles)
        kind = "" if row.energy_kind is None else f"; energy {row.energy_kind}"
        kind += "" if row.estimate is None else "; an estimate"
        of_rung = f"saved by {row.rung}" if row.roles == ("saved",) else f"on {row.rung} ({roles})"
        yield f"{row.task}: {last} {of_rung}: {', '.join([*amounts, *unknown])}{kind}"
