"""Google's names and schemas in the spelling that others use; pure."""

import re
from collections.abc import Mapping

from pytest_rightsize.records import Json

__all__ = ["camel", "json_schema"]

# What users name themselves is left as it is.
_VALUES = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"}
)
# 64-bit numbers are texts in Google's JSON.
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_NOT_JSON_SCHEMA = frozenset({"propertyOrdering", "nullable", "example"})


def camel(value: Json) -> Json:
    """The same with names as `topP`: the API takes `top_p` too, and litellm sends it."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    named = {re.sub(r"(?<=[a-z])_([a-z])", lambda found: found[1].upper(), name): each for name, each in value.items()}
    return {_plain(name): each if _plain(name) in _VALUES else camel(each) for name, each in named.items()}


def _plain(name: str) -> str:
    """`_responseJsonSchema` was the name of a preview."""
    return name.removeprefix("_")


def json_schema(schema: Json) -> Json:
    """A JSON schema from Google's dialect of OpenAPI: small types, and null as a type of its own."""
    if not isinstance(schema, Mapping):
        return schema
    written = {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): value for name, value in schema.items()}
    plain = {name: _keyword(name, value) for name, value in written.items() if name not in _NOT_JSON_SCHEMA}
    if written.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
        if isinstance(plain.get("enum"), list):
            plain["enum"] = [*plain["enum"], None]
    return plain


def _keyword(name: str, value: Json) -> Json:
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name == "properties" and isinstance(value, Mapping):
        return {key: json_schema(each) for key, each in value.items()}
    if name in ("items", "additionalProperties"):
        return json_schema(value)
    if name in ("anyOf", "prefixItems") and isinstance(value, list):
        return [json_schema(each) for each in value]
    if name in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value
