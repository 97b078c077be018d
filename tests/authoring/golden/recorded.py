"""A draft.

1. Look at it.
2. Mend it.
"""

import json
import re
from pathlib import Path

import pytest
from pytest_rightsize import containing, json_matching, number, one_of
from rapidfuzz.distance import Levenshtein

with Path(__file__).with_name("cases.jsonl").open(encoding="utf-8") as file:
    CASES = [json.loads(line) for line in file if line.strip()]
ROUTE_TICKET_ANSWERS = (
    "billing",
    "shipping",
    'it\'s "late"',
)


def cases(function):
    """Run a test once for each case that names it."""
    own = [case for case in CASES if case["test"] == function.__name__]
    rows = [pytest.param(case, id=case["id"], marks=marks(case)) for case in own]
    return pytest.mark.parametrize("case", rows)(function)


def marks(case):
    """Skip a case that has a `todo`: a wrong answer might pass its other checks."""
    reason = "write the checks in its todo, then remove the todo"
    return [pytest.mark.skip(reason=reason)] if case.get("todo") else []


def calls(answer):
    """Names and arguments of an answer's tool calls."""
    functions = [call["function"] for call in answer.tool_calls]
    return [[each["name"], json.loads(each["arguments"])] for each in functions]


def objects(text):
    """Every JSON object or list within a text."""
    found = []
    for start in (at for at, character in enumerate(text) if character in "{["):
        try:
            found.append(json.JSONDecoder().raw_decode(text, start)[0])
        except ValueError:
            continue
    return found


@pytest.mark.rightsize(task="route-ticket", pass_rate=0.9)
@cases
def test_route_ticket(model, case):
    """Each answer is one of these texts."""
    answer = model.ask(**case["ask"])
    assert answer == one_of(*ROUTE_TICKET_ANSWERS)
    assert answer == one_of(*case["one_of"])


@pytest.mark.rightsize(task="check-tool_calls", pass_rate=0.9)
@cases
def test_check_tool_calls(model, case):
    """Each answer asks for these tool calls."""
    answer = model.ask(**case["ask"])
    assert calls(answer) == case["tool_calls"]


@pytest.mark.rightsize(task="check-tools", pass_rate=0.9)
@cases
def test_check_tools(model, case):
    """Each answer asks for these tools, with whatever arguments."""
    answer = model.ask(**case["ask"])
    assert [name for name, _ in calls(answer)] == case["tools"]


@pytest.mark.rightsize(task="check-json", pass_rate=0.9)
@cases
def test_check_json(model, case):
    """Each answer is this JSON."""
    answer = model.ask(**case["ask"])
    assert answer.json() == case["json"]


@pytest.mark.rightsize(task="check-fields", pass_rate=0.9)
@cases
def test_check_fields(model, case):
    """Each answer is JSON with these fields; those of free text are not compared."""
    answer = model.ask(**case["ask"])
    value = answer.json()
    assert value == value | case["fields"]


@pytest.mark.rightsize(task="check-keys", pass_rate=0.9)
@cases
def test_check_keys(model, case):
    """Each answer is JSON with these keys."""
    answer = model.ask(**case["ask"])
    assert sorted(answer.json()) == case["keys"]


@pytest.mark.rightsize(task="check-json_form", pass_rate=0.9)
@cases
def test_check_json_form(model, case):
    """Each answer is JSON."""
    answer = model.ask(**case["ask"])
    assert answer.json() is not None


@pytest.mark.rightsize(task="check-schema", pass_rate=0.9)
@cases
def test_check_schema(model, case):
    """Each answer is JSON by a schema."""
    answer = model.ask(**case["ask"])
    assert answer == json_matching(case["schema"])


@pytest.mark.rightsize(task="check-json_within", pass_rate=0.9)
@cases
def test_check_json_within(model, case):
    """Each answer has JSON by a schema in it."""
    answer = model.ask(**case["ask"])
    schema = json_matching(case["json_within"])
    assert any(value == schema for value in objects(answer))


@pytest.mark.rightsize(task="check-equals", pass_rate=0.9)
@cases
def test_check_equals(model, case):
    """Each answer is this text."""
    answer = model.ask(**case["ask"])
    assert answer == case["equals"]


@pytest.mark.rightsize(task="check-one_of", pass_rate=0.9)
@cases
def test_check_one_of(model, case):
    """Each answer is one of these texts."""
    answer = model.ask(**case["ask"])
    assert answer == one_of(*case["one_of"])


@pytest.mark.rightsize(task="check-number", pass_rate=0.9)
@cases
def test_check_number(model, case):
    """Each answer ends in this number."""
    answer = model.ask(**case["ask"])
    assert answer == number(case["number"])


