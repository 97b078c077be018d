"""Runs are kept by their numbers, and `rightsize history` lists them with what became of each task."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Run
from pytest_rightsize.results.kept_runs import copy_run, kept_runs, named_run, next_run, remove_oldest
from pytest_rightsize.results.results_file import ResultsFile, read_run
from pytest_rightsize.results.run_summaries import read_summary
from tests.conftest import record
from tests.runs import make_run

Keep = Callable[..., Path]


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Keep a run of tasks as it is written in `make_run`; the project is the current folder."""
    monkeypatch.chdir(tmp_path)

    def keep(*, whole: bool = True, started: str = "2026-11-20T10:00:00+00:00", **tasks: dict[str, str]) -> Path:
        run: Run = make_run(tasks, chosen="b")
        about = {"settings": {"strategy": run.strategy}, "started": started, "commit": "0123456789abcdef"}
        file = ResultsFile(next_run(tmp_path / ".rightsize" / "runs"), rungs=run.rungs, about=about)
        file.plan(run.policies.values(), run.planned)
        for trial in run.trials:
            file.trial(trial)
        if whole:
            file.end(judge(run), exitstatus=1, failed=[], totals={})
        return file.path

    return keep


def test_runs_are_numbered_one_after_the_other_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / ".rightsize" / "runs"
    assert [next_run(folder).name for _ in range(3)] == ["0001.jsonl", "0002.jsonl", "0003.jsonl"]
    (folder / "0002.jsonl").unlink()
    assert next_run(folder).name == "0004.jsonl"
    assert stat.S_IMODE((folder / "0004.jsonl").stat().st_mode) == 0o600
    assert (folder / ".gitignore").read_text("utf-8") == "*\n"
    remove_oldest(folder, 2)
    assert [path.name for path in kept_runs(folder)] == ["0003.jsonl", "0004.jsonl"]


def test_the_ten_thousandth_run_comes_after_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "9999.jsonl").touch()
    assert next_run(tmp_path).name == "10000.jsonl"
    assert [path.name for path in kept_runs(tmp_path)] == ["9999.jsonl", "10000.jsonl"]


