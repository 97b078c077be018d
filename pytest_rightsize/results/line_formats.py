"""What a line of a results file may hold: a line of another shape is refused here, before anyone counts with it. Pure.

Fields that are not named here are taken as they are: a later version may have added them.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import get_args

from pytest_rightsize.records import Json, Outcome

__all__ = ["check_line"]

Check = Callable[[Json], bool]


def _text(value: Json) -> bool:
    return isinstance(value, str)


def _flag(value: Json) -> bool:
    return isinstance(value, bool)


def _count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _amount(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0


def _fraction(value: Json) -> bool:
    return _amount(value) and value <= 1


def _table(value: Json) -> bool:
    return isinstance(value, dict)


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _some(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _one_of(*words: Json) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _shaped(**fields: Check) -> Check:
    """An object with these fields, where it has them."""
    return lambda value: (
        isinstance(value, dict) and all(check(value[name]) for name, check in fields.items() if name in value)
    )


_TOKENS = _shaped(
    prompt=_maybe(_count),
    cached=_maybe(_count),
    completion=_maybe(_count),
    reasoning=_maybe(_count),
    characters=_maybe(_count),
    source=_one_of("reported", "counted", "unknown"),
)
_ANSWER = {
    "text": _text,
    "reasoning": _maybe(_text),
    "tokens": _TOKENS,
    "seconds": _maybe(_amount),
    "energy": _maybe(_table),
    "cost_usd": _maybe(_amount),
    "cached": _flag,
    "finish_reason": _maybe(_text),
    "tool_calls": _some(_table),
    "messages": _some(_table),
    "prompt": _maybe(_text),
    "recorded": _maybe(_text),
    "retries": _count,
}
_RUNG = {
    "name": _text,
    "provider": _text,
    "model": _maybe(_text),
    "params_b": _maybe(_amount),
    "active_b": _maybe(_amount),
    "price": _maybe(_shaped(prompt=_amount, completion=_amount, cached=_maybe(_amount))),
}
_LINES: Mapping[str, Mapping[str, Check]] = {
    "run": {"ladder": _some(_shaped(**_RUNG)), "settings": _shaped(strategy=_text)},
    "plan": {
        "task": _text,
        "planned": lambda value: isinstance(value, dict) and all(map(_count, value.values())),
        "pass_rate": _fraction,
        "samples": _count,
        "confidence": _maybe(_fraction),
        "chosen": _maybe(_text),
        "chosen_from": _maybe(_text),
        "private": _flag,
        "max_tokens": _maybe(_count),
        "concurrent": _flag,
        "test_at": _maybe(_text),
        "chosen_at": _maybe(_text),
        "waivers": _some(_shaped(gate=_text, until=_text, reason=_text)),
    },
    "prompt": {"id": _text, "messages": _some(_table)},
    "trial": {
        "task": _text,
        "case": _text,
        "rung": _text,
        "sample": _count,
        "outcome": _one_of(*get_args(Outcome)),
        "reason": _maybe(_text),
        "detail": _maybe(_text),
        "seconds": _maybe(_amount),
        "answers": _some(_shaped(**_ANSWER)),
    },
}


def check_line(line: Mapping[str, Json]) -> None:
    """Raise ValueError, in a clause, for a field of a known line that holds what it cannot hold."""
    kind = line.get("kind")
    for name, check in _LINES.get(kind, {}).items() if isinstance(kind, str) else ():
        if name in line and not check(line[name]):
            raise ValueError(f"{name} cannot be {str(line[name])[:100]!r}")
