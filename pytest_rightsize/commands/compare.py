"""Compare rungs on the same cases: whether a smaller one is not worse than a larger one, and what it takes.

The answer is one sentence; below it stand pass rates with intervals, the cases that only one of the two passed, exact
McNemar, Tango's interval of the difference, and what a typical case takes of energy, tokens, seconds and cost: these
are geometric mean ratios, not ratios of totals. With two files, the last rung is that of OTHER and the others are those
of RUN.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._parsing import count
from pytest_rightsize.commands._runs import add_run_argument, check_run, run_file
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.judging.comparison import Comparison, compare_several
from pytest_rightsize.records import Run, TrialKey
from pytest_rightsize.reports.comparison_text import comparison_lines, shown_cases
from pytest_rightsize.results.results_file import no_trial, read_run

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize compare run.jsonl --rungs 4b,frontier",
    "rightsize compare old.jsonl new.jsonl --rungs 4b --by task",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize compare`."""
    add_run_argument(parser)
    parser.add_argument("other_file", metavar="OTHER", type=run_file, nargs="?", help="the file of the last rung")
    parser.add_argument(
        "--rungs",
        required=True,
        metavar="A,B",
        help="is A not worse than B? Of several, each is compared with the last; with OTHER one is enough",
    )
    parser.add_argument(
        "--margin", type=float, default=0.05, metavar="M", help="how much worse still is not worse (default 0.05)"
    )
    parser.add_argument("--by", choices=["task"], help="show the figures of each task")
    parser.add_argument(
        "--cases",
        type=count(0, 1_000_000),
        default=10,
        metavar="N",
        help="cases that changed sides to show (default 10)",
    )
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison; raises ConfigError for a wrong file, rung or margin."""
    if not 0 < arguments.margin < 1:
        raise ConfigError(f"--margin was given {arguments.margin:g}: give a fraction of 1, such as 0.05 for 5 points")
    comparisons = _compared(arguments, no_trial)
    shown = _shown(comparisons, arguments)
    if shown:
        # Read again with the texts of these cases only: those of a large file may not fit in memory.
        comparisons = _compared(arguments, lambda key: f"{key.task}: {key.case}" in shown)
    if arguments.json:
        plain = [comparison.to_dict() for comparison in comparisons]
        say(json.dumps(plain[0] if len(plain) == 1 else {"comparisons": plain}, indent=1))
        return 0
    for place, comparison in enumerate(comparisons):
        lines = comparison_lines(comparison, by_task=arguments.by == "task", cases=arguments.cases)
        say("\n".join([*([""] if place else []), *lines]))
    return 0


def _compared(arguments: argparse.Namespace, words_of: Callable[[TrialKey], bool]) -> list[Comparison]:
    """The comparisons, with the texts of only those answers for which `words_of` is true."""
    run_a = read_run(arguments.run_file, words_of=words_of)
    check_run(run_a, arguments.run_file)
    run_b = read_run(arguments.other_file, words_of=words_of) if arguments.other_file else run_a
    check_run(run_b, arguments.other_file or arguments.run_file)
    rungs, reference = _rungs(arguments.rungs, two_files=run_b is not run_a)
    names = _names(arguments.run_file, arguments.other_file or arguments.run_file)
    for rung in rungs:
        _check(rung, run_a, names[0])
    _check(reference, run_b, names[1])
    return compare_several(run_a, rungs, run_b, reference, margin=arguments.margin, names=names)


def _shown(comparisons: Sequence[Comparison], arguments: argparse.Namespace) -> set[str]:
    """The cases whose answers are shown, as `task: case`."""
    pairs = [comparison.overall for comparison in comparisons if comparison.overall is not None]
    shown = (paired.changed if arguments.json else shown_cases(paired, arguments.cases) for paired in pairs)
    return {case.case for cases in shown for case in cases}


def _rungs(text: str, *, two_files: bool) -> tuple[Sequence[str], str]:
    """The rungs to compare, and the reference rung."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if two_files and len(names) == 1:
        names *= 2
    if len(names) < 2:
        raise ConfigError(f"--rungs was given {text!r}: name two rungs, as in --rungs 4b,frontier")
    if not two_files and len(set(names)) < len(names):
        raise ConfigError(f"--rungs was given {text!r}: a rung of one run cannot be compared with itself")
    return names[:-1], names[-1]


def _names(run_file: Path, other_file: Path) -> tuple[str, str]:
    """The names of the two files, or their paths where the names are the same."""
    if run_file.name != other_file.name:
        return run_file.name, other_file.name
    return str(run_file), str(other_file)


def _check(rung: str, run: Run, file_name: str) -> None:
    rung_names = [each.name for each in run.rungs]
    if rung not in rung_names:
        raise unknown_name(f"--rungs, in {file_name}", rung, rung_names, noun="rung")
