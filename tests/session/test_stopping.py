"""Sessions that stop a task early, with a stated error: what is asked, in which order, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.statistics import cases_in_order
from tests.conftest import LADDER, record

CASES = 76
SUITE = f"""
    import pytest

    @pytest.mark.rightsize(task="count", pass_rate=0.9, confidence=0.95, chosen="big")
    @pytest.mark.parametrize("number", range({CASES}))
    def test_count(model, number):
        assert model.ask(str(number)) == f"it is {{number}}"
"""
CLIMB = "--rightsize-ladder=tiny,small,big"


@pytest.fixture
def counting(pytester: pytest.Pytester) -> pytest.Pytester:
    """`tiny` passes 66 of 76 cases, spread evenly, the two others all: the first is undecided at 0.95."""
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize=LADDER)
    right = {str(number): f"it is {number}" for number in range(CASES)}
    record(pytester.path / "tiny.jsonl", right | {str(number): "?" for number in range(0, 70, 7)})
    record(pytester.path / "small.jsonl", right)
    record(pytester.path / "big.jsonl", right)
    return pytester


def lines_of(path: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


def asked(path: Path, rung: str) -> list[str]:
    """The cases that the rung was asked, in the order in which they were written down."""
    trials = lines_of(path, "trial")
    return [trial["case"] for trial in trials if trial["rung"] == rung and trial["outcome"] != "not_run"]


def test_an_undecided_small_rung_does_not_hide_a_proven_larger_one(counting: pytest.Pytester) -> None:
    counting.runpytest(CLIMB, "--rightsize-results=run.jsonl")
    (verdict,) = judge(read_run(counting.path / "run.jsonl"))
    assert (verdict.smallest, verdict.verdict, verdict.open_rungs) == ("small", "over-sized", ("tiny",))
    assert verdict.standing["tiny"].state == "undecided"
    assert not asked(counting.path / "run.jsonl", "big")


def test_a_sure_rung_is_asked_the_first_cases_of_the_seeded_order_alone(counting: pytest.Pytester) -> None:
    counting.runpytest("--rightsize-ladder=small", "--rightsize-results=run.jsonl", "--rightsize-concurrency=1")
    run = counting.path / "run.jsonl"
    (policy,) = [line for line in lines_of(run, "plan") if line["task"] == "count"]
    assert policy["shuffle_seed"] == 0
    cases = [f"test_suite.py::test_count[{number}]" for number in range(CASES)]
    order = cases_in_order(cases, task="count", seed=0)
    names = asked(run, "small")
    assert names == order[: len(names)]
    assert len(names) < CASES


@pytest.mark.parametrize(("stopping", "fewest", "most"), [("early", 20, 60), ("settled", 61, 75), ("none", 76, 76)])
def test_how_many_cases_are_asked(counting: pytest.Pytester, stopping: str, fewest: int, most: int) -> None:
    counting.runpytest("--rightsize-ladder=small", f"--rightsize-stopping={stopping}", "--rightsize-results=run.jsonl")
    assert fewest <= len(asked(counting.path / "run.jsonl", "small")) <= most
    (verdict,) = judge(read_run(counting.path / "run.jsonl"))
    assert verdict.smallest == "small"


@pytest.mark.parametrize("strategy", ["full", "bisect"])
def test_every_strategy_names_the_same_rung(counting: pytest.Pytester, strategy: str) -> None:
    counting.runpytest(CLIMB, f"--rightsize-strategy={strategy}", "--rightsize-results=run.jsonl")
    (verdict,) = judge(read_run(counting.path / "run.jsonl"))
    assert (verdict.smallest, verdict.verdict, verdict.open_rungs) == ("small", "over-sized", ("tiny",))


def test_workers_of_xdist_stop_as_well(counting: pytest.Pytester) -> None:
    counting.runpytest(CLIMB, "-n2", "--rightsize-results=run.jsonl")
    (verdict,) = judge(read_run(counting.path / "run.jsonl"))
    assert (verdict.smallest, verdict.open_rungs) == ("small", ("tiny",))
    assert len(asked(counting.path / "run.jsonl", "small")) < CASES


def test_a_task_without_a_confidence_keeps_its_order(suite: pytest.Pytester) -> None:
    suite.runpytest("--rightsize-ladder=big", "--rightsize-results=run.jsonl", "--rightsize-strategy=full")
    names = asked(suite.path / "run.jsonl", "big")
    assert names == [f"test_suite.py::test_upper[{word}]" for word in "abcd"]


def test_an_unknown_way_of_stopping_is_told_before_anything_runs(suite: pytest.Pytester) -> None:
    result = suite.runpytest(CLIMB, "--rightsize-stopping=earlier")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rightsize-stopping*'earlier': did you mean 'early'?*"])


LOST = """
    import pytest

    @pytest.mark.rightsize(task="count", pass_rate=0.7, chosen="big")
    @pytest.mark.parametrize("number", range(20))
    def test_count(model, number):
        if model.rung == "tiny" and number in {lost}:
            raise OSError("the disk of this test is gone")
        assert model.ask(str(number)) == f"it is {{number}}"
"""


@pytest.mark.parametrize(("lost", "smallest"), [((19,), "tiny"), ((15, 16, 17, 18, 19), None)])
def test_a_fault_hides_a_rung_only_where_it_could_matter(
    counting: pytest.Pytester, lost: tuple[int, ...], smallest: str | None
) -> None:
    """`tiny` fails three of the first twenty: with one lost it passes 16 or 17 of 20, with five 12 to 17."""
    counting.makepyfile(test_suite=LOST.format(lost=lost))
    result = counting.runpytest(CLIMB, "--rightsize-results=run.jsonl", "--rightsize-strategy=full")
    (verdict,) = judge(read_run(counting.path / "run.jsonl"))
    assert verdict.smallest == smallest
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # an error is an error, whatever the verdict
