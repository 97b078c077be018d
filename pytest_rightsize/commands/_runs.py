"""The results file that an argument of a command names: a path, or the number of a kept run."""

import argparse
from pathlib import Path

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Run
from pytest_rightsize.results.kept_runs import named_run

__all__ = ["add_run_argument", "check_run", "run_file"]


def run_file(text: str) -> Path:
    """The file: a path, the number of a kept run, or `last`; raises ConfigError for a number that is not kept."""
    return named_run(text)


def check_run(run: Run, path: Path) -> None:
    """Raise ConfigError for a file without a run: it is empty, or the session ended before it asked anything."""
    if not run.rungs:
        raise ConfigError(f"{path} has no run: it is empty, or its session ended before it began to ask. Name another")


def add_run_argument(parser: argparse.ArgumentParser, name: str = "run_file", metavar: str = "RUN") -> None:
    """Add the argument that names a run."""
    parser.add_argument(name, metavar=metavar, type=run_file, help="a results file, the number of a kept run, or last")
