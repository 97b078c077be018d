"""Reads YAML and JSON files of other tools; tells at which line of a YAML file a mapping begins.

By the rules of YAML 1.2, as tools in JavaScript read it: `yes` is a text and `12:30` no number.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from pytest_rightsize.bounded_files import LARGEST_FILE_BYTES, LARGEST_YAML_BYTES, numbered_lines, whole_text
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["Lined", "line_of", "read_lines", "read_text", "read_yaml"]


class Lined(dict[str, Json]):
    """A mapping of a YAML file, with the number of its first line."""

    line: int | None = None


def line_of(value: Json) -> int | None:
    """The line at which a mapping begins; None of anything else, and in JSON."""
    return value.line if isinstance(value, Lined) else None


def read_text(path: Path) -> str:
    """The text of a file; raises ConfigError where it cannot be read."""
    largest = LARGEST_YAML_BYTES if path.suffix.lower() in (".yaml", ".yml") else LARGEST_FILE_BYTES
    try:
        return whole_text(path, "utf-8-sig", largest_bytes=largest)
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror})") from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that hold anything, with their numbers; raises ConfigError where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line) for number, line in numbered_lines(file, path) if line.strip())
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror})") from None


def read_yaml(path: Path) -> Json:
    """The value in a YAML file, or in a JSON file by its suffix; raises ConfigError."""
    text = read_text(path)
    if path.suffix.lower() == ".json":
        try:
            return loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}:{error.lineno}: this is not JSON ({error.msg})") from None
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON ({error})") from None
    try:
        import yaml
    except ImportError:
        raise ConfigError(f'{path} is YAML, which needs: python -m pip install "pytest-rightsize[yaml]"') from None
    try:
        return yaml.load(text, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: this is not YAML ({error.problem or error.context})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML ({' '.join(str(error).split())})") from None


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as PyYAML declares it

    def mapping(loader: Loader, node: Any) -> Any:
        data = Lined()
        data.line = node.start_mark.line + 1
        yield data
        data.update({_key(key): value for key, value in loader.construct_mapping(node).items()})

    core: dict[str, tuple[str, Iterable[str], Callable[[str], Json]]] = {
        "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
        "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""], lambda _: None),
        "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _whole),
        "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789", float),
    }
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    for name, (pattern, first, read) in core.items():
        tag = f"tag:yaml.org,2002:{name}"
        Loader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), [*first])
        Loader.add_constructor(tag, partial(_scalar, read))
    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
    return Loader


def _scalar(read: Callable[[str], Json], loader: Any, node: Any) -> Json:
    return read(loader.construct_scalar(node))


def _whole(text: str) -> int:
    prefix = text[:2]
    return int(text, {"0o": 8, "0x": 16}.get(prefix, 10))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)
