"""Turns records into plain data, as `dataclasses.asdict` does, but copies nothing that is plain already."""

from collections.abc import Mapping
from typing import Any

__all__ = ["plain", "plain_fields", "shallow", "without_header_values"]

_ATOMS = (str, int, float, type(None))
# For a quick look; what inherits from them is an atom too.
_ATOM_TYPES = frozenset((*_ATOMS, bool))


def plain(value: Any) -> Any:
    """The value with every record in it as a dict by field; lists, tuples and mappings stay what they are."""
    if type(value) in _ATOM_TYPES:
        return value
    if hasattr(value, "__dataclass_fields__"):  # before what takes longer to find out
        return plain_fields(value)
    if isinstance(value, _ATOMS):
        return value
    if isinstance(value, tuple | list):
        return type(value)([plain(each) for each in value])
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return value


def plain_fields(record: Any) -> dict[str, Any]:
    """A record, which is an instance of a dataclass, as a dict by field."""
    values = ((name, getattr(record, name)) for name in record.__dataclass_fields__)
    return {name: value if type(value) in _ATOM_TYPES else plain(value) for name, value in values}


def shallow(record: Any) -> dict[str, Any]:
    """A record as a dict by field, whose values stay what they are."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def without_header_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a rung to show and to write down: of its headers the names alone, as one might hold a secret.

    So it is with the variables of a cluster's `runtime_env`.

    >>> without_header_values({"headers": {"x": "blue"}, "runtime_env": {"pip": ["a"], "env_vars": {"TOKEN": "t"}}})
    {'headers': {'x': '***'}, 'runtime_env': {'pip': ['a'], 'env_vars': {'TOKEN': '***'}}}
    """
    shown = {**options, **_names_alone(options, "headers")}
    environment = options.get("runtime_env")
    if isinstance(environment, Mapping):
        shown["runtime_env"] = {**environment, **_names_alone(environment, "env_vars")}
    return shown


def _names_alone(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    values = table.get(key)
    return {key: dict.fromkeys(values, "***")} if isinstance(values, Mapping) else {}
