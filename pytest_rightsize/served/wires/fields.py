"""Reads the members of a JSON object by name and type, and knows which of them nobody has read; pure.

Whatever has another type than it should is an UnservedError that names its place, as `messages[1].role`.
"""

import math
from collections.abc import Mapping
from typing import NoReturn

from pytest_rightsize.records import Json
from pytest_rightsize.served.wires.asked import UnservedError
from pytest_rightsize.strict_json import loads

__all__ = ["IGNORING_REACHES", "Fields", "body_of"]

# The places of parameters that `[app] ignore` can name: the body, and where Gemini and Ollama keep them.
IGNORING_REACHES = ("", "generationConfig", "generation_config", "options")

_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


def body_of(raw: bytes) -> Json:
    """The JSON of a request's body; raises UnservedError where it is none, or holds a number that is none."""
    try:
        return loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnservedError(f"the body is not JSON: {error}") from None


class Fields:
    """The members of one JSON object. A member that is null counts as not there.

    `rest` and `refuse_rest` are about those that were neither read nor dropped, so that no parameter is lost by
    being forgotten.
    """

    def __init__(self, value: Json, where: str = "") -> None:
        """Take the object at `where`, a path into the body; raises UnservedError if it is no object."""
        if not isinstance(value, Mapping):
            raise UnservedError(f"{where or 'the body'} must be an object, not {_kind(value)}")
        self.where = where
        self._members = value
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._members.get(name) is not None

    def place(self, name: str) -> str:
        """The path of a member."""
        return f"{self.where}.{name}" if self.where else name

    def value(self, name: str) -> Json:
        """A member of any type; None where it is not there."""
        self._read.add(name)
        return self._members.get(name)

    def text(self, name: str) -> str | None:
        """A text, or None."""
        value = self.value(name)
        return value if value is None or isinstance(value, str) else self._wrong(name, value, "a text")

    def needed_text(self, name: str) -> str:
        """A text that must be there."""
        text = self.text(name)
        return self._missing(name) if text is None else text

    def number(self, name: str) -> float | None:
        """A finite number, or None."""
        value: float | None = self.value(name)
        if value is not None and not _is_finite_number(value):
            self._wrong(name, value, "a number")
        return value

    def whole(self, name: str) -> int | None:
        """A whole number, also one written as `5.0`, or None."""
        value = self.number(name)
        if value is None or isinstance(value, int):
            return value
        return int(value) if value.is_integer() else self._wrong(name, value, "a whole number")

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false; `default` where it is not there."""
        value = self.value(name)
        if value is None:
            return default
        return value if isinstance(value, bool) else self._wrong(name, value, "true or false")

    def fields(self, name: str) -> "Fields | None":
        """An object, or None."""
        value = self.value(name)
        return None if value is None else Fields(value, self.place(name))

    def needed_fields(self, name: str) -> "Fields":
        """An object that must be there."""
        fields = self.fields(name)
        return self._missing(name) if fields is None else fields

    def mapping(self, name: str) -> dict[str, Json] | None:
        """An object whose members the user names, as it is, or None."""
        value = self.value(name)
        if value is None:
            return None
        return dict(value) if isinstance(value, Mapping) else self._wrong(name, value, "an object")

    def items(self, name: str) -> list[Json]:
        """A list; empty where it is not there."""
        value = self.value(name)
        if value is None:
            return []
        return value if isinstance(value, list) else self._wrong(name, value, "a list")

    def each(self, name: str) -> "list[Fields]":
        """A list of objects; empty where it is not there."""
        return [Fields(value, f"{self.place(name)}[{index}]") for index, value in enumerate(self.items(name))]

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty where it is not there."""
        values = self.items(name)
        for value in values:
            if not isinstance(value, str):
                self._wrong(name, value, "a list of texts")
        return values

    def drop(self, *names: str) -> None:
        """Leave out members that change no answer."""
        self._read.update(names)

    def plain(self) -> dict[str, Json]:
        """All members that are there, read or not."""
        return {name: value for name, value in self._members.items() if value is not None}

    def rest(self) -> dict[str, Json]:
        """The members that are there and were not read yet."""
        return {name: value for name, value in self._members.items() if value is not None and name not in self._read}

    def refuse(self, name: str, why: str) -> None:
        """Refuse a member if it is there; `why` says what a rung lacks. Empty ones and false ask for nothing."""
        if self.value(name):
            raise UnservedError(f"{self.place(name)}: {why}{self._remedy(name)}")

    def refuse_each(self, whys: Mapping[str, str]) -> None:
        """Refuse each of these members that is there, with its reason."""
        for name, why in whys.items():
            self.refuse(name, why)

    def refuse_rest(self) -> None:
        """Refuse whatever was not read: it may change the answer."""
        names = list(self.rest())
        if names:
            places = ", ".join(map(self.place, names))
            raise UnservedError(
                f"{places}: not known here, and would be lost on the way to the rung{self._remedy(*names)}"
            )

    def _remedy(self, *names: str) -> str:
        """What the user can do, where `[app] ignore` reaches."""
        written = ", ".join(f'"{name}"' for name in names)
        return f"; leave it out, or name it in [app] ignore = [{written}]" if self.where in IGNORING_REACHES else ""

    def _wrong(self, name: str, value: Json, wanted: str) -> NoReturn:
        raise UnservedError(f"{self.place(name)} must be {wanted}, not {_kind(value)}")

    def _missing(self, name: str) -> NoReturn:
        raise UnservedError(f"{self.place(name)} is missing")


def _is_finite_number(value: Json) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number above any float
        return False


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    shown = repr(value)
    kind = _KINDS.get(type(value), type(value).__name__)
    return shown if isinstance(value, bool | int | float | str) and len(shown) <= 40 else kind
