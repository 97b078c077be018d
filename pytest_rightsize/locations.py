"""Where something is written, as `file:line`: the line that a person has to change, for annotations and reports.

Text in, line numbers out; what cannot be found is None, never a guess at line 1.
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
    """The line, counted from 1, on which the key of a TOML, JSON or YAML file stands; None where it is not found.

    In TOML a key inside an inline table is found at the line of the table.
    """
    if suffix.lower() == ".toml":
        return _toml_line(text, tuple(keys))
    return _nested_line(text, keys)


def _toml_line(text: str, keys: tuple[str, ...]) -> int | None:
    """The line of the longest beginning of `keys` that starts no table: `chosen = ..` before `[tasks.x]`."""
    best: tuple[int, int] | None = None
    for number, path in _toml_keys(text):
        if keys[: len(path)] == path and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None


def _toml_keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each line that assigns a key, and the key from the top of the file."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            table = _path(line) or table
        elif found := _TOML_KEY.match(line):
            path = _path(f"{found[1]} = 0")
            if path:
                yield number, (*table, *path)


def _path(line: str) -> tuple[str, ...]:
    """The key that one line of TOML names, as tomllib reads it; empty where it is no such line."""
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
    """JSON and YAML: each key is looked for after the one that holds it."""
    position = 0
    for key in keys:
        found = re.compile(rf"""^[ \t{{,-]*["']?{re.escape(key)}["']?[ \t]*:""", re.MULTILINE).search(text, position)
        found = found or re.compile(rf'"{re.escape(key)}"\s*:').search(text, position)
        if found is None:
            return None
        position = found.end()
    return text.count("\n", 0, position) + 1
