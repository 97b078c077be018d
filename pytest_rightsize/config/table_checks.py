"""Checks of the tables of a ladder file: the names of their keys and the types of their values; pure.

An error is a ConfigError that names the place, what stands there, and what may stand there.
"""

from collections.abc import Collection, Mapping

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Json

__all__ = ["NUMBER", "check_keys", "check_type", "subtable"]

NUMBER = (int, float)
_TYPE_WORDS: Mapping[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}


def subtable(plain: Mapping[str, Json], key: str, where: str) -> Mapping[str, Json]:
    """The table under `key`, empty where there is none."""
    value = plain.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {key} is {value!r}, and must be a table: write [{key}] or [{key}.NAME]")
    return value


def check_keys(plain: Mapping[str, Json], allowed: Collection[str], *, where: str) -> None:
    """Refuse a key that is not allowed, with the nearest one that is."""
    for key in plain:
        if key not in allowed:
            raise unknown_name(where, key, list(allowed), noun="key")


def check_type(value: Json, allowed: type | tuple[type, ...], *, where: str) -> None:
    """Refuse a value of another type; a bool is no number."""
    kinds = allowed if isinstance(allowed, tuple) else (allowed,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        words = " or ".join(dict.fromkeys(_TYPE_WORDS.get(kind, kind.__name__) for kind in kinds))
        raise ConfigError(f"{where} = {value!r} cannot be: give {words}")
