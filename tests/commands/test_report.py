"""`rightsize report`: reports of a results file, at any time."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.judging.verdict import judge
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


def test_without_an_option_the_summary_is_printed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(results)]) == 0
    assert "OVER-SIZED" in capsys.readouterr().out


def test_a_dash_is_the_standard_output(results: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", str(results), "--csv", "-"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"task,case,rung,")


@pytest.mark.parametrize(
    ("file", "words"), [("none.jsonl", "cannot read the results file"), ("run.jsonl", "cannot write")]
)
def test_what_cannot_be_read_or_written_is_told(
    results: Path, tmp_path: Path, file: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain").write_text("")
    assert main(["report", str(results.with_name(file)), "--badge", str(tmp_path / "plain" / "b.svg")]) == 2
    assert words in capsys.readouterr().err
