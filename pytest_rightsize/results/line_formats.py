"""Checks the shape of each line of a results file, before its values are used; pure.

Fields that are not listed here are accepted as they are: a later version may have added them.
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


def _tables(value: Json) -> bool:
    return isinstance(value, dict) and all(map(_table, value.values()))


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _one_of(*words: Json) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _shaped(**fields: Check) -> Check:
    """An object whose fields, where it has them, pass these checks."""
    return lambda value: (
        isinstance(value, dict) and all(check(value[name]) for name, check in fields.items() if name in value)
    )


_TOKENS = _shaped(
    prompt=_optional(_count),
    cached=_optional(_count),
    completion=_optional(_count),
    reasoning=_optional(_count),
    characters=_optional(_count),
    source=_one_of("reported", "counted", "unknown"),
    reasoning_source=_optional(_one_of("reported", "counted", "unknown")),
)
_ANSWER = {
    "text": _text,
    "reasoning": _optional(_text),
    "tokens": _TOKENS,
    "seconds": _optional(_amount),
    "energy": _optional(_table),
    "cost_usd": _optional(_amount),
    "cached": _flag,
    "finish_reason": _optional(_text),
    "tool_calls": _list_of(_table),
    "messages": _list_of(_table),
    "prompt": _optional(_text),
    "recorded": _optional(_text),
    "retries": _count,
    "margin": _optional(_amount),
    "via": _list_of(_text),
}
_CRITERION = _shaped(
    question=_one_of("judged", "preferred_over"),
    rubric=_text,
    template=_text,
    at_least=_optional(_count),
    or_tie=_optional(_flag),
)
_JUDGEMENT = {
    "by": _text,
    "tokens": _TOKENS,
    "seconds": _optional(_amount),
    "energy": _optional(_table),
    "cost_usd": _optional(_amount),
    "cached": _flag,
    "judge": _optional(_text),
    "criterion": _optional(_CRITERION),
    "passed": _optional(_flag),
    "answer": _optional(_count),
    "text": _optional(_text),
    "reference": _optional(_text),
}
_CALIBRATION = _shaped(
    judge=_text,
    by=_text,
    criterion=_CRITERION,
    good=_count,
    good_passed=_count,
    bad=_count,
    bad_passed=_count,
    date=_optional(_text),
)
_RUNG = {
    "name": _text,
    "provider": _text,
    "model": _optional(_text),
    "params_b": _optional(_amount),
    "active_b": _optional(_amount),
    "electricity_usd_per_kwh": _optional(_amount),
    "gco2_per_kwh": _optional(_amount),
    "trusted": _optional(_flag),
    "images": _optional(_flag),
    "price": _optional(_shaped(prompt=_amount, completion=_amount, cached=_optional(_amount))),
}
_MOST_PLAYED = 1_000


def _played(value: Json) -> bool:
    """Counts of wrong answers: few, as what follows from them is computed exactly."""
    if not isinstance(value, dict) or not all(_count(value.get(name)) for name in ("passed", "played")):
        return False
    return bool(value["passed"] <= value["played"] <= _MOST_PLAYED)


_PLAN: Mapping[str, Check] = {
    "task": _text,
    "planned": lambda value: isinstance(value, dict) and all(map(_count, value.values())),
    "pass_rate": _fraction,
    "samples": _count,
    "confidence": _optional(_fraction),
    "chosen": _optional(_text),
    "chosen_from": _optional(_text),
    "private": _flag,
    "max_tokens": _optional(_count),
    "concurrent": _flag,
    "test_at": _optional(_text),
    "chosen_at": _optional(_text),
    "pass_rate_from": _optional(_text),
    "confidence_from": _optional(_text),
    "samples_from": _optional(_text),
    "shuffle_seed": _optional(_count),
    "requests_per_month": _optional(_amount),
    "waivers": _list_of(_shaped(gate=_text, until=_text, reason=_text)),
}
_LINES: Mapping[str, Mapping[str, Check]] = {
    "run": {
        "ladder": _list_of(_shaped(**_RUNG)),
        "settings": _shaped(strategy=_text, redact=_list_of(_text), calibrations=_list_of(_CALIBRATION)),
        "started": _optional(_text),
        "commit": _optional(_text),
        "machine": _optional(_table),
        "versions": _optional(_table),
        "shards": _list_of(_table),
        "identities": _optional(_tables),
    },
    "end": {"totals": _optional(_shaped(identities=_optional(_tables)))},
    "plan": _PLAN,
    "suite": _PLAN,
    "prompt": {"id": _text, "messages": _list_of(_table)},
    "strength": {
        "task": _text,
        "rung": _text,
        "kinds": lambda value: isinstance(value, dict) and all(map(_played, value.values())),
        "uncounted": _count,
        "uncounted_because": _optional(_text),
        "unmeasured": _optional(_text),
    },
    "trial": {
        "task": _text,
        "case": _text,
        "rung": _text,
        "sample": _count,
        "outcome": _one_of(*get_args(Outcome)),
        "reason": _optional(_text),
        "detail": _optional(_text),
        "raised_at": _optional(_text),
        "seconds": _optional(_amount),
        "sampled": _optional(_one_of("passed", "failed", "error")),
        "answers": _list_of(_shaped(**_ANSWER)),
        "judgements": _list_of(_shaped(**_JUDGEMENT)),
    },
}


def check_line(line: Mapping[str, Json]) -> None:
    """Raise ValueError, worded as a clause, if a field of a known kind of line has a value it cannot have."""
    kind = line.get("kind")
    for name, check in _LINES.get(kind, {}).items() if isinstance(kind, str) else ():
        if name in line and not check(line[name]):
            raise ValueError(f"{name} cannot be {str(line[name])[:100]!r}")
