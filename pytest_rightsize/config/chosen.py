"""Finds the rung that the application uses for a task: its `chosen`, which may stand in a file or a variable.

A `chosen` and a Ladder come in; the name of a rung goes out, and the place where it was read. It reads the
application's TOML, JSON or YAML file and never writes it.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pytest_rightsize.bounded_files import whole_text
from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.ladder import Ladder, check_rung
from pytest_rightsize.config.task_settings import ChosenSource
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Json
from pytest_rightsize.strict_json import loads

__all__ = ["resolve_chosen"]


def resolve_chosen(
    chosen: str | ChosenSource | None, *, ladder: Ladder, base_dir: Path, env: Mapping[str, str], task: str
) -> tuple[str | None, str | None]:
    """The rung that the application uses for `task`, and the place where that is written; raises ConfigError.

    A value is a rung's name, or the id of a model that exactly one rung uses.
    """
    if chosen is None:
        return None, None
    if isinstance(chosen, str):
        return _rung_of(chosen, ladder, f"chosen of task {task!r}"), f"chosen of {task}"
    value, where = _read_source(chosen, base_dir, env, task)
    return _rung_of(value, ladder, f"chosen of task {task!r}, from {where}"), where


def _read_source(source: ChosenSource, base_dir: Path, env: Mapping[str, str], task: str) -> tuple[str, str]:
    """The text at the place that `source` names, and that place in words."""
    if source.env is not None:
        value = env.get(source.env)
        if not value:
            raise ConfigError(
                f"chosen of task {task!r}: the variable {source.env} is not set: set it as the application does"
            )
        return value, f"the variable {source.env}"
    path = base_dir / str(source.file)
    value = _read_settings(path, task)
    where = f"{source.key} in {source.file}"
    for part in str(source.key).split("."):
        if not isinstance(value, Mapping) or part not in value:
            keys_there = f"; at that level it has {', '.join(map(str, value))}" if isinstance(value, Mapping) else ""
            raise ConfigError(f"chosen of task {task!r}: {path} has no key {source.key!r}{keys_there}")
        value = value[part]
    if not isinstance(value, str):
        raise ConfigError(f"chosen of task {task!r}: {where} is {value!r}, and should be the name of a model")
    return value, where


def _read_settings(path: Path, task: str) -> Json:
    """Parse a TOML, JSON or YAML file, by its suffix."""
    try:
        text = whole_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"chosen of task {task!r}: cannot read {path} ({error}): correct `file`") from None
    try:
        match path.suffix.lower():
            case ".toml":
                return tomllib.loads(text)
            case ".json":
                return loads(text)
            case ".yaml" | ".yml":
                return _parse_yaml(text, path, task)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"chosen of task {task!r}: {path} cannot be parsed: {error}") from None
    raise ConfigError(f"chosen of task {task!r}: {path} must end in .toml, .json, .yaml or .yml")


def _parse_yaml(text: str, path: Path, task: str) -> Json:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            f'chosen of task {task!r}: {path} is YAML, which needs: python -m pip install "pytest-rightsize[yaml]"'
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _rung_of(value: str, ladder: Ladder, where: str) -> str:
    """The rung of that name, else the only rung that uses that model."""
    if value in ladder.known or value in ladder.spreads:
        check_rung(value, [*ladder.known], ladder.spreads, where=where)
        return value
    users = [rung.name for rung in (ladder.rungs or CATALOGUE).values() if rung.model == value]
    if len(users) == 1:
        return users[0]
    if users:
        raise ConfigError(f"{where}: {value!r} is the model of {', '.join(users)}: name the rung instead")
    models = [rung.model for rung in ladder.rungs.values() if rung.model]
    unknown = unknown_name(where, value, [*ladder.rungs, *models, *CATALOGUE], noun="rung or model")
    raise ConfigError(f"{unknown} To choose another model, add a rung with model = {value!r} to the ladder file.")
