"""The command `rightsize`: what can be done with results files, and with a ladder, outside a test session."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from pytest_rightsize import commands
from pytest_rightsize.errors import ConfigError

__all__ = ["main"]

# argparse gives 2 for bad arguments as well.
_BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 2 for bad input, which is told in one line."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads along has seen enough, as `head` has; what is left has nowhere to go.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # the interpreter closes it
        return 0
    except ConfigError as error:
        print(f"rightsize: {error}", file=sys.stderr)  # noqa: T201  # this is a command
        return _BAD_INPUT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rightsize", description="Find the smallest language model that passes your tests."
    )
    known = parser.add_subparsers(metavar="COMMAND", required=True)
    for found in sorted(iter_modules(commands.__path__), key=lambda module: module.name):
        if found.name == "__main__":
            continue
        command = import_module(f"{commands.__name__}.{found.name}")
        summary = (command.__doc__ or "").partition("\n")[0]
        one = known.add_parser(found.name, help=summary, description=command.__doc__)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser
