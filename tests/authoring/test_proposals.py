"""Which checks are proposed for the answers of a task."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.authoring.exchanges import Exchange
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.matchers import containing, number, one_of


def exchange(answer: str, prompt: str = "q", **more: Any) -> Exchange:
    return Exchange(ask={"prompt": prompt, **more}, answers=(answer,))


def called(*calls: tuple[str, str]) -> Exchange:
    functions = [{"name": name, "arguments": text} for name, text in calls]
    tool_calls = [{"id": "1", "type": "function", "function": function} for function in functions]
    return Exchange(ask={"prompt": "q"}, answers=("",), tool_calls=tuple(tool_calls))


def checks(*exchanges: Exchange) -> list[dict[str, Any]]:
    return [dict(case.checks) for case in proposed("t", exchanges).cases]


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        ("billing", {"one_of": ["billing"]}),
        (" billing\n", {"one_of": ["billing"]}),
        ("42", {"number": 42}),
        ("$1,234.50", {"number": 1234.5}),
        ("That makes 12 in all.", {"number": 12}),
        ("-3", {"number": -3}),
        # a date, a code and a range are no number
        ("2024-01-03", {"one_of": ["2024-01-03"]}),
        ("INV-2024", {"one_of": ["INV-2024"]}),
        ("3 or 4", {"one_of": ["3 or 4"]}),
        ("1.234,50 EUR", {"one_of": ["1.234,50 EUR"]}),
        ("The capital of France is Paris.", {"containing": ["France", "Paris"]}),
        ("Your order A-1234 ships on Monday to Anna in Oslo.", {"containing": ["A-1234", "Monday"]}),
        ("i could not find anything about that, sorry", {}),
        ("", {}),
        ("   \n", {}),
        ("[1, 2]", {"json": [1, 2]}),
        ('{"qty": 2, "name": "tea"}', {"json": {"qty": 2, "name": "tea"}}),
        ('```json\n{"qty": 2}\n```', {"json": {"qty": 2}}),
        ('{"qty": 2, "why": "it says that there are two"}', {"fields": {"qty": 2}}),
        ('{"why": "it says that there are two"}', {"keys": ["why"]}),
        ('["it says that there are two"]', {"json_form": True}),
    ],
)
def test_one_answer(answer: str, check: dict[str, Any]) -> None:
    assert checks(exchange(answer)) == [check]


def test_what_the_question_does_not_say_is_what_the_answer_tells() -> None:
    (check,) = checks(exchange("The capital of France is Paris.", "What is the capital of France?"))
    assert check == {"containing": ["Paris"]}


def test_a_name_that_only_the_system_message_has_is_no_news() -> None:
    (check,) = checks(exchange("My name is Robbie, and I can help.", system="You are Robbie."))
    assert check == {"containing": ["Robbie"]}  # there is nothing else


def test_few_short_answers_over_many_cases_are_choices() -> None:
    answers = ["billing", "shipping", "billing ", "billing", "returns", "returns"]
    task = proposed("t", [exchange(answer) for answer in answers])
    assert task.choices == ("billing", "returns", "shipping")
    assert [case.checks for case in task.cases] == [{"one_of": [answer.strip()]} for answer in answers]


@pytest.mark.parametrize("answers", [["a", "b", "a"], ["a", "b", "c", "d", "a"], ["a b c d", "a b c d", "e", "e"]])
def test_few_cases_or_long_answers_have_no_choices(answers: list[str]) -> None:
    assert proposed("t", [exchange(answer) for answer in answers]).choices == ()


def test_ratings_are_choices_rather_than_numbers() -> None:
    assert checks(*map(exchange, "12212121"))[0] == {"one_of": ["1"]}


def test_one_answer_that_is_no_number_leaves_none() -> None:
    assert checks(exchange("12"), exchange("twelve")) == [{"one_of": ["12"]}, {"one_of": ["twelve"]}]


def test_a_field_that_is_free_text_in_one_case_is_compared_in_none() -> None:
    texts = ['{"qty": 2, "note": "none"}', '{"qty": 1, "note": "leave it at the door"}']
    assert checks(*map(exchange, texts)) == [{"fields": {"qty": 2}}, {"fields": {"qty": 1}}]


def test_with_a_schema_free_text_is_held_to_its_form() -> None:
    (check,) = checks(exchange('{"why": "it says that there are two"}', schema={"type": "object"}))
    assert check == {"json_form": True}


def test_tool_calls_are_compared_with_their_arguments() -> None:
    (check,) = checks(called(("get_weather", '{"city": "Oslo"}'), ("now", "")))
    assert check == {"tool_calls": [["get_weather", {"city": "Oslo"}], ["now", {}]]}


@pytest.mark.parametrize("arguments", ['{"query": "the weather in Oslo tomorrow"}', '{"q": [["a b c d"]]}', '{"que'])
def test_arguments_of_free_text_or_no_json_leave_the_names_of_the_tools(arguments: str) -> None:
    assert checks(called(("search", arguments)), called(("now", "{}"))) == [{"tools": ["search"]}, {"tools": ["now"]}]


def test_an_answer_that_was_cut_off_shows_nothing() -> None:
    cut = Exchange(ask={"prompt": "q"}, answers=("bil",), cut_off=True)
    assert checks(cut, exchange("12")) == [{}, {"number": 12}]
    call = called(("f", "{}"))
    assert checks(Exchange(ask=call.ask, tool_calls=call.tool_calls, cut_off=True)) == [{}]


def test_several_right_answers_are_alternatives() -> None:
    short = Exchange(ask={"prompt": "q"}, answers=("yes", "Yes"))
    long = Exchange(ask={"prompt": "q"}, answers=("that is quite right", "indeed it is so"))
    assert checks(short) == [{"one_of": ["yes", "Yes"]}]
    assert checks(long) == [{"contains_any": ["that is quite right", "indeed it is so"]}]
    assert checks(Exchange(ask={"prompt": "q"}, answers=("12", "12.0"))) == [{"number": 12}]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_every_proposal_holds_for_the_answer_it_came_from(answers: list[str]) -> None:
    for answer, check in zip(answers, checks(*map(exchange, answers)), strict=True):
        if "one_of" in check:
            assert answer == one_of(*check["one_of"])
        if "number" in check:
            assert answer == number(check["number"])
        if "containing" in check:
            assert answer == containing(*check["containing"])
        if "json" in check:
            assert json.loads(answer) == check["json"]
