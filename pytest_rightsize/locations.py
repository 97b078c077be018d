"""Locations as `file:line`: the lines that a person has to change, for annotations and reports.

Text in, line numbers out; a key that is not found gives None, never a guess at line 1. It reads no file.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence

from pytest_rightsize.records import Json

__all__ = ["key_line", "place"]

_TOML_KEY = re.compile(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[\w-]+))*)\s*=")


def place(path: str, line: int | None) -> str | None:
    """`file:line`, or None without a line."""
    return None if line is None else f"{path}:{line}"


def key_line(text: str, keys: Sequence[str], *, suffix: str) -> int | None:
    """The line, counted from 1, of a key of a TOML, JSON or YAML file; None where it is not found.

    A key inside an inline table of TOML is found at the line of the table.
    """
    if suffix.lower() == ".toml":
        return _toml_line(text, tuple(keys))
    return _nested_line(text, keys)


def _toml_line(text: str, keys: tuple[str, ...]) -> int | None:
    """The line that assigns the longest prefix of `keys`; the header of a table, as `[tasks.x]`, does not count."""
    best: tuple[int, int] | None = None
    for number, path in _toml_keys(text):
        if keys[: len(path)] == path and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None


def _toml_keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each line that assigns a key, and the full path of that key."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            table = _path(line) or table
        elif assigned := _TOML_KEY.match(line):
            path = _path(f"{assigned[1]} = 0")
            if path:
                yield number, (*table, *path)


def _path(line: str) -> tuple[str, ...]:
    """The path of the key that one line of TOML names, as tomllib reads it; empty for any other line."""
    try:
        plain: Json = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(plain, Mapping | list) and plain:
        if isinstance(plain, list):
            plain = plain[0]
            continue
        key, plain = next(iter(plain.items()))
        path.append(key)
    return tuple(path)


def _nested_line(text: str, keys: Sequence[str]) -> int | None:
    """The line of a key of JSON or YAML: each key is searched for after the one that contains it."""
    position = 0
    for key in keys:
        at = re.compile(rf"""^[ \t{{,-]*["']?{re.escape(key)}["']?[ \t]*:""", re.MULTILINE).search(text, position)
        at = at or re.compile(rf'"{re.escape(key)}"\s*:').search(text, position)
        if at is None:
            return None
        position = at.end()
    return text.count("\n", 0, position) + 1
