"""The schema of the ladder file accepts what the check accepts, and knows every key of its tables."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_rightsize.commands._plugins import classes
from pytest_rightsize.config.app_table import APP_KEYS
from pytest_rightsize.config.key_descriptions import DESCRIPTIONS
from pytest_rightsize.config.ladder import TOP_KEYS, parse_ladder
from pytest_rightsize.config.ladder_schema import ladder_schema
from pytest_rightsize.config.rung_tables import COMMON_KEYS
from pytest_rightsize.config.spreads import spread_keys
from pytest_rightsize.config.table_checks import LARGEST
from pytest_rightsize.config.task_tables import TASK_KEYS
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.secret_texts import literal_secret

PROVIDERS, METERS = classes()
SCHEMA = ladder_schema(PROVIDERS, METERS)
VALIDATOR = Draft202012Validator(SCHEMA)

ROWS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"default": "1b", "electricity_usd_per_kwh": 0.3}, True),
    ({"defualt": "1b"}, False),
    ({"ladder": {"a": {"provider": "replay", "file": "a.jsonl"}}}, True),
    ({"ladder": {"a": {"provider": "replay"}}}, False),
    ({"ladder": {"a": {"provider": "replay", "file": ""}}}, False),
    ({"ladder": {"a": {"provider": "replay", "file": "a", "n_ctx": 5}}}, False),
    ({"ladder": {"a,b": {"provider": "replay", "file": "a"}}}, False),
    ({"ladder": {"a": {"file": "a"}}}, False),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "api_key_env": "sk-abc"}}}, False),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "retries": 1_001}}}, False),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "price": {"prompt": 1}}}}, False),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "meter": "nvml+rapl"}}}, True),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "meter": "nvm"}}}, False),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "meter": {"name": "rapl", "devices": [0]}}}}, False),
    ({"ladder": {"a": {"provider": "openai", "model": "m", "meter": {"name": "rapl", "share": "process"}}}}, True),
    ({"tasks": {"t": {"pass_rate": 1.5}}}, False),
    ({"tasks": {"t": {"chosen": {"file": "a.toml"}}}}, False),
    ({"tasks": {"t": {"chosen": {"env": "MODEL"}}}}, True),
    ({"tasks": {"t": {"waive": {"gate": "oversized", "until": date(2027, 1, 31), "reason": "x"}}}}, True),
    ({"tasks": {"t": {"waive": [{"gate": "oversized", "until": date(2027, 1, 31)}]}}}, False),
    ({"app": {"serve": True, "stands_for": ["gpt"], "models": {"small": "1b"}, "ignore": ["seed"]}}, True),
    ({"app": {"stands_for": []}}, False),
    ({"app": {"ignore": ["messages"]}}, False),
]


def is_accepted(plain: dict[str, Any]) -> bool:
    try:
        parse_ladder(plain, PROVIDERS, where="x", base_dir=Path(), meters=METERS)
    except ConfigError:
        return False
    return True


def is_valid(plain: dict[str, Any]) -> bool:
    return VALIDATOR.is_valid(as_an_editor_has_it(plain))


def as_an_editor_has_it(value: Any) -> Any:
    """The days of TOML as text, which they are to taplo."""
    if isinstance(value, dict):
        return {key: as_an_editor_has_it(each) for key, each in value.items()}
    if isinstance(value, list):
        return [*map(as_an_editor_has_it, value)]
    return value.isoformat() if isinstance(value, date) else value


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_key_of_the_check_is_in_it_and_described() -> None:
    assert set(SCHEMA["properties"]) == set(TOP_KEYS)
    assert set(SCHEMA["$defs"]["task"]["properties"]) == set(TASK_KEYS)
    assert set(SCHEMA["$defs"]["app"]["properties"]) == set(APP_KEYS)
    rungs = {each["title"]: set(each["properties"]) for each in SCHEMA["$defs"]["rung"]["oneOf"]}
    assert rungs == {name: {*COMMON_KEYS, *kind.options, *spread_keys(name, kind)} for name, kind in PROVIDERS.items()}
    options = {key for kind in METERS.values() for key in kind.options}
    assert set(SCHEMA["$defs"]["meter"]["anyOf"][1]["properties"]) == {"name", "basis", "idle_s", *options}
    described = {
        *TOP_KEYS,
        *COMMON_KEYS,
        *(key for kind in PROVIDERS.values() for key in kind.options),
        *(f"tasks.{key}" for key in TASK_KEYS),
        *(f"app.{key}" for key in APP_KEYS),
        *(f"meter.{key}" for key in {"basis", "idle_s", *options}),
    }
    assert described - {*DESCRIPTIONS} == set()


@pytest.mark.parametrize(("plain", "is_good"), ROWS)
def test_the_check_and_the_schema_agree(plain: dict[str, Any], is_good: bool) -> None:
    assert is_accepted(plain) is is_good
    assert is_valid(plain) is is_good


# Floats that are whole are no whole numbers in TOML, and are to JSON Schema: none is drawn. Nor are words that only the
# check can judge: "auto" as a price, and names of rungs that do not exist, as in [app] models; nor a day in place of
# text, which is text to an editor.
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 10_000, 10**9, -0.5, 0.5, 0.25, 1.5, 0.95, "", "1b", "A_KEY", "nvml", "rapl+nvml"]),
    st.sampled_from([{}, [], ["a"], [""], [1], {"a": "1b"}, {"prompt": 1, "completion": 0.5}, {"prompt": -1}]),
    st.sampled_from([{"file": "a", "key": "b"}, {"env": "A"}, {"open": "a"}]),
    st.sampled_from(
        [
            {"gate": "oversized", "until": date(2027, 1, 31), "reason": "x"},
            [{"gate": "overzised", "until": date(2027, 1, 31), "reason": "x"}],
        ]
    ),
)


def tables(keys: Any, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of a few of the keys, most often with values of their types; `fixed` are in all of them."""
    likely = {int: st.integers(0, 99), float: st.just(0.5), bool: st.booleans(), str: st.just("1b"), dict: st.just({})}

    def value(key: str) -> st.SearchStrategy[Any]:
        kinds = keys.get(key, ())
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        return st.one_of(VALUES, *(likely[kind] for kind in kinds if kind in likely))

    chosen = st.lists(st.sampled_from([*sorted(keys), "unknown"]), max_size=3, unique=True)
    drawn = chosen.flatmap(lambda names: st.fixed_dictionaries({name: value(name) for name in names}))
    return st.builds(lambda some, rest: {**some, **rest}, drawn, st.fixed_dictionaries(fixed))


