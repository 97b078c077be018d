"""Holds values against JSON schemas. Nothing is fetched: a schema refers to itself, or to what it was given."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_rightsize.errors import SchemaReferenceError
from pytest_rightsize.records import Json

if TYPE_CHECKING:
    from referencing import Registry

__all__ = ["Problem", "Schema", "remote_references"]

# The schemas of JSON schema itself come with the library.
_KNOWN = ("http://json-schema.org/", "https://json-schema.org/")


class Problem(str):
    """What of a value breaks a schema, in words; `path` is where, as `$.items[0]`, `keyword` what of the schema."""

    path: str
    keyword: str

    def __new__(cls, message: str, path: str, keyword: str) -> "Problem":
        """Make the text and keep the rest beside it."""
        problem = super().__new__(cls, message)
        problem.path = path
        problem.keyword = keyword
        return problem


class Schema:
    """A JSON schema. `registry`, of the package `referencing`, holds the other schemas that it refers to by their URI.

    jsonschema by itself would fetch them, from the network or from a file.
    """

    def __init__(self, schema: Mapping[str, Json], registry: "Registry[Any] | None" = None) -> None:
        """Raises jsonschema's SchemaError where it is no schema."""
        import jsonschema
        from referencing import Registry

        kind = jsonschema.validators.validator_for(schema)
        kind.check_schema(dict(schema))
        self._validator = kind(dict(schema), registry=Registry() if registry is None else registry)

    def problem(self, value: Json) -> Problem | None:
        """What breaks it most, or None. Raises SchemaReferenceError where it refers to what is not there."""
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            found = best_match(self._validator.iter_errors(value))
        except Unresolvable as error:
            raise SchemaReferenceError(
                f"the schema refers to {error.ref!r}, which is not in it, and nothing is fetched: put it under $defs, "
                f"or give registry=, a referencing.Registry that holds it"
            ) from None
        return None if found is None else Problem(found.message, found.json_path, str(found.validator))


def remote_references(schema: Json) -> list[str]:
    """The URIs of other schemas to which a schema refers and that it does not hold itself."""
    references, own = set[str](), set[str]()

    def visit(value: Json) -> None:
        if isinstance(value, Mapping):
            for name, found in (("$ref", references), ("$dynamicRef", references), ("$id", own)):
                if isinstance(value.get(name), str):
                    found.add(value[name].partition("#")[0])
            for each in value.values():
                visit(each)
        elif isinstance(value, list | tuple):
            for each in value:
                visit(each)

    visit(schema)
    return sorted(uri for uri in references - own if ":" in uri and not uri.startswith(_KNOWN))
