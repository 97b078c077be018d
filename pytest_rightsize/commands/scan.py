"""Find the model calls of a repository: file, line, SDK, model, and the tests with a model that import their file.

Found by the syntax tree of each Python file; nothing is imported or run. For each call without such a test it proposes
where `chosen` may read the model's name: a variable, a key of a settings file, or the name itself.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tabulate import tabulate

from pytest_rightsize.authoring.repository_scan import FoundCall, Scan, scan
from pytest_rightsize.commands._output import say
from pytest_rightsize.errors import ConfigError

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize scan", "rightsize scan src --json")
_MOST_TESTS, _MOST_PLACES = 2, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize scan`."""
    parser.add_argument("root", metavar="DIR", type=Path, nargs="?", default=Path(), help="the folder (default: this)")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the calls; raises ConfigError for what is no folder."""
    if not arguments.root.is_dir():
        raise ConfigError(f"{arguments.root} is no folder: give the folder of a project")
    found = scan(arguments.root)
    if arguments.json:
        say(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        say("\n".join(_lines(found)))
    return 0


def _lines(found: Scan) -> Iterator[str]:
    files = f"{found.files:,} Python file{'s' if found.files != 1 else ''}"
    if found.calls:
        rows = [
            [f"{each.file}:{each.call.line}", each.call.sdk, _model(each), _tests(each.tests)] for each in found.calls
        ]
        headers = ["call", "SDK", "model", "tests with a model"]
        yield from tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines()
        yield ""
        uncovered = sum(not each.tests for each in found.calls)
        calls = f"{len(found.calls):,} model call{'s' * (len(found.calls) != 1)}"
        which = f"{uncovered:,} of them" if uncovered else ""
        rest = (
            f"no test with a model imports the file of {which}"
            if uncovered
            else "tests with a model import the files of all"
        )
        yield f"{calls} in {files}; {rest}"
        yield from _proposals(found.calls)
    else:
        yield f"no model call in {files}: known are the SDKs in docs/sdks.md, and requests to their URLs"
    if found.unread:
        yield f"not read, as it is no Python of this version: {', '.join(found.unread)}"


def _model(found: FoundCall) -> str:
    call = found.call
    if call.variable is not None:
        return f"${call.variable}{f' or {call.model}' if call.model else ''}"
    return call.model or (f"({call.expression})" if call.expression else "?")


def _tests(tests: Sequence[str]) -> str:
    shown = ", ".join(tests[:_MOST_TESTS])
    return f"{shown} and {len(tests) - _MOST_TESTS} more" if len(tests) > _MOST_TESTS else shown or "none"


def _proposals(calls: Sequence[FoundCall]) -> Iterator[str]:
    """For each way to name the model, the calls that would be described by it."""
    by_chosen: dict[str, list[FoundCall]] = {}
    for each in calls:
        if each.chosen is not None and not each.tests:
            by_chosen.setdefault(each.chosen, []).append(each)
    if not by_chosen:
        return
    yield ""
    yield "where the tasks of these calls may read which model the application uses ([tasks.NAME] in rightsize.toml):"
    for chosen, of_chosen in by_chosen.items():
        places = [f"{each.file}:{each.call.line}" for each in of_chosen]
        more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
        yield f"chosen = {chosen}   # {', '.join(places[:_MOST_PLACES])}{more}"
    yield ""
    yield "a first test from what they ask today: rightsize record -- python YOUR_APP.py"
