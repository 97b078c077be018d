"""Bars in a few words, and where each was set: one line where all agree, a column and a line where they do not."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import Policy, Run
from pytest_rightsize.reports.bars import bar_lines, bar_sources, bar_words
from pytest_rightsize.reports.html.report import HtmlReport
from pytest_rightsize.reports.markdown import MarkdownReport
from pytest_rightsize.reports.tables import CsvReport, JsonReport
from pytest_rightsize.reports.terminal import summary_lines, table_lines
from tests.runs import make_run

DEFAULTS = {"pass_rate_from": "default", "confidence_from": "default", "samples_from": "default"}


def run_with(policies: Mapping[str, Mapping[str, Any]]) -> Run:
    """A run whose tasks have these policies; what is not named is as in the default."""
    run = make_run({task: {"small": "01", "big": "11"} for task in policies}, chosen="big")
    return replace(
        run, policies={task: Policy(task=task, **{**DEFAULTS, **policy}) for task, policy in policies.items()}
    )


MARKED = {"pass_rate": 0.5, "pass_rate_from": "marker"}
IN_FILE = {"pass_rate": 0.9, "pass_rate_from": "rightsize.toml [tasks.b]"}
OTHER_IN_FILE = {"pass_rate": 0.8, "pass_rate_from": 'rightsize.toml [tasks."c d"]'}
SURE = {"confidence": 0.95, "confidence_from": "ini rightsize_confidence"}


@pytest.mark.parametrize(
    ("policies", "line", "verbose"),
    [
        ({"a": {}}, "bar: 1 (default)", None),
        ({"a": MARKED, "b": MARKED}, "bar: 0.5 (marker)", None),
        (
            {"a": MARKED | SURE},
            "bar: 0.5 at 0.95 (pass rate from marker; confidence from ini rightsize_confidence)",
            None,
        ),
        (
            {"a": {"samples": 3, "samples_from": "--rightsize-samples"}},
            "bar: 1, 3 samples (pass rate from default; samples from --rightsize-samples)",
            None,
        ),
        # One bar from two places.
        (
            {"a": MARKED, "b": MARKED | {"pass_rate_from": "default"}},
            "bar: 0.5 (marker (a), default (b))",
            None,
        ),
        # Bars differ: the table shows them, and all come from one place.
        ({"a": MARKED, "b": MARKED | {"pass_rate": 0.9}}, None, "bars: pass rate from marker"),
        ({"a": MARKED, "b": IN_FILE}, "bars: pass rate from marker (a), rightsize.toml [tasks] (b)", None),
        # Tables of one file are one place.
        ({"b": IN_FILE, "c d": OTHER_IN_FILE}, None, "bars: pass rate from rightsize.toml [tasks]"),
        # A run that did not record it.
        ({"a": dict.fromkeys(DEFAULTS)}, "bar: 1", None),
        ({"a": dict.fromkeys(DEFAULTS), "b": dict.fromkeys(DEFAULTS) | {"pass_rate": 0.5}}, None, None),
    ],
)
def test_where_bars_come_from_is_told_where_they_differ_or_on_request(
    policies: Mapping[str, Mapping[str, Any]], line: str | None, verbose: str | None
) -> None:
    run = run_with(policies)
    assert bar_lines(run, judge(run)) == ([line] if line else [])
    assert bar_lines(run, judge(run), verbose=True) == ([found] if (found := line or verbose) else [])
    assert ((line or "") in summary_lines(run, judge(run))) == (line is not None)


def test_many_tasks_are_counted() -> None:
    run = run_with({f"t{number}": MARKED for number in range(7)} | {"u": IN_FILE})
    assert bar_lines(run, judge(run)) == ["bars: pass rate from marker (7 tasks), rightsize.toml [tasks] (u)"]


def test_the_table_has_a_column_for_bars_that_differ() -> None:
    run = run_with({"a": MARKED | SURE, "b": IN_FILE})
    header, first, second = table_lines(run, judge(run))
    assert header.split()[:3] == ["task", "bar", "small"]
    assert first.startswith("a       0.5 at 0.95  ")
    assert second.startswith("b       0.9          ")
    same = run_with({"a": MARKED, "b": MARKED})
    assert table_lines(same, judge(same))[0].split()[:2] == ["task", "small"]


def test_markdown_page_csv_and_json_carry_the_bar_and_its_source() -> None:
    run = run_with({"a": MARKED | SURE, "b": IN_FILE})
    verdicts = judge(run)
    text = MarkdownReport().render(run, verdicts)
    assert "| task | bar | small | big | verdict |" in text
    assert "| b | 0.9 | " in text
    assert "<sub>bars: pass rate from marker (a), rightsize.toml \\[tasks\\] (b); confidence from " in text
    page = HtmlReport().render(run, verdicts)
    assert "bar 50 % at 0.95 (pass rate from marker; confidence from ini rightsize_confidence)" in page
    assert "bar 90 % (rightsize.toml [tasks.b])" in page
    rows = [*csv.DictReader(io.StringIO(CsvReport().render(run, verdicts)))]
    assert {(row["task"], row["pass_rate"], row["pass_rate_from"], row["confidence"]) for row in rows} == {
        ("a", "0.5", "marker", "0.95"),
        ("b", "0.9", "rightsize.toml [tasks.b]", ""),
    }
    document = json.loads(JsonReport().render(run, verdicts))
    assert document["verdicts"][0]["confidence_from"] == "ini rightsize_confidence"
    assert document["verdicts"][1]["samples"] == 1


def test_words_of_one_bar() -> None:
    assert bar_words(Policy(task="t", pass_rate=0.9, confidence=0.95, samples=3)) == "0.9 at 0.95, 3 samples"
    assert bar_sources(Policy(task="t", pass_rate_from="marker")) == "marker"
    assert bar_sources(Policy(task="t")) == ""
