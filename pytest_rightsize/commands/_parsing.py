"""The argument parser of the commands: paragraphs and examples in its help, the nearest name in its errors."""

import argparse
import difflib
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from pytest_rightsize.commands._output import complain

__all__ = ["CommandParser", "count", "examples_text", "nearest_hint"]

_UNKNOWN_ARGUMENTS = "unrecognized arguments: "
_UNKNOWN_CHOICE = re.compile(r"invalid choice: '(?P<given>[^']*)' \(choose from (?P<known>.*)\)")


class CommandParser(argparse.ArgumentParser):
    """As argparse's, but an error names the nearest option or action, and says how to get help."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Formatter, **options})
        self._given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Print what is wrong in one line, and end with status 2."""
        complain(f"{self.prog}: {message}{self._hint(message)}\nSee {self.prog} --help.")
        self.exit(2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and keep what was given, for the errors."""
        self._given = [*(args or ())]
        return super().parse_known_args(args, namespace)

    def parse_all(self, args: Sequence[str]) -> argparse.Namespace:
        """Parse; an unknown option is told by the parser of its command, which knows the command's options."""
        arguments: argparse.Namespace
        arguments, unknown = self.parse_known_args(args)
        if unknown:
            parser: CommandParser = getattr(arguments, "parser", self)
            parser.error(_UNKNOWN_ARGUMENTS + " ".join(unknown))
        return arguments

    def _hint(self, message: str) -> str:
        """The nearest name to the one that is wrong; where an option is missing, it may be one that was misspelt."""
        if match := _UNKNOWN_CHOICE.search(message):
            return nearest_hint(match["given"], re.findall(r"[\w-]+", match["known"]))
        known = [option for action in self._actions for option in action.option_strings]
        given = [word.partition("=")[0] for word in self._given if word.startswith("--") and len(word) > 2]
        unknown = [option for option in given if not any(each.startswith(option) for each in known)]
        if not unknown:
            return ""
        # Where something else is missing too, the message does not have it.
        named = "" if unknown[0] in message else f"; {unknown[0]} is unknown"
        return named + nearest_hint(unknown[0], known)


def count(least: int, most: int) -> Callable[[str], int]:
    """The `type` of an option that counts something: a whole number within these bounds."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is no whole number from {least} to {most:,}")
        return number

    return parse


def nearest_hint(given: str, known: Iterable[str]) -> str:
    """`: did you mean 'NAME'?` for the known name that is nearest to the given one; empty if none is near."""
    nearest = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f": did you mean {nearest[0]!r}?" if nearest else ""


def examples_text(examples: Sequence[str]) -> str:
    """The end of a command's help: each example on a line of its own."""
    return "\n".join(["Example:" if len(examples) == 1 else "Examples:", *(f"  {example}" for example in examples)])


class _Formatter(argparse.HelpFormatter):
    """Keeps paragraphs apart, and indented lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(self._paragraph(part, width, indent) for part in text.strip().split("\n\n"))

    def _paragraph(self, text: str, width: int, indent: str) -> str:
        if re.search(r"^ ", text, re.MULTILINE):
            return textwrap.indent(text, indent)
        return super()._fill_text(text, width, indent)
