"""The formula of served models against ML.ENERGY's table: shipped constants are the fit's, and docs say what holds."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from pytest_rightsize.meters.served_formula import Constants
from tests.benchmarks.bench_served_meter import TABLE, are_shipped, main, read_table, report, split

DOCS = Path(__file__).parents[2] / "docs" / "served-model-meter.md"
BEGIN, END = "<!-- begin: python -m tests.benchmarks served-meter -->\n", "<!-- end -->\n"
needs_table = pytest.mark.skipif(not TABLE.is_file(), reason=f"ML.ENERGY's table is not in {TABLE}")


@needs_table
def test_the_meter_has_the_constants_of_the_fit_and_the_docs_show_what_the_benchmark_prints() -> None:
    """The one test that fits: thirty fits, a second in all."""
    lines, figures = report(read_table())
    assert are_shipped(figures["constants"])
    *sentences, table = lines
    shown = "\n".join([*(f"- {line}" for line in sentences if line), "", table, ""])
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    documented, _, after = rest.partition(END)
    if os.environ.get("RIGHTSIZE_GOLDEN") == "write":
        DOCS.write_text(f"{before}{BEGIN}{shown}{END}{after}", encoding="utf-8")
        documented = shown
    assert documented == shown


@needs_table
def test_no_family_of_models_is_in_both_halves() -> None:
    rows = read_table()
    assert len(rows) == 565
    to_fit, to_count = split(rows)
    assert len(to_fit) + len(to_count) == 565
    assert not {row.family for row in to_fit} & {row.family for row in to_count}
    for name in ("accelerator", "kind", "task", "size"):
        assert {getattr(row, name) for row in to_fit} == {getattr(row, name) for row in to_count}


def test_the_formula_of_the_docs_has_the_constants_of_the_meter() -> None:
    text = DOCS.read_text(encoding="utf-8").partition("## The formula")[2].partition("## How often")[0]
    for value in asdict(Constants()).values():
        assert f"{value:g}" in text


def test_without_the_table_the_benchmark_says_so_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.benchmarks.bench_served_meter.TABLE", tmp_path / "missing.csv.gz")
    monkeypatch.setattr("sys.argv", ["bench_served_meter"])
    assert main() == 0
    assert "skipped: the table of ML.ENERGY is not in" in capsys.readouterr().out
