"""Refuses what a chat template would build without end, before it is built. Pure.

A text, a list or a number may be made in one step of C code, which nothing can stop: so its size is found first. A list
that holds another twice, and is held twice itself, is small in memory and endless to write: so all that is reachable
counts, each time it is reached.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = [
    "MOST_CHARACTERS",
    "EndlessTemplateError",
    "bounded",
    "bounded_items",
    "bounded_method",
    "bounded_number",
    "bounded_power",
    "bounded_value",
    "braces_length",
    "length",
    "percent_length",
]

MOST_CHARACTERS = 10_000_000
_MOST_BITS = 10_000
_MOST_DEPTH = 200
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\d+|\*)?(?:\.(\d+|\*))?")
_BRACES = re.compile(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")


class EndlessTemplateError(Exception):
    """The template writes without end; the text is a clause that says what stopped it."""


def bounded(characters: int) -> None:
    """Raise EndlessTemplateError for more than MOST_CHARACTERS."""
    if characters > MOST_CHARACTERS:
        raise EndlessTemplateError(f"it writes more than {MOST_CHARACTERS:,} characters")


def length(value: object) -> int:
    """The length of a text or a list; 0 of anything else."""
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def bounded_value(value: Any) -> Any:
    """The value, if all that is reachable from it has an end: characters, items and depth."""
    if not isinstance(value, list | tuple | dict):
        return value
    weight = 0
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        weight += 1 + (len(one) if isinstance(one, str | bytes) else 0)
        bounded(weight)
        if depth > _MOST_DEPTH:
            raise EndlessTemplateError(f"it nests lists more than {_MOST_DEPTH} deep")
        if isinstance(one, list | tuple):
            bounded(weight + len(one))
            waiting += [(item, depth + 1) for item in one]
        elif isinstance(one, dict):
            bounded(weight + len(one))
            waiting += [(item, depth + 1) for pair in one.items() for item in pair]
    return value


def bounded_items(items: Iterable[Any], each: int = 0) -> Iterator[Any]:
    """The items, while they have an end together; `each` is written with every one of them."""
    characters = 0
    for item in items:
        characters += 1 + each + len(str(bounded_value(item)))
        bounded(characters)
        yield item


def bounded_number(left: Any, right: Any) -> None:
    """Refuse a product of two numbers that has more digits than any prompt needs."""
    bits = [value.bit_length() for value in (left, right) if isinstance(value, int)]
    bounded(MOST_CHARACTERS + 1 if len(bits) == 2 and sum(bits) > _MOST_BITS else 0)


def bounded_power(left: Any, right: Any) -> None:
    """Refuse such a power."""
    is_whole = isinstance(left, int) and isinstance(right, int)
    bounded(MOST_CHARACTERS + 1 if is_whole and left.bit_length() * max(right, 1) > _MOST_BITS else 0)


def percent_length(form: str, values: Any) -> int:
    """At least as many characters as `form % values` writes."""
    given: Sequence[Any] = values if isinstance(values, tuple) else (values,)
    found = _PERCENT.findall(form)
    widths = [int(width[:10]) for pair in found for width in pair if width.isdecimal()]
    has_star = any("*" in pair for pair in found)
    return _length_with(form, given, widths, places=len(found), has_star=has_star)


def braces_length(form: str, values: Sequence[Any]) -> int:
    """At least as many characters as `form.format(*values)` writes."""
    fields = _BRACES.findall(form)
    specs = [field.partition(":")[2] for field in fields]
    widths = [int(width[:10]) for spec in specs for width in re.findall(r"[0-9]+", spec)]
    return _length_with(form, values, widths, places=len(fields), has_star=any("{" in spec for spec in specs))


def _length_with(form: str, given: Sequence[Any], widths: Sequence[int], *, places: int, has_star: bool) -> int:
    """With the longest of the values at each place; those that are whole numbers may be widths where one is a star."""
    values = [item for value in given for item in (value.values() if isinstance(value, Mapping) else (value,))]
    stars = [abs(value) for value in values if isinstance(value, int)] if has_star else []
    longest = max((len(str(bounded_value(value))) for value in values), default=0)
    return len(form) + sum(widths) + places * (longest + sum(stars))


def bounded_method(owner: str | bytes | int, name: str, args: tuple[Any, ...], names: Mapping[str, Any]) -> None:
    """Refuse a call of a method whose result could have more than MOST_CHARACTERS."""
    given = [*args, *names.values()]
    numbers = [value for value in given if isinstance(value, int)]
    if isinstance(owner, int):
        bounded(max(numbers, default=0) if name == "to_bytes" else 0)
    elif name in ("center", "ljust", "rjust", "zfill"):
        bounded(max(numbers, default=0))
    elif name == "expandtabs":
        tabs = owner.count("\t") if isinstance(owner, str) else owner.count(b"\t")
        bounded(len(owner) + tabs * max(numbers, default=8))
    elif name == "replace" and len(given) > 1:
        text: Any = owner
        times = text.count(given[0]) if isinstance(given[0], type(owner)) else 0
        bounded(len(owner) + times * length(given[1]))
    elif name == "translate" and given:
        table = given[0].values() if isinstance(given[0], Mapping) else ()
        bounded(len(owner) * max((len(str(value)) for value in table), default=1))
    elif name == "join" and given:
        if isinstance(given[0], str | bytes):
            bounded(len(given[0]) * (1 + len(owner)))
        elif isinstance(given[0], list | tuple):
            for _ in bounded_items(given[0], each=len(owner)):
                pass
    elif name in ("format", "format_map") and isinstance(owner, str):
        bounded(braces_length(owner, given))
