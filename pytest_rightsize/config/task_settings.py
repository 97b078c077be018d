"""Settings of a task from a `rightsize` marker or a `[tasks.x]` table, and how several of them are merged.

One rule says which wins, setting by setting: the place nearest to the test. That is the marker of the function, then of
its class, then of its module; then `[tasks.NAME]` of the ladder file; then the command line, the ini file, the default.

A wrong argument of a marker is a ConfigError that names the test and the argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pytest

from pytest_rightsize.config.table_checks import LARGEST
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.escaping import one_line
from pytest_rightsize.records import Waiver

__all__ = ["ChosenSource", "TaskSettings", "marked_settings", "merged"]


@dataclass(frozen=True, kw_only=True)
class ChosenSource:
    """The place where the application keeps the name of its model: a key of a file, or an environment variable."""

    file: str | None = None
    key: str | None = None
    env: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """The settings in one marker or one `[tasks.x]` table; None means not set there."""

    pass_rate: float | None = None
    confidence: float | None = None
    samples: int | None = None
    chosen: str | ChosenSource | None = None
    private: bool | None = None
    max_tokens: int | None = None
    concurrent: bool | None = None
    waive: tuple[Waiver, ...] | None = None
    requests_per_month: float | None = None


# A waiver excuses a task for some weeks; it belongs in the ladder file, where all of them can be read at once. So does
# how often the application asks, which no test knows.
_OF_THE_FILE = ("waive", "requests_per_month")
_ARGUMENTS = ("task", *(field.name for field in fields(TaskSettings) if field.name not in _OF_THE_FILE))


def marked_settings(nodeid: str, marker: pytest.Mark) -> tuple[str | None, TaskSettings]:
    """The task name and settings of one `rightsize` marker; raises ConfigError naming the test and the argument."""
    where = f"the marker rightsize of {nodeid}"
    if marker.args:
        raise ConfigError(
            f"{where} was given {marker.args[0]!r} without a name: write rightsize(task={marker.args[0]!r})"
        )
    for name in marker.kwargs:
        if name not in _ARGUMENTS:
            raise unknown_name(where, name, _ARGUMENTS, noun="argument")
    values = dict(marker.kwargs)
    task = values.pop("task", None)
    if isinstance(values.get("chosen"), Mapping):
        values["chosen"] = _chosen_source(where, values["chosen"])
    _check_types(where, {"task": task, **values})
    return task, TaskSettings(**values)


def _chosen_source(where: str, source: Mapping[str, str]) -> ChosenSource:
    if set(source) not in ({"file", "key"}, {"env"}):
        raise ConfigError(
            f"{where} was given chosen={dict(source)!r}: give {{'file': ..., 'key': ...}} or {{'env': ...}}"
        )
    return ChosenSource(**source)


_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "task": (str, "a name on one line, without control characters"),
    "pass_rate": ((int, float), "a number from 0 to 1"),
    "confidence": ((int, float), "a number between 0.5 and 1"),
    "samples": (int, f"a whole number, 1 to {LARGEST['samples']:,}"),
    "chosen": ((str, ChosenSource), "a rung's name, a model id, or a dict that says where it is written"),
    "private": (bool, "True or False"),
    "max_tokens": (int, f"a whole number, 1 to {LARGEST['max_tokens']:,}"),
    "concurrent": (bool, "True or False"),
}


def _check_types(where: str, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        allowed, words = _TYPES[name]
        if value is None:
            continue
        mistaken_bool = isinstance(value, bool) and allowed is not bool
        out_of_range = isinstance(value, int | float) and (
            (name == "pass_rate" and not 0 <= value <= 1)
            or (name == "confidence" and not 0.5 < value < 1)
            or (name in ("samples", "max_tokens") and not 1 <= value <= LARGEST[name])
        )
        breaks_lines = name == "task" and isinstance(value, str) and one_line(value) != value
        if not isinstance(value, allowed) or mistaken_bool or out_of_range or value == "" or breaks_lines:
            raise ConfigError(f"{where} was given {name}={value!r}: give {words}")


def merged(*layers: TaskSettings) -> TaskSettings:
    """Merge the layers; where several have a setting, the earliest wins."""
    values: dict[str, Any] = {}
    for layer in reversed(layers):
        values |= {name: value for name, value in vars(layer).items() if value is not None}
    return TaskSettings(**values)
