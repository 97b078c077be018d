"""Writes the generated part of the reference: keys, options, marker, commands and file formats, from the code itself.

Each page is a function from nothing to Markdown, named in `PAGES`. Nothing here is written down twice.
"""

import argparse
import json
import os
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from inspect import getdoc
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.commands.__main__ import _command_names, _parser
from pytest_rightsize.commands.schema import schema_text
from pytest_rightsize.config import options
from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import RightsizeError
from pytest_rightsize.judgement_records import Criterion, Judgement
from pytest_rightsize.records import AnswerRecord, Policy, Tokens, Trial, TrialKey
from pytest_rightsize.verdict_records import JudgeCheck, Standing, Verdict

__all__ = ["PAGES", "record_schema", "results_schema", "write"]

_NOTE = "<!-- Written by docs/generate_reference.py from the code: change it there. -->\n\n"
_COLUMNS = "100"


def options_page() -> str:
    """Every option of pytest with its ini twin."""
    rows = [(f"`--rightsize-{name}={metavar}`", text) for name, (metavar, text) in options.OPTIONS.items()]
    flags = [
        ("`--rightsize-download`", options._DOWNLOAD_HELP),
        ("`--rightsize-offline`", options._OFFLINE_HELP),
        ("`--rightsize-serve`", options._SERVE_HELP),
        ("`--rightsize-strength`", options._STRENGTH_HELP),
    ]
    return (
        "# Options\n\nEach option has a twin in the ini file: `--rightsize-pass-rate` is `rightsize_pass_rate`. The "
        "command line wins.\n\n" + _table(("option", "meaning"), [*rows, *flags])
    )


def ladder_page() -> str:
    """Every key of the ladder file, by table."""
    text = StringIO()
    text.write(
        "# Keys of the ladder file\n\n`rightsize.toml` at the root of your project, or the table `[tool.rightsize]` "
        "of `pyproject.toml`. An unknown key is an error that names the nearest one. `rightsize schema` prints the "
        "same as a JSON schema, by which editors complete and check the file.\n"
    )
    schema = _schema()
    parts = schema["$defs"]
    common, *_ = parts["rung"]["oneOf"]
    shared = [name for name in common["properties"] if all(name in one["properties"] for one in parts["rung"]["oneOf"])]
    tables = [
        ("At the top", schema["properties"]),
        ("`[ladder.NAME]`: a rung", {name: common["properties"][name] for name in shared if name != "provider"}),
        *(
            (f'`provider = "{_provider(one)}"`', {k: v for k, v in one["properties"].items() if k not in shared})
            for one in parts["rung"]["oneOf"]
        ),
        ("`[tasks.NAME]`: a task", parts["task"]["properties"]),
        ("`[app]`: the application under test", parts["app"]["properties"]),
        ("`[cluster]`: the Ray of rungs on several machines", parts["cluster"]["properties"]),
        *((f"`meter = {{ name = {_name(one)!r}, ... }}`", one["properties"]) for one in _forms(parts["meter"])),
    ]
    for title, table in tables:
        rows = [(f"`{name}`", _kind(part), part.get("description", "")) for name, part in sorted(table.items())]
        text.write(f"\n## {title}\n\n{_table(('key', 'value', 'meaning'), rows)}")
    return text.getvalue()


def _schema() -> Mapping[str, Any]:
    """The schema with the providers and meters that are built in."""
    schema: Mapping[str, Any] = json.loads(schema_text())
    return schema


def _provider(form: Mapping[str, Any]) -> str:
    return str(form["properties"]["provider"]["const"])


def _name(form: Mapping[str, Any]) -> str:
    return str(form["properties"]["name"].get("const", "..."))


def _forms(meter: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The table forms of a meter, one for each kind."""
    return [form for form in [*meter.get("oneOf", ()), *meter.get("anyOf", ())] if form.get("properties")]


def _kind(part: Mapping[str, Any]) -> str:
    """A schema's kind of value in a word or two."""
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "type" in part:
        kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
        return " or ".join({"object": "table", "array": "list"}.get(kind, kind) for kind in kinds)
    if "$ref" in part:
        return "table"
    forms = [_kind(form) for form in [*part.get("anyOf", ()), *part.get("oneOf", ())] if isinstance(form, Mapping)]
    return " or ".join(dict.fromkeys(form for form in forms if form)) or "any"


def commands_page() -> str:
    """The help of every command."""
    os.environ["COLUMNS"] = _COLUMNS
    parser = _parser([*_command_names()])
    text = StringIO()
    text.write("# Commands\n\n`rightsize COMMAND --help` prints what stands here.\n")
    text.write(f"\n```text\n{_help(parser)}```\n")
    (subparsers,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for name in _command_names():
        text.write(f"\n## rightsize {name}\n\n```text\n{_help(subparsers.choices[name])}```\n")
    return text.getvalue()


def _help(parser: argparse.ArgumentParser) -> str:
    return parser.format_help().rstrip() + "\n"


def files_page() -> str:
    """The lines of a results file as JSON schemas."""
    text = StringIO()
    text.write(
        "# File formats\n\n## The results file\n\n`--rightsize-results=run.jsonl` writes one JSON object a line; "
        "`kind` says what it is: `run` (the ladder, the settings, the machine), `policy` and `plan`, `prompt` (each "
        "prompt once, by its hash), `trial`, `verdict`, `meter` and `end`. A file without its `end` was cut off. Later "
        "versions may add fields; readers leave out what they do not know. What is not known is `null`, never 0.\n"
    )
    for name, schema in results_schema()["$defs"].items():
        text.write(f"\n### {name}\n\n```json\n{_json(schema)}\n```\n")
    text.write(
        "\n## The ladder file\n\n`rightsize schema` prints its JSON schema; [its keys](ladder.md) have a page.\n"
        "\n## The lock\n\n`rightsize lock run.jsonl` writes `rightsize.lock`, a TOML file to review and commit: of "
        "each task its smallest and chosen rung, how each rung stood, and the hashes of the models.\n"
        "\n## The calibration file\n\n`rightsize judge calibrate` writes JSON: `judges` has a `Calibration` as above "
        "for each judge and criterion that was held against labels.\n"
        "\n## Recorded answers\n\n`rightsize cache export FILE` writes one JSON object a line, sorted: the same "
        "answers give the same bytes.\n"
    )
    return text.getvalue()


def results_schema() -> dict[str, Any]:
    """The JSON schema of the lines of a results file that hold records, by what they hold."""
    answer = record_schema(AnswerRecord)
    del answer["properties"]["messages"]
    answer["properties"]["prompt"] = {"type": ["string", "null"], "description": "the hash of a prompt's line"}
    trial = record_schema(Trial)
    key = record_schema(TrialKey)
    del trial["properties"]["key"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "trial": _line("trial", {**key["properties"], **trial["properties"]}),
            "AnswerRecord": answer,
            "Tokens": record_schema(Tokens),
            "Energy": record_schema(Energy),
            "Judgement": record_schema(Judgement),
            "Criterion": record_schema(Criterion),
            "verdict": _line("verdict", record_schema(Verdict)["properties"]),
            "Standing": record_schema(Standing),
            "JudgeCheck": record_schema(JudgeCheck),
            "Calibration": record_schema(Calibration),
        },
    }


def _line(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"kind": {"const": kind}, **properties}, "required": ["kind"]}


