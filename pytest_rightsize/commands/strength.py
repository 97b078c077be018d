"""Say how many wrong answers the tests of each task let pass, from the answers of a results file.

The tests that passed on the smallest rung are started again, each with answers of other cases, an empty one, a refusal,
half of its own answer, and its own prompt. No model is asked.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from tabulate import tabulate

from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._runs import add_run_argument, read_summary
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.strength import strength_note
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_strengths, withheld_in
from pytest_rightsize.strength_records import KINDS, Strength, WrongKind

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize strength run.jsonl",)

_HEADERS: Mapping[WrongKind, str] = {
    "other": "other cases",
    "empty": "empty",
    "refusal": "refusals",
    "truncated": "truncated",
    "prompt": "prompts",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the results file and the folder of the tests."""
    add_run_argument(parser, "results")
    parser.add_argument("--root", metavar="DIR", type=Path, default=Path(), help="pytest's rootdir (default: .)")


def run(arguments: argparse.Namespace) -> int:
    """Play the answers and print the table; raises ConfigError for a file without answers, or tests that do not start.

    The tests are those below the folder of today: where they have changed, it is the changed ones that are played to.
    """
    results = read_summary(arguments.results)
    if "answers" in withheld_in(results):
        raise ConfigError(
            f"{arguments.results} has hashes in the place of answers (--rightsize-redact=answers), and these cannot be "
            f"played. Run the tests with --rightsize-strength instead"
        )
    smallest = {verdict.task: verdict.smallest for verdict in judge(results) if verdict.smallest is not None}
    if not smallest:
        raise ConfigError(
            f"no task passes on any rung in {arguments.results}: there is nothing to play wrong answers to"
        )
    strengths = _play(results, arguments.results.resolve(), arguments.root.resolve(), smallest)
    lines = [*_table([strengths[task] for task in smallest if task in strengths]), *_notes(strengths, smallest)]
    say("\n".join(lines))
    return 0


def _play(results: Run, file: Path, root: Path, smallest: dict[str, str]) -> dict[str, Strength]:
    """Start pytest on the tests of the run, in a mode that only plays."""
    tests = dict.fromkeys(
        trial.key.case.partition("::")[0]
        for trial in results.trials
        if smallest.get(trial.key.task) == trial.key.rung and trial.outcome == "passed"
    )
    missing = [test for test in tests if not (root / test).is_file()]
    if missing:
        raise ConfigError(
            f"{root} has no {missing[0]}: give the rootdir that pytest shows at its start, with --root=DIR"
        )
    rungs = [rung.name for rung in results.rungs if rung.name in smallest.values()]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "strengths.jsonl"
        process = subprocess.run(
            [*_command(results, file, rungs), f"--rightsize-results={output}", f"--rootdir={root}", *tests],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if not output.is_file():
            raise ConfigError(
                f"pytest could not start the tests in {root}; it says:\n{_said(process.stdout, process.stderr)}"
            )
        return read_strengths(output)


def _command(results: Run, file: Path, rungs: Sequence[str]) -> list[str]:
    """Pytest, whatever its ini file says: in one process, and with the names of cases that the run had."""
    withheld = ",".join(withheld_in(results))
    return [
        *(sys.executable, "-m", "pytest", "-q"),
        *(["-n0"] if find_spec("xdist") else []),
        f"--rightsize-strength-of={file}",
        f"--rightsize-ladder={','.join(rungs)}",
        "--rightsize-cache=replay",
        *([f"--rightsize-redact={withheld}"] if withheld else ["-o", "rightsize_redact="]),
    ]


def _said(*outputs: str) -> str:
    """The end of what pytest wrote."""
    lines = [line for output in outputs for line in output.strip().splitlines()]
    return "\n".join(lines[-20:])


def _table(strengths: Sequence[Strength]) -> list[str]:
    """A row for each task: how many of each kind of wrong answer passed."""
    rows = [[strength.task, strength.rung, *(_cell(strength, kind) for kind in KINDS)] for strength in strengths]
    headers = ["task", "rung", *(_HEADERS[kind] for kind in KINDS)]
    table: str = tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True)
    return ["wrong answers that the tests of each task let pass", *table.splitlines()]


def _cell(strength: Strength, kind: WrongKind) -> str:
    count = strength.kinds.get(kind)
    return "-" if count is None else f"{count.passed}/{count.played}"


def _notes(strengths: dict[str, Strength], smallest: dict[str, str]) -> list[str]:
    """Doubts, and what could not be played."""
    notes = []
    for task in smallest:
        if task not in strengths:
            notes.append(f"{task}: not played: none of its tests was found")
            continue
        strength = strengths[task]
        notes += [f"{task}: {note}" for note in [strength_note(strength)] if note]
        if strength.unmeasured is not None:
            notes.append(f"{task}: not measured: {strength.unmeasured}")
        elif strength.uncounted:
            notes.append(f"{task}: {strength.uncounted} starts tell nothing: {strength.uncounted_because}")
    return notes
