"""Lists and arithmetic, from easy to out of reach."""

from __future__ import annotations

import pytest

from example_suite.cases import cases
from pytest_rightsize import number
from pytest_rightsize.model import Model


@pytest.mark.rightsize(task="sort-unique", pass_rate=0.6, chosen="160k")
@cases("sort-unique")
def test_a_list_is_sorted_without_duplicates(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"Sort, drop duplicates: {text}").split() == expected.split()


@pytest.mark.rightsize(task="add", pass_rate=0.9, chosen="frontier")
@cases("add")
def test_two_numbers_are_added(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"Add: {text}") == number(int(expected))


@pytest.mark.rightsize(task="word-problem", pass_rate=0.7, chosen="frontier")
@cases("word-problem")
def test_a_word_problem_is_solved_step_by_step(model: Model, text: str, expected: str) -> None:
    answer = model.ask(f"Solve: {text}")
    assert "=" in (answer.reasoning or "")
    assert answer == number(int(expected))


@pytest.mark.rightsize(task="multiply", pass_rate=0.8, chosen="frontier")
@cases("multiply")
def test_two_large_numbers_are_multiplied(model: Model, text: str, expected: str) -> None:
    assert model.ask(f"Multiply: {text}") == number(int(expected))
