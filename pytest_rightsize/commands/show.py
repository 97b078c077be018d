"""Show cases of a run with the answers of all rungs side by side: prompt, answers, reasons, tokens, seconds, joules.

Without --task, --rung or --case every case is shown. A case is named as pytest names it, with or without its rung, or
by any part of its name.
"""

import argparse
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._parsing import count
from pytest_rightsize.commands._runs import add_run_argument
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Run, Trial, TrialKey
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.side_by_side import case_lines
from pytest_rightsize.results.results_file import no_trial, read_run

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize show run.jsonl --task route-ticket --rung 1b", "rightsize show last --case 'charged twice'")

_Case = tuple[str, str, int]
"""A task, a case of it, and a sample."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize show`."""
    add_run_argument(parser)
    parser.add_argument("--task", metavar="T", help="only cases of this task")
    parser.add_argument("--rung", metavar="R,..", help="only the answers of these rungs")
    parser.add_argument("--case", metavar="C", help="only cases of this name, or with this in their names")
    parser.add_argument(
        "--width", type=count(20, 10_000), metavar="COLUMNS", help="how wide the lines may be (default: the terminal)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the cases; raises ConfigError for a file that cannot be read, and for a name that the run does not have."""
    # First without texts: those of a large file may not fit in memory, and mostly few of them are shown.
    results = read_run(arguments.run_file, words_of=no_trial)
    if not results.trials:
        raise ConfigError(f"{arguments.run_file} has no trial: the session ended before its first one did")
    rungs = _rungs(results, arguments)
    cases = _cases(results, arguments)
    keys = {key for of_case in cases.values() for key in of_case.values() if key.rung in rungs}
    if not keys:
        raise ConfigError(f"{arguments.run_file} has no trial of {' or '.join(rungs)} for what --task and --case name")
    trials = {
        trial.key: trial for trial in read_run(arguments.run_file, words_of=keys.__contains__, with_prompts=True).trials
    }
    width = arguments.width or shutil.get_terminal_size((100, 24)).columns
    for place, of_case in enumerate(cases.values()):
        shown = [trials[of_case[rung]] for rung in rungs if rung in of_case]
        if shown:
            rule = ["", "=" * min(width, 60), ""] if place else []
            say("\n".join([*rule, *case_lines(shown, width=max(40, width))]))
    return 0


def _rungs(results: Run, arguments: argparse.Namespace) -> list[str]:
    """The rungs to show, in the order of the ladder."""
    ladder = [rung.name for rung in results.rungs]
    if arguments.rung is None:
        return ladder
    wanted = [name.strip() for name in arguments.rung.split(",") if name.strip()] or [""]
    for name in wanted:
        if name not in ladder:
            raise unknown_name(f"--rung, in {arguments.run_file}", name, ladder, noun="rung")
    return [rung for rung in ladder if rung in wanted]


def _cases(results: Run, arguments: argparse.Namespace) -> Mapping[_Case, Mapping[str, TrialKey]]:
    """The trials to show, by case and rung, in the order of the file."""
    tasks = list(dict.fromkeys(chain(results.policies, (trial.key.task for trial in results.trials))))
    if arguments.task is not None and arguments.task not in tasks:
        raise unknown_name(f"--task, in {arguments.run_file}", arguments.task, tasks, noun="task")
    cases: dict[_Case, dict[str, TrialKey]] = defaultdict(dict)
    for key in (trial.key for trial in results.trials):
        if arguments.task in (None, key.task):
            cases[key.task, key.case, key.sample][key.rung] = key
    if arguments.case is None:
        return cases
    wanted = _wanted([case for _, case, _ in cases], arguments.case, [rung.name for rung in results.rungs])
    if not wanted:
        raise _unknown_case(arguments, sorted({case for _, case, _ in cases}), results.trials)
    return {name: of_case for name, of_case in cases.items() if name[1] in wanted}


def _wanted(names: Sequence[str], given: str, rungs: Sequence[str]) -> set[str]:
    """The cases of this name; else those that are named so with a rung, as pytest does; else those it is a part of.

    A part of a name may have a rung too.
    """
    exact = {name for name in names if given in (name, readable_case(name), *_parameters(name))}
    if exact:
        return exact
    without_rung = {*_without_rung(given, rungs)}
    return (
        {name for name in names if name in without_rung or readable_case(name) in without_rung}
        or {name for name in names if given in name or given in readable_case(name)}
        or {name for name in names if any(part in name or part in readable_case(name) for part in without_rung)}
    )


def _parameters(name: str) -> Iterator[str]:
    """What stands in brackets at the end of a test's name."""
    _, bracket, parameters = name.partition("[")
    if bracket:
        yield parameters.removesuffix("]")
        yield readable_case(parameters.removesuffix("]"))


def _without_rung(given: str, rungs: Sequence[str]) -> Iterator[str]:
    """The name of a test without the rung that pytest has in it."""
    head, _, parameters = given.removesuffix("]").partition("[")
    for rung in rungs:
        if parameters == rung:
            yield head
        if parameters.startswith(f"{rung}-"):
            yield f"{head}[{parameters.removeprefix(f'{rung}-')}]"
        if parameters.endswith(f"-{rung}"):
            yield f"{head}[{parameters.removesuffix(f'-{rung}')}]"


def _unknown_case(arguments: argparse.Namespace, names: Sequence[str], trials: Sequence[Trial]) -> ConfigError:
    """The error for a case that is not there: the task that has it, else the nearest name."""
    from rapidfuzz import process

    where = f"--case, in {arguments.run_file}"
    elsewhere = _wanted([trial.key.case for trial in trials], arguments.case, ()) if arguments.task else set()
    owners = sorted({trial.key.task for trial in trials if trial.key.case in elsewhere})
    if owners:
        return ConfigError(f"{where}: {arguments.task} has no case {arguments.case!r}, but {', '.join(owners)} has")
    short = {next(_parameters(name), name): name for name in names}
    nearest = process.extractOne(arguments.case, list(short)) if short else None
    found = f": did you mean {readable_case(nearest[0])!r}?" if nearest else "."
    return ConfigError(f"{where}: no case has {arguments.case!r} in its name{found} There are {len(names):,} cases.")
