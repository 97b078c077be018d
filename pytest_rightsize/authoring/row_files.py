"""Reads CSV files with a question and a right answer in each row, in columns that are guessed by name or told."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_rightsize.authoring.exchanges import Exchange
from pytest_rightsize.authoring.yaml_files import read_text
from pytest_rightsize.errors import ConfigError, unknown_name

__all__ = ["read_rows", "rows_of"]

_PROMPTS = ("prompt", "input", "question", "query", "text", "message", "user", "instruction", "request")
_ANSWERS = (
    *("expected", "expected_output", "expected_answer", "ideal", "answer", "label", "output", "completion", "response"),
    *("target", "reference", "gold", "category", "class"),
)
_SYSTEMS = ("system", "system_prompt", "system_message")


def read_rows(
    path: Path, *, prompt_column: str | None, expect_column: str | None, system: str | None
) -> list[Exchange]:
    """An exchange for each row; `system` is the system message of those whose row has none. Raises ConfigError."""
    numbered = rows_of(path)
    columns = list(numbered[0][1])
    prompts = _column(path, columns, prompt_column, _PROMPTS, option="--prompt-column")
    answers = _column(path, columns, expect_column, _ANSWERS, option="--expect-column", is_needed=False)
    systems = _guess(columns, _SYSTEMS)
    exchanges = []
    for number, row in numbered:
        if not row[prompts].strip():
            raise ConfigError(f"{path}:{number}: the column {prompts} is empty: write a prompt, or remove the row")
        message = (row[systems] if systems else "") or system
        answer = row[answers] if answers else ""
        ask = {"system": message, "prompt": row[prompts]} if message else {"prompt": row[prompts]}
        about = {"answer": answer} if answer else {}
        exchanges.append(Exchange(ask=ask, answers=(answer,) if answer else (), about=about))
    return exchanges


def rows_of(path: Path) -> list[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file by its header, each with the number of its last line; raises ConfigError."""
    text = read_text(path)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    numbered: list[tuple[int, Mapping[str, str]]] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        _check_header(path, columns)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(columns):
                raise ConfigError(
                    f"{path}:{reader.line_num}: this row has {len(row)} cells, and the header has {len(columns)}"
                )
            numbered.append((reader.line_num, dict(zip(columns, row, strict=True))))
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: this is not CSV ({error})") from None
    if not numbered:
        raise ConfigError(f"{path} has no rows below its header")
    return numbered


def _check_header(path: Path, columns: Sequence[str]) -> None:
    if not any(columns):
        raise ConfigError(f"{path}:1: there is no header: name the columns in the first line, as in prompt,expected")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{path}:1: two columns are called {twice!r}")


def _column(
    path: Path, columns: list[str], named: str | None, known: Sequence[str], *, option: str, is_needed: bool = True
) -> str:
    if named is not None:
        if named not in columns:
            raise unknown_name(f"{option} in {path}", named, columns, noun="column")
        return named
    guessed = _guess(columns, known)
    if guessed is None and is_needed:
        raise ConfigError(
            f"{path}: none of the columns {', '.join(columns)} is known to hold prompts: name it by {option}"
        )
    return guessed or ""


def _guess(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """The column of the first known name, however it is written."""
    plain = {name.lower().replace(" ", "_").replace("-", "_"): name for name in columns}
    return next((plain[name] for name in known if name in plain), None)
