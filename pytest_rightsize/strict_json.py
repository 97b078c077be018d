"""Parses JSON as its standard has it: Python also takes NaN and Infinity, and makes infinity of 1e999. Pure."""

import json
import math
from typing import Any, NoReturn

__all__ = ["loads"]


def loads(text: str | bytes | bytearray) -> Any:
    """Parse a text. Raises ValueError where it is not JSON, a number has no end, or brackets are nested too deep."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)
