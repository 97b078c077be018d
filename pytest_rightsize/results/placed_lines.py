"""The lines of a results file as data, each with its place in the file, as a stream."""

import json
from collections.abc import Iterator
from pathlib import Path

from pytest_rightsize.bounded_files import numbered_lines
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.escaping import one_line
from pytest_rightsize.records import Json
from pytest_rightsize.results.stored_texts import Place, place_of
from pytest_rightsize.strict_json import loads

__all__ = ["line_content", "placed_lines"]

# What stands within lines of a report: a file that others wrote may hold anything here.
_NAMES = ("task", "case", "rung")


def placed_lines(path: Path) -> Iterator[tuple[int, Place, dict[str, Json]]]:
    """The number, place and content of each line; a last line that was cut off in the middle is left out."""
    start = 0
    try:
        with path.open("rb") as file:
            for number, raw in numbered_lines(file, path):
                try:
                    line = line_content(raw)
                except UnicodeDecodeError:
                    raise ConfigError(f"{path}:{number} is not UTF-8 text, and so no results file") from None
                except json.JSONDecodeError as error:
                    if not raw.endswith(b"\n"):
                        return
                    raise ConfigError(f"{path}:{number} is not JSON: {error.msg}") from None
                except (ValueError, RecursionError) as error:
                    raise ConfigError(f"{path}:{number} cannot be read: {error}") from None
                yield number, place_of(start, len(raw)), line
                start += len(raw)
    except OSError as error:
        raise ConfigError(f"cannot read the results file {path}: {error.strerror}") from None


def line_content(raw: bytes) -> dict[str, Json]:
    """A line as data; raises ValueError."""
    line = loads(raw.decode("utf-8"))
    if not isinstance(line, dict):
        raise ValueError("it is not a JSON object")
    for name in _NAMES:
        if isinstance(line.get(name), str):
            line[name] = one_line(line[name])
    return line
