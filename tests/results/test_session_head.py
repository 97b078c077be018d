"""What the first line of a results file says of the suite."""

import subprocess
from pathlib import Path

import pytest

from pytest_rightsize.results.session_head import SessionHead


def commit_of(folder: Path) -> object:
    return SessionHead({}, folder)["commit"]


def git(folder: Path, *words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("git is not installed")


def test_the_commit_is_unknown_outside_git_and_before_the_first_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) is None
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first")
    assert commit_of(tmp_path) == git(tmp_path, "rev-parse", "HEAD")


def test_what_a_report_without_a_file_asks_for_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    head = SessionHead({"order": "bytes"}, tmp_path)
    head.identities = {"one": "model-1"}
    assert head["settings"] == {"order": "bytes"}
    assert head.get("started")
    assert head["identities"] == {"one": "model-1"}
    monkeypatch.undo()
    assert [*head] == ["started", "versions", "machine", "commit", "settings", "identities"]
