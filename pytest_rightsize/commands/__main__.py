"""Command line of `rightsize`: finds the commands, runs the one that is named, returns its exit status.

It knows no command by name: each is a file of this folder.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from pytest_rightsize import commands
from pytest_rightsize.commands._output import complain
from pytest_rightsize.errors import ConfigError

__all__ = ["main"]

# argparse gives 2 for bad arguments as well.
_BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 2 for bad input, which is reported in one line."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does; the rest of the output has nowhere to go.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # the interpreter closes it
        return 0
    except ConfigError as error:
        complain(f"rightsize: {error}")
        return _BAD_INPUT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rightsize", description="Find the smallest language model that passes your tests."
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in _command_names():
        command = import_module(f"{commands.__name__}.{name}")
        summary = (command.__doc__ or "").partition("\n")[0]
        # A file whose command is a word of Python, as `import` is, ends in an underscore.
        subparser = subparsers.add_parser(name.removesuffix("_"), help=summary, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _command_names() -> list[str]:
    """The files of this folder, except those that begin with an underscore, as this one does."""
    return sorted(module.name for module in iter_modules(commands.__path__) if not module.name.startswith("_"))


if __name__ == "__main__":
    sys.exit(main())
