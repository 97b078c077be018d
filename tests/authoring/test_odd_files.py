"""Whatever stands in a file to import, it becomes a draft that is Python and JSON, or an error of the project's own."""

import ast
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_rightsize.authoring.chat_lines import read_chat_lines
from pytest_rightsize.authoring.checks import CHECKS
from pytest_rightsize.authoring.exchanges import Task
from pytest_rightsize.authoring.grouping import grouped
from pytest_rightsize.authoring.promptfoo_config import read_promptfoo
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.authoring.rendering import rendered
from pytest_rightsize.authoring.row_files import read_rows
from pytest_rightsize.errors import ConfigError

_ODD = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, float("inf"), "x", "", "\x00", "\ud800", "a" * 5000, "[1]", '{"a": 1}'),
        *("{{x}}", "{% for", "file://a", "file://..", "file://*", "user", "assistant", "system", "json_schema"),
        *("contains", "equals", "is-json", "contains-any", "regex", "levenshtein", "assert-set", "x\nimport os"),
    ]
)
_KEYS = st.sampled_from(
    [
        *(
            "vars",
            "assert",
            "type",
            "value",
            "threshold",
            "config",
            "options",
            "transform",
            "raw",
            "id",
            "label",
            "path",
        ),
        *("$ref", "weight", "description", "messages", "role", "content", "input", "ideal", "prompt", "completion"),
        *("tools", "tool_calls", "function", "name", "arguments", "response_format", "json_schema", "schema", "tests"),
    ]
)
_VALUES = st.recursive(
    _ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(_KEYS, _VALUES, max_size=4)
_TOP = st.sampled_from(["scenarios", "defaultTest", "assertionTemplates", "providers"])
_SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

_STATEMENTS = {ast.Expr, ast.Import, ast.ImportFrom, ast.With, ast.Assign, ast.FunctionDef}


def is_drafted(path: Path, read: Callable[[], Sequence[Task]]) -> None:
    """Only errors of the project's own may come out, and they name a file; a draft is checked."""
    try:
        tasks, problem = read(), None
    except ConfigError as error:
        tasks, problem = (), str(error)
    if problem is None:
        check(tasks)
    else:
        assert str(path.parent) in problem


def check(tasks: Sequence[Task]) -> None:
    """Fails for a draft that is no Python, has more in it than a draft has, or runs a case that nobody checks."""
    suite = rendered(tasks, title="A draft.", todo=("Look.",), cases_file="cases.jsonl")
    statements = ast.parse(suite.test_file.encode()).body
    assert {type(statement) for statement in statements} <= _STATEMENTS
    functions = {node.name: ast.unparse(node) for node in statements if isinstance(node, ast.FunctionDef)}
    cases = [case for task in tasks for case in task.cases]
    lines = [json.loads(line.encode()) for line in suite.lines]
    assert len(lines) == len(cases) > 0
    assert sum("todo" in line for line in lines) == sum(bool(case.open_checks) for case in cases)
    for line in lines:
        assert {"prompt", "messages"} & set(line["ask"])
        assert set(line) & set(CHECKS) or "pytest.mark.skip" in functions[line["test"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


@_SOME
@given(prompts=_VALUES, tests=st.lists(_OBJECTS, max_size=3), more=st.dictionaries(_TOP, _VALUES, max_size=2))
def test_promptfoo(path: Path, prompts: Any, tests: Any, more: dict[str, Any]) -> None:
    path.write_text(json.dumps({"prompts": prompts, "tests": tests, **more}), encoding="utf-8")
    is_drafted(path, lambda: read_promptfoo(path).tasks)


@_SOME
@given(st.lists(_OBJECTS, min_size=1, max_size=3))
def test_lines(path: Path, lines: list[Any]) -> None:
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    is_drafted(path, lambda: [proposed(name, group) for name, group in grouped(read_chat_lines(path)).items()])


@_SOME
@given(header=st.sampled_from(["", "prompt,expected\n"]), text=st.text("pr,;\n\"'\t a1\x00\ud800", max_size=60))
def test_rows(path: Path, header: str, text: str) -> None:
    path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    columns = {"prompt_column": None, "expect_column": None}
    is_drafted(path, lambda: [proposed("rows", read_rows(path, **columns, system=None))])