def test_nothing_is_kept_behind_a_link_out_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project" / ".rightsize").mkdir(parents=True)
    (tmp_path / "project" / ".rightsize" / "runs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        next_run(tmp_path / "project" / ".rightsize" / "runs")
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_a_run_is_named_by_its_number_from_any_folder_of_the_project(keep: Keep, tmp_path: Path) -> None:
    first, second = keep(t={"a": "11"}), keep(t={"a": "01"})
    below = tmp_path / "tests" / "unit"
    below.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(below)
        assert named_run("1") == first
        assert named_run("0002") == second
        assert named_run("last") == second
        assert named_run("run.jsonl") == Path("run.jsonl")
        with pytest.raises(ConfigError, match=r"there is no run 3: kept are 1, 2\. `rightsize history` lists them"):
            named_run("3")
    (tmp_path / "7").touch()
    assert named_run("7") == Path("7")


def test_without_a_run_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no run last: no run is kept here"):
        named_run("last")


def test_a_summary_has_the_verdicts_and_no_counts_of_a_rung_that_was_stopped_early(keep: Keep) -> None:
    run = read_run(path := keep(route={"a": "01", "b": "11"}))
    summary = read_summary(path)
    (verdict,) = judge(run)
    task = summary.tasks["route"]
    assert (task.verdict, task.smallest, task.chosen) == (verdict.verdict, "b", "b")
    assert task.standing["b"] == ("passes", 2, 2)
    assert summary.rungs == ("a", "b")
    assert summary.is_whole
    text = path.read_text("utf-8").replace('"given_up": 0', '"given_up": 3')
    path.write_text(text, encoding="utf-8")
    assert read_summary(path).tasks["route"].standing["b"] == ("passes", None, None)


@pytest.mark.parametrize("text", ["", '{"kind": "run"}\n', '{"kind": "run", "started": 1, "ladder": 5}\n', "[]\n"])
def test_a_file_that_is_no_results_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.jsonl is no results file that this version reads"):
        read_summary(tmp_path / "x.jsonl")


def history(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["history", *arguments]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_the_runs_and_the_trend_of_each_task_are_listed(keep: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    keep(route={"a": "00", "b": "11"})
    keep(route={"a": "11", "b": "11"}, date={"a": "00", "b": "00"})
    keep(whole=False, route={"a": "11", "b": "11"})
    lines = [line.split() for line in history(capsys).splitlines()]
    assert lines[1] == ["1", "2026-11-20", "10:00", "01234567", "a<b", "1", "right-sized"]
    assert lines[2] == ["2", "2026-11-20", "10:00", "01234567", "a<b", "1", "OVER-SIZED,", "1", "UNSOLVED"]
    assert lines[3] == ["3", "2026-11-20", "10:00", "01234567", "a<b", "cut", "off"]
    assert ["date", "-"] in lines
    assert ["route", "b", "2/2", "a", "2/2", "b", "to", "a", "in", "2"] in lines


def test_a_narrow_terminal_shows_the_last_runs_and_says_so(
    keep: Keep, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(9):
        keep(route={"a": "00", "b": "11"})
    monkeypatch.setenv("COLUMNS", "50")
    shown = history(capsys)
    assert "earlier runs are left out: a wider window shows them, or --json" in shown
    table = shown.splitlines()[-4:-2]
    assert table[0].split()[:2] == ["task", "6"]
    assert max(map(len, table)) <= 50


def test_all_of_it_is_json_too(keep: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    keep(route={"a": "00", "b": "11"})
    (plain,) = json.loads(history(capsys, "--json"))
    assert plain["number"] == 1
    assert plain["tasks"]["route"]["smallest"] == "b"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "rout"], "unknown task 'rout': did you mean 'route'?"),
        (["--last", "0"], "--last was given 0: give the number of runs to show, 1 or more"),
        (["--dir", "nothing"], "no run is kept in nothing: climb a ladder first"),
        (["none.jsonl"], "cannot read the results file none.jsonl"),
    ],
)
def test_what_is_not_there_is_told(
    keep: Keep, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(route={"a": "11"})
    assert words in history(capsys, *arguments, status=2)


LADDER = ("--rightsize-ladder=tiny,small,big", "-o", "rightsize_runs=")


def test_a_session_keeps_its_run_and_says_how_to_compare_it(suite: pytest.Pytester) -> None:
    suite.runpytest(*LADDER).stdout.fnmatch_lines(["rightsize: run 1 is kept (rightsize history)"])
    record(suite.path / "small.jsonl", dict(zip("abcd", "abcd", strict=True)))
    result = suite.runpytest(*LADDER, "--rightsize-results=run.jsonl", "--rightsize-cache=refresh")
    result.stdout.fnmatch_lines(["*run 2 is kept (rightsize history); what changed: rightsize report 2 --against 1"])
    first, second = kept_runs(suite.path / ".rightsize" / "runs")
    assert second.read_bytes() == (suite.path / "run.jsonl").read_bytes()
    assert read_summary(first).tasks["upper"].smallest == "small"
    assert read_summary(second).tasks["upper"].smallest == "big"
    answers = {
        (trial.key.case, trial.key.rung): trial.answers[0].text for trial in read_run(first).trials if trial.answers
    }
    assert answers["test_suite.py::test_upper[a]", "small"] == "A"


@pytest.mark.parametrize(
    "options",
    [
        ["--rightsize-runs=0"],
        ["--rightsize-cache=off"],
        ["--collect-only"],
        ["-k", "nothing"],
    ],
)
def test_a_session_keeps_none_where_it_should_not(suite: pytest.Pytester, options: list[str]) -> None:
    result = suite.runpytest(*LADDER, *options)
    assert not (suite.path / ".rightsize" / "runs").exists()
    assert "is kept" not in result.stdout.str()


def test_only_the_last_runs_stay(suite: pytest.Pytester) -> None:
    for _ in range(3):
        suite.runpytest(*LADDER, "--rightsize-runs=2")
    assert [path.name for path in kept_runs(suite.path / ".rightsize" / "runs")] == ["0002.jsonl", "0003.jsonl"]


def test_a_run_that_cannot_be_kept_ends_nothing(suite: pytest.Pytester) -> None:
    (suite.path / ".rightsize").mkdir()
    (suite.path / ".rightsize" / "runs").touch()
    result = suite.runpytest(*LADDER)
    assert result.ret == pytest.ExitCode.OK
    assert "this run is not kept in " in result.stdout.str()


def test_copies_are_for_their_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("x", encoding="utf-8")
    copy = copy_run(tmp_path / "run.jsonl", tmp_path / "runs")
    assert copy.read_text("utf-8") == "x"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
