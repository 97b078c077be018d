"""Reads what a promptfoo configuration refers to: prompts, tests and values in files beside it.

See https://www.promptfoo.dev/docs/configuration/parameters. What would run code, or is fetched, is refused by name.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_rightsize.authoring.promptfoo_checks import shorthand
from pytest_rightsize.authoring.row_files import rows_of
from pytest_rightsize.authoring.yaml_files import Lined, line_of, read_lines, read_text, read_yaml
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["FILE", "Template", "prompts_in", "referred", "tests_in"]

FILE = "file://"
_CODE = (".js", ".cjs", ".mjs", ".ts", ".py", ".rb", ".go", ".sh")
_REMOTE = ("http://", "https://", "huggingface://", "az://", "s3://", "gs://")
_TEXTS = (".txt", ".md", ".j2")
# Columns of a CSV file that are settings of its tests, by what these are called elsewhere.
_SETTINGS = {"__threshold": "threshold", "__description": "description"}
_EXPECTED = re.compile(r"(?P<config>__config:)?__expected(?P<number>\d*)(?(config):(?P<setting>\w+))")


class Template(str):
    """A prompt with `{{variables}}`; `label` is what it is called, `where` the place it comes from."""

    label: str
    where: str

    def __new__(cls, text: str, *, label: str, where: str) -> "Template":
        """Keep the label beside the text."""
        template = super().__new__(cls, text)
        template.label, template.where = label, where
        return template


def prompts_in(config: Path, prompts: Json) -> list[Template]:
    """The prompts of a configuration, or of one entry of it."""
    if prompts is None:
        return [Template("{{prompt}}", label="", where=str(config))]
    entries = prompts if isinstance(prompts, list) else [prompts]
    if isinstance(prompts, dict) and not {"raw", "id", "label", "file"} & set(prompts):
        entries = [{"id": file, "label": label} for file, label in prompts.items()]
    return [template for entry in entries for template in _prompts_of(config, entry)]


def _prompts_of(config: Path, entry: Json) -> Iterator[Template]:
    where, label = _where(config, entry), ""
    if isinstance(entry, dict):
        label = str(entry.get("label") or entry.get("display") or "")
        entry = entry.get("raw") or entry.get("id") or entry.get("file")
    if not isinstance(entry, str):
        raise ConfigError(f"{where}: a prompt must be a text, or a file as in file://prompt.txt")
    if not entry.startswith(FILE) and "\n" not in entry and _is_file(config.parent / entry):
        entry = f"{FILE}{entry}"
    if not entry.startswith(FILE):
        yield Template(entry, label=label, where=where)
        return
    for path in _files(config, entry, where):
        yield from (Template(text, label=label, where=str(path)) for text in _texts_of(path))


def _texts_of(path: Path) -> list[str]:
    """The prompts in a file: more than one where lines of `---` part them, or where it has lines or rows."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return [next(iter(row.values())) for _, row in rows_of(path)]
    if suffix in (".yaml", ".yml"):
        return [json.dumps(read_yaml(path))]
    if suffix == ".jsonl":
        return [line.rstrip("\n") for _, line in read_lines(path)]
    text = read_text(path)
    parts = re.split(r"^---\s*$", text, flags=re.MULTILINE) if suffix == ".txt" else [text]
    return [part.strip() for part in parts if part.strip()]


def tests_in(config: Path, tests: Json) -> list[Mapping[str, Json]]:
    """The tests of a configuration, with those of its files; raises ConfigError for what cannot be read."""
    entries = tests if isinstance(tests, list) else [] if tests is None else [tests]
    found: list[Mapping[str, Json]] = []
    for entry in entries:
        if isinstance(entry, str):
            for path in _files(config, entry, str(config)):
                found += _tests_of(path)
        elif isinstance(entry, Mapping) and "path" in entry and set(entry) <= {"path", "config"}:
            raise ConfigError(
                f"{_where(config, entry)}: tests that code makes cannot be read: write them to a file first"
            )
        elif isinstance(entry, Mapping):
            found.append(entry)
        else:
            raise ConfigError(f"{config}: a test must be a mapping or a file, and not {entry!r}")
    return found


