"""Turns a `[ladder.NAME]` table of the ladder file into a Rung.

The table and the known providers come in. Whatever is wrong is a ConfigError that names the key, and a secret in the
table is refused without being repeated; no file is read.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_rightsize.config.list_prices import list_price
from pytest_rightsize.config.table_checks import NUMBER, check_keys, check_type
from pytest_rightsize.errors import ConfigError, unknown_name
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.environment import known_secrets, user_variable
from pytest_rightsize.providers.secret_texts import literal_secret
from pytest_rightsize.records import Json, Price, Rung

__all__ = ["COMMON_KEYS", "POSITIVE_KEYS", "parse_rung", "with_electricity"]

COMMON_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "provider": str,
    "model": str,
    "params_b": NUMBER,
    "active_b": NUMBER,
    "price": (dict, str),
    "max_in_flight": int,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "seed": int,
    "max_tokens": int,
    "meter": (str, dict),
    "electricity_usd_per_kwh": NUMBER,
    "gco2_per_kwh": NUMBER,
    "trusted": bool,
    "images": bool,
}
"""The keys that a rung of any provider may have, with their types."""
POSITIVE_KEYS = ("params_b", "active_b", "max_in_flight", "max_tokens")
"""Those of them that are above 0."""
# What a kilowatt hour of a rung's electricity stands for: its unit, and an example.
_OF_A_KWH: Mapping[str, tuple[str, str]] = {
    "electricity_usd_per_kwh": ("USD", "0.30"),
    "gco2_per_kwh": ("grams of CO2e", "380"),
}
# Keys whose providers and meters say where a secret goes instead.
_REFUSED_IN_THEIR_OWN_WORDS = ("base_url", "extra_body", "headers")


def parse_rung(
    name: str, plain: Mapping[str, Json], providers: Mapping[str, type[Provider]], *, where: str, base_dir: Path
) -> Rung:
    """The rung that one table describes; raises ConfigError, where `where` names the table."""
    provider = plain.get("provider")
    if provider is None:
        raise ConfigError(f"{where} has no provider: add provider = one of {', '.join(sorted(providers))}")
    if not isinstance(provider, str) or provider not in providers:
        raise unknown_name(f"{where}: provider", str(provider), sorted(providers), noun="provider")
    if "," in name or name != name.strip() or not name:
        raise ConfigError(f"{where}: a rung's name cannot be {name!r}: --rightsize-ladder parts names at commas")
    kind = providers[provider]
    _refuse_secrets(plain, kind, where=where)
    check_keys(plain, [*COMMON_KEYS, *kind.options], where=where)
    for key, value in plain.items():
        check_type(value, kind.options.get(key) or COMMON_KEYS[key], where=f"{where}: {key}")
    for key in kind.required:
        if not plain.get(key):
            raise ConfigError(f"{where} has no {key}, which the provider {provider} needs: add {key} = ...")
    for key in POSITIVE_KEYS:
        if key in plain and plain[key] <= 0:
            raise ConfigError(f"{where}: {key} = {plain[key]} cannot be: give a number above 0")
    common = {key: value for key, value in plain.items() if key in COMMON_KEYS and key != "price"}
    return Rung(
        name=name,
        **common,
        price=_price_of(plain, where=f"{where}: price"),
        options={key: value for key, value in plain.items() if key not in COMMON_KEYS},
        base_dir=str(base_dir),
    )


def _refuse_secrets(plain: Mapping[str, Json], kind: type[Provider], *, where: str) -> None:
    """Refuse a literal key, as the file ends in a repository; it is not repeated, as the error ends in a log."""
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
    tables = {key: value for key, value in plain.items() if key in kind.options or key == "meter"}
    held = literal_secret({key: value for key, value in tables.items() if key not in _REFUSED_IN_THEIR_OWN_WORDS})
    if held is None:  # under a name that tells nothing, as in extra_body = { user = ".." }
        mask = known_secrets()
        # What headers hold is written nowhere.
        free_tables = (table for key, table in tables.items() if isinstance(table, Mapping) and key != "headers")
        free = ((key, value) for table in free_tables for key, value in table.items())
        held = next((str(key) for key, value in free if mask.data(value) != value), None)
    if held is not None:
        example = ', as in url_env = "EXPORTER_URL"' if "meter" in plain and held == "url" else ""
        raise ConfigError(
            f"{where}: {held} holds a literal password or key, which is refused: put it into a variable, and name "
            f"that{example}"
        )
    variable = plain.get("api_key_env")
    if isinstance(variable, str) and not variable.isidentifier():
        raise ConfigError(f"{where}: api_key_env must be the name of an environment variable, and this is none; if "
                          f'it is the key itself, take it out and write api_key_env = "OPENAI_API_KEY"')  # fmt: skip
    # Keys of some vendors could be names of variables, unlike sk-...; but variables are upper case by custom.
    if isinstance(variable, str) and len(variable) > 30 and not variable.isupper():
        raise ConfigError(
            f"{where}: api_key_env looks like a literal key, which is refused: give the name of a variable"
        )


def _price_of(rung: Mapping[str, Json], *, where: str) -> Price | None:
    """The rung's price: the user's own, or the list price with `price = "auto"`."""
    price = rung.get("price")
    if price is None or isinstance(price, dict):
        return None if price is None else _price(price, where=where)
    if price != "auto":
        raise ConfigError(f'{where} = {price!r} cannot be: write "auto", or {{ prompt = 1.25, completion = 10.0 }}')
    base_url = rung.get("base_url") or user_variable(str(rung.get("base_url_env") or ""))
    return list_price(rung.get("model"), base_url, where=where)


def _price(plain: Mapping[str, Json], *, where: str) -> Price:
    check_keys(plain, ["prompt", "completion", "cached"], where=where)
    for key in ("prompt", "completion"):
        if key not in plain:
            raise ConfigError(
                f"{where} has no {key}: give USD per million tokens, as in {{ prompt = 1.25, completion = 10.0 }}"
            )
    for key, value in plain.items():
        check_type(value, NUMBER, where=f"{where}.{key}")
        if value < 0:
            raise ConfigError(f"{where}.{key} = {value} cannot be: give USD per million tokens, 0 or more")
    cached = plain.get("cached")
    return Price(
        prompt=float(plain["prompt"]),
        completion=float(plain["completion"]),
        cached=None if cached is None else float(cached),
    )


def with_electricity(rungs: dict[str, Rung], plain: Mapping[str, Json], *, where: str) -> dict[str, Rung]:
    """The rungs with what the file says of a kilowatt hour, its price and its CO2e, where a rung says nothing."""
    common = {key: _of_a_kwh(key, plain.get(key), where=f"{where}: {key}") for key in _OF_A_KWH}

    def of(rung: Rung, key: str) -> float | None:
        own = _of_a_kwh(key, getattr(rung, key), where=f"{where} [ladder.{rung.name}]: {key}")
        return common[key] if own is None else own

    return {
        name: replace(
            rung,
            electricity_usd_per_kwh=of(rung, "electricity_usd_per_kwh"),
            gco2_per_kwh=of(rung, "gco2_per_kwh"),
        )
        for name, rung in rungs.items()
    }


def _of_a_kwh(key: str, value: Json, *, where: str) -> float | None:
    """The value of one of the keys, checked; None where it is not set."""
    if value is None:
        return None
    check_type(value, NUMBER, where=where)
    unit, example = _OF_A_KWH[key]
    if not 0 <= value < float("inf"):
        raise ConfigError(f"{where} = {value} cannot be: give {unit} per kilowatt hour, such as {example}")
    return float(value)
