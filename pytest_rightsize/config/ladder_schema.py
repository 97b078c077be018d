"""The JSON schema of the ladder file, made from the tables by which the file is checked; pure.

Providers and meters come in, a schema goes out, for editors that complete and check TOML.
What no schema can say is left to the check itself: that a name belongs to a rung, that a price list knows a model, and
what a provider makes of its keys.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pytest_rightsize.config.app_table import APP_KEYS, NO_PARAMETERS
from pytest_rightsize.config.cluster_table import CLUSTER_KEYS
from pytest_rightsize.config.key_descriptions import DESCRIPTIONS
from pytest_rightsize.config.ladder import TOP_KEYS
from pytest_rightsize.config.ladder_order import ORDERS
from pytest_rightsize.config.rung_tables import COMMON_KEYS, POSITIVE_KEYS
from pytest_rightsize.config.spreads import spread_keys
from pytest_rightsize.config.table_checks import LARGEST, NUMBER
from pytest_rightsize.config.task_tables import TASK_KEYS
from pytest_rightsize.meters import Meter
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import GateName

__all__ = ["ladder_schema"]

Schema = dict[str, Any]
Kinds = type | tuple[type, ...]

_TYPES: Mapping[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}
_TEXT: Schema = {"type": "string"}
_NAMES: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_TOKENS: Schema = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": LARGEST["n_ctx"]},
    "minItems": 1,
}
_FROM_0: Schema = {"type": "number", "minimum": 0}
_RUNG_NAME = r"^[^\s,]([^,]*[^\s,])?$"


def ladder_schema(providers: Mapping[str, type[Provider]], meters: Mapping[str, type[Meter]]) -> Schema:
    """The schema, of JSON Schema 2020-12; a day such as `until = 2027-01-31` is text with the format `date`."""
    tables: Mapping[str, Schema] = {
        "calibration": _TEXT,
        "default": _TEXT,
        "order": {"enum": [*ORDERS]},
        "ladder": {
            "type": "object",
            "propertyNames": {"pattern": _RUNG_NAME},
            "additionalProperties": {"$ref": "#/$defs/rung"},
        },
        "tasks": {"type": "object", "additionalProperties": {"$ref": "#/$defs/task"}},
        "app": {"$ref": "#/$defs/app"},
        "cluster": {"$ref": "#/$defs/cluster"},
    }
    top = {key: {**_described(key), **tables.get(key, _FROM_0)} for key in TOP_KEYS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The ladder file of pytest-rightsize",
        **_table(top),
        "$defs": {
            "rung": {"oneOf": [_rung(name, kind) for name, kind in sorted(providers.items())]},
            "meter": _meter(meters),
            "task": _table({key: _task_key(key, kinds) for key, kinds in TASK_KEYS.items()}),
            "app": _table({key: {**_described(f"app.{key}"), **_APP.get(key, {})} for key in APP_KEYS}),
            "cluster": _table({key: {**_described(key), **_value(kind)} for key, kind in CLUSTER_KEYS.items()}),
        },
    }


def _table(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """A table that has no keys but these."""
    closed: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return closed | ({"required": list(required)} if required else {})


def _described(key: str) -> Schema:
    """What an editor shows of a key; nothing of one that a plugin brings."""
    return {"description": DESCRIPTIONS[key]} if key in DESCRIPTIONS else {}


def _value(kinds: Kinds) -> Schema:
    """A value of these types; a whole number is a number too."""
    names = [_TYPES[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]
    if "number" in names:
        names = [name for name in names if name != "integer"]
    return {"type": names[0] if len(names) == 1 else names}


_SECRET_FREE: Schema = {
    "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$",
    "anyOf": [{"maxLength": 30}, {"pattern": "^[^a-z]+$"}],
}
_PRICE = _table(dict.fromkeys(("prompt", "completion", "cached"), _FROM_0), ["prompt", "completion"])
# What else is asked of a key, beside its type.
_FURTHER: Mapping[str, Schema] = {
    "api_key_env": _SECRET_FREE,
    "price": {"anyOf": [{"const": "auto"}, _PRICE]},
    "meter": {"$ref": "#/$defs/meter"},
    "electricity_usd_per_kwh": {"minimum": 0},
    "gco2_per_kwh": {"minimum": 0},
    **{key: {"exclusiveMinimum": 0} for key in POSITIVE_KEYS},
}


def _rung(name: str, kind: type[Provider]) -> Schema:
    properties: dict[str, Schema] = {}
    for key, kinds in {**COMMON_KEYS, **kind.options}.items():
        most = {"maximum": LARGEST[key]} if key in LARGEST else {}
        least = {"minLength": 1} if key in kind.required else {}
        properties[key] = {
            **_described(key),
            **_value(kinds),
            **_FURTHER.get(key, {}),
            **most,
            **least,
        }
    for key in spread_keys(name, kind):
        properties[key] = {**_described(key), **(_TOKENS if key == "contexts" else _NAMES), "uniqueItems": True}
    properties["provider"] = {**_described("provider"), "const": name}
    return {"title": name, **_table(properties, ["provider", *kind.required])}


_CHOSEN: Schema = {
    "anyOf": [
        _TEXT,
        _table({"file": _TEXT, "key": _TEXT}, ["file", "key"]),
        _table({"env": _TEXT}, ["env"]),
    ]
}
_WAIVER = _table(
    {
        "gate": {"enum": list(get_args(GateName))},
        "until": {"type": "string", "format": "date"},
        "reason": {"type": "string", "minLength": 1},
    },
    ["gate", "until", "reason"],
)
_TASK: Mapping[str, Schema] = {
    "pass_rate": {"minimum": 0, "maximum": 1},
    "confidence": {"exclusiveMinimum": 0.5, "exclusiveMaximum": 1},
    "samples": {"minimum": 1},
    "max_tokens": {"minimum": 1},
    "requests_per_month": {"exclusiveMinimum": 0},
    "chosen": _CHOSEN,
    "waive": {"anyOf": [_WAIVER, {"type": "array", "items": _WAIVER}]},
}


def _task_key(key: str, kinds: Kinds) -> Schema:
    most = {"maximum": LARGEST[key]} if key in LARGEST else {}
    further = _TASK.get(key, {"minimum": 0} if kinds == NUMBER else {})
    return {**_described(f"tasks.{key}"), **_value(kinds), **further, **most}


_APP: Mapping[str, Schema] = {
    "serve": {"type": "boolean"},
    "stands_for": _NAMES,
    "models": {"type": "object", "additionalProperties": _TEXT},
    "ignore": {**_NAMES, "items": {"type": "string", "minLength": 1, "not": {"enum": list(NO_PARAMETERS)}}},
}


def _meter(meters: Mapping[str, type[Meter]]) -> Schema:
    """A meter's name, or a table with its name and options; several are joined by `+`."""
    one = "|".join(["auto", "none", *sorted(meters)])
    name = {"type": "string", "pattern": rf"^({one})(\+({one}))*$"}
    keys: dict[str, list[tuple[str, Kinds]]] = {}
    for meter, kind in sorted(meters.items()):
        for key, kinds in kind.options.items():
            keys.setdefault(key, []).append((meter, kinds))
    own = {key: _described(f"meter.{key}") for key in keys}
    table = _table(
        {
            "name": name,
            "basis": {**_described("meter.basis"), "enum": ["gross", "marginal"]},
            "idle_s": {**_described("meter.idle_s"), **_FROM_0},
            **own,
        },
        ["name"],
    )
    # A key needs a meter that has it, and is of the type that this meter gives it.
    table["dependentSchemas"] = {
        key: {"anyOf": [{"properties": {"name": _named(meter), key: _value(kinds)}} for meter, kinds in owners]}
        for key, owners in keys.items()
    }
    table["allOf"] = [
        _where(
            {"name": _named("rapl"), "share": {"const": "process"}},
            {"name": {"const": "rapl"}, "basis": {"not": {"const": "gross"}}, "idle_s": {"not": {"const": 0}}},
        ),
        _where({"basis": {"const": "marginal"}}, {"idle_s": {"not": {"const": 0}}}),
    ]
    return {"anyOf": [name, table]}


def _where(condition: Mapping[str, Schema], consequence: Mapping[str, Schema]) -> Schema:
    return {
        "if": {"properties": dict(condition), "required": list(condition)},
        "then": {"properties": dict(consequence)},
    }


def _named(meter: str) -> Schema:
    return {"pattern": rf"(^|\+){meter}(\+|$)"}
