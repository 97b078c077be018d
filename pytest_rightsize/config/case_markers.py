"""The markers `rightsize_cases` and `rightsize_prompts`: a test for each row of a file, and for each of its prompts.

In come pytest's test functions; out go their parameters. Both work in any session, with a ladder or without one.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.bounded_files import whole_text
from pytest_rightsize.config.case_files import LazyRow, read_cases
from pytest_rightsize.config.options import CASES, PROMPTS, VARIANT
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json

__all__ = ["parametrize", "read_lazily"]

_PROMPT = "prompt"


class _Value:
    """One argument of a case whose row stays on disk."""

    def __init__(self, row: LazyRow, column: str) -> None:
        self.row = row
        self.column = column


class _Params(dict[str, Any]):
    """The parameters of a test: those that stay on disk are read when somebody asks for one."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return value.row.read()[value.column] if isinstance(value, _Value) else value


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a test its prompts and its cases; raises ConfigError."""
    definition = metafunc.definition
    prompts = definition.get_closest_marker(PROMPTS)
    if prompts is not None:
        _parametrize_prompts(metafunc, prompts)
    cases = definition.get_closest_marker(CASES)
    if cases is not None:
        _parametrize_cases(metafunc, cases, taken={_PROMPT} if prompts is not None else set())


def read_lazily(item: pytest.Item) -> None:
    """Have the parameters of a test read from disk when they are needed."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and any(isinstance(value, _Value) for value in callspec.params.values()):
        object.__setattr__(callspec, "params", _Params(callspec.params))


def _parametrize_prompts(metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    where = f"the marker {PROMPTS} of {metafunc.definition.nodeid}"
    if marker.args or not marker.kwargs:
        raise ConfigError(f'{where} needs a name for each prompt: write {PROMPTS}(v1="...", v2="...")')
    if _PROMPT not in metafunc.fixturenames:
        raise ConfigError(f"{where} gives the test a `{_PROMPT}`, and it takes none: name it among its arguments")
    count = len(marker.kwargs)
    metafunc.parametrize(
        _PROMPT,
        [
            pytest.param(_text(value, metafunc, where), id=name, marks=getattr(pytest.mark, VARIANT)(name, count))
            for name, value in marker.kwargs.items()
        ],
    )


def _text(value: object, metafunc: pytest.Metafunc, where: str) -> object:
    """The prompt; of a Path the file's text, looked up from the folder of the test."""
    if not isinstance(value, Path):
        return value
    path = metafunc.definition.path.parent / value
    try:
        return whole_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: the prompt {path} cannot be read ({error})") from None


def _parametrize_cases(metafunc: pytest.Metafunc, marker: pytest.Mark, *, taken: Collection[str]) -> None:
    nodeid = metafunc.definition.nodeid
    where = f"the marker {CASES} of {nodeid}"
    if marker.kwargs or not marker.args or not all(isinstance(name, str | Path) for name in marker.args):
        raise ConfigError(f'{where} needs the name of a file, or several: write {CASES}("cases.jsonl")')
    columns = _columns(metafunc, taken)
    if not columns:
        raise ConfigError(f"{where} gives the test columns of a file, and it takes no argument that could be one")
    params = []
    for name in dict.fromkeys(map(str, marker.args)):
        path = metafunc.definition.path.parent / name
        cases = read_cases(path, columns, test=nodeid)
        of_file = f"{path.stem}-" if len(marker.args) > 1 else ""
        params += [pytest.param(*_values(case.values, columns), id=f"{of_file}{case.name}") for case in cases]
    metafunc.parametrize(columns, params)


def _columns(metafunc: pytest.Metafunc, taken: Collection[str]) -> list[str]:
    """The arguments of the function that no fixture and no other parameter gives it."""
    marked: set[str] = {*taken}
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        marked |= {name.strip() for name in (names.split(",") if isinstance(names, str) else names)}
    known = metafunc._arg2fixturedefs
    arguments = metafunc.definition._fixtureinfo.argnames
    return [name for name in arguments if name not in marked and name not in known and name != "request"]


def _values(values: Mapping[str, Json] | LazyRow, columns: Collection[str]) -> list[object]:
    if isinstance(values, LazyRow):
        return [_Value(values, column) for column in columns]
    return [values[column] for column in columns]
