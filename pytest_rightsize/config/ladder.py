"""Reads the ladder file: TOML comes in, a Ladder of checked rungs and task settings goes out.

`parse_ladder` is pure; only `read_ladder` touches the disk. Whatever is wrong is a ConfigError that names the file, the
key, and the nearest known one.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_rightsize.bounded_files import whole_text
from pytest_rightsize.config.app_table import AppTable, parse_app
from pytest_rightsize.config.cascades import check_cascades
from pytest_rightsize.config.cluster_table import with_cluster
from pytest_rightsize.config.ladder_order import ORDERS, Amount, Order, check_order
from pytest_rightsize.config.rung_tables import parse_rung, with_electricity
from pytest_rightsize.config.spreads import known_rungs, spread_out
from pytest_rightsize.config.table_checks import check_keys, check_name, check_numbers, check_type, subtable
from pytest_rightsize.config.task_settings import TaskSettings
from pytest_rightsize.config.task_tables import parse_task
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Meter, check_meter
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import Json, Rung

__all__ = ["TOP_KEYS", "Ladder", "check_rung", "parse_ladder", "read_ladder", "select_rungs"]

_IN_PYPROJECT = " [tool.rightsize]"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
TOP_KEYS = (
    *("app", "calibration", "cluster", "default", "electricity_usd_per_kwh", "gco2_per_kwh"),
    *("ladder", "order", "tasks"),
)
"""The keys of a ladder file that stand in no table."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The ladder file as read: every rung by name in its order, the settings of its tasks, and its table `[app]`.

    `spreads` has the rungs of each table that stands for several, smallest first; `order` is what a ladder goes by.
    `calibration` is the file that says how often judges agree with people.
    """

    rungs: Mapping[str, Rung]
    tasks: Mapping[str, TaskSettings] = field(default_factory=dict)
    app: AppTable = field(default_factory=AppTable)
    default: str | None = None
    source: str = "the built-in catalogue"
    spreads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: Order = "params"
    calibration: Path | None = None

    @property
    def known(self) -> dict[str, Rung]:
        """Every rung by its name, those of the file first."""
        return known_rungs(self.rungs, self.spreads)

    def unspread(self, names: Sequence[str]) -> list[str]:
        """The names of rungs, with those of its rungs in place of a spread's."""
        return [member for name in names for member in self.spreads.get(name, (name,))]

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
    ladder, tasks = subtable(plain, "ladder", where), subtable(plain, "tasks", where)
    for name in [*ladder, *tasks]:
        check_name(name, where=where)
    tables, spreads = spread_out(
        {name: subtable(ladder, name, f"{where} [ladder]") for name in ladder}, providers, where=where
    )
    tables = with_cluster(tables, plain, where=where)
    rungs = {
        name: parse_rung(name, one.table, providers, where=f"{where} [ladder.{one.written_as}]", base_dir=base_dir)
        for name, one in tables.items()
    }
    for one in tables.values() if meters is not None else ():
        if "meter" in one.table:
            check_meter(one.table["meter"], meters or {}, where=f"{where} [ladder.{one.written_as}]")
    rungs = with_electricity(rungs, plain, where=where)
    known = known_rungs(rungs, spreads)
    check_cascades(rungs, known, spreads, where=where)
    names = [*known]
    default = plain.get("default")
    if default is not None:
        check_type(default, str, where=f"{where}: default")
        check_rung(default, names, spreads, where=f"{where}: default")
    return Ladder(
        rungs=rungs,
        tasks={
            name: parse_task(subtable(tasks, name, f"{where} [tasks]"), where=f"{where} [tasks.{name}]")
            for name in tasks
        },
        app=parse_app(subtable(plain, "app", where), rungs=names, where=f"{where} [app]"),
        default=default,
        source=where,
        spreads=spreads,
        calibration=_calibration(plain.get("calibration"), base_dir, where=f"{where}: calibration"),
        order=_order(plain.get("order", "params"), where=f"{where}: order"),
    )


def check_rung(name: str, names: Sequence[str], spreads: Mapping[str, Sequence[str]], *, where: str) -> None:
    """Raises ConfigError for a name that is no rung, or that of a spread where one rung is wanted."""
    if name in spreads:
        raise ConfigError(f"{where}: {name} stands for {', '.join(spreads[name])}: name one of them")
    if name not in names:
        raise unknown_name(where, name, names, noun="rung")


def _calibration(value: Json, base_dir: Path, *, where: str) -> Path | None:
    if value is None:
        return None
    check_type(value, str, where=where)
    return base_dir / str(value)


def _order(value: Json, *, where: str) -> Order:
    check_type(value, str, where=where)
    found = next((order for order in ORDERS if order == value), None)
    if found is None:
        raise unknown_name(where, value, ORDERS, noun="order")
    return found


def select_rungs(
    ladder: Ladder,
    names: Sequence[str],
    *,
    option: str = "--rightsize-ladder",
    known: Callable[[Sequence[Rung]], Mapping[str, Amount]] = lambda _: {},
) -> tuple[Rung, ...]:
    """The rungs of `--rightsize-ladder` in its order; a name that the file lacks is looked up in the catalogue.

    The name of a spread stands for all its rungs. `known` is asked for what is known of the rungs on this machine, by
    the order of the ladder. Raises ConfigError for an unknown or repeated name, and for an order that contradicts what
    is known.
    """
    if not names:
        raise ConfigError(f"{option} was given nothing: name rungs, smallest first, such as 1b,4b,30b,frontier")
    for name in names:
        if name not in ladder.known and name not in ladder.spreads:
            raise unknown_name(option, name, [*ladder.spreads, *ladder.known], noun="rung")
    each = ladder.unspread(names)
    repeated = next((name for name in each if each.count(name) > 1), None)
    if repeated is not None:
        raise ConfigError(f"{option} names {repeated!r} twice: name each rung once, smallest first")
    rungs = tuple(ladder.known[name] for name in each)
    check_order(rungs, option, order=ladder.order, known=known(rungs), spreads=ladder.spreads)
    return rungs
