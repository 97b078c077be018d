"""The results file that an argument of a command names, a path or the number of a kept run; and what is in it."""

import argparse
from pathlib import Path

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Run
from pytest_rightsize.results.kept_runs import named_run
from pytest_rightsize.results.results_file import no_trial, read_run, withheld_in

__all__ = ["add_run_argument", "check_run", "read_summary", "run_file"]


def run_file(text: str) -> Path:
    """The file: a path, the number of a kept run, or `last`; raises ConfigError for a number that is not kept."""
    return named_run(text)


def check_run(run: Run, path: Path) -> None:
    """Raise ConfigError for a file without a run: it is empty, or the session ended before it asked anything."""
    if not run.rungs:
        raise ConfigError(f"{path} has no run: it is empty, or its session ended before it began to ask. Name another")


def read_summary(path: Path, *, needs_texts: bool = False) -> Run:
    """The run of a results file, without prompts and answers; raises ConfigError where it has none.

    With `needs_texts` also where the file has hashes in place of prompts or answers, so that they cannot be read later.
    """
    run = read_run(path, words_of=no_trial)
    check_run(run, path)
    if needs_texts and (withheld := withheld_in(run)):
        raise ConfigError(
            f"{path} has hashes in place of {' and '.join(withheld)} (--rightsize-redact): run again without it"
        )
    return run


def add_run_argument(parser: argparse.ArgumentParser, name: str = "run_file", metavar: str = "RUN") -> None:
    """Add the argument that names a run."""
    parser.add_argument(name, metavar=metavar, type=run_file, help="a results file, the number of a kept run, or last")
