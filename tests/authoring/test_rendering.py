"""The text of a draft: a golden test file, which ruff checks as it does any file here, and what names may hold."""

import ast
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.authoring.checks import CHECKS
from pytest_rightsize.authoring.exchanges import Case, Exchange, Task
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.authoring.rendering import Suite, rendered

GOLDEN = Path(__file__).with_name("golden") / "recorded.py"
SCHEMA = {"type": "object", "properties": {"qty": {"type": "integer"}, "why": {"type": "string"}}}


def suite(*tasks: Task) -> Suite:
    return rendered(tasks, title="A draft.", todo=("Look at it.", "Mend it."), cases_file="cases.jsonl")


def case(**checks: object) -> Case:
    return Case(ask={"prompt": "q"}, checks=checks)


def routing() -> Task:
    answers = ["billing", "shipping", "billing", 'it\'s "late"'] * 2
    return proposed("route-ticket", [Exchange(ask={"prompt": text}, answers=(text,)) for text in answers])


def every_check() -> list[Task]:
    """A task of choices, and one for each check, with and without a schema."""
    value = {"edits": ["a", 2], "matches": ["a"], "schema": {}, "fields": {}, "json": {}}
    tasks = [Task(name=f"check-{name}", cases=(case(**{name: value.get(name, "a")}),)) for name in CHECKS]
    with_schema = Case(ask={"prompt": "q", "schema": SCHEMA}, checks={"fields": {"qty": 2}})
    half_open = Case(ask={}, checks={"contains": ["a"], "not_contains": ["b"]}, open_checks=("similar",))
    several = (case(contains=["a"], not_contains=["b"]), half_open, case(), Case(ask={}, open_checks=("llm-rubric",)))
    many = (case(number=1), case(contains=["a"]), case(json=1), with_schema, case(number=2, starts_with="a"))
    return [
        routing(),
        *tasks,
        Task(name="order", cases=(with_schema,)),
        Task(name="several", cases=several),
        Task(name="many", cases=many),
    ]


def test_the_golden_test_file() -> None:
    """RIGHTSIZE_GOLDEN=write writes it anew."""
    text = suite(*every_check()).test_file
    if os.environ.get("RIGHTSIZE_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_a_line_holds_the_question_its_checks_and_what_was_heard() -> None:
    heard = Case(ask={"prompt": "q"}, checks={"one_of": ["a"]}, about={"answer": "a", "calls": 2})
    (line,) = suite(Task(name="t", cases=(heard,))).lines
    assert json.loads(line) == {
        "test": "test_t",
        "id": "001",
        "ask": {"prompt": "q"},
        "one_of": ["a"],
        "answer": "a",
        "calls": 2,
    }


def test_lines_are_read_by_people_and_hold_any_text() -> None:
    text = "z\u00e4hle \u2028 \ud800 \U0001f600\n"
    (line,) = suite(Task(name="t", cases=(Case(ask={"prompt": text}),))).lines
    assert json.loads(line)["ask"]["prompt"] == text
    assert "z\u00e4hle" in line
    assert line.encode().count(b"\n") == 1


def test_each_function_has_the_cases_of_one_set_of_checks() -> None:
    cases = (case(number=1), case(one_of=["a"]), case(number=2), case())
    lines = [json.loads(line) for line in suite(Task(name="t", cases=cases)).lines]
    assert [(line["test"], line["id"]) for line in lines] == [
        *(("test_t_number", "001"), ("test_t_number", "002")),
        *(("test_t_one_of", "001"), ("test_t_open", "001")),
    ]


def test_functions_never_share_a_name() -> None:
    tasks = [Task(name="a", cases=(case(one_of=["x"]), case(number=1))), Task(name="a-number", cases=(case(number=1),))]
    names = {json.loads(line)["test"] for line in suite(*tasks).lines}
    assert names == {"test_a_one_of", "test_a_number", "test_a_number_2"}


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=5, unique=True), st.text())
def test_any_choices_and_words_make_a_python_file(choices: list[str], title: str) -> None:
    task = Task(name="t", cases=(case(one_of=choices),), choices=tuple(choices))
    text = rendered([task], title=title, todo=(title,), cases_file="cases.jsonl").test_file
    constants = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(constants[-1].value) == tuple(choices)


@given(st.text(max_size=20))
def test_any_name_of_an_assertion_is_a_remark_and_no_code(name: str) -> None:
    """A file from elsewhere may call an assertion `x`, newline, `import os`."""

    def code(name: str) -> str:
        task = Task(name="t", cases=(Case(ask={}, checks={"equals": "a"}, open_checks=(name,)),))
        return ast.dump(ast.parse(suite(task).test_file.encode()))

    assert code(name) == code("x")


@pytest.mark.parametrize("name", [*CHECKS])
def test_a_check_reads_what_its_case_holds_under_its_name(name: str) -> None:
    code = "\n".join(CHECKS[name].lines)
    assert f'case["{name}"]' in code or name == "json_form"
