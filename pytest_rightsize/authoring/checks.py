"""The assertions of a draft: each check has a name, the lines that stand for it in a test, and what these need. Pure.

A check `NAME` compares the answer with `case["NAME"]`; names that begin with `not_` are of what must not be so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CHECKS", "Check"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Lines of a test; `matchers` come from pytest_rightsize, `helper` is a function of the test file.

    `JSON` in a line stands for the answer as JSON, held against the schema of its question if it has one. `says` ends
    the sentence "Each answer ...".
    """

    lines: tuple[str, ...]
    says: str
    matchers: tuple[str, ...] = ()
    helper: str | None = None
    needs_re: bool = False


CHECKS: Mapping[str, Check] = {
    "tool_calls": Check(
        lines=('assert calls(answer) == case["tool_calls"]',),
        says="asks for these tool calls",
        helper="calls",
    ),
    "tools": Check(
        lines=('assert [name for name, _ in calls(answer)] == case["tools"]',),
        says="asks for these tools, with whatever arguments",
        helper="calls",
    ),
    "json": Check(lines=('assert JSON == case["json"]',), says="is this JSON"),
    "fields": Check(
        lines=("value = JSON", 'assert value == value | case["fields"]'),
        says="is JSON with these fields; those of free text are not compared",
    ),
    "keys": Check(lines=('assert sorted(JSON) == case["keys"]',), says="is JSON with these keys"),
    "json_form": Check(lines=("assert JSON is not None",), says="is JSON"),
    "schema": Check(
        lines=('assert answer == json_matching(case["schema"])',),
        says="is JSON by a schema",
        matchers=("json_matching",),
    ),
    "json_within": Check(
        lines=(
            'schema = json_matching(case["json_within"])',
            "assert any(value == schema for value in objects(answer))",
        ),
        says="has JSON by a schema in it",
        matchers=("json_matching",),
        helper="objects",
    ),
    "equals": Check(lines=('assert answer == case["equals"]',), says="is this text"),
    "one_of": Check(
        lines=('assert answer == one_of(*case["one_of"])',), says="is one of these texts", matchers=("one_of",)
    ),
    "number": Check(
        lines=('assert answer == number(case["number"])',), says="ends in this number", matchers=("number",)
    ),
    "containing": Check(
        lines=('assert answer == containing(*case["containing"])',),
        says="contains these words, in whatever case",
        matchers=("containing",),
    ),
    "contains": Check(
        lines=('for part in case["contains"]:', "    assert part in answer"), says="contains these texts"
    ),
    "contains_any": Check(
        lines=('assert any(part in answer for part in case["contains_any"])',), says="contains one of these texts"
    ),
    "containing_any": Check(
        lines=('assert any(answer == containing(part) for part in case["containing_any"])',),
        says="contains one of these words, in whatever case",
        matchers=("containing",),
    ),
    "starts_with": Check(lines=('assert answer.startswith(case["starts_with"])',), says="starts with this text"),
    "matches": Check(
        lines=('for pattern in case["matches"]:', "    assert re.search(pattern, answer)"),
        says="matches these patterns",
        needs_re=True,
    ),
    "edits": Check(
        lines=('text, most = case["edits"]', "assert Levenshtein.distance(answer, text) <= most"),
        says="is at most so many edits from this text",
        helper="Levenshtein",
    ),
    "not_equals": Check(lines=('assert answer not in case["not_equals"]',), says="is none of these texts"),
    "not_contains": Check(
        lines=('for part in case["not_contains"]:', "    assert part not in answer"),
        says="contains none of these texts",
    ),
    "not_containing": Check(
        lines=('for part in case["not_containing"]:', "    assert answer != containing(part)"),
        says="contains none of these words, in whatever case",
        matchers=("containing",),
    ),
    "not_matches": Check(
        lines=('for pattern in case["not_matches"]:', "    assert not re.search(pattern, answer)"),
        says="matches none of these patterns",
        needs_re=True,
    ),
}