def _tests_of(path: Path) -> list[Mapping[str, Json]]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return [_test_of_row(path, number, row) for number, row in rows_of(path)]
    if suffix == ".jsonl":
        return [_test_of_line(path, number, line) for number, line in read_lines(path)]
    if suffix in (".yaml", ".yml", ".json"):
        return tests_in(path, read_yaml(path))
    raise ConfigError(f"{path}: tests are read from CSV, JSON, JSON Lines and YAML")


def _test_of_line(path: Path, number: int, line: str) -> Mapping[str, Json]:
    try:
        plain = loads(line)
    except ValueError as error:
        raise ConfigError(f"{path}:{number}: this line is not JSON ({error})") from None
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}:{number}: a test must be an object")
    return _lined(plain, number)


def _test_of_row(path: Path, number: int, row: Mapping[str, str]) -> Mapping[str, Json]:
    """A row is a test: its variables, and columns that begin with `__`, of which an unknown one is kept by its name."""
    variables = {name: value for name, value in row.items() if not name.startswith("__")}
    special = {name: value.strip() for name, value in row.items() if name.startswith("__") and value.strip()}
    special = {name: value for name, value in special.items() if not name.startswith("__metadata:")}
    changing = next((name for name in ("__prefix", "__suffix", "__providerOutput") if row.get(name)), None)
    if changing is not None:
        raise ConfigError(f"{path}:{number}: the column {changing} has no counterpart here: put it into the prompt")
    assertions: dict[str, dict[str, Json]] = {}
    settings: dict[str, Json] = {}
    for name, value in sorted(special.items(), key=lambda item: item[0].startswith("__config")):
        match = _EXPECTED.fullmatch(name)
        place = (match["number"] or "1") if match else ""
        if match and not match["config"]:
            assertions[place] = shorthand(value)
        elif match and place in assertions:
            assertions[place][match["setting"]] = _number(value)
        else:
            settings[_SETTINGS.get(name, name)] = _number(value) if name == "__threshold" else value
    return _lined({"vars": variables, "assert": [*assertions.values()], **settings}, number)


def _number(text: str) -> Json:
    """The number in a cell, or its text."""
    try:
        return float(text)
    except ValueError:
        return text


def _lined(plain: Mapping[str, Json], number: int) -> Lined:
    lined = Lined(plain)
    lined.line = number
    return lined


def referred(config: Path, value: Json, *, is_variable: bool = False) -> Json:
    """What a value refers to: the content of its file, or the value itself. A glob gives a list for a variable.

    Raises ConfigError for code, and for a file that cannot be read.
    """
    if not isinstance(value, str) or not value.startswith(FILE):
        return value
    paths = _files(config, value, str(config))
    contents = [
        read_yaml(path) if path.suffix in (".yaml", ".yml", ".json") else read_text(path).strip() for path in paths
    ]
    return contents if is_variable and "*" in value else contents[0]


def _files(config: Path, reference: str, where: str) -> list[Path]:
    """The files that a reference names, relative to the configuration."""
    if reference.startswith(_REMOTE):
        raise ConfigError(f"{where}: {reference} is elsewhere: save it as a file, and name that")
    name = reference.removeprefix(FILE)
    # a function is named behind the file
    bare = name.rpartition(":")[0] if re.search(r"\.\w+:\w+$", name) else name
    if Path(bare).suffix in _CODE:
        raise ConfigError(f"{where}: {reference} is code, which is not run: write down what it gives")
    if "*" in bare:
        paths = sorted(config.parent.glob(bare)) if not Path(bare).is_absolute() else []
    else:
        paths = [config.parent / bare]
    if not paths:
        raise ConfigError(f"{where}: no file is like {reference}")
    return paths


def _is_file(path: Path) -> bool:
    try:
        return path.suffix in (*_TEXTS, ".json", ".jsonl", ".yaml", ".yml") and path.is_file()
    except OSError:  # the name is too long
        return False


def _where(config: Path, entry: Json) -> str:
    line = line_of(entry)
    return f"{config}:{line}" if line is not None else str(config)
