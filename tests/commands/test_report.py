"""`rightsize report`: reports of a results file, at any time."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judging.run_changes import run_changes
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports.changes_text import change_lines
from pytest_rightsize.results.kept_runs import next_run
from pytest_rightsize.results.results_file import ResultsFile
from tests.runs import make_run


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results file of two tasks."""
    run = make_run({"t": {"a": "11", "b": "--"}, "u": {"a": "01", "b": "11"}}, chosen="b")
    file = ResultsFile(tmp_path / "run.jsonl", rungs=run.rungs, about={"settings": {"strategy": run.strategy}})
    file.plan(run.policies.values(), run.planned)
    for trial in run.trials:
        file.trial(trial)
    file.end(judge(run), exitstatus=1, failed=[], totals={})
    return file.path


def test_every_report_is_written(results: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / "out" / f"report.{name}" for name in ("html", "markdown", "csv", "json", "badge")}
    assert main(["report", str(results), *(f"--{name}={path}" for name, path in files.items())]) == 0
    assert "1 of 2 tasks could use a smaller model" in files["html"].read_text("utf-8")
    assert json.loads(files["json"].read_text("utf-8"))["verdicts"][0]["verdict"] == "over-sized"
    assert files["markdown"].read_text("utf-8").startswith("<!-- pytest-rightsize -->\n## 1 of 2 tasks")
    assert len(files["csv"].read_text("utf-8").splitlines()) == 9
    assert "1/2" in files["badge"].read_text("utf-8")


def test_the_reports_of_a_large_run_are_the_same(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its trials are kept packed, and their texts are read from the file."""
    written = []
    for size in (0, 400_000_000):
        monkeypatch.setattr("pytest_rightsize.commands.report._LARGE_BYTES", size)
        monkeypatch.setattr("pytest_rightsize.results.packed_trials._MOST_LOOSE", 3)
        files = {name: tmp_path / f"{name}-{size}" for name in ("markdown", "csv", "json", "badge")}
        assert main(["report", str(results), *(f"--{name}={path}" for name, path in files.items())]) == 0
        capsys.readouterr()
        assert main(["report", str(results)]) == 0
        written.append([capsys.readouterr().out, *(path.read_text("utf-8") for path in files.values())])
    assert "OVER-SIZED" in written[0][0]
    assert written[0] == written[1]


def test_without_an_option_the_summary_is_printed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(results)]) == 0
    assert "OVER-SIZED" in capsys.readouterr().out


def test_a_dash_is_the_standard_output(results: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", str(results), "--csv", "-"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"task,case,rung,")


@pytest.mark.parametrize(
    ("file", "badge", "words"),
    [
        ("none.jsonl", "b.svg", "cannot read the results file"),
        ("run.jsonl", "plain/b.svg", "cannot be written to"),
    ],
)
def test_what_cannot_be_read_or_written_is_told(
    results: Path, tmp_path: Path, file: str, badge: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain").write_text("")
    assert main(["report", str(results.with_name(file)), "--badge", str(tmp_path / badge)]) == 2
    assert words in capsys.readouterr().err


def test_against_an_earlier_run_the_changed_cases_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for outcomes in ({"a": "110", "b": "111"}, {"a": "011", "b": "111"}):
        run = make_run({"t": outcomes}, chosen="b", pass_rate=0.5)
        path = next_run(tmp_path / ".rightsize" / "runs")
        file = ResultsFile(path, rungs=run.rungs, about={"settings": {"strategy": run.strategy}})
        file.plan(run.policies.values(), run.planned)
        for trial in run.trials:
            file.trial(trial)
        file.end(judge(run), exitstatus=0, failed=[], totals={})
    assert main(["report", "2", "--against", "1", "--cases", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "run 2 against run 1: 1 worse, 1 better, 4 the same (a case on a rung); every task has the same result"
    )
    assert lines[2] == "worse: a: passed before, too small now"
    assert lines[3].startswith("t: ")
    assert ["before", "now"] in [line.split() for line in lines]
    assert lines[-1] == "1 changed cases more: --cases 2 shows all"


def test_a_task_whose_smallest_model_changed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        make_run({"t": {"a": "00", "b": "11"}, "old": {"a": "11"}}, chosen="b"),
        make_run({"t": {"a": "11", "b": "11"}, "new": {"a": "11"}}, chosen="b"),
    ]
    earlier, now = ((run, judge(run)) for run in runs)
    changes = run_changes(*now, *earlier)
    lines = [*change_lines(changes, runs[1].trials, runs[0].trials, names=("x", "y"), most=0, width=80)]
    assert lines[1:4] == [
        "  t: right-sized (smallest b, chosen b) before, over-sized (smallest a, chosen b) now",
        "  new: new: over-sized (smallest a, chosen b)",
        "  old: not in this run; before: over-sized (smallest a, chosen b)",
    ]
    assert lines[4:6] == ["", "2 changed cases more: --cases 2 shows all"]


def test_the_page_shows_the_earlier_run_too(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "x.html"
    assert main(["report", str(results), "--against", str(results), "--html", str(page)]) == 0
    assert capsys.readouterr().err == f"wrote {page}\n"
    assert "run.jsonl" in page.read_text("utf-8")


def test_the_page_of_a_kept_run_lists_the_runs_before_it(tmp_path: Path) -> None:
    folder = tmp_path / ".rightsize" / "runs"
    for outcomes in ({"a": "00", "b": "11"}, {"a": "11", "b": "11"}, {"a": "00", "b": "00"}):
        run = make_run({"t": outcomes}, chosen="b")
        file = ResultsFile(next_run(folder), rungs=run.rungs, about={"settings": {}, "started": "2026"})
        file.plan(run.policies.values(), run.planned)
        for trial in run.trials:
            file.trial(trial)
        file.end(judge(run), exitstatus=0, failed=[], totals={})
    (folder / "0004.jsonl").write_text("broken", encoding="utf-8")
    for number, row in (("0002", "<td>b 2/2</td><td>a 2/2</td><td>b to a in 2</td>"), ("0001", "")):
        page = tmp_path / f"{number}.html"
        assert main(["report", str(folder / f"{number}.jsonl"), "--html", str(page)]) == 0
        text = page.read_text("utf-8")
        assert (row in text) if row else ("Run by run" not in text)
