"""Command line of `rightsize`: finds the commands, runs the one that is named, returns its exit status.

It knows no command by name: each is a file of this folder, and only the one that is named is imported.
"""

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from pytest_rightsize import commands
from pytest_rightsize.commands._output import complain, say
from pytest_rightsize.commands._parsing import CommandParser, examples_text
from pytest_rightsize.errors import ConfigError, unknown_name

__all__ = ["main"]

# argparse gives 2 for bad arguments as well.
_BAD_INPUT = 2
_COMPLETION = "--print-completion"
_MORE = """\
rightsize COMMAND --help has examples. Completion of a shell: rightsize --print-completion bash, zsh, fish or tcsh (with
the package shtab, which pip install 'pytest-rightsize[completion]' gets); in bash:

  eval "$(rightsize --print-completion bash)"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 2 for bad input, which is reported in one line."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(given)
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does; the rest of the output has nowhere to go.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # the interpreter closes it
        return 0
    except ConfigError as error:
        complain(f"rightsize: {error}")
        return _BAD_INPUT


def _run(given: Sequence[str]) -> int:
    name = given[0] if given else ""
    if not name:
        _parser([]).print_help()
        return 0
    if not name.startswith("-") and name not in _command_names():
        raise unknown_name("the command line", name, _command_names(), noun="command")
    if name.startswith(_COMPLETION):
        return _print_completion(given)
    arguments = _parser([name]).parse_all(given)
    status: int = arguments.run(arguments)
    sys.stdout.flush()
    return status


def _parser(whole: Sequence[str]) -> CommandParser:
    """The parser, which knows the arguments of the `whole` commands, and of all others what they are for."""
    parser = CommandParser(
        prog="rightsize", description="Find the smallest language model that passes your tests.", epilog=_MORE
    )
    parser.add_argument("--version", action=_Version, help="print the versions of this package and of pytest, and end")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=CommandParser)
    for name, module in _command_names().items():
        if name in whole:
            command = import_module(module)
            summary, rest = _summary(command.__doc__ or ""), command.__doc__
            subparser = subparsers.add_parser(
                name, help=summary, description=rest, epilog=examples_text(command.EXAMPLES)
            )
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run, parser=subparser)
        else:
            subparsers.add_parser(name, help=_summary(_docstring(module)))
    return parser


def _command_names() -> dict[str, str]:
    """The module of each command: the files of this folder, except those that begin with an underscore.

    A file whose command is a word of Python, as `import` is, ends in an underscore.
    """
    found = sorted(module.name for module in iter_modules(commands.__path__) if not module.name.startswith("_"))
    return {name.removesuffix("_"): f"{commands.__name__}.{name}" for name in found}


def _docstring(module: str) -> str:
    """The docstring of a module that is not imported, which would take a tenth of a second for some."""
    spec = find_spec(module)
    source = "" if spec is None or spec.origin is None else Path(spec.origin).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def _summary(docstring: str) -> str:
    return docstring.partition("\n")[0]


def _print_completion(given: Sequence[str]) -> int:
    """Print the script that lets a shell complete commands and options."""
    try:
        import shtab
    except ImportError:
        raise ConfigError(
            f"{_COMPLETION} needs the package shtab: pip install 'pytest-rightsize[completion]'"
        ) from None
    shell = given[0].partition("=")[2] or "".join(given[1:2])
    if shell not in shtab.SUPPORTED_SHELLS:
        raise unknown_name(_COMPLETION, shell, shtab.SUPPORTED_SHELLS, noun="shell")
    parser = _parser([*_command_names()])
    _complete_files(parser, shtab.FILE)
    say(shtab.complete(parser, shell=shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser, files: object) -> None:
    """Have names of files completed wherever a command takes a path."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                _complete_files(subparser, files)
        elif getattr(action.type, "__name__", "") in ("Path", "run_file") or action.metavar == "FILE":
            action.complete = files  # type: ignore[attr-defined]  # where shtab looks


class _Version(argparse.Action):
    """Prints versions; they are looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002  # argparse's name
        super().__init__(option_strings, dest, nargs=0, help=help, default=argparse.SUPPRESS)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version
        from platform import python_version

        say(f"rightsize {version('pytest-rightsize')} (pytest {version('pytest')}, Python {python_version()})")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
