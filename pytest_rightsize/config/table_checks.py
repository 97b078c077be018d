"""Checks of the tables of a ladder file: the names of their keys and the types of their values; pure.

An error is a ConfigError that names the place, what stands there, and what may stand there.
"""

from collections.abc import Collection, Mapping
from math import isfinite

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.escaping import one_line
from pytest_rightsize.providers.secret_texts import without_likely_secrets
from pytest_rightsize.records import Json

__all__ = ["LARGEST", "NUMBER", "check_keys", "check_name", "check_numbers", "check_type", "subtable"]

NUMBER = (int, float)
_YEAR_S = 31_536_000
LARGEST: Mapping[str, float] = {
    "active_b": 1_000_000,
    "concurrency": 100_000,
    "download_timeout_s": _YEAR_S,
    "max_answer_mb": 100_000,
    "max_in_flight": 100_000,
    "max_tokens": 100_000_000,
    "n_batch": 1_000_000,
    "n_ctx": 100_000_000,
    "n_gpu_layers": 100_000,
    "n_threads": 10_000,
    "params_b": 1_000_000,
    "patience_s": _YEAR_S,
    "place_timeout_s": _YEAR_S,
    "replicas": 1_000,
    "restarts": 1_000,
    "retries": 1_000,
    "runs": 100_000,
    "samples": 10_000,
    "timeout_s": _YEAR_S,
}
"""The largest value of a key or an option, whatever its table: above it a number is a slip of the pen."""
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
        shown = without_likely_secrets(repr(value))
        raise ConfigError(f"{where}: {key} is {shown}, and must be a table: write [{key}] or [{key}.NAME]")
    return value


def check_keys(plain: Mapping[str, Json], allowed: Collection[str], *, where: str) -> None:
    """Refuse a key that is not allowed, with the nearest one that is."""
    for key in plain:
        if key not in allowed:
            raise unknown_name(where, key, list(allowed), noun="key")


def check_name(name: str, *, where: str) -> None:
    """Refuse a name that does not stand on one line, or holds what a terminal would take for a command."""
    if one_line(name) != name:
        raise ConfigError(f"{where}: a name cannot hold control characters, as in {name!r}: take them out")


def check_numbers(plain: Mapping[str, Json], *, where: str) -> None:
    """Refuse numbers that are none, or far too large, anywhere in a table; TOML has `nan` and `inf`."""
    for key, value in plain.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                check_numbers(each, where=f"{where}: {key}")
            elif isinstance(each, NUMBER) and not isinstance(each, bool):
                _check_number(key, each, where=where)


def _check_number(key: str, value: float, *, where: str) -> None:
    if not isfinite(value):
        raise ConfigError(f"{where}: {key} = {value} cannot be: give a number")
    most = LARGEST.get(key)
    if most is not None and value > most:
        raise ConfigError(f"{where}: {key} = {value:g} cannot be: give a number of {most:,} at most")


def check_type(value: Json, allowed: type | tuple[type, ...], *, where: str) -> None:
    """Refuse a value of another type; a bool is no number."""
    kinds = allowed if isinstance(allowed, tuple) else (allowed,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        words = " or ".join(dict.fromkeys(_TYPE_WORDS.get(kind, kind.__name__) for kind in kinds))
        raise ConfigError(f"{where} = {without_likely_secrets(repr(value))} cannot be: give {words}")
