"""The ladder file: what it may say, in which order rungs are taken, and where a chosen model is looked up."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.config.catalogue import CATALOGUE
from pytest_rightsize.config.chosen import resolve_chosen
from pytest_rightsize.config.ladder import Ladder, parse_ladder, read_ladder, select_rungs
from pytest_rightsize.config.ladder_order import order_note
from pytest_rightsize.config.options import find_ladder_file
from pytest_rightsize.config.task_settings import ChosenSource
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.records import Price, Rung

PROVIDERS: dict[str, Any] = {"llama_cpp": LlamaCpp, "openai": OpenAI, "replay": Replay}
PLAIN: dict[str, Any] = {
    "default": "large",
    "ladder": {
        "small": {"provider": "llama_cpp", "model": "models/s.gguf", "params_b": 1, "n_ctx": 2048},
        "large": {
            "provider": "openai",
            "model": "vendor/large",
            "base_url": "http://localhost:1/v1",
            "price": {"prompt": 1, "completion": 4.5},
        },
    },
    "tasks": {"route": {"pass_rate": 0.9, "chosen": {"file": "app.toml", "key": "llm.model"}}},
}


def parse(plain: dict[str, Any], base_dir: Path = Path("/suite")) -> Ladder:
    return parse_ladder(plain, PROVIDERS, where="rightsize.toml", base_dir=base_dir)


def test_a_rung_keeps_the_common_keys_apart_from_those_of_its_provider() -> None:
    ladder = parse(PLAIN)
    small, large = ladder.rungs.values()
    assert (small.model, small.params_b, dict(small.options)) == ("models/s.gguf", 1, {"n_ctx": 2048})
    assert small.price is None
    assert large.price == Price(prompt=1.0, completion=4.5)
    assert dict(large.options) == {"base_url": "http://localhost:1/v1"}
    assert small.base_dir == large.base_dir == "/suite"
    assert ladder.tasks["route"].chosen == ChosenSource(file="app.toml", key="llm.model")
    assert ladder.default == "large"


def test_an_empty_file_is_a_ladder_of_the_catalogue() -> None:
    ladder = parse({})
    assert select_rungs(ladder, ["1b", "frontier"]) == (CATALOGUE["1b"], CATALOGUE["frontier"])


def test_a_rung_of_the_file_hides_the_one_of_the_catalogue() -> None:
    ladder = parse({"ladder": {"1b": {"provider": "replay", "file": "x.jsonl"}}})
    assert [rung.provider for rung in select_rungs(ladder, ["1b", "4b"])] == ["replay", CATALOGUE["4b"].provider]


def test_rungs_come_in_the_order_that_was_asked_for() -> None:
    assert [rung.name for rung in select_rungs(parse(PLAIN), ["large", "small"])] == ["large", "small"]


def sized(*sizes: tuple[str, float | None] | tuple[str, float | None, float | None]) -> Ladder:
    """A ladder of rungs with these names, `params_b` and `active_b`."""
    rungs = [
        Rung(name=name, provider="x", params_b=params, active_b=active[0] if active else None)
        for name, params, *active in sizes
    ]
    return Ladder(rungs={rung.name: rung for rung in rungs})


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        (
            sized(("four", 4.3), ("one", 1)),
            "--rightsize-ladder names four (4.3 B parameters) before one (1 B): "
            "name rungs smallest first: --rightsize-ladder=one,four",
        ),
        # An unknown size neither hides a contradiction nor moves.
        (sized(("a", 30), ("unknown", None), ("b", 4)), "names a (30 B parameters) before b (4 B)"),
        (sized(("a", 30), ("unknown", None), ("b", 4)), "--rightsize-ladder=b,unknown,a"),
        (sized(("a", 9), ("b", 30), ("c", 4), ("d", 9)), "--rightsize-ladder=c,a,d,b"),
        # More parameters, and more of them active, than the rung after it.
        (sized(("moe", 235, 22), ("dense", 14)), "names moe (235 B parameters) before dense (14 B)"),
        (sized(("big", 235, 22), ("little", 30, 3)), "--rightsize-ladder=little,big"),
    ],
)
def test_an_order_against_the_sizes_is_refused_and_the_one_meant_is_shown(ladder: Ladder, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        select_rungs(ladder, list(ladder.rungs))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("ladder", "note"),
    [
        (sized(("a", 1), ("b", 4)), None),
        (sized(("a", 4), ("b", 4)), None),
        (sized(("a", None), ("b", 4)), None),
        (sized(("a", 30), ("b", None)), None),
        # A mixture of experts counts as anything between its active and all its parameters.
        (sized(("dense", 14), ("moe", 30, 3)), None),
        (sized(("moe", 30, 3), ("dense", 14)), "moe (30 B parameters, 3 B active) stands before dense (14 B)"),
        (sized(("moe", 30, 3), ("dense", 30)), None),
        (sized(("dense", 30), ("moe", 30, 3)), None),
    ],
)
def test_an_order_that_sizes_do_not_contradict_is_kept(ladder: Ladder, note: str | None) -> None:
    rungs = select_rungs(ladder, list(ladder.rungs))
    assert [rung.name for rung in rungs] == list(ladder.rungs)
    assert order_note(rungs) is None if note is None else note in str(order_note(rungs))


@given(st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=1, max_size=6))
@settings(deadline=None)
def test_the_order_that_is_shown_is_accepted(sizes: list[int | None]) -> None:
    ladder = sized(*((f"r{place}", size) for place, size in enumerate(sizes)))
    try:
        select_rungs(ladder, list(ladder.rungs))
    except ConfigError as error:
        meant = str(error).rpartition("=")[2].split(",")
        assert [rung.name for rung in select_rungs(ladder, meant)] == meant
        shown = [ladder.rungs[name].params_b for name in meant]
        assert [size is None for size in shown] == [size is None for size in sizes]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ladder": []}, "ladder is [], and must be a table"),
        ({"ladders": {}}, "unknown key 'ladders': did you mean 'ladder'?"),
        ({"ladder": {"a,b": {"provider": "replay", "file": "x"}}}, "a rung's name cannot be 'a,b'"),
        ({"ladder": {"a": {"model": "x"}}}, "has no provider: add provider = one of llama_cpp, openai, replay"),
        ({"ladder": {"a": {"provider": "replay", "file": "x", "seed": True}}}, "seed = True cannot be"),
        ({"ladder": {"a": {"provider": "replay", "file": "x", "max_in_flight": 0}}}, "max_in_flight = 0 cannot be"),
        ({"tasks": {"t": {"pass_rate": 90}}}, "pass_rate = 90 cannot be: give a number from 0 to 1"),
        ({"tasks": {"t": {"samples": 0}}}, "samples = 0 cannot be: give a whole number, 1 or more"),
        ({"tasks": {"t": {"chosen": {"file": "x"}}}}, 'give { file = "...", key = "a.b" } or { env = "VARIABLE" }'),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(change)
    assert words in str(caught.value)
    assert str(caught.value).startswith("rightsize.toml")


@pytest.mark.parametrize(
    "options",
    [{"api_key": "sk-secret"}, {"api_key_env": "sk-secret"}, {"api_key_env": "secret0123456789secret0123456789"}],
)
def test_a_literal_key_is_refused_and_never_repeated(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="key") as caught:
        parse({"ladder": {"a": {"provider": "openai", "model": "m", **options}}})
    assert "secret" not in str(caught.value)


def test_its_own_file_comes_before_a_table_of_pyproject(tmp_path: Path) -> None:
    assert find_ladder_file(tmp_path) is None
    project = tmp_path / "pyproject.toml"
    project.write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert find_ladder_file(tmp_path) is None
    project.write_text('[tool.rightsize]\ndefault = "1b"\n', encoding="utf-8")
    assert find_ladder_file(tmp_path) == project
    assert read_ladder(project, PROVIDERS).default == "1b"
    own = tmp_path / "rightsize.toml"
    own.write_text('default = "4b"\n', encoding="utf-8")
    assert find_ladder_file(tmp_path) == own
    assert read_ladder(own, PROVIDERS).default == "4b"


def test_a_file_that_is_not_utf_8_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "rightsize.toml"
    path.write_bytes('default = "größe"'.encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_ladder(path, PROVIDERS)


def chosen_of(chosen: str | ChosenSource | None, base_dir: Path, **env: str) -> tuple[str | None, str | None]:
    return resolve_chosen(chosen, ladder=parse(PLAIN), base_dir=base_dir, env=env, task="route")


def test_a_chosen_model_is_a_rung_or_a_model_that_one_rung_uses(tmp_path: Path) -> None:
    assert chosen_of(None, tmp_path) == (None, None)
    assert chosen_of("small", tmp_path) == ("small", "chosen of route")
    assert chosen_of("vendor/large", tmp_path) == ("large", "chosen of route")
    assert chosen_of("30b", tmp_path) == ("30b", "chosen of route")
    assert chosen_of(ChosenSource(env="APP"), tmp_path, APP="vendor/large") == ("large", "the variable APP")


def test_two_rungs_of_one_model_leave_open_which_is_chosen(tmp_path: Path) -> None:
    rungs = {name: {**PLAIN["ladder"]["large"], "temperature": t} for name, t in (("cold", 0), ("warm", 1))}
    with pytest.raises(ConfigError, match="is the model of cold, warm: name the rung instead"):
        resolve_chosen("vendor/large", ladder=parse({"ladder": rungs}), base_dir=tmp_path, env={}, task="t")


@pytest.mark.parametrize(
    ("name", "text", "key", "words"),
    [
        ("app.toml", "[llm]\nmodel = 'huge'", "llm.model", "unknown rung or model 'huge'. Known: small, large"),
        ("app.toml", "[llm]\nmodel = 'huge'", "llm.model", "add a rung with model = 'huge' to the ladder file"),
        ("app.toml", "[llm]\nmodle = 'small'", "llm.model", "has no key 'llm.model'; at that level it has modle"),
        ("app.toml", "[llm", "llm.model", "cannot be parsed"),
        ("app.json", '{"llm": 3}', "llm.model", "has no key 'llm.model'"),
        ("app.json", '{"llm": 3}', "llm", "llm in app.json is 3, and should be the name of a model"),
        ("app.yaml", "llm: [", "llm", "cannot be parsed"),
        ("app.ini", "llm = small", "llm", "must end in .toml, .json, .yaml or .yml"),
    ],
)
def test_a_settings_file_that_does_not_help_says_why(
    tmp_path: Path, name: str, text: str, key: str, words: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        chosen_of(ChosenSource(file=name, key=key), tmp_path)
    assert words in str(caught.value)
    assert "'route'" in str(caught.value)


def test_a_variable_that_is_not_set_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the variable APP is not set"):
        chosen_of(ChosenSource(env="APP"), tmp_path)


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml"):
        chosen_of(ChosenSource(file="none.toml", key="a"), tmp_path)
