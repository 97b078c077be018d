"""The one place where a session writes to pytest's terminal: what it writes is harmless, and holds no secret."""

from collections.abc import Iterable
from typing import Any

from pytest_rightsize.escaping import one_line, printable
from pytest_rightsize.providers.environment import known_secrets

__all__ = ["write_coloured_line", "write_command", "write_line", "write_title"]


def write_line(reporter: Any, text: str, **markup: bool) -> None:
    """Write a line, or several, to pytest's terminal reporter."""
    reporter.write_line(_shown(text), **markup)


def write_title(reporter: Any, character: str, text: str, **markup: bool) -> None:
    """Write a line of that character with the text in its middle."""
    reporter.write_sep(character, _shown(text), **markup)


def write_command(reporter: Any, command: str) -> None:
    """Write a command to the CI system, which is one line and has nothing of others in it that is not escaped."""
    reporter.write_line(known_secrets()(one_line(command)))


def write_coloured_line(reporter: Any, parts: Iterable[tuple[str, str | None]]) -> None:
    """Write a line whose parts have colours of their own; None is no colour."""
    mask = known_secrets()
    for text, colour in parts:
        reporter.write(mask(printable(text)), **({colour: True} if colour else {}))
    reporter.write_line("")


def _shown(text: str) -> str:
    return known_secrets()(printable(text))
