"""Formats amounts for people: three digits and a unit; an unknown amount stays None."""

from collections.abc import Mapping
from math import floor

from pytest_rightsize.energy import Energy

__all__ = ["bounded_joules", "count", "joules", "parameters", "percent", "seconds", "significant", "size", "usd"]

_SCALES: Mapping[str, float] = {"MJ": 1e6, "kJ": 1e3, "J": 1.0, "mJ": 1e-3}


def percent(rate: float | None) -> str | None:
    """`95 %`, or `99.9 %` where a whole number would be 0 or 100 although the rate is neither."""
    if rate is None:
        return None
    # Halves are rounded up, whatever their last binary digit: 23 of 40 is 58 % everywhere.
    whole = floor(100 * rate + 0.5 + 1e-9)
    return f"{100 * rate:.1f} %" if whole in (0, 100) and rate not in (0, 1) else f"{whole} %"


def joules(value: float | None) -> str | None:
    """`1.23 kJ`."""
    if value is None:
        return None
    unit = next((unit for unit, scale in _SCALES.items() if value >= scale), "mJ")
    return f"{_digits(value / _SCALES[unit])} {unit}" if value else "0 J"


def bounded_joules(energy: Energy | None) -> str | None:
    """`1.2 J (1.1 J to 1.3 J)`, or None where the energy is not known."""
    if energy is None or energy.joules is None:
        return None
    if energy.low is None or energy.high is None or energy.low == energy.high:
        return joules(energy.joules)
    return f"{joules(energy.joules)} ({joules(energy.low)} to {joules(energy.high)})"


def seconds(value: float | None) -> str | None:
    """`350 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`."""
    if value is None:
        return None
    if value >= 3600:
        return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{_digits(value)} s" if value >= 1 or value == 0 else f"{_digits(1000 * value)} ms"


def size(bytes_: int | None) -> str | None:
    """`2.5 GB`, `253 MB`: in powers of ten, as the pages of models have it."""
    if bytes_ is None:
        return None
    unit, scale = ("GB", 1e9) if bytes_ >= 1e9 else ("MB", 1e6) if bytes_ >= 1e6 else ("kB", 1e3)
    value = bytes_ / scale
    return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def usd(value: float | None) -> str | None:
    """`$0.0123`."""
    return None if value is None else f"${_digits(value)}"


def count(value: float | None) -> str | None:
    """`1,234`, `12.5`."""
    if value is None:
        return None
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def parameters(billions: float | None) -> str | None:
    """`30.5 B`, `25 k`: the number of a model's parameters."""
    if billions is None:
        return None
    for unit, scale in (("B", 1.0), ("M", 1e-3), ("k", 1e-6)):
        if billions >= scale:
            return f"{billions / scale:.3g} {unit}"
    return f"{billions * 1e9:.0f}"


def significant(value: float) -> str:
    """`0.0123`, `1,234`: three significant digits, without an exponent unless the value is below a millionth."""
    return _digits(value)


def _digits(value: float) -> str:
    """Three significant digits, without an exponent unless the value is below a millionth."""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return f"{value:.2e}" if value < 1e-6 else f"{float(text):.10f}".rstrip("0").rstrip(".")
