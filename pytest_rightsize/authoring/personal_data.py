"""Finds what looks like personal data or a key in the lines of a file; pure.

It is a hint and no proof: names and addresses of people look like any other text, and are not found.
"""

import re
from collections.abc import Iterable, Mapping

__all__ = ["hints"]

_KINDS: Mapping[str, re.Pattern[str]] = {
    "bank or card numbers": re.compile(
        r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b|\b(?:\d{4}[ -]){3}\d{4}\b"
    ),
    "e-mail addresses": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,63}"),
    "phone numbers": re.compile(
        r"(?<![\w.,+-])(?:\+|00)\d{1,3}[ ./-]?(?:\(\d{1,4}\)[ ./-]?)?\d(?:[ ./-]?\d){6,11}(?![\w,-])"
        r"|(?<![\w.,+/-])(?:\(\d{2,5}\)[ -]?|0\d{1,4}[ /-]|\d{3}[ .-])\d{3,4}[ .-]?\d{2,5}(?![\w,/-])"
    ),
    "keys or passwords": re.compile(
        r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bAIza[\w-]{30,}"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:password|passwd|api[_ -]?key|secret)\s*[:=]\s*\S{4,}"
        r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+",
        re.IGNORECASE,
    ),
}


# Pictures and the like, which are long, and in which anything may stand.
_DATA = re.compile(r"data:[\w/+.-]{1,100};base64,[\w+/=-]*")


def hints(lines: Iterable[str]) -> dict[str, list[int]]:
    """For each kind that is seen the numbers of its lines, from 1."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        line = _DATA.sub(" ", line)
        for kind, pattern in _KINDS.items():
            line, count = pattern.subn(" ", line)  # part of a bank's number is no phone number
            if count:
                found.setdefault(kind, []).append(number)
    return found
