"""Look after recorded answers: export, import, stat, prune.

`export FILE` writes them as sorted JSON Lines, to be committed and reviewed; `import FILE` brings them in on another
machine, where `pytest --rightsize-cache=replay` then needs no model.
"""

import argparse
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from tabulate import tabulate

from pytest_rightsize import clocks
from pytest_rightsize.commands._output import say, write_data
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import refuse_other, write_whole
from pytest_rightsize.recorded.cache import FILE_NAME, AnswerCache
from pytest_rightsize.recorded.json_lines import Declaration, is_export, lines_of, read_lines
from pytest_rightsize.recorded.keys import Recorded

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize cache stat",
    "rightsize cache export answers.jsonl --rung frontier",
    "rightsize cache prune --older-than 30",
)

Line = Recorded | Declaration
_BATCH = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four actions, each with the folder of recorded answers."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, function, text in (
        ("export", _export, "write the recorded answers to a file, sorted"),
        ("import", _import, "bring in the answers of an exported file"),
        ("stat", _stat, "count the recorded answers of each rung"),
        ("prune", _prune, "remove recorded answers"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--dir", type=Path, default=Path(".rightsize"), help="the folder (default: .rightsize)")
        action.set_defaults(action=function)
        if name in ("export", "import"):
            action.add_argument("file", type=Path, help="JSON Lines; - is standard output")
        if name in ("export", "prune"):
            action.add_argument("--rung", help="only those of this rung")
        if name == "import":
            action.add_argument("--replace", action="store_true", help="put them in the place of recorded ones")
        if name == "prune":
            action.add_argument("--older-than", type=_days, metavar="DAYS", help="only those older than so many days")
            action.add_argument("--all", action="store_true", help="remove all")


def run(arguments: argparse.Namespace) -> int:
    """Do one action; raises ConfigError for a folder or a file that cannot be used."""
    try:
        status: int = arguments.action(arguments)
    except OSError as error:
        raise ConfigError(f"recorded answers cannot be read or kept ({error})") from None
    return status


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days < 1e6:
        raise ValueError(text)
    return days


def _opened(folder: Path, *, must_be_there: bool, overwrite: bool = False) -> AnswerCache:
    if must_be_there and not (folder / FILE_NAME).is_file():
        raise ConfigError(f"there are no recorded answers in {folder}: name their folder with --dir")
    try:
        return AnswerCache(folder, overwrite=overwrite)
    except OSError as error:
        raise ConfigError(f"recorded answers cannot be kept in {folder} ({error}): name another folder") from None


def _export(arguments: argparse.Namespace) -> int:
    cache = _opened(arguments.dir, must_be_there=True)
    try:
        answers = list(cache.entries(rung=arguments.rung))
        lines = lines_of(answers, cache.declarations())
        if str(arguments.file) == "-":
            write_data(lines)
            return 0
        refuse_other(arguments.file, "export of recorded answers", is_own=is_export)
        # It holds prompts, as the recorded answers do, so only its owner may read it until it is committed.
        write_whole(arguments.file, lines, private=True)
    finally:
        cache.close()
    say(f"{len(answers)} answers in {arguments.file}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    """Import a whole file; a wrong line raises ConfigError before any answer is kept."""
    for _ in read_lines(arguments.file):
        pass
    cache = _opened(arguments.dir, must_be_there=False, overwrite=arguments.replace)
    total = new = 0
    try:
        for batch in _batches(read_lines(arguments.file)):
            answers = [line for line in batch if isinstance(line, Recorded)]
            new += cache.keep_all(answers)
            total += len(answers)
            for line in batch:
                if not isinstance(line, Recorded):
                    cache.declare(*line)
    finally:
        cache.close()
    say(f"{new} answers are new of the {total} in {arguments.file}")
    return 0


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while batch := list(islice(lines, _BATCH)):
        yield batch


def _stat(arguments: argparse.Namespace) -> int:
    cache = _opened(arguments.dir, must_be_there=True)
    answers_by_rung: dict[str, list[Recorded]] = {}
    for answer in cache.entries():
        answers_by_rung.setdefault(answer.rung, []).append(answer)
    cache.close()
    table = [
        [rung, len(answers), _tokens(answers), answers[-1].recorded, answers[0].recorded]
        for rung, answers in sorted(answers_by_rung.items())
    ]
    say(tabulate(table, headers=["rung", "answers", "tokens", "first", "last"], tablefmt="plain"))
    say(f"{(arguments.dir / FILE_NAME).stat().st_size / 1e6:.1f} MB in {arguments.dir / FILE_NAME}")
    return 0


def _tokens(answers: Iterable[Recorded]) -> str:
    """The sum of the answers' tokens, or `unknown` where one answer's are not known."""
    totals = [answer.reply.tokens.total for answer in answers]
    return "unknown" if None in totals else f"{sum(total or 0 for total in totals):,}"


def _prune(arguments: argparse.Namespace) -> int:
    if not (arguments.all or arguments.rung or arguments.older_than is not None):
        raise ConfigError("cache prune was not told what to remove: give --older-than, --rung, or --all")
    cache = _opened(arguments.dir, must_be_there=True)
    age = None if arguments.older_than is None else clocks.now() - timedelta(days=arguments.older_than)
    removed = cache.remove(rung=arguments.rung, before=None if age is None else age.isoformat(timespec="seconds"))
    cache.close()
    say(f"{removed} answers removed")
    return 0
