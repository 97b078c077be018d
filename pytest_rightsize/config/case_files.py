"""Reads the cases of a test from a file: JSON Lines, CSV or YAML; each row is a case, and its columns are arguments.

A path comes in, rows with readable ids go out. A large JSON Lines file is not kept: its rows are read again, one by
one, when their tests run. Whatever is wrong is a ConfigError that names file and line.
"""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_rightsize.bounded_files import LARGEST_YAML_BYTES, numbered_lines, whole_text
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.escaping import one_line
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["Case", "LazyRow", "read_cases"]

ID = "id"
"""The column that names a case, where a file has it."""
# A larger file of JSON Lines stays on disk.
_LARGE_BYTES = 4_000_000
_LONGEST_ID = 50
_SUFFIXES = ".jsonl, .ndjson, .csv, .tsv, .yaml or .yml"
_Row = tuple[int, Mapping[str, Json], "LazyRow | None"]


@dataclass(frozen=True)
class LazyRow:
    """A row that stays in its file: the place of its line."""

    path: Path
    line: int
    start: int
    length: int

    def read(self) -> Mapping[str, Json]:
        """The row; raises ConfigError where the file has changed since it was collected."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                row = loads(file.read(self.length))
        except (OSError, ValueError):
            row = None
        if not isinstance(row, dict):
            raise ConfigError(f"{self.path}:{self.line} has changed since the tests were collected: run them again")
        return row


@dataclass(frozen=True)
class Case:
    """One case: its id, the line it stands in, and its values; those of a row that stays on disk are a LazyRow."""

    name: str
    line: int
    values: Mapping[str, Json] | LazyRow


def read_cases(path: Path, columns: Collection[str], *, test: str) -> list[Case]:
    """The cases of a file, each with the `columns`; `test` names who asks for them, in errors.

    The id of a case is its column `id`, else its first text, shortened; where two are alike a few letters tell them
    apart. Raises ConfigError for a file that cannot be read, a row without one of the columns, an id that comes twice,
    and a row that does.
    """
    cases: list[tuple[str | None, str, str, int, Mapping[str, Json] | LazyRow]] = []
    lines_by_id: dict[str, int] = {}
    lines_by_row: dict[str, int] = {}
    for line, row, lazy in _rows(path):
        _check_columns(path, line, row, columns, test)
        given = _given_id(path, line, row)
        if given is not None and lines_by_id.setdefault(given, line) != line:
            raise ConfigError(
                f"{path}:{line} has the id {given!r}, as line {lines_by_id[given]} has: give each its own"
            )
        digest = _digest(path, line, row)
        if given is None and lines_by_row.setdefault(digest, line) != line:
            raise ConfigError(
                f"{path}:{line} repeats line {lines_by_row[digest]}: remove it, or give both a column {ID!r}; a case "
                f"that counts twice makes a verdict look surer than it is"
            )
        values = lazy if lazy is not None else {name: row[name] for name in columns}
        cases.append((given, _short(row, columns), digest, line, values))
    if not cases:
        raise ConfigError(f"{path} has no cases: write one in each row")
    counts = Counter(short for given, short, *_ in cases if given is None)
    alike = {short for short, count in counts.items() if count > 1}
    return [
        Case(given or (f"{short}~{digest[:6]}" if short in alike or short in lines_by_id else short), line, values)
        for given, short, digest, line, values in cases
    ]


def _check_columns(path: Path, line: int, row: Mapping[str, Json], columns: Collection[str], test: str) -> None:
    missing = next((name for name in columns if name not in row), None)
    if missing is not None:
        raise unknown_name(f"{path}:{line}, for {test}", missing, [*row], noun="column")


def _given_id(path: Path, line: int, row: Mapping[str, Json]) -> str | None:
    value = row.get(ID)
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool) or one_line(str(value)) != str(value):
        raise ConfigError(f"{path}:{line} has the id {value!r}: give a short text on one line, or a number")
    return str(value)


def _short(row: Mapping[str, Json], columns: Collection[str]) -> str:
    """The first text among the columns, as a name; where there is none, all of them."""
    text = next((row[name] for name in row if name in columns and isinstance(row[name], str) and row[name]), None)
    if text is None:
        text = json.dumps({name: row[name] for name in columns}, ensure_ascii=False, default=str)
    words = one_line(" ".join(text.split()))
    return words if len(words) <= _LONGEST_ID else f"{words[: _LONGEST_ID - 2].rstrip()}.."


def _digest(path: Path, line: int, row: Mapping[str, Json]) -> str:
    try:
        text = json.dumps(row, sort_keys=True, ensure_ascii=True, default=str)
    except (ValueError, TypeError, RecursionError) as error:  # YAML has values that hold themselves
        raise ConfigError(f"{path}:{line} is no case ({error}): write plain values") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(path: Path) -> Iterator[_Row]:
    """The rows of a file with their lines; raises ConfigError."""
    readers: Mapping[str, Callable[[Path], Iterator[_Row]]] = {
        **dict.fromkeys([".jsonl", ".ndjson"], _json_lines),
        **dict.fromkeys([".csv", ".tsv"], _csv_rows),
        **dict.fromkeys([".yaml", ".yml"], _yaml_rows),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{path} is no file of cases: its name must end in {_SUFFIXES}")
    try:
        yield from reader(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there: a file of cases is looked up from the folder of its test") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from None


def _json_lines(path: Path) -> Iterator[_Row]:
    is_large = path.stat().st_size > _LARGE_BYTES
    start = 0
    with path.open("rb") as file:
        for number, raw in numbered_lines(file, path):
            if raw.strip():
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                try:
                    row = loads(text)
                except ValueError as error:
                    raise ConfigError(f"{path}:{number} is not JSON ({error}): write one object in each line") from None
                if not isinstance(row, dict):
                    raise ConfigError(f"{path}:{number} is no JSON object: write one in each line")
                yield number, row, LazyRow(path, number, start, len(raw)) if is_large and number > 1 else None
            start += len(raw)


def _csv_rows(path: Path) -> Iterator[_Row]:
    """Rows of a CSV file; every value is text."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for _, line in numbered_lines(file, path))
        reader = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            columns = [name.strip() for name in next(reader, [])]
            _check_header(path, columns)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(columns):
                    raise ConfigError(
                        f"{path}:{reader.line_num} has {len(row)} cells, and the header has {len(columns)}: put a "
                        f"text that holds a comma in quotes"
                    )
                yield reader.line_num, dict(zip(columns, row, strict=True)), None
        except csv.Error as error:
            raise ConfigError(f"{path}:{reader.line_num} is not CSV ({error})") from None


