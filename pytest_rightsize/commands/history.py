"""List the runs that were kept, and say of each task which model was the smallest that passes, run by run.

Each session that climbs a ladder keeps its run in .rightsize/runs, the last 20 of them (--rightsize-runs). Other
commands take its number for a file, as in `rightsize show 12`, and `last`.
"""

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tabulate import tabulate

from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._trends import last_change, run_name, smallest_cell
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.results.kept_runs import FOLDER, kept_runs, number_of
from pytest_rightsize.results.run_summaries import RunSummary, read_summary

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize history",
    "rightsize history --task route-ticket --last 50",
    "rightsize history old.jsonl new.jsonl",
)
_WORTH_A_LOOK = ("over-sized", "under-sized", "unsolved", "undecided")
_LEGEND = (
    "(the smallest model that passes, newest run last, with its passes of trials where all were run; - none passes, "
    "? undecided)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize history`."""
    parser.add_argument(
        "files", metavar="RUN.jsonl", type=Path, nargs="*", help="these files, in place of the kept runs"
    )
    parser.add_argument("--dir", type=Path, default=FOLDER, help=f"where the runs are kept (default: {FOLDER})")
    parser.add_argument("--task", metavar="T", help="only this task")
    parser.add_argument("--last", type=int, default=20, metavar="N", help="only the last N runs (default 20)")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON array, oldest run first")


def run(arguments: argparse.Namespace) -> int:
    """Print the runs and the trend of each task; raises ConfigError where there is no run, or none has the task."""
    if arguments.last < 1:
        raise ConfigError(f"--last was given {arguments.last}: give the number of runs to show, 1 or more")
    files: Sequence[Path] = arguments.files or kept_runs(arguments.dir)
    if not files:
        raise ConfigError(
            f"no run is kept in {arguments.dir}: climb a ladder first, as in pytest --rightsize-ladder=1b,4b, or name "
            f"results files"
        )
    runs = [read_summary(path) for path in files[-arguments.last :]]
    tasks = list(dict.fromkeys(task for each in reversed(runs) for task in each.tasks))
    if arguments.task is not None:
        if arguments.task not in tasks:
            raise unknown_name("--task", arguments.task, tasks, noun="task")
        tasks = [arguments.task]
    if arguments.json:
        say(json.dumps([_plain(each) for each in runs], indent=1))
        return 0
    say("\n".join([*_list_of(runs), "", *_trends(runs, tasks, shutil.get_terminal_size((100, 24)).columns)]))
    return 0


def _plain(summary: RunSummary) -> dict[str, object]:
    return {**asdict(summary), "path": str(summary.path), "number": number_of(summary.path)}


def _list_of(runs: Sequence[RunSummary]) -> list[str]:
    rows = [
        [
            run_name(each),
            each.started[:16].replace("T", " "),
            (each.commit or "")[:8],
            "<".join(each.rungs),
            _found(each),
        ]
        for each in runs
    ]
    return tabulate(
        rows, headers=["run", "started", "commit", "ladder", "verdicts"], tablefmt="plain", disable_numparse=True
    ).splitlines()


def _found(summary: RunSummary) -> str:
    """How many tasks have which verdict, those first that want something done."""
    counts = Counter(task.verdict for task in summary.tasks.values())
    ordered = [
        *(name for name in _WORTH_A_LOOK if name in counts),
        *(name for name in counts if name not in _WORTH_A_LOOK),
    ]
    parts = [f"{counts[name]} {name.upper() if name in _WORTH_A_LOOK else name}" for name in ordered]
    return ", ".join([*parts, *([] if summary.is_whole else ["cut off"])])


def _trends(runs: Sequence[RunSummary], tasks: Sequence[str], width: int) -> Iterator[str]:
    """A row for each task: its smallest model in each run, as many of the last runs as the terminal holds."""
    for shown in range(len(runs), 0, -1):
        table = _table(runs[-shown:], tasks, runs)
        if shown == 1 or max(map(len, table), default=0) <= width:
            yield from table
            yield _LEGEND
            if shown < len(runs):
                yield f"({len(runs) - shown} earlier runs are left out: a wider window shows them, or --json)"
            return


def _table(shown: Sequence[RunSummary], tasks: Sequence[str], runs: Sequence[RunSummary]) -> list[str]:
    rows = [[task, *(smallest_cell(each.tasks.get(task)) for each in shown), last_change(task, runs)] for task in tasks]
    headers = ["task", *map(run_name, shown), "last change"]
    return tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True).splitlines()
