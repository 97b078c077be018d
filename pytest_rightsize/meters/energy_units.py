"""The unit that a metric's name ends in, as in `scaph_host_energy_microjoules` or `energy_kwh_total`. Pure.

Prometheus wants base units in whole words: joules. Many exporters write others, and abbreviations, whose case decides
between a thousandth and a million: mJ is a millijoule and MJ a megajoule. Where the case of a name says nothing, as in
`energy_mj` and `ENERGY_MJ`, nobody can tell.
"""

import re

__all__ = ["UNITS", "AmbiguousUnitError", "joules_in_unit_of"]

_BASES = {"joule": 1.0, "watthour": 3600.0}
_PREFIXES = {"": 1.0, "nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "kilo": 1e3, "mega": 1e6, "giga": 1e9, "tera": 1e12}
_SYMBOLS = {"J": "joule", "Wh": "watthour"}
_LETTERS = {"": "", "n": "nano", "u": "micro", "m": "milli", "k": "kilo", "M": "mega", "G": "giga", "T": "tera"}
UNITS = {f"{prefix}{base}s": factor * joules for prefix, factor in _PREFIXES.items() for base, joules in _BASES.items()}
"""The joules of each unit by its name, as in `millijoules` and `kilowatthours`."""
_SYMBOL = re.compile(r"(?P<letter>[numkGT]?)(?P<symbol>J|Wh)", re.IGNORECASE)


class AmbiguousUnitError(ValueError):
    """The name ends in a unit that may be a thousandth or a million of something; the text says which two."""


def joules_in_unit_of(metric: str) -> float | None:
    """The joules of the unit that the metric's name ends in; None where that is no unit.

    >>> joules_in_unit_of("board_energy_mJ_total"), joules_in_unit_of("energy_MJ"), joules_in_unit_of("energy_total")
    (0.001, 1000000.0, None)
    """
    name = re.sub("_total$", "", metric, flags=re.IGNORECASE)
    name = re.sub("watt_hour", "watthour", name, flags=re.IGNORECASE)
    last = name.rpartition("_")[2]
    word = last.lower().removesuffix("s") + "s"
    if word in UNITS:
        return UNITS[word]
    match = _SYMBOL.fullmatch(last)
    if match is None:
        return None
    letter, symbol = match["letter"], next(one for one in _SYMBOLS if one.lower() == match["symbol"].lower())
    base = f"{_SYMBOLS[symbol]}s"
    if letter.lower() != "m":
        return UNITS[next(word for short, word in _LETTERS.items() if short.lower() == letter.lower()) + base]
    # A name that has only small or only capital letters has them for every word.
    if match["symbol"] != symbol or name == name.upper():
        raise AmbiguousUnitError(f"milli{base} or mega{base}")
    return UNITS[_LETTERS[letter] + base]
