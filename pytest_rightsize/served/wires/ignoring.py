"""Leaves out the parameters that `[app] ignore` names: those of a body, and those of what it asks; pure.

A body has them as its vendor spells them, and so has an error that refuses one. A rung refuses them by their names in
the chat API, which Asked has. Either name is enough, in camel case or not.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from pytest_rightsize.records import Json
from pytest_rightsize.served.wires.asked import Asked, Wire
from pytest_rightsize.served.wires.fields import IGNORING_REACHES

__all__ = ["read_ignoring"]

# What Asked has in fields of its own, by its name in the chat API.
_FIELDS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "response_format": "schema",
    "tools": "tools",
}


def read_ignoring(wire: Wire, path: str, body: Json, ignored: Collection[str]) -> Asked:
    """What is asked, without the parameters in `ignored`; raises UnservedError as `Wire.read`."""
    names = frozenset(map(_snake, ignored))
    asked = wire.read(path, _without(body, names))
    extra = {name: value for name, value in asked.extra.items() if name not in names}
    fields: dict[str, None] = {field: None for name, field in _FIELDS.items() if name in names}
    return replace(asked, extra=extra, **fields)  # type: ignore[arg-type]  # each of them may be None


def _without(body: Json, names: frozenset[str]) -> Json:
    """The body without those parameters, also where a vendor keeps them one level below."""
    if not names or not isinstance(body, Mapping):
        return body
    return {
        name: _without(value, names) if name in IGNORING_REACHES else value
        for name, value in body.items()
        if _snake(name) not in names
    }


def _snake(name: str) -> str:
    """`top_k` for `topK`: Google takes both."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda found: f"_{found[0]}", name).lower()
