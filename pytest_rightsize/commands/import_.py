"""Write a test file and its cases from a file of another tool: promptfoo, OpenAI's evals, chats, or rows.

`promptfooconfig.yaml` gives a task for each prompt. JSON Lines hold `{"input": .., "ideal": ..}` as in OpenAI's evals,
or `{"messages": [..]}` that end in the right answer, as for fine-tuning. A CSV file has a question and a right answer
in each row. What is written is a draft to review.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from pytest_rightsize.authoring.chat_lines import read_chat_lines
from pytest_rightsize.authoring.exchanges import Task
from pytest_rightsize.authoring.grouping import grouped, slug
from pytest_rightsize.authoring.promptfoo_config import read_promptfoo
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.authoring.row_files import read_rows
from pytest_rightsize.authoring.suite_files import SuiteFiles
from pytest_rightsize.commands._output import say
from pytest_rightsize.errors import ConfigError

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize import promptfooconfig.yaml --dir tests",
    "rightsize import tickets.csv --prompt-column ticket --expect-column queue",
)

_FORMATS = {
    **dict.fromkeys([".yaml", ".yml", ".json"], "promptfoo"),
    **dict.fromkeys([".jsonl", ".ndjson"], "jsonl"),
    **dict.fromkeys([".csv", ".tsv"], "csv"),
}
_PRIVACY = (
    "Look through {cases} for personal data, and put made-up data in its place before you commit the file. "
    "`private=True` in a marker keeps a task on this machine."
)
_PROPOSED = (
    "Look at each assertion: it was proposed from the right answers. Loosen or tighten it until it asks for what your "
    "application needs, and set pass_rate."
)
_TAKEN_OVER = (
    "Look for TODO: assertions of that kind could not be taken over, and each case that had one is skipped. Write a "
    "check in its place, or do without it; then remove `todo` from the case. Set pass_rate."
)
_CLIMB = "Climb the ladder: pytest {tests} --rightsize-ladder=1b,4b,30b"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and the options."""
    parser.add_argument("file", type=Path, help="a promptfoo configuration, JSON Lines, or CSV")
    parser.add_argument("--dir", type=Path, default=Path(), help="where to write the files (default: this folder)")
    parser.add_argument("--force", action="store_true", help="write over files of an earlier import")
    parser.add_argument(
        "--format", choices=sorted(set(_FORMATS.values())), help="what the file is, if not by its suffix"
    )
    parser.add_argument("--prompt-column", metavar="NAME", help="the column of a CSV file that holds the prompts")
    parser.add_argument("--expect-column", metavar="NAME", help="the column of a CSV file that holds the right answers")
    parser.add_argument("--system", metavar="TEXT", help="the system message for rows of a CSV file that have none")


def run(arguments: argparse.Namespace) -> int:
    """Write the draft; raises ConfigError for a file that cannot be read, with the line that is wrong."""
    path: Path = arguments.file
    form = arguments.format or _FORMATS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(f"{path}: its suffix does not say what it is: add --format=promptfoo, jsonl or csv")
    stem = re.sub(r"\W+", "_", path.stem.lower(), flags=re.ASCII).strip("_") or "imported"
    files = SuiteFiles(arguments.dir, tests=f"test_{stem}.py", cases=f"{stem}_cases.jsonl", force=arguments.force)
    if files.cases_file.resolve() == path.resolve():
        raise ConfigError(f"{path} would be written over: name another folder with --dir")
    tasks, notes = _tasks(path, form, arguments)
    cases = sum(len(task.cases) for task in tasks)
    todo = [
        _PRIVACY.format(cases=files.cases_file.name),
        _TAKEN_OVER if form == "promptfoo" else _PROPOSED,
        _CLIMB.format(tests=files.test_file.name),
    ]
    title = f"{cases} case{'s' if cases > 1 else ''} from {path.name}, made by `rightsize import`: a draft to review."
    told = files.write(tasks, title=title, todo=todo)
    lines = [
        f"{cases} case{'s' if cases > 1 else ''} in {len(tasks)} task{'s' if len(tasks) > 1 else ''}",
        *told,
        *notes,
    ]
    say("\n".join(lines))
    return 0


def _tasks(path: Path, form: str, arguments: argparse.Namespace) -> tuple[Sequence[Task], list[str]]:
    """The tasks of the file, and what had no counterpart."""
    if form == "promptfoo":
        imported = read_promptfoo(path)
        return imported.tasks, [f"no counterpart: {what} ({count})" for what, count in imported.left_out.most_common()]
    if form == "jsonl":
        groups = grouped(read_chat_lines(path))
        return [proposed(name, group) for name, group in groups.items()], []
    columns = {"prompt_column": arguments.prompt_column, "expect_column": arguments.expect_column}
    rows = read_rows(path, **columns, system=arguments.system)
    return [proposed(slug(path.stem) or "rows", rows)], []
