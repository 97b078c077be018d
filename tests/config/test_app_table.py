"""The table [app] of the ladder file: what it may say, and what is said of what it may not."""

from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.config.app_table import AppTable
from pytest_rightsize.config.ladder import parse_ladder
from pytest_rightsize.config.options import serving_is_asked
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.replay import Replay

RUNGS = {"small": {"provider": "replay", "file": "small.jsonl"}}


def parse(app: Any) -> AppTable:
    plain = {"ladder": RUNGS, "app": app}
    return parse_ladder(plain, {"replay": Replay}, where="rightsize.toml", base_dir=Path()).app


def test_without_the_table_nothing_is_served() -> None:
    assert parse({}) == AppTable()
    assert not AppTable().serve


def test_the_whole_table_is_read() -> None:
    app = parse(
        {
            "serve": True,
            "stands_for": ["gpt-4o-mini", "gpt-4o-mini"],
            "models": {"gpt-4o": "small", "judge": "frontier"},
            "ignore": ["temperature", "stop"],
        }
    )
    assert app == AppTable(
        serve=True,
        stands_for=("gpt-4o-mini",),
        models={"gpt-4o": "small", "judge": "frontier"},  # the latter is of the catalogue
        ignore=("temperature", "stop"),
    )


@pytest.mark.parametrize("name", ["top_k", "presencePenalty", "stop_sequences", "candidateCount", "cachedContent", "n"])
def test_any_parameter_of_a_vendor_may_be_ignored(name: str) -> None:
    assert parse({"ignore": [name]}).ignore == (name,)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ({"serv": True}, r"rightsize.toml \[app\]: unknown key 'serv': did you mean 'serve'\?"),
        ({"serve": "yes"}, r"rightsize.toml \[app\]: serve = 'yes' cannot be: give true or false"),
        ({"serve": 1}, r"serve = 1 cannot be: give true or false"),
        ({"stands_for": "gpt-4o"}, r"stands_for = 'gpt-4o' cannot be: give a list"),
        ({"stands_for": []}, r"stands_for is empty: name at least one, as in stands_for = \[\"gpt-4o-mini\"\]"),
        ({"stands_for": [4]}, r"stands_for holds 4: give names in quotes"),
        ({"stands_for": [""]}, r"stands_for holds '': give names in quotes"),
        ({"models": ["gpt-4o"]}, r"models is \['gpt-4o'\], and must be a table"),
        ({"models": {"gpt-4o": 4}}, r"models.gpt-4o = 4 cannot be: give text in quotes"),
        ({"models": {"gpt-4o": "smal"}}, r"models.gpt-4o: unknown rung 'smal': did you mean 'small'\?"),
        ({"models": {"m": "small"}, "stands_for": ["m"]}, r"'m' is in stands_for and in models"),
        ({"ignore": ["temprature"]}, r"ignore: unknown parameter 'temprature': did you mean 'temperature'\?"),
        ({"ignore": ["messages"]}, r"ignore: 'messages' is what the application asks, and no parameter of it"),
        ({"ignore": ["systemInstruction"]}, r"ignore: 'systemInstruction' is what the application asks"),
        ([], r"app is \[\], and must be a table"),
    ],
)
def test_what_is_wrong_is_named(app: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(app)


@pytest.mark.parametrize(
    ("file", "content", "arguments", "asked"),
    [
        ("rightsize.toml", "[app]\nserve = true\n", [], True),
        ("rightsize.toml", "[app]\nserve = false\n", [], False),
        ("rightsize.toml", "[app]\nserve = false\n", ["--rightsize-serve"], True),
        ("rightsize.toml", "[app]\nserve = 1\n", [], False),  # told when the session is configured
        ("rightsize.toml", "[app\nserve = true\n", [], False),
        ("rightsize.toml", "# serve\n", [], False),
        ("rightsize.toml", "app = 1\nx = 'serve'\n", [], False),
        ("pyproject.toml", "[tool.rightsize.app]\nserve = true\n", [], True),
        ("pyproject.toml", "[app]\nserve = true\n", [], False),
        ("other.toml", "[app]\nserve = true\n", [], False),
        ("other.toml", "[app]\nserve = true\n", ["--rightsize-config=other.toml"], True),
        ("other.toml", "[app]\nserve = true\n", ["--rightsize-config=missing.toml"], False),
        ("tox.ini", "[pytest]\nrightsize_config = other.toml\nrightsize_serve = true\n", [], True),
        ("tox.ini", "[pytest]\nrightsize_serve = true\n", [], False),  # no ladder, no rung
        ("tox.ini", "[pytest]\nrightsize_serve = true\n", ["--rightsize-ladder=1b"], True),
    ],
)
def test_serving_is_asked_for_by_the_file_or_an_option(
    pytester: pytest.Pytester, file: str, content: str, arguments: list[str], asked: bool
) -> None:
    (pytester.path / file).write_text(content)
    assert serving_is_asked(pytester.parseconfig(*arguments)) is asked