def _check_header(path: Path, columns: Sequence[str]) -> None:
    if not any(columns):
        raise ConfigError(f"{path}:1 has no header: name the columns in the first line, as in ticket,queue")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{path}:1 has two columns {twice!r}: give each its own name")


def _yaml_rows(path: Path) -> Iterator[_Row]:
    """The items of a YAML list of mappings."""
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"{path} needs PyYAML: pip install 'pytest-rightsize[yaml]'") from None
    text = whole_text(path, "utf-8-sig", largest_bytes=LARGEST_YAML_BYTES)
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.SequenceNode):
            raise ConfigError(f"{path} is no list of cases: begin each with a dash, as in `- ticket: ...`")
        for node in root.value:
            line = node.start_mark.line + 1
            row = loader.construct_object(node, deep=True)
            if not isinstance(row, dict) or not all(isinstance(name, str) for name in row):
                raise ConfigError(f"{path}:{line} is no case: write its columns, as in `- ticket: ...`")
            yield line, row, None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = path if mark is None else f"{path}:{mark.line + 1}"
        raise ConfigError(f"{where} is not YAML ({getattr(error, 'problem', None) or error})") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deep") from None
    except ValueError as error:  # a day or a number that there is not
        raise ConfigError(f"{path} cannot be read as YAML ({error})") from None
    finally:
        if loader is not None:
            loader.dispose()
