"""`python -m studies`: which studies run, and what their status says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studies import __main__ as studies


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A study that finds one figure, and a page of the docs that says 1."""
    found = SimpleNamespace(
        missing=lambda: None,
        run_sessions=lambda folder: {"full": folder / "full.jsonl"},
        figures=lambda _: {"n": 1},
    )
    monkeypatch.setattr(studies, "STUDIES", {"one": found})
    monkeypatch.setattr(studies, "DOCS", tmp_path)
    monkeypatch.setattr(studies, "make_page", lambda *_: None)
    monkeypatch.setattr(studies, "rendered", lambda name, figures: f"{name}: {figures['n']}\n")
    (tmp_path / "one.md").write_text("one: 1\n", encoding="utf-8")
    return found


def _main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["studies", "--out", str(tmp_path / "out"), *arguments])
    return studies.main()


def test_the_page_is_printed_and_agrees_with_the_docs(
    study: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, tmp_path) == 0
    assert "one: 1" in capsys.readouterr().out


def test_a_page_that_says_something_else_fails_until_it_is_written_anew(
    study: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.figures = lambda _: {"n": 2}
    assert _main(monkeypatch, tmp_path, "one") == 1
    assert (
        "one.md says something else: look at the difference, and write it anew with --write" in capsys.readouterr().err
    )
    assert _main(monkeypatch, tmp_path, "one", "--write") == 0
    assert (tmp_path / "one.md").read_text(encoding="utf-8") == "one: 2\n"
    assert _main(monkeypatch, tmp_path) == 0


def test_a_study_without_its_data_is_skipped_and_is_no_failure(
    study: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.missing = lambda: "get it there"
    study.run_sessions = None
    assert _main(monkeypatch, tmp_path) == 0
    assert "skipped: get it there" in capsys.readouterr().out


def test_an_unknown_study_is_refused_with_those_that_are_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _main(monkeypatch, tmp_path, "two")
    assert "unknown study 'two'; known: qwen3-30b-against-gpt-5, smallest-open-model" in capsys.readouterr().err
