"""Print the JSON schema of the ladder file, by which an editor completes and checks it.

Made from what this version accepts. Name it in the first line of rightsize.toml, where editors with Even Better TOML or
taplo look for it: `#:schema rightsize.schema.json`.
"""

import argparse
import json
from pathlib import Path

from pytest_rightsize.commands._output import say, write_output
from pytest_rightsize.commands._plugins import add_plugin_argument, classes
from pytest_rightsize.config.ladder_schema import ladder_schema
from pytest_rightsize.output_paths import refuse_other

__all__ = ["EDITOR_LINE", "EXAMPLES", "SCHEMA_FILE", "add_arguments", "run", "schema_text"]

EXAMPLES = ("rightsize schema --output rightsize.schema.json", "rightsize schema --plugin shop.providers")
SCHEMA_FILE = "rightsize.schema.json"
EDITOR_LINE = f"#:schema {SCHEMA_FILE}"
"""The first line of a ladder file, by which an editor finds the schema beside it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize schema`."""
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there (default: print it)")
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the schema; raises ConfigError for a plugin or a file that cannot be used."""
    text = schema_text(*arguments.plugin)
    if arguments.output is None:
        say(text.rstrip("\n"))
        return 0
    refuse_other(arguments.output, "JSON schema", is_own=lambda head: '"$schema"' in head)
    write_output(arguments.output, [text])
    say(f"{arguments.output}: write {f'#:schema {arguments.output}'!r} as the first line of rightsize.toml")
    return 0


def schema_text(*plugins: str) -> str:
    """The schema as JSON."""
    return json.dumps(ladder_schema(*classes(plugins)), indent=1, ensure_ascii=False) + "\n"
