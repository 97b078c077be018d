"""Reports of whole sessions: asked for, checked before any test, written at the end, also under xdist."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.conftest import STRICT

LADDER = "--rightsize-ladder=tiny,small,big"


def test_a_session_writes_every_report_that_was_asked_for(suite: pytest.Pytester) -> None:
    result = suite.runpytest(
        LADDER,
        "--rightsize-html=out/report.html",
        "--rightsize-markdown=summary.md",
        "--rightsize-report=csv:run.csv, json:run.json,badge:badge.svg",
    )
    result.stdout.fnmatch_lines(["rightsize: html report in *out/report.html", "rightsize: badge report in *badge.svg"])
    assert "1 of 1 task could use a smaller model" in (suite.path / "out/report.html").read_text("utf-8")
    assert (
        (suite.path / "summary.md")
        .read_text("utf-8")
        .startswith("<!-- pytest-rightsize -->\n## 1 of 1 task could use a smaller model")
    )
    assert len((suite.path / "run.csv").read_text("utf-8").splitlines()) == 13
    assert json.loads((suite.path / "run.json").read_text("utf-8"))["run"]["machine"]["cores"]
    assert "0/1" in (suite.path / "badge.svg").read_text("utf-8")


def test_the_ending_of_a_file_names_its_report(suite: pytest.Pytester) -> None:
    """The explicit form may name another."""
    result = suite.runpytest(
        LADDER, "--rightsize-report=run.csv, out/Page.HTML,run.json,b.svg,s.md,csv:run.txt,json:j.md"
    )
    result.stdout.fnmatch_lines([f"rightsize: {name} report in *" for name in ("csv", "html", "json", "badge")])
    texts = [(suite.path / name).read_text("utf-8")[:200] for name in ("run.csv", "run.txt", "run.json", "j.md")]
    assert texts[0] == texts[1]
    assert texts[2].startswith("{")
    assert texts[3].startswith("{")
    assert "<!doctype html>" in (suite.path / "out" / "Page.HTML").read_text("utf-8").lower()
    assert "<svg" in (suite.path / "b.svg").read_text("utf-8")
    assert "| upper |" in (suite.path / "s.md").read_text("utf-8")


def test_workers_write_no_report_of_their_own(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "-n2", "--rightsize-markdown=summary.md")
    summary = (suite.path / "summary.md").read_text("utf-8")
    assert re.search(
        r"\| upper \| ❌ &lt;3/4 \| ✅ \*\*&gt;=3/4\*\* \| ⬜ chosen \| over-sized \(provisional\) \|", summary
    )
    assert str(result.stdout).count("markdown report in") == 1


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--rightsize-report=cvs:run.csv", "--rightsize-report: unknown report 'cvs': did you mean 'csv'?"),
        (
            "--rightsize-report=run.txt",
            "*was given 'run.txt': give a file that ends in .html, *, or NAME:FILE, such as ",
        ),
        (
            "--rightsize-report=run.jsonl",
            "*was given 'run.jsonl': give a file that ends in .html, *, or NAME:FILE, such",
        ),
        ("--rightsize-report=csv:", "*was given 'csv:': give a file that ends in .html, *, or NAME:FILE, such as csv:"),
        ("--rightsize-report=C:\\run.txt", "*was given 'C:\\*run.txt': give a file that ends in .html"),
        ("--rightsize-html=.", "*the html report cannot be written to *, which is no file: give a file"),
    ],
)
def test_a_report_that_cannot_be_is_refused_before_any_test(suite: pytest.Pytester, option: str, words: str) -> None:
    result = suite.runpytest(LADDER, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "passed" not in str(result.stdout)
    result.stderr.fnmatch_lines([f"ERROR: {words}*".replace("?", "[?]")])


def test_a_plugin_adds_a_report_and_one_that_fails_is_told(suite: pytest.Pytester) -> None:
    suite.makeconftest(
        """
        class Smallest:
            def check(self):
                return None

            def render(self, run, verdicts):
                return str({verdict.task: verdict.smallest for verdict in verdicts})

        class Broken(Smallest):
            def render(self, run, verdicts):
                raise ValueError("out of ideas")

        def pytest_rightsize_reports():
            return {"smallest": Smallest, "broken": Broken}
        """
    )
    result = suite.runpytest(LADDER, "--rightsize-gate=none", "--rightsize-report=broken:b.txt,smallest:s.txt")
    assert (suite.path / "s.txt").read_text("utf-8") == "{'upper': 'small'}"
    assert not (suite.path / "b.txt").exists()
    result.stdout.fnmatch_lines(["rightsize: the broken report was not written to *b.txt: ValueError: out of ideas"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_markdown_says_what_was_answered_also_where_no_results_file_is_kept(suite: pytest.Pytester) -> None:
    """A session keeps its trials without their texts; a report that shows some reads them again."""
    suite.runpytest(LADDER, "--rightsize-markdown=summary.md")
    summary = (suite.path / "summary.md").read_text("utf-8")
    assert "**tiny** answers b (wrong: assert 'b' == 'B'; " in summary


def test_a_github_job_gets_annotations_and_a_summary(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(suite.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    result = suite.runpytest(LADDER, STRICT)
    at = f"file={suite.path.name}/test_suite.py,line=3,title=rightsize%3A oversized::upper: "
    result.stdout.fnmatch_lines([f"::error {at}*(provisional: small reaches 3 of 4 *"])
    result = suite.runpytest(LADDER)
    result.stdout.fnmatch_lines([f"::warning {at}*(provisional: small reaches 3 of 4 *"])
    result.stdout.no_fnmatch_line("::error *")
    summary = (tmp_path / "step.md").read_text("utf-8")
    assert "## 1 of 1 task" in summary
    assert "**tiny** answers b (wrong: assert 'b' == 'B'; " in summary
    monkeypatch.delenv("GITHUB_ACTIONS")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert "::error" not in str(suite.runpytest(LADDER).stdout)


def test_junit_xml_carries_rung_tokens_and_verdicts(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, "--junit-xml=junit.xml")
    root = ElementTree.parse(suite.path / "junit.xml").getroot()
    of_suite = {one.attrib["name"]: one.attrib["value"] for one in root.findall("./testsuite/properties/property")}
    assert of_suite["rightsize.verdict.upper"] == "over-sized"
    cases = root.findall("./testsuite/testcase")
    of_first = {one.attrib["name"]: one.attrib["value"] for one in cases[0].findall("./properties/property")}
    assert of_first["rightsize.rung"] == "tiny"
    assert (of_first["rightsize.prompt_tokens"], of_first["rightsize.completion_tokens"]) == ("3", "1")
    assert "rightsize.reasoning_tokens" not in of_first
    assert all(len(case.findall("./properties/property[@name='rightsize.rung']")) == 1 for case in cases)


def test_the_summary_is_coloured_only_where_colour_is_allowed(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31mOVER-SIZED\x1b[0m" in str(suite.runpytest(LADDER, "--color=yes").stdout)
    assert "\x1b" not in str(suite.runpytest(LADDER, "--color=no").stdout)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in str(suite.runpytest(LADDER).stdout)


def test_a_task_name_cannot_talk_to_the_terminal(suite: pytest.Pytester) -> None:
    source = (suite.path / "test_suite.py").read_text("utf-8").replace('task="upper"', 'task="up\\x1b[2Jper"')
    (suite.path / "test_suite.py").write_text(source, encoding="utf-8")
    result = suite.runpytest(LADDER)
    assert "\x1b[2J" not in str(result.stdout)
    refusal = r"*was given task='up\x1b[[]2Jper': give a name on one line, without control characters*"
    result.stdout.fnmatch_lines([refusal])


def test_reports_of_private_tasks_are_their_owners_only(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, "--rightsize-html=public.html")
    source = (suite.path / "test_suite.py").read_text("utf-8").replace('task="upper"', 'task="upper", private=True')
    (suite.path / "test_suite.py").write_text(source, encoding="utf-8")
    suite.runpytest(LADDER, "--rightsize-html=private.html")
    assert (suite.path / "private.html").stat().st_mode & 0o777 == 0o600
    assert (suite.path / "public.html").stat().st_mode & 0o777 != 0o600


def test_twice_quiet_says_nothing_of_what_it_took(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--rightsize-ladder=tiny,small,big", STRICT, "-q", "-q")
    result.stdout.fnmatch_lines(["upper * OVER-SIZED", "gate oversized: upper: *"])
    assert "big was not run" not in result.stdout.str()
