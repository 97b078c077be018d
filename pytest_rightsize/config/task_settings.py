"""What a `rightsize` marker or a `[tasks.x]` table says of a task, checked, and one on top of the other.

A wrong value is a ConfigError that names the test and the argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import pytest

from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import Waiver

__all__ = ["ChosenSource", "TaskSettings", "marked_settings", "merged"]


@dataclass(frozen=True, kw_only=True)
class ChosenSource:
    """Where the application keeps the name of the model it uses: a key of a file, or an environment variable."""

    file: str | None = None
    key: str | None = None
    env: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What a marker or a `[tasks.x]` table says of a task; None means it does not say."""

    pass_rate: float | None = None
    confidence: float | None = None
    samples: int | None = None
    chosen: str | ChosenSource | None = None
    private: bool | None = None
    max_tokens: int | None = None
    concurrent: bool | None = None
    waive: tuple[Waiver, ...] | None = None


def marked_settings(nodeid: str, marker: pytest.Mark) -> tuple[str | None, TaskSettings]:
    """The task name and settings of one `rightsize` marker; raises ConfigError naming the test and the argument."""
    where = f"the marker rightsize of {nodeid}"
    # A waiver excuses a task for some weeks; it stands in the ladder file, where one reads all of them at once.
    known = ["task", *(field.name for field in fields(TaskSettings) if field.name != "waive")]
    if marker.args:
        raise ConfigError(
            f"{where} was given {marker.args[0]!r} without a name: write rightsize(task={marker.args[0]!r})"
        )
    for name in marker.kwargs:
        if name not in known:
            raise unknown_name(where, name, known, noun="argument")
    values = dict(marker.kwargs)
    task = values.pop("task", None)
    if isinstance(values.get("chosen"), Mapping):
        values["chosen"] = _chosen_source(where, values["chosen"])
    _check_types(where, {"task": task, **values})
    return task, TaskSettings(**values)


def _chosen_source(where: str, given: Mapping[str, str]) -> ChosenSource:
    if set(given) not in ({"file", "key"}, {"env"}):
        raise ConfigError(
            f"{where} was given chosen={dict(given)!r}: give {{'file': ..., 'key': ...}} or {{'env': ...}}"
        )
    return ChosenSource(**given)


_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "task": (str, "a name"),
    "pass_rate": ((int, float), "a number from 0 to 1"),
    "confidence": ((int, float), "a number between 0.5 and 1"),
    "samples": (int, "a whole number, 1 or more"),
    "chosen": ((str, ChosenSource), "a rung's name, a model id, or a dict that says where it is written"),
    "private": (bool, "True or False"),
    "max_tokens": (int, "a whole number, 1 or more"),
    "concurrent": (bool, "True or False"),
}


def _check_types(where: str, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        wanted, words = _TYPES[name]
        if value is None:
            continue
        mistaken_bool = isinstance(value, bool) and wanted is not bool
        out_of_range = isinstance(value, int | float) and (
            (name == "pass_rate" and not 0 <= value <= 1)
            or (name == "confidence" and not 0.5 < value < 1)
            or (name in ("samples", "max_tokens") and value < 1)
        )
        if not isinstance(value, wanted) or mistaken_bool or out_of_range or value == "":
            raise ConfigError(f"{where} was given {name}={value!r}: give {words}")


def merged(*layers: TaskSettings) -> TaskSettings:
    """One TaskSettings from several; an earlier layer wins where it says something."""
    result = TaskSettings()
    for layer in reversed(layers):
        said = {field.name: value for field in fields(layer) if (value := getattr(layer, field.name)) is not None}
        result = replace(result, **said)
    return result