@pytest.mark.rightsize(task="check-containing", pass_rate=0.9)
@cases
def test_check_containing(model, case):
    """Each answer contains these words, in whatever case."""
    answer = model.ask(**case["ask"])
    assert answer == containing(*case["containing"])


@pytest.mark.rightsize(task="check-contains", pass_rate=0.9)
@cases
def test_check_contains(model, case):
    """Each answer contains these texts."""
    answer = model.ask(**case["ask"])
    for part in case["contains"]:
        assert part in answer


@pytest.mark.rightsize(task="check-contains_any", pass_rate=0.9)
@cases
def test_check_contains_any(model, case):
    """Each answer contains one of these texts."""
    answer = model.ask(**case["ask"])
    assert any(part in answer for part in case["contains_any"])


@pytest.mark.rightsize(task="check-containing_any", pass_rate=0.9)
@cases
def test_check_containing_any(model, case):
    """Each answer contains one of these words, in whatever case."""
    answer = model.ask(**case["ask"])
    assert any(answer == containing(part) for part in case["containing_any"])


@pytest.mark.rightsize(task="check-starts_with", pass_rate=0.9)
@cases
def test_check_starts_with(model, case):
    """Each answer starts with this text."""
    answer = model.ask(**case["ask"])
    assert answer.startswith(case["starts_with"])


@pytest.mark.rightsize(task="check-matches", pass_rate=0.9)
@cases
def test_check_matches(model, case):
    """Each answer matches these patterns."""
    answer = model.ask(**case["ask"])
    for pattern in case["matches"]:
        assert re.search(pattern, answer)


@pytest.mark.rightsize(task="check-edits", pass_rate=0.9)
@cases
def test_check_edits(model, case):
    """Each answer is at most so many edits from this text."""
    answer = model.ask(**case["ask"])
    text, most = case["edits"]
    assert Levenshtein.distance(answer, text) <= most


@pytest.mark.rightsize(task="check-not_equals", pass_rate=0.9)
@cases
def test_check_not_equals(model, case):
    """Each answer is none of these texts."""
    answer = model.ask(**case["ask"])
    assert answer not in case["not_equals"]


@pytest.mark.rightsize(task="check-not_contains", pass_rate=0.9)
@cases
def test_check_not_contains(model, case):
    """Each answer contains none of these texts."""
    answer = model.ask(**case["ask"])
    for part in case["not_contains"]:
        assert part not in answer


@pytest.mark.rightsize(task="check-not_containing", pass_rate=0.9)
@cases
def test_check_not_containing(model, case):
    """Each answer contains none of these words, in whatever case."""
    answer = model.ask(**case["ask"])
    for part in case["not_containing"]:
        assert answer != containing(part)


@pytest.mark.rightsize(task="check-not_matches", pass_rate=0.9)
@cases
def test_check_not_matches(model, case):
    """Each answer matches none of these patterns."""
    answer = model.ask(**case["ask"])
    for pattern in case["not_matches"]:
        assert not re.search(pattern, answer)


@pytest.mark.rightsize(task="order", pass_rate=0.9)
@cases
def test_order(model, case):
    """Each answer is JSON with these fields; those of free text are not compared."""
    answer = model.ask(**case["ask"])
    value = answer.json(schema=case["ask"]["schema"])
    assert value == value | case["fields"]


@pytest.mark.rightsize(task="several", pass_rate=0.9)
@cases
def test_several_contains_not_contains(model, case):
    """Each answer passes the checks of its case."""
    # TODO: write a check for similar, or do without it.
    answer = model.ask(**case["ask"])
    for part in case["contains"]:
        assert part in answer
    for part in case["not_contains"]:
        assert part not in answer


@pytest.mark.skip(reason="write down what a right answer is")
@pytest.mark.rightsize(task="several", pass_rate=0.9)
@cases
def test_several_open(model, case):
    """Free texts: no check was found for them."""
    # TODO: write a check for llm-rubric, or do without it.
    answer = model.ask(**case["ask"])
    assert answer == case.get("answer")


@pytest.mark.rightsize(task="many", pass_rate=0.9)
@cases
def test_many(model, case):
    """Each answer passes the checks of its case."""
    answer = model.ask(**case["ask"])
    if "json" in case:
        assert answer.json() == case["json"]
    if "fields" in case:
        value = answer.json(schema=case["ask"]["schema"])
        assert value == value | case["fields"]
    if "number" in case:
        assert answer == number(case["number"])
    if "contains" in case:
        for part in case["contains"]:
            assert part in answer
    if "starts_with" in case:
        assert answer.startswith(case["starts_with"])
