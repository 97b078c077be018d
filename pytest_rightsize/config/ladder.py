"""Reads the ladder file: TOML comes in, a Ladder of checked rungs and task settings goes out.

`parse_ladder` is pure; only `read_ladder` touches the disk. Whatever is wrong is a ConfigError that names the file, the
key, and the nearest known one.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from pytest_rightsize.bounded_files import whole_text
from pytest_rightsize.config.app_table import AppTable, parse_app
from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.rung_tables import parse_rung, with_electricity
from pytest_rightsize.config.table_checks import check_keys, check_name, check_numbers, check_type, subtable
from pytest_rightsize.config.task_settings import TaskSettings
from pytest_rightsize.config.task_tables import parse_task
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Meter, check_meter
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Json, Rung

__all__ = ["TOP_KEYS", "Ladder", "order_note", "parse_ladder", "read_ladder", "select_rungs"]

_IN_PYPROJECT = " [tool.rightsize]"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
TOP_KEYS = ("app", "default", "electricity_usd_per_kwh", "gco2_per_kwh", "ladder", "tasks")
"""The keys of a ladder file that stand in no table."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The ladder file as read: every rung by name in its order, the settings of its tasks, and its table `[app]`."""

    rungs: Mapping[str, Rung]
    tasks: Mapping[str, TaskSettings] = field(default_factory=dict)
    app: AppTable = field(default_factory=AppTable)
    default: str | None = None
    source: str = "the built-in catalogue"

    def table_of(self, task: str, rootdir: Path) -> str:
        """`rightsize.toml [tasks.NAME]`: the table of a task, for people, with the file as seen from `rootdir`."""
        path = Path(self.source.removesuffix(_IN_PYPROJECT))
        shown = path.relative_to(rootdir) if path.is_relative_to(rootdir) else path
        above = "tool.rightsize." if self.source.endswith(_IN_PYPROJECT) else ""
        key = task if _BARE_KEY.fullmatch(task) else json.dumps(task, ensure_ascii=False)
        return f"{shown.as_posix()} [{above}tasks.{key}]"


def read_ladder(
    path: Path, providers: Mapping[str, type[Provider]], meters: Mapping[str, type[Meter]] | None = None
) -> Ladder:
    """Read and check the ladder file at `path`; raises ConfigError.

    `meters` are the meters that it may name; without them the names of meters are not checked.
    """
    plain = _read_toml(path)
    where = str(path)
    if path.name == "pyproject.toml":
        plain, where = plain.get("tool", {}).get("rightsize", {}), f"{path}{_IN_PYPROJECT}"
    return parse_ladder(plain, providers, where=where, base_dir=path.parent, meters=meters)


def _read_toml(path: Path) -> dict[str, Json]:
    try:
        return tomllib.loads(whole_text(path))
    except FileNotFoundError:
        raise ConfigError(
            f"the ladder file {path} is not there: correct --rightsize-config, or write the file"
        ) from None
    except OSError as error:
        raise ConfigError(f"the ladder file {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: a ladder file is TOML") from None
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
        raise ConfigError(f"{path} is not TOML: {error}. Mend that place; a rung is a table [ladder.NAME]") from None


def parse_ladder(
    plain: Mapping[str, Json],
    providers: Mapping[str, type[Provider]],
    *,
    where: str,
    base_dir: Path,
    meters: Mapping[str, type[Meter]] | None = None,
) -> Ladder:
    """Check the content of a ladder file; `where` names it in errors, relative paths start at `base_dir`."""
    check_keys(plain, TOP_KEYS, where=where)
    check_numbers(plain, where=where)
    tables, tasks = subtable(plain, "ladder", where), subtable(plain, "tasks", where)
    for name in [*tables, *tasks]:
        check_name(name, where=where)
    rungs = {
        name: parse_rung(
            name,
            subtable(tables, name, f"{where} [ladder]"),
            providers,
            where=f"{where} [ladder.{name}]",
            base_dir=base_dir,
        )
        for name in tables
    }
    for name in tables if meters is not None else ():
        if "meter" in tables[name]:
            check_meter(tables[name]["meter"], meters or {}, where=f"{where} [ladder.{name}]")
    rungs = with_electricity(rungs, plain, where=where)
    default = plain.get("default")
    if default is not None:
        check_type(default, str, where=f"{where}: default")
        if default not in {*rungs, *CATALOGUE}:
            raise unknown_name(f"{where}: default", default, [*rungs, *CATALOGUE], noun="rung")
    return Ladder(
        rungs=rungs,
        tasks={
            name: parse_task(subtable(tasks, name, f"{where} [tasks]"), where=f"{where} [tasks.{name}]")
            for name in tasks
        },
        app=parse_app(subtable(plain, "app", where), rungs=[*rungs, *CATALOGUE], where=f"{where} [app]"),
        default=default,
        source=where,
    )


def select_rungs(ladder: Ladder, names: Sequence[str], *, option: str = "--rightsize-ladder") -> tuple[Rung, ...]:
    """The rungs of `--rightsize-ladder` in its order; a name that the file lacks is looked up in the catalogue.

    Raises ConfigError for an unknown or repeated name, and for an order that contradicts the sizes of the rungs.
    """
    if not names:
        raise ConfigError(f"{option} was given nothing: name rungs, smallest first, such as 1b,4b,30b,frontier")
    rungs_by_name = {**CATALOGUE, **ladder.rungs}
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise ConfigError(f"{option} names {repeated!r} twice: name each rung once, smallest first")
    for name in names:
        if name not in rungs_by_name:
            raise unknown_name(option, name, [*ladder.rungs, *CATALOGUE], noun="rung")
    rungs = tuple(rungs_by_name[name] for name in names)
    _check_order(rungs, option)
    return rungs


def _check_order(rungs: Sequence[Rung], option: str) -> None:
    """Raises ConfigError, with the order meant, where a rung of a known size stands before a smaller one.

    A larger rung has more parameters *and* more of them active: of two equal sizes, and of a mixture of experts (MoE)
    and a dense rung between its two sizes, either may come first. A rung without `params_b` may stand anywhere.
    """
    found = next((pair for pair in combinations(rungs, 2) if _is_larger(*pair)), None)
    if found is None:
        return
    larger, smaller = found
    by_size = iter(sorted((rung for rung in rungs if rung.params_b is not None), key=lambda rung: rung.params_b or 0.0))
    meant = ",".join(rung.name if rung.params_b is None else next(by_size).name for rung in rungs)
    raise ConfigError(
        f"{option} names {larger.name} ({larger.params_b:g} B parameters) before {smaller.name} "
        f"({smaller.params_b:g} B): name rungs smallest first: {option}={meant}"
    )


def _is_larger(rung: Rung, other: Rung) -> bool:
    """Whether it is known to be larger; a rung without `active_b` has all its parameters active."""
    if rung.params_b is None or other.params_b is None:
        return False
    active, other_active = (each.params_b if each.active_b is None else each.active_b for each in (rung, other))
    return rung.params_b > other.params_b and (active or 0.0) > (other_active or 0.0)


def order_note(rungs: Sequence[Rung]) -> str | None:
    """A note for the user where a mixture of experts stands before a smaller dense rung; None if there is none."""
    for first, second in combinations(rungs, 2):
        if first.params_b is not None and second.params_b is not None and first.params_b > second.params_b:
            active = "" if first.active_b is None else f", {first.active_b:g} B active"
            return (
                f"note: {first.name} ({first.params_b:g} B parameters{active}) stands before {second.name} "
                f"({second.params_b:g} B), and is treated as the smaller one"
            )
    return None
