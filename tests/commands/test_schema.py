"""`rightsize schema`: printed as JSON, or written beside the ladder file with the line that names it."""

import json
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main


def test_it_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["rung"]["oneOf"]


def test_it_is_written_and_the_editors_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "--output", "s.json"]) == 0
    assert json.loads((tmp_path / "s.json").read_text("utf-8"))["additionalProperties"] is False
    assert "'#:schema s.json' as the first line" in capsys.readouterr().out


def test_what_cannot_be_written_or_imported_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain").write_text("mine", encoding="utf-8")
    assert main(["schema", "--output", str(tmp_path / "plain" / "s.json")]) == 2
    assert main(["schema", "--output", str(tmp_path / "plain")]) == 2
    assert main(["schema", "--plugin", "no_such_module"]) == 2
    error = capsys.readouterr().err
    assert "s.json, which is no file: give a file" in error
    assert "plain, which is no JSON schema: give another file" in error
    assert (tmp_path / "plain").read_text("utf-8") == "mine"
    assert "--plugin no_such_module cannot be imported" in error
