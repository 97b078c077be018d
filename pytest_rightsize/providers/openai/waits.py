"""How long an endpoint asks to wait, in whatever form it says so; pure.

Headers and the present time come in, seconds go out, or None where nothing is asked.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["asked_wait_s"]

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPANS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
# Numbers above these are a date, in seconds or milliseconds since 1970.
_EPOCH_S, _EPOCH_MS = 1e9, 1e12


def asked_wait_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """The seconds to wait; `now_s` is the present time since 1970.

    Retry-After and retry-after-ms come first. Else it is the time of the limit that is used up, by
    `x-ratelimit-reset-..` (OpenAI, Groq), `anthropic-ratelimit-..-reset`, `ratelimit-reset` or `ratelimit` (IETF).
    """
    known = {name.lower(): value.strip() for name, value in headers.items()}
    milliseconds = _number(known.get("retry-after-ms"))
    if milliseconds is not None:
        return max(milliseconds / 1000, 0.0)
    wait = _seconds(known.get("retry-after"), now_s)
    return wait if wait is not None else _until_reset(known, now_s)


def _until_reset(headers: Mapping[str, str], now_s: float) -> float | None:
    """The longest wait among limits that are used up; without word of what remains, the shortest of all."""
    used_up: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        if "ratelimit" not in name:
            continue
        if name in ("ratelimit", "x-ratelimit"):  # as in `"default";r=0;t=30` or `limit=100, remaining=0, reset=30`
            inside = re.search(r"\b(?:t|reset)=(\d+)", value)
            value = inside[1] if inside else ""
        elif "reset" not in name:
            continue
        wait = _seconds(value, now_s)
        remaining = _number(headers.get(name.replace("reset", "remaining")))
        if wait is not None and (remaining is None or remaining <= 0):
            (others if remaining is None else used_up).append(wait)
    return max(used_up, default=min(others, default=None))


def _seconds(text: str | None, now_s: float) -> float | None:
    """A number of seconds, a span such as `6m0s`, or the time until a date."""
    if not text:
        return None
    number = _number(text)
    if number is not None:
        until = number / 1000 if number > _EPOCH_MS else number
        return max(until - now_s if number > _EPOCH_S else number, 0.0)
    if _SPANS.fullmatch(text):
        return sum(float(amount) * _UNIT_S[unit] for amount, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", text))
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            return None
    # A date of HTTP is one of UTC.
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_s, 0.0)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
