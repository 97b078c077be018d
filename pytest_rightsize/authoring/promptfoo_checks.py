"""Turns promptfoo's assertions into checks; what has no counterpart is kept by name. Pure.

See https://www.promptfoo.dev/docs/configuration/expected-outputs/deterministic.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["Checks", "checks_of", "shorthand"]

_LEVENSHTEIN = 5
# Kinds whose values go into one list: each of them must hold.
_LISTS: Mapping[str, str] = {
    "contains": "contains",
    "contains-all": "contains",
    "icontains": "containing",
    "icontains-all": "containing",
    "regex": "matches",
    "not-equals": "not_equals",
    "not-contains": "not_contains",
    "not-contains-any": "not_contains",
    "not-icontains": "not_containing",
    "not-icontains-any": "not_containing",
    "not-regex": "not_matches",
}
# Kinds of which a case has one.
_ANY: Mapping[str, str] = {"contains-any": "contains_any", "icontains-any": "containing_any"}
_WITHOUT_VALUE = ("is-json", "contains-json")
# The words of the column `__expected`, with their values after a colon; `fn` and `grade` are older ones.
_SHORT = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_SHORTHAND = re.compile(r"^(?P<kind>[a-z][a-z-]*)(?:\((?P<threshold>[\d.]+)\))?(?::\s*(?P<value>.*))?$", re.DOTALL)
_KINDS = {
    *(*_LISTS, *_ANY, *_WITHOUT_VALUE, *_SHORT, "equals", "starts-with", "levenshtein", "javascript", "python"),
    *("llm-rubric", "similar", "factuality", "answer-relevance", "latency", "cost", "webhook", "rouge-n", "moderation"),
    *("model-graded-closedqa", "model-graded-factuality", "context-recall", "classifier", "perplexity", "is-refusal"),
}


@dataclass(kw_only=True)
class Checks:
    """The checks of a case, and the names of assertions that have no counterpart."""

    checks: dict[str, Json] = field(default_factory=dict)
    open_checks: list[str] = field(default_factory=list)

    def put(self, name: str, value: Json) -> bool:
        """Take a check of which there can be one; False if there is another already."""
        return bool(self.checks.setdefault(name, value) == value)

    def extend(self, name: str, values: Iterable[Json]) -> None:
        """Add to a check that holds for each of its values."""
        known = self.checks.setdefault(name, [])
        known += [value for value in values if value not in known]


def checks_of(assertions: Iterable[Json]) -> Checks:
    """The checks of these assertions; raises ValueError for one that is none, in a clause."""
    found = Checks()
    for assertion in assertions:
        kind = assertion.get("type") if isinstance(assertion, Mapping) else None
        if not isinstance(kind, str):
            raise ValueError("has an assertion without a type")
        if assertion.get("weight") == 0:  # promptfoo shows it, and it decides nothing
            continue
        if kind == "assert-set" and assertion.get("threshold") is None and isinstance(assertion.get("assert"), list):
            inner = checks_of(assertion["assert"])
            found.open_checks += inner.open_checks
            for name, value in inner.checks.items():
                _merge(found, name, value)
        elif "transform" in assertion or not _add(found, kind, assertion):
            found.open_checks.append(kind)
    return found


def _merge(found: Checks, name: str, value: Json) -> None:
    if name in _LISTS.values():
        found.extend(name, value)
    elif not found.put(name, value):
        found.open_checks.append(name)


def _add(found: Checks, kind: str, assertion: Mapping[str, Json]) -> bool:
    """Add the checks of one assertion; False if it has no counterpart."""
    value = assertion.get("value")
    if kind in _LISTS or kind in _ANY:
        texts = _texts(kind, value)
        if texts is None or ("matches" in _LISTS.get(kind, "") and not all(map(_is_pattern, texts))):
            return False
        if kind in _ANY:
            return found.put(_ANY[kind], texts)
        found.extend(_LISTS[kind], texts)
        return True
    one: Mapping[str, Callable[[Checks, Json, Mapping[str, Json]], bool]] = {
        "equals": _equals,
        "starts-with": _starts_with,
        "levenshtein": _levenshtein,
        "is-json": _is_json,
        "contains-json": _contains_json,
    }
    return kind in one and one[kind](found, value, assertion)


def _equals(found: Checks, value: Json, _: Mapping[str, Json]) -> bool:
    if isinstance(value, Mapping | list):
        return found.put("json", value)
    text = _text(value)
    return text is not None and found.put("equals", text)


def _starts_with(found: Checks, value: Json, _: Mapping[str, Json]) -> bool:
    text = _text(value)
    return text is not None and found.put("starts_with", text)


def _levenshtein(found: Checks, value: Json, assertion: Mapping[str, Json]) -> bool:
    text, most = _text(value), assertion.get("threshold", _LEVENSHTEIN)
    return text is not None and isinstance(most, int | float) and found.put("edits", [text, most])


def _is_json(found: Checks, value: Json, _: Mapping[str, Json]) -> bool:
    schema = _schema(value)
    return found.put("json_form", True) if value is None else schema is not None and found.put("schema", schema)


def _contains_json(found: Checks, value: Json, _: Mapping[str, Json]) -> bool:
    schema = {} if value is None else _schema(value)
    return schema is not None and found.put("json_within", schema)


def _schema(value: Json) -> Mapping[str, Json] | None:
    """A valid JSON schema, which may be written as JSON in a text."""
    import jsonschema

    if isinstance(value, str):
        try:
            value = loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping):
        return None
    try:
        jsonschema.validators.validator_for(value).check_schema(dict(value))
    except jsonschema.exceptions.SchemaError:
        return None
    return value


def _texts(kind: str, value: Json) -> list[str] | None:
    """The texts of a value; where promptfoo takes several, one text has them parted by commas."""
    takes_several = kind.endswith(("-any", "-all"))
    if isinstance(value, str) and takes_several:
        value = [part.strip() for part in value.split(",")]
    if isinstance(value, list) and not takes_several:
        return None
    texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
    return [text for text in texts if text] if texts and all(texts) else None


def _text(value: Json) -> str | None:
    """A value as JavaScript writes it; None for what is no text, number or truth."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else None


def _is_pattern(text: str) -> bool:
    """Whether Python reads the regular expression too: JavaScript names groups otherwise."""
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def shorthand(text: str) -> dict[str, Json]:
    """The assertion in a cell of the column `__expected`: `kind: value`, or a text that the answer equals."""
    match = _SHORTHAND.match(text)
    kind = match["kind"] if match else ""
    if match is None or not {kind, kind.removeprefix("not-")} & _KINDS:
        return {"type": "equals", "value": text}
    assertion: dict[str, Json] = {"type": _SHORT.get(kind, kind)}
    if match["value"]:
        assertion["value"] = match["value"]
    if match["threshold"]:
        assertion["threshold"] = float(match["threshold"])
    return assertion
