"""Turns a `[tasks.NAME]` table of the ladder file into TaskSettings.

Whatever is wrong is a ConfigError that names the key. No file is read: a `chosen` that stands in a file or a variable
stays a ChosenSource.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import get_args

from pytest_rightsize.config.table_checks import NUMBER, check_keys, check_type
from pytest_rightsize.config.task_settings import ChosenSource, TaskSettings
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.records import GateName, Json, Waiver

__all__ = ["TASK_KEYS", "parse_task"]

TASK_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "pass_rate": NUMBER,
    "confidence": NUMBER,
    "samples": int,
    "chosen": (str, dict),
    "private": bool,
    "max_tokens": int,
    "concurrent": bool,
    "requests_per_month": NUMBER,
    "waive": (dict, list),
}
"""The keys of a `[tasks.NAME]` table, with their types."""


def parse_task(plain: Mapping[str, Json], *, where: str) -> TaskSettings:
    """The settings that one table holds; raises ConfigError, where `where` names the table."""
    check_keys(plain, TASK_KEYS, where=where)
    for key, value in plain.items():
        check_type(value, TASK_KEYS[key], where=f"{where}: {key}")
    if not 0 <= plain.get("pass_rate", 1) <= 1:
        raise ConfigError(f"{where}: pass_rate = {plain['pass_rate']} cannot be: give a number from 0 to 1")
    if not 0.5 < plain.get("confidence", 0.95) < 1:
        raise ConfigError(
            f"{where}: confidence = {plain['confidence']} cannot be: give a number between 0.5 and 1, such as 0.95"
        )
    for key in ("samples", "max_tokens"):
        if plain.get(key, 1) < 1:
            raise ConfigError(f"{where}: {key} = {plain[key]} cannot be: give a whole number, 1 or more")
    if plain.get("requests_per_month", 1) <= 0:
        raise ConfigError(
            f"{where}: requests_per_month = {plain['requests_per_month']} cannot be: give how often the application "
            f"asks this in a month, such as 200_000"
        )
    values = dict(plain)
    if isinstance(values.get("chosen"), Mapping):
        values["chosen"] = _chosen_source(values["chosen"], where=f"{where}: chosen")
    if "waive" in values:
        waivers = values["waive"] if isinstance(values["waive"], list) else [values["waive"]]
        values["waive"] = tuple(_waiver(waiver, where=f"{where}: waive") for waiver in waivers)
    return TaskSettings(**values)


def _waiver(plain: Json, *, where: str) -> Waiver:
    """A waiver with its last day and its reason: without either, a gate would stay off and nobody would know why."""
    example = '{ gate = "oversized", until = 2027-01-31, reason = "..." }'
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where} = {plain!r} cannot be: give {example}, or a list of such")
    check_keys(plain, ["gate", "until", "reason"], where=where)
    for key in ("gate", "until", "reason"):
        if not plain.get(key):
            raise ConfigError(f"{where} has no {key}: write {example}")
    if plain["gate"] not in get_args(GateName):
        raise unknown_name(where, str(plain["gate"]), get_args(GateName), noun="gate")
    until = plain["until"]
    if not isinstance(until, date) or isinstance(until, datetime):
        raise ConfigError(f"{where}.until = {until!r} cannot be: give a day without quotes, as in until = 2027-01-31")
    check_type(plain["reason"], str, where=f"{where}.reason")
    return Waiver(gate=plain["gate"], until=until.isoformat(), reason=plain["reason"])


def _chosen_source(plain: Mapping[str, Json], *, where: str) -> ChosenSource:
    check_keys(plain, ["file", "key", "env"], where=where)
    if set(plain) not in ({"file", "key"}, {"env"}):
        raise ConfigError(f'{where} says {dict(plain)}: give {{ file = "...", key = "a.b" }} or {{ env = "VARIABLE" }}')
    for key, value in plain.items():
        check_type(value, str, where=f"{where}.{key}")
    return ChosenSource(**plain)
