"""Values in the tool calls that models write: the JSON in a text, and the meaning of an argument; pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_rightsize.records import Json

__all__ = ["Found", "Parameters", "typed", "values_in"]

Parameters = Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Calls as name and arguments, in order, and what else the answer says."""

    calls: list[tuple[str, Json]]
    words: str


def values_in(text: str) -> Iterator[Json]:
    """The JSON values that follow each other in a text, up to what is none."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,;"))
        if at >= len(text):
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value


def typed(text: str, name: str, parameters: Mapping[str, Json]) -> Json:
    """An argument that was written as text: a string where the schema wants one, else the JSON it reads as."""
    schema = (parameters.get("properties") or {}).get(name)
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    if kinds == "string":
        return text
    value = next(values_in(text), text)
    return text if isinstance(value, str) and not text.strip().startswith('"') else value
