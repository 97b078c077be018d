"""Matchers: the answers they accept, and their explanations of those they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize import Matcher, containing, fuzzy, json_matching, number, one_of
from pytest_rightsize.matchers import explain_comparison

SCHEMA = {"type": "object", "properties": {"qty": {"type": "integer"}}, "required": ["qty"]}


@pytest.mark.parametrize(
    ("text", "matcher", "matches"),
    [
        ("The Eiffel Tower!", fuzzy("the eiffel tower"), True),
        ("The Eifel Tower", fuzzy("The Eiffel Tower"), True),
        ("London Bridge", fuzzy("The Eiffel Tower"), False),
        ("", fuzzy(""), True),
        ("!!", fuzzy("??", at_least=100), False),
        ('{"qty": 2}', json_matching(SCHEMA), True),
        ('```json\n{"qty": 2}\n```', json_matching(SCHEMA), True),
        ('{"qty": "two"}', json_matching(SCHEMA), False),
        ("two", json_matching(SCHEMA), False),
        ({"qty": 2}, json_matching(SCHEMA), True),
        ("42", number(42), True),
        ("It is 40 + 2 = 42.", number(42), True),
        ("1,234,567", number(1234567), True),
        ("1, 2, 3", number(3), True),
        ("-3", number(-3), True),
        ("\u22123", number(-3), True),
        ("5-3", number(3), True),
        ("3.14159", number(3.14, abs=0.01), True),
        ("3.14159", number(3.14), False),
        ("0.3", number(0.1 + 0.2), True),
        ("105", number(100, rel=0.05), True),
        ("12345678901234567891", number(12345678901234567890), False),
        ("none", number(0), False),
        (" billing\n", one_of("billing", "sales"), True),
        ("Billing", one_of("billing", "sales"), False),
        ("Paris, France", containing("paris", "FRANCE"), True),
        ("Paris", containing("paris", "france"), False),
    ],
)
def test_a_text_matches_or_does_not(text: object, matcher: Matcher, matches: bool) -> None:
    assert (text == matcher) is matches
    assert (matcher == text) is matches
    assert (text != matcher) is not matches
    assert matcher.score is not None
    assert matcher.explain()


@pytest.mark.parametrize(
    ("text", "matcher", "words"),
    [
        ("Pariss", fuzzy("London"), "is below 90"),
        ('{"qty": "two"}', json_matching(SCHEMA), "$.qty: 'two' is not of type 'integer'"),
        ("{", json_matching(SCHEMA), "it is not JSON"),
        ("43", number(42), "its last number, 43, is 1 away from 42"),
        ("none", number(42), "there is no number in it"),
        ("biling", one_of("billing", "sales"), "the nearest is 'billing'"),
        ("Paris", containing("paris", "france"), "it lacks 'france'"),
    ],
)
def test_a_failed_comparison_is_explained(text: str, matcher: Matcher, words: str) -> None:
    lines = explain_comparison("==", text, matcher)
    assert lines is not None
    assert words in "\n".join(lines)
    assert repr(matcher) in lines[0]


def test_other_comparisons_are_left_to_pytest() -> None:
    assert explain_comparison("==", "a", "b") is None
    assert explain_comparison("in", "a", one_of("a")) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: fuzzy(3),  # type: ignore[arg-type]
        lambda: fuzzy("x", at_least=900),
        lambda: json_matching({"type": "objekt"}),
        lambda: number("3"),  # type: ignore[arg-type]
        lambda: number(True),
        lambda: number(3, rel=-1),
        one_of,
        lambda: containing(""),
    ],
)
def test_nonsense_is_refused_where_it_is_written(make: object) -> None:
    assert callable(make)
    with pytest.raises((TypeError, ValueError), match=r"fuzzy|json_matching|number|one_of|containing"):
        make()


def test_comparing_with_something_that_is_no_text_is_an_error() -> None:
    with pytest.raises(TypeError, match="compares text, and was given 42"):
        assert number(42) == 42


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_a_number_written_with_commas_is_that_number(value: int) -> None:
    assert f"The answer is {value:,}." == number(value)


@given(st.text(), st.text())
def test_a_score_lies_between_0_and_100(text: str, expected: str) -> None:
    assert 0 <= fuzzy(expected).match(text).score <= 100
    assert fuzzy(text).match(text).ok