METER = tables(
    {"basis": str, "idle_s": float, **{key: kind for each in METERS.values() for key, kind in each.options.items()}},
    name=st.sampled_from([*sorted(METERS), "auto", "rapl+nvml", "nothing"]),
) | st.sampled_from(
    [{"name": "rapl", "share": "process", "basis": "gross"}, {"name": "nvml", "idle_s": 0, "basis": "marginal"}]
)
RUNG = st.sampled_from(sorted(PROVIDERS)).flatmap(
    lambda name: tables(
        {**COMMON_KEYS, **PROVIDERS[name].options},
        provider=st.just(name) | st.just("nobody"),
        **{key: st.sampled_from(["x", ""]) for key in PROVIDERS[name].required},
    )
)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "ladder": st.dictionaries(st.sampled_from(["a", "b c", "a,b", " a", ""]), RUNG, max_size=2),
        "tasks": st.dictionaries(st.sampled_from(["t", "u v"]), tables(TASK_KEYS), max_size=2),
        "app": tables(dict.fromkeys([key for key in APP_KEYS if key != "models"], list)),
        "default": st.sampled_from(["1b", 5, True]),
        "electricity_usd_per_kwh": VALUES,
        "order": st.sampled_from(["bytes", "cost", 1]),
        "wrong": st.just(1),
    },
)


@settings(max_examples=150)
@given(FILES)
def test_the_check_and_the_schema_agree_on_any_file(plain: dict[str, Any]) -> None:
    _leave_out_secrets(plain)
    assert is_valid(plain) is is_accepted(plain)


@settings(max_examples=80)
@given(METER)
def test_they_agree_on_any_meter(meter: dict[str, Any]) -> None:
    plain = {"ladder": {"a": {"provider": "replay", "file": "x", "meter": meter}}}
    _leave_out_secrets(plain)
    assert is_valid(plain) is is_accepted(plain)


def _leave_out_secrets(plain: dict[str, Any]) -> None:
    """A literal secret in a free table of a rung is refused by the check alone: no schema knows all names of those."""
    assume(literal_secret(plain.get("ladder", {})) is None)


def test_a_literal_secret_in_a_free_table_is_refused_by_the_check_alone() -> None:
    meter = {"name": "prometheus", "labels": {"file": "a", "key": "b"}}
    plain = {"ladder": {"a": {"provider": "replay", "file": "x", "meter": meter}}}
    assert is_valid(plain)
    assert not is_accepted(plain)


def test_a_number_above_the_largest_is_refused_by_both() -> None:
    for key, most in LARGEST.items():
        if key in PROVIDERS["openai"].options:
            rung = {"provider": "openai", "model": "m", key: int(most) + 1}
            assert not is_valid({"ladder": {"a": rung}})
            assert not is_accepted({"ladder": {"a": rung}})
