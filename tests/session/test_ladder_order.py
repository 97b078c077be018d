"""A ladder that goes by price or by joules: what a session says of it, and what it refuses."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.session.order_amounts import order_amounts
from tests.conftest import LADDER

ASKED = "--rightsize-ladder=tiny,small,big"


def with_joules(path: Path, joules: float) -> None:
    """Give each answer of a replay file that many joules."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    energy = {"joules": joules, "provenance": "measured", "boundary": ["gpu.board"], "low": joules, "high": joules}
    path.write_text("".join(json.dumps({**line, "energy": energy}) + "\n" for line in lines), encoding="utf-8")


def test_a_session_says_by_what_its_ladder_goes(suite: pytest.Pytester) -> None:
    suite.path.joinpath("rightsize.toml").write_text(f'order = "price"\n{LADDER}', encoding="utf-8")
    result = suite.runpytest(ASKED, "--rightsize-results=run.jsonl", "--rightsize-report=html:page.html")
    result.stdout.fnmatch_lines(
        [
            "rightsize: ladder tiny < small < big (cheapest first); strategy climb",
            'order of the ladder: cheapest first, by order = "price"',
        ]
    )
    assert "on every model, cheapest first." in suite.path.joinpath("page.html").read_text(encoding="utf-8")
    assert read_run(suite.path / "run.jsonl").about["settings"]["order"] == "price"


def test_joules_that_an_earlier_run_measured_contradict_an_order(suite: pytest.Pytester) -> None:
    with_joules(suite.path / "tiny.jsonl", 50.0)
    with_joules(suite.path / "small.jsonl", 5.0)
    suite.path.joinpath("rightsize.toml").write_text(f'order = "energy"\n{LADDER}', encoding="utf-8")
    kept = ("-o", "rightsize_runs=3")
    suite.runpytest(ASKED, *kept).stdout.fnmatch_lines(["*tiny < small < big (least joules first)*"])
    result = suite.runpytest(ASKED, *kept)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*names tiny (50 J a case) before small (5 J a case)*--rightsize-ladder=small,tiny,big*"]
    )


def test_what_no_run_measured_is_not_known(tmp_path: Path) -> None:
    assert order_amounts([], "energy", {}, tmp_path) == {}
    tmp_path.joinpath("0001.jsonl").write_text("{", encoding="utf-8")
    assert order_amounts([], "price", {}, tmp_path) == {}
