"""What becomes of promptfoo's assertions."""

from typing import Any

import pytest

from pytest_rightsize.authoring.promptfoo_checks import checks_of, shorthand

SCHEMA = {"type": "object", "required": ["a"]}


@pytest.mark.parametrize(
    ("assertion", "checks"),
    [
        ({"type": "equals", "value": "a"}, {"equals": "a"}),
        ({"type": "equals", "value": 4.0}, {"equals": "4"}),
        ({"type": "equals", "value": True}, {"equals": "true"}),
        ({"type": "equals", "value": {"a": 1}}, {"json": {"a": 1}}),
        ({"type": "contains", "value": "a"}, {"contains": ["a"]}),
        ({"type": "contains", "value": 12}, {"contains": ["12"]}),
        ({"type": "icontains", "value": "a, b"}, {"containing": ["a, b"]}),
        ({"type": "contains-all", "value": "a, b"}, {"contains": ["a", "b"]}),
        ({"type": "icontains-all", "value": ["a", "b"]}, {"containing": ["a", "b"]}),
        ({"type": "contains-any", "value": "a,b"}, {"contains_any": ["a", "b"]}),
        ({"type": "icontains-any", "value": ["a"]}, {"containing_any": ["a"]}),
        ({"type": "starts-with", "value": "a"}, {"starts_with": "a"}),
        ({"type": "regex", "value": r"^\d+$"}, {"matches": [r"^\d+$"]}),
        ({"type": "is-json"}, {"json_form": True}),
        ({"type": "is-json", "value": SCHEMA}, {"schema": SCHEMA}),
        ({"type": "is-json", "value": '{"type": "object"}'}, {"schema": {"type": "object"}}),
        ({"type": "contains-json"}, {"json_within": {}}),
        ({"type": "contains-json", "value": SCHEMA}, {"json_within": SCHEMA}),
        ({"type": "levenshtein", "value": "a"}, {"edits": ["a", 5]}),
        ({"type": "levenshtein", "value": "a", "threshold": 2}, {"edits": ["a", 2]}),
        ({"type": "not-equals", "value": "a"}, {"not_equals": ["a"]}),
        ({"type": "not-contains", "value": "a"}, {"not_contains": ["a"]}),
        ({"type": "not-icontains", "value": "a"}, {"not_containing": ["a"]}),
        ({"type": "not-contains-any", "value": "a,b"}, {"not_contains": ["a", "b"]}),
        ({"type": "not-regex", "value": "a"}, {"not_matches": ["a"]}),
        ({"type": "contains", "value": "a", "weight": 0}, {}),
        ({"type": "assert-set", "assert": [{"type": "contains", "value": "a"}]}, {"contains": ["a"]}),
    ],
)
def test_an_assertion_with_a_counterpart(assertion: dict[str, Any], checks: dict[str, Any]) -> None:
    found = checks_of([assertion])
    assert (found.checks, found.open_checks) == (checks, [])


@pytest.mark.parametrize(
    "assertion",
    [
        *({"type": kind, "value": "x"} for kind in ("llm-rubric", "javascript", "python", "similar", "latency", "own")),
        {"type": "not-llm-rubric", "value": "x"},
        {"type": "contains", "value": "a", "transform": "output.trim()"},
        {"type": "contains", "value": ["a"]},
        {"type": "contains"},
        {"type": "contains", "value": ""},
        {"type": "contains-all", "value": []},
        {"type": "equals", "value": None},
        {"type": "regex", "value": "(?<year>[0-9]+)"},  # JavaScript's own
        {"type": "not-regex", "value": "("},
        {"type": "is-json", "value": {"type": "nonsense"}},
        {"type": "is-json", "value": "a: 1"},
        {"type": "levenshtein", "value": "a", "threshold": "many"},
        {"type": "assert-set", "threshold": 0.5, "assert": [{"type": "contains", "value": "a"}]},
    ],
)
def test_what_has_no_counterpart_is_kept_by_name(assertion: dict[str, Any]) -> None:
    found = checks_of([assertion])
    assert (found.checks, found.open_checks) == ({}, [assertion["type"]])


def test_assertions_of_one_kind_all_hold() -> None:
    kinds = [{"type": "contains", "value": text} for text in "aba"]
    assert checks_of([*kinds, {"type": "contains-all", "value": "c,b"}]).checks == {"contains": ["a", "b", "c"]}


def test_a_second_one_of_a_kind_that_stands_alone_is_open() -> None:
    found = checks_of({"type": "contains-any", "value": text} for text in ("a,b", "a,b", "c,d"))
    assert (found.checks, found.open_checks) == ({"contains_any": ["a", "b"]}, ["contains-any"])


def test_an_assertion_without_a_type_is_refused() -> None:
    with pytest.raises(ValueError, match="has an assertion without a type"):
        checks_of([{"value": "a"}])


@pytest.mark.parametrize(
    ("cell", "assertion"),
    [
        ("Hello Bob", {"type": "equals", "value": "Hello Bob"}),
        ("Note: this", {"type": "equals", "value": "Note: this"}),
        ("note: this", {"type": "equals", "value": "note: this"}),
        ("contains: a, b", {"type": "contains", "value": "a, b"}),
        ("not-icontains:a", {"type": "not-icontains", "value": "a"}),
        ("is-json", {"type": "is-json"}),
        ("similar(0.8): x", {"type": "similar", "value": "x", "threshold": 0.8}),
        ("levenshtein(2): x", {"type": "levenshtein", "value": "x", "threshold": 2.0}),
        ("fn: output.length", {"type": "javascript", "value": "output.length"}),
        ("grade: polite", {"type": "llm-rubric", "value": "polite"}),
    ],
)
def test_a_cell_is_an_assertion(cell: str, assertion: dict[str, Any]) -> None:
    assert shorthand(cell) == assertion