def errors_page() -> str:
    """The tree of errors."""
    text = StringIO()
    text.write("# Errors\n\nAll are in `pytest_rightsize.errors`, and those that tests catch are exported too.\n\n")

    def tell(error: type, depth: int) -> None:
        text.write(f"{'  ' * depth}- `{error.__name__}`: {_first_sentence(error)}\n")
        for kind in sorted(error.__subclasses__(), key=lambda one: one.__name__):
            if kind.__module__ == "pytest_rightsize.errors":
                tell(kind, depth + 1)

    tell(RightsizeError, 0)
    return text.getvalue()


def marker_page() -> str:
    """The marker's arguments, and the other markers."""
    call, _, meaning = options.MARKER_HELPS[0].partition(": ")
    policy = {part.name: part for part in fields(Policy)}
    names = [word.strip().removesuffix("=") for word in call.partition("(")[2].rstrip(")").split(",")]
    described = _schema()["$defs"]["task"]["properties"] | {"task": {"description": options.TASK_HELP}}
    rows = [
        (f"`{name}`", _default(policy.get(name)), described.get(name, {}).get("description", ""))
        for name in names
        if name
    ]
    return (
        "# The marker\n\n"
        f"`@pytest.mark.{call}`\n\n{meaning[0].upper()}{meaning[1:].partition(' (see')[0]}. The place nearest to the "
        "test wins: the marker of the function, then of its class, then of its module; then `[tasks.NAME]` in the "
        "ladder file; then the command line, the ini file, the default.\n\n"
        + _table(("argument", "default", "meaning"), rows)
        + "\n## Other markers\n\n"
        + _table(
            ("marker", "meaning"), [(f"`{call}`", meaning) for call, meaning in map(_parted, options.MARKER_HELPS[1:])]
        )
    )


def _parted(text: str) -> tuple[str, str]:
    call, _, meaning = text.partition(": ")
    return call, meaning


def _default(part: Any) -> str:
    return "" if part is None or part.default is MISSING else f"`{part.default!r}`"


PAGES: Mapping[str, Callable[[], str]] = {
    "options": options_page,
    "ladder": ladder_page,
    "marker": marker_page,
    "commands": commands_page,
    "files": files_page,
    "errors": errors_page,
}


def write(folder: Path) -> None:
    """Write every page that is not there in this form yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        text = _NOTE + page()
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def record_schema(record: type) -> dict[str, Any]:
    """The JSON schema of a frozen record as a results file has it, from its annotations.

    >>> from pytest_rightsize.records import TrialKey
    >>> record_schema(TrialKey)["properties"]["sample"]
    {'type': 'integer'}
    """
    hints = get_type_hints(record)
    names = [part.name for part in fields(record)]
    return {"type": "object", "properties": {name: _form(hints[name]) for name in names}}


def _form(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": [*arguments]}
    if origin in (Union, types.UnionType):
        forms = [_form(one) for one in arguments]
        kinds = [form["type"] for form in forms if [*form] == ["type"]]
        if len(kinds) == len(forms):
            return {"type": kinds}
        return {"anyOf": forms}
    if origin in (tuple, frozenset) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return {"type": "array", "items": _form(arguments[0])}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object"}
    if is_dataclass(hint) and isinstance(hint, type):
        return {"$ref": f"#/$defs/{hint.__name__}"}
    kind = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}.get(hint)
    return {"type": kind} if kind else {}


def _first_sentence(thing: type) -> str:
    return (getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


def _json(schema: Mapping[str, Any]) -> str:
    """The schema, each property on a line."""
    lines = [f'  "{name}": {json.dumps(form)}' for name, form in schema["properties"].items()]
    return '{"type": "object", "properties": {\n' + ",\n".join(lines) + "\n}}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
