"""Writes a draft as text: the lines of `cases.jsonl`, and the test file beside it. Pure.

The test file is one that ruff would leave as it is, whatever the names and choices in it.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pytest_rightsize.authoring.checks import CHECKS
from pytest_rightsize.authoring.exchanges import Case, Task
from pytest_rightsize.records import Json

__all__ = ["Suite", "rendered"]

_WIDTH = 88
# Beyond it, functions of one task are told apart by a number.
_LONGEST_SUFFIX = 30
# With more sets of checks than this, a task has one function that looks for each.
_MOST_FUNCTIONS = 2


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The text of a test file, and the lines of its cases, each a JSON object with its newline."""

    test_file: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Test:
    """One function of the test file, and its cases, which have the same checks."""

    task: str
    function: str
    says: str
    lines: Sequence[str]
    cases: Sequence[Case]
    remarks: Sequence[str] = ()
    skip: bool = False


def rendered(tasks: Sequence[Task], *, title: str, todo: Sequence[str], cases_file: str) -> Suite:
    """The suite of these tasks; `title` is a sentence, `todo` the points that the user has to see to."""
    constants = {task.name: _constant(task.name) for task in tasks if task.choices}
    taken: set[str] = set()
    tests = [test for task in tasks for test in _tests(task, constants.get(task.name), taken)]
    checks = [CHECKS[name] for test in tests for case in test.cases for name in case.checks]
    matchers = {matcher for check in checks for matcher in check.matchers} | ({"one_of"} if constants else set())
    text = _template().render(
        title=_wrapped(title),
        todo="\n".join(_wrapped(f"{number}. {point}", indent="   ") for number, point in enumerate(todo, start=1)),
        needs_re=any(check.needs_re for check in checks),
        matchers=sorted(matchers),
        helpers={check.helper for check in checks},
        cases_file=cases_file,
        has_todo=any(case.open_checks for test in tests for case in test.cases),
        constants=[
            (constants[task.name], [_literal(choice) for choice in task.choices]) for task in tasks if task.choices
        ],
        tests=tests,
    )
    return Suite(test_file=text, lines=tuple(_lines(tests)))


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pytest_rightsize.authoring", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # it is Python
    )
    return environment.get_template("suite.py.jinja")


def _tests(task: Task, constant: str | None, taken: set[str]) -> Iterator[_Test]:
    """A function for each set of checks, or one for all where these are many, and one for cases without checks."""
    groups: dict[tuple[str, ...], list[Case]] = {}
    for case in task.cases:
        groups.setdefault(tuple(case.checks), []).append(case)
    unchecked = groups.pop((), [])
    is_only = len(groups) + bool(unchecked) == 1
    if len(groups) > _MOST_FUNCTIONS:
        checked = [case for case in task.cases if case.checks]
        yield _test(task.name, "", checked, _lines_by_case(checked), taken)
    else:
        for names, cases in groups.items():
            choices = [f"assert answer == one_of(*{constant})"] if constant and "one_of" in names else []
            suffix = "" if is_only else "_".join(names)
            yield _test(task.name, suffix, cases, [*choices, *_lines_of_all(names, cases)], taken)
    if unchecked:
        suffix = "" if is_only else "open"
        yield _test(task.name, suffix, unchecked, ['assert answer == case.get("answer")'], taken)


def _test(task: str, suffix: str, cases: Sequence[Case], lines: Sequence[str], taken: set[str]) -> _Test:
    if len(suffix) > _LONGEST_SUFFIX:
        suffix = ""
    open_checks = dict.fromkeys(name for case in cases for name in case.open_checks)
    return _Test(
        task=_literal(task),
        function=_free_name(_identifier(f"test_{task}_{suffix}"), taken),
        says=_sentence({tuple(case.checks) for case in cases}),
        lines=lines,
        cases=cases,
        remarks=[f"TODO: write a check for {_printable(name)}, or do without it." for name in open_checks],
        skip=not cases[0].checks,
    )


def _lines_of_all(names: Sequence[str], cases: Sequence[Case]) -> list[str]:
    """The lines of these checks, which all cases have."""
    in_json = _json_of(cases)
    return [line.replace("JSON", in_json) for name in names for line in CHECKS[name].lines]


def _lines_by_case(cases: Sequence[Case]) -> list[str]:
    """The lines of every check, each for the cases that have it."""
    lines = []
    for name in CHECKS:
        having = [case for case in cases if name in case.checks]
        if having:
            lines += [f'if "{name}" in case:', *(f"    {line}" for line in _lines_of_all([name], having))]
    return lines


def _json_of(cases: Sequence[Case]) -> str:
    """The answer as JSON, by the schema of its question if there is one."""
    with_schema = sum("schema" in case.ask for case in cases)
    if with_schema == len(cases):
        return 'answer.json(schema=case["ask"]["schema"])'
    return 'answer.json(schema=case["ask"].get("schema"))' if with_schema else "answer.json()"


def _sentence(sets: Collection[tuple[str, ...]]) -> str:
    names = next(iter(sets)) if len(sets) == 1 else ()
    if sets == {()}:
        return "Free texts: no check was found for them."
    return f"Each answer {CHECKS[names[0]].says}." if len(names) == 1 else "Each answer passes the checks of its case."


def _lines(tests: Sequence[_Test]) -> Iterator[str]:
    for test in tests:
        for number, case in enumerate(test.cases, start=1):
            plain: dict[str, Json] = {"test": test.function, "id": f"{number:03}", "ask": dict(case.ask)}
            todo = {"todo": [*case.open_checks]} if case.open_checks else {}
            yield _json_line(plain | dict(case.checks) | todo | dict(case.about))


def _json_line(plain: Mapping[str, Json]) -> str:
    """A line in letters that people can read; what UTF-8 cannot hold is escaped, as JSON does it."""
    text = json.dumps(plain, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    import textwrap

    safe = _printable(text).replace("\\", "/").replace('"""', "'''")
    return textwrap.fill(safe, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _printable(text: str) -> str:
    """The text on one line: a name in a file may hold a newline, and code behind it."""
    return "".join(character if character.isprintable() else " " for character in text)


def _literal(text: str) -> str:
    """A string as ruff writes it: in double quotes, unless that takes more backslashes."""
    body = repr(f"'\"{text}")[4:-1]  # with both kinds of quotes in it, repr takes single ones
    if text.count('"') > text.count("'"):
        return f"'{body}'"
    body = body.replace("\\'", "'").replace('"', '\\"')
    return f'"{body}"'


def _identifier(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") or "case"


def _constant(task: str) -> str:
    return f"{_identifier(task).upper()}_ANSWERS" if not task[:1].isdigit() else f"ANSWERS_{_identifier(task).upper()}"


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free
