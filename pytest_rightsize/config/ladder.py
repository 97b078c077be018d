"""The ladder file: read as TOML, checked name by name, and turned into a Ladder.

`parse_ladder` is pure; only `read_ladder` and a `chosen` that stands in a file touch the disk.
Whatever is wrong is a ConfigError that names the file, the key, and the nearest known one.
"""

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import get_args

from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.task_settings import ChosenSource, TaskSettings
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.meters import Meter, check_meter
from pytest_rightsize.providers import Provider
from pytest_rightsize.records import GateName, Json, Price, Rung, Waiver

__all__ = ["Ladder", "order_note", "parse_ladder", "read_ladder", "resolve_chosen", "select_rungs"]

_TOP = ("default", "electricity_usd_per_kwh", "ladder", "tasks")
_NUMBER = (int, float)
# The keys that every rung may have, whatever its provider.
_COMMON: Mapping[str, type | tuple[type, ...]] = {
    "provider": str,
    "model": str,
    "params_b": _NUMBER,
    "active_b": _NUMBER,
    "price": dict,
    "max_in_flight": int,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "seed": int,
    "max_tokens": int,
    "meter": (str, dict),
    "electricity_usd_per_kwh": _NUMBER,
}
_POSITIVE = ("params_b", "active_b", "max_in_flight", "max_tokens")
_TASK: Mapping[str, type | tuple[type, ...]] = {
    "pass_rate": _NUMBER,
    "confidence": _NUMBER,
    "samples": int,
    "chosen": (str, dict),
    "private": bool,
    "max_tokens": int,
    "concurrent": bool,
    "waive": (dict, list),
}
_WORDS: Mapping[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The ladder file as read: every rung by name, the order they stand in, and what is said of tasks."""

    rungs: Mapping[str, Rung]
    tasks: Mapping[str, TaskSettings] = field(default_factory=dict)
    default: str | None = None
    source: str = "the built-in catalogue"


def read_ladder(
    path: Path, providers: Mapping[str, type[Provider]], meters: Mapping[str, type[Meter]] | None = None
) -> Ladder:
    """Read and check the ladder file at `path`; raises ConfigError. `meters` are those that it may name, if known."""
    plain = _read_toml(path)
    where = str(path)
    if path.name == "pyproject.toml":
        plain, where = plain.get("tool", {}).get("rightsize", {}), f"{path} [tool.rightsize]"
    return parse_ladder(plain, providers, where=where, base_dir=path.parent, meters=meters)


def _read_toml(path: Path) -> dict[str, Json]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
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
    """Check what a ladder file says; `where` names the file in errors, `base_dir` is what relative paths count from."""
    _check_keys(plain, _TOP, where=where)
    tables, tasks = _table(plain, "ladder", where), _table(plain, "tasks", where)
    rungs = {
        name: _rung(
            name,
            _table(tables, name, f"{where} [ladder]"),
            providers,
            where=f"{where} [ladder.{name}]",
            base_dir=base_dir,
        )
        for name in tables
    }
    for name in tables if meters is not None else ():
        if "meter" in tables[name]:
            check_meter(tables[name]["meter"], meters or {}, where=f"{where} [ladder.{name}]")
    rungs = _with_electricity(rungs, plain, where=where)
    default = plain.get("default")
    if default is not None:
        _check_type(default, str, where=f"{where}: default")
        if default not in {*rungs, *CATALOGUE}:
            raise unknown_name(f"{where}: default", default, [*rungs, *CATALOGUE], noun="rung")
    return Ladder(
        rungs=rungs,
        tasks={name: _task(_table(tasks, name, f"{where} [tasks]"), where=f"{where} [tasks.{name}]") for name in tasks},
        default=default,
        source=where,
    )


def _with_electricity(rungs: dict[str, Rung], plain: Mapping[str, Json], *, where: str) -> dict[str, Rung]:
    """The rungs with the price of a kilowatt hour that the file gives for all, where a rung gives none of its own."""
    given = {rung.name: rung.electricity_usd_per_kwh for rung in rungs.values()}
    price = plain.get("electricity_usd_per_kwh")
    for name, value in {"": price, **given}.items():
        place = f"{where} [ladder.{name}]: electricity_usd_per_kwh" if name else f"{where}: electricity_usd_per_kwh"
        if value is not None:
            _check_type(value, _NUMBER, where=place)
            if not 0 <= value < float("inf"):
                raise ConfigError(f"{place} = {value} cannot be: give USD per kilowatt hour, such as 0.30")
    return {
        name: replace(rung, electricity_usd_per_kwh=price) if given[name] is None else rung
        for name, rung in rungs.items()
    }


def _table(plain: Mapping[str, Json], key: str, where: str) -> Mapping[str, Json]:
    value = plain.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {key} is {value!r}, and must be a table: write [{key}] or [{key}.NAME]")
    return value


def _rung(
    name: str, plain: Mapping[str, Json], providers: Mapping[str, type[Provider]], *, where: str, base_dir: Path
) -> Rung:
    provider = plain.get("provider")
    if provider is None:
        raise ConfigError(f"{where} has no provider: add provider = one of {', '.join(sorted(providers))}")
    if not isinstance(provider, str) or provider not in providers:
        raise unknown_name(f"{where}: provider", str(provider), sorted(providers), noun="provider")
    if "," in name or name != name.strip() or not name:
        raise ConfigError(f"{where}: a rung's name cannot be {name!r}: --rightsize-ladder parts names at commas")
    kind = providers[provider]
    _refuse_secrets(plain, kind, where=where)
    _check_keys(plain, [*_COMMON, *kind.options], where=where)
    for key, value in plain.items():
        _check_type(value, kind.options.get(key) or _COMMON[key], where=f"{where}: {key}")
    for key in kind.required:
        if not plain.get(key):
            raise ConfigError(f"{where} has no {key}, which the provider {provider} needs: add {key} = ...")
    for key in _POSITIVE:
        if key in plain and plain[key] <= 0:
            raise ConfigError(f"{where}: {key} = {plain[key]} cannot be: give a number above 0")
    common = {key: value for key, value in plain.items() if key in _COMMON and key != "price"}
    return Rung(
        name=name,
        **common,
        price=_price(plain["price"], where=f"{where}: price") if "price" in plain else None,
        options={key: value for key, value in plain.items() if key not in _COMMON},
        base_dir=str(base_dir),
    )


def _refuse_secrets(plain: Mapping[str, Json], kind: type[Provider], *, where: str) -> None:
    """A key in a file ends in a repository; its value is not repeated, as the error ends in a log."""
    for key in plain:
        if key not in kind.options and key.lower().replace("-", "_") in (
            "api_key",
            "key",
            "token",
            "secret",
            "password",
        ):
            raise ConfigError(f"{where}: {key} would hold a literal key, which is refused: put the key into a variable "
                              f'and name it, as in api_key_env = "OPENAI_API_KEY"')  # fmt: skip
    named = plain.get("api_key_env")
    if isinstance(named, str) and not named.isidentifier():
        raise ConfigError(f"{where}: api_key_env must be the name of an environment variable, and this is none; if "
                          f'it is the key itself, take it out and write api_key_env = "OPENAI_API_KEY"')  # fmt: skip
    # sk-... is an identifier nowhere, but keys of some vendors are; a name of a variable is upper case by custom.
    if isinstance(named, str) and len(named) > 30 and not named.isupper():
        raise ConfigError(
            f"{where}: api_key_env looks like a literal key, which is refused: give the name of a variable"
        )


def _price(plain: Mapping[str, Json], *, where: str) -> Price:
    _check_keys(plain, [field.name for field in fields(Price)], where=where)
    for key in ("prompt", "completion"):
        if key not in plain:
            raise ConfigError(
                f"{where} has no {key}: give USD per million tokens, as in {{ prompt = 1.25, completion = 10.0 }}"
            )
    for key, value in plain.items():
        _check_type(value, _NUMBER, where=f"{where}.{key}")
        if value < 0:
            raise ConfigError(f"{where}.{key} = {value} cannot be: give USD per million tokens, 0 or more")
    return Price(**{key: float(value) for key, value in plain.items()})


def _task(plain: Mapping[str, Json], *, where: str) -> TaskSettings:
    _check_keys(plain, _TASK, where=where)
    for key, value in plain.items():
        _check_type(value, _TASK[key], where=f"{where}: {key}")
    if not 0 <= plain.get("pass_rate", 1) <= 1:
        raise ConfigError(f"{where}: pass_rate = {plain['pass_rate']} cannot be: give a number from 0 to 1")
    if not 0.5 < plain.get("confidence", 0.95) < 1:
        raise ConfigError(
            f"{where}: confidence = {plain['confidence']} cannot be: give a number between 0.5 and 1, such as 0.95"
        )
    for key in ("samples", "max_tokens"):
        if plain.get(key, 1) < 1:
            raise ConfigError(f"{where}: {key} = {plain[key]} cannot be: give a whole number, 1 or more")
    values = dict(plain)
    if isinstance(values.get("chosen"), Mapping):
        values["chosen"] = _source(values["chosen"], where=f"{where}: chosen")
    if "waive" in values:
        waivers = values["waive"] if isinstance(values["waive"], list) else [values["waive"]]
        values["waive"] = tuple(_waiver(one, where=f"{where}: waive") for one in waivers)
    return TaskSettings(**values)


def _waiver(plain: Json, *, where: str) -> Waiver:
    """An exception with an end and a reason: one without either would be a gate that is off and nobody knows why."""
    example = '{ gate = "oversized", until = 2027-01-31, reason = "..." }'
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where} = {plain!r} cannot be: give {example}, or a list of such")
    _check_keys(plain, ["gate", "until", "reason"], where=where)
    for key in ("gate", "until", "reason"):
        if not plain.get(key):
            raise ConfigError(f"{where} has no {key}: write {example}")
    if plain["gate"] not in get_args(GateName):
        raise unknown_name(where, str(plain["gate"]), get_args(GateName), noun="gate")
    until = plain["until"]
    if not isinstance(until, date) or isinstance(until, datetime):
        raise ConfigError(f"{where}.until = {until!r} cannot be: give a day without quotes, as in until = 2027-01-31")
    _check_type(plain["reason"], str, where=f"{where}.reason")
    return Waiver(gate=plain["gate"], until=until.isoformat(), reason=plain["reason"])


def _source(plain: Mapping[str, Json], *, where: str) -> ChosenSource:
    _check_keys(plain, ["file", "key", "env"], where=where)
    if set(plain) not in ({"file", "key"}, {"env"}):
        raise ConfigError(f'{where} says {dict(plain)}: give {{ file = "...", key = "a.b" }} or {{ env = "VARIABLE" }}')
    for key, value in plain.items():
        _check_type(value, str, where=f"{where}.{key}")
    return ChosenSource(**plain)


def _check_keys(plain: Mapping[str, Json], known: Collection[str], *, where: str) -> None:
    for key in plain:
        if key not in known:
            raise unknown_name(where, key, list(known), noun="key")


def _check_type(value: Json, wanted: type | tuple[type, ...], *, where: str) -> None:
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        words = " or ".join(dict.fromkeys(_WORDS.get(kind, kind.__name__) for kind in kinds))
        raise ConfigError(f"{where} = {value!r} cannot be: give {words}")


def select_rungs(ladder: Ladder, names: Sequence[str]) -> tuple[Rung, ...]:
    """The rungs of `--rightsize-ladder` in its order; a name the file lacks is looked up in the catalogue."""
    if not names:
        raise ConfigError(
            "--rightsize-ladder was given nothing: name rungs, smallest first, such as 1b,4b,30b,frontier"
        )
    known = {**CATALOGUE, **ladder.rungs}
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"--rightsize-ladder names {twice!r} twice: name each rung once, smallest first")
    for name in names:
        if name not in known:
            raise unknown_name("--rightsize-ladder", name, [*ladder.rungs, *CATALOGUE], noun="rung")
    return tuple(known[name] for name in names)


def order_note(rungs: Sequence[Rung]) -> str | None:
    """A sentence for the reader if the rungs' own sizes contradict their order; the order given is what counts."""
    for smaller, larger in pairwise(rungs):
        if smaller.params_b is not None and larger.params_b is not None and smaller.params_b > larger.params_b:
            return (
                f"note: {smaller.name} ({smaller.params_b:g} B parameters) stands before {larger.name} "
                f"({larger.params_b:g} B), and is treated as the smaller one"
            )
    return None


def resolve_chosen(
    chosen: str | ChosenSource | None, *, ladder: Ladder, base_dir: Path, env: Mapping[str, str], task: str
) -> tuple[str | None, str | None]:
    """The rung that the application uses for `task`, and where that is written; raises ConfigError.

    A value is a rung's name, or the id of a model that exactly one rung uses.
    """
    if chosen is None:
        return None, None
    if isinstance(chosen, str):
        return _rung_of(chosen, ladder, f"chosen of task {task!r}"), f"chosen of {task}"
    value, where = _look_up(chosen, base_dir, env, task)
    return _rung_of(value, ladder, f"chosen of task {task!r}, from {where}"), where


def _look_up(source: ChosenSource, base_dir: Path, env: Mapping[str, str], task: str) -> tuple[str, str]:
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
            known = f"; at that level it has {', '.join(map(str, value))}" if isinstance(value, Mapping) else ""
            raise ConfigError(f"chosen of task {task!r}: {path} has no key {source.key!r}{known}")
        value = value[part]
    if not isinstance(value, str):
        raise ConfigError(f"chosen of task {task!r}: {where} is {value!r}, and should be the name of a model")
    return value, where


def _read_settings(path: Path, task: str) -> Json:
    """A TOML, JSON or YAML file by its suffix."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"chosen of task {task!r}: cannot read {path} ({error}): correct `file`") from None
    try:
        match path.suffix.lower():
            case ".toml":
                return tomllib.loads(text)
            case ".json":
                return json.loads(text)
            case ".yaml" | ".yml":
                return _parse_yaml(text, path, task)
    except ValueError as error:
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
    """The rung of that name, else the one rung whose model it is."""
    known = {**CATALOGUE, **ladder.rungs}
    if value in known:
        return value
    users = [rung.name for rung in (ladder.rungs or CATALOGUE).values() if rung.model == value]
    if len(users) == 1:
        return users[0]
    if users:
        raise ConfigError(f"{where}: {value!r} is the model of {', '.join(users)}: name the rung instead")
    models = [rung.model for rung in ladder.rungs.values() if rung.model]
    raise unknown_name(where, value, [*ladder.rungs, *models, *CATALOGUE], noun="rung or model")
