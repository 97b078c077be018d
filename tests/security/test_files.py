"""Files of a session: none is in the way of another, none replaces what is not its own, no run costs the one before."""

import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports.publishing import refuse_foreign
from pytest_rightsize.results.results_file import ResultsFile, read_run
from pytest_rightsize.session.builtin import BuiltIn
from tests.reports.rich_run import rich_run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and locks of POSIX")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Path:
    """A test that one replay rung answers."""
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    pytester.makepyfile(test_it="def test_it(model):\n    assert model.ask('x') == 'y'\n")
    return pytester.path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rightsize-results=o", "--rightsize-html=o"], "--rightsize-results and --rightsize-html both name"),
        (["--rightsize-results=o", "--rightsize-html=./d/../o"], "--rightsize-results and --rightsize-html both name"),
        (["--rightsize-report=csv:o,json:o"], "--rightsize-report=csv and --rightsize-report=json both name"),
        (["--rightsize-markdown=o", "--junitxml=o"], "--rightsize-markdown and --junit-xml both name"),
        (["--rightsize-results=rightsize.toml"], "which is the ladder file: give another file"),
        (["--rightsize-html=tox.ini"], "which is pytest's configuration: give another file"),
        (["--rightsize-report=json:test_it.py"], "which is no json report: give another file, or remove it first"),
        (["--rightsize-html=test_it.py"], "which is no html report"),
        (["--rightsize-markdown=test_it.py"], "which is no markdown report"),
        (["--rightsize-report=csv:answers.jsonl"], "which is no csv report"),
        (["--rightsize-results=answers.jsonl"], "which is no results file: give another file, or remove it first"),
        (["--rightsize-results=linked"], "it is a symbolic link to"),
        (["--rightsize-html=linked"], "it is a symbolic link to"),
    ],
    ids=" ".join,
)
def test_what_would_be_lost_is_told_before_anything_is_asked(
    suite: Path, pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, options: list[str], words: str
) -> None:
    pytester.makeini("[pytest]\n")
    (suite / "d").mkdir()
    (suite / "linked").symlink_to(tmp_path_factory.mktemp("elsewhere") / "precious.txt")
    before = {path: path.read_bytes() for path in suite.iterdir() if path.is_file()}

    result = pytester.runpytest("--rightsize-ladder=a", *options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = " ".join([*result.errlines, *result.outlines])
    assert words in told
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_cache_behind_a_link_is_used_only_where_it_is_named(
    suite: Path, pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (suite / ".rightsize").symlink_to(elsewhere)

    result = pytester.runpytest("--rightsize-ladder=a")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*it is a symbolic link to*give the place itself in --rightsize-cache-dir*"])
    assert [*elsewhere.iterdir()] == []
    assert pytester.runpytest("--rightsize-ladder=a", "--rightsize-cache-dir=.rightsize").ret == 0


def test_reports_and_results_of_an_earlier_session_are_replaced(suite: Path, pytester: pytest.Pytester) -> None:
    options = [
        "--rightsize-ladder=a",
        "--rightsize-results=run.jsonl",
        "--rightsize-html=r.html",
        "--rightsize-markdown=r.md",
        "--rightsize-report=csv:r.csv,json:r.json,badge:r.svg",
    ]

    for _ in range(2):
        assert pytester.runpytest(*options).ret == 0
    assert main(["report", "run.jsonl", "--html", "r.html", "--markdown", "r.md"]) == 0
    assert not [path.name for path in suite.iterdir() if path.name.endswith(".part") or "earlier" in path.name]


def test_the_command_report_replaces_nothing_else(
    suite: Path, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.runpytest("--rightsize-ladder=a", "--rightsize-results=run.jsonl")

    assert main(["report", "run.jsonl", "--html", "test_it.py"]) == 2
    assert "which is no html report" in capsys.readouterr().err
    assert "def test_it" in (suite / "test_it.py").read_text()


BUILT_IN = BuiltIn().pytest_rightsize_reports()


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_each_report_of_ours_knows_its_own_files(name: str) -> None:
    run = rich_run()

    report = BUILT_IN[name]()

    assert report.own_mark in report.render(run, judge(run))[:4_000]


class Foreign:
    """A report of another plugin, which has no mark."""


@pytest.mark.parametrize(
    ("name", "content", "is_replaced"),
    [("x.txt", "anything", True), ("x.py", "", True), ("x.py", "x = 1", False), ("x.toml", "[a]", False)],
)
def test_a_report_without_a_mark_replaces_no_source(tmp_path: Path, name: str, content: str, is_replaced: bool) -> None:
    path = tmp_path / name
    path.write_text(content)

    with nullcontext() if is_replaced else pytest.raises(ConfigError, match="which is no foreign report"):
        refuse_foreign("foreign", Foreign, path)  # type: ignore[arg-type]  # a report by its behaviour


# --- the run before ---------------------------------------------------------------------------------------------------


def write(path: Path, *, ends: bool, interrupted: bool = False, started: str = "first") -> list[str]:
    """A results file, and what was told meanwhile."""
    told: list[str] = []
    file = ResultsFile(path, rungs=(), about={"started": started, "settings": {}}, on_trouble=told.append)
    if ends:
        file.end((), exitstatus=2 if interrupted else 0, failed=(), totals={}, interrupted=interrupted)
    else:
        file._file._file.close()  # as when the process is killed
    return told


def starts(path: Path) -> str:
    return str(read_run(path).about["started"])


def test_a_run_that_is_killed_leaves_the_one_before(tmp_path: Path) -> None:
    path, kept = tmp_path / "run.jsonl", tmp_path / "run.earlier.jsonl"
    write(path, ends=True, started="first")
    assert not kept.exists()

    write(path, ends=False, started="killed")
    assert (starts(path), starts(kept)) == ("killed", "first")

    write(path, ends=False, started="killed again")
    assert (starts(path), starts(kept)) == ("killed again", "first")

    told = write(path, ends=True, interrupted=True, started="stopped")
    assert (starts(path), starts(kept)) == ("stopped", "first")
    assert told == [f"this run was cut short: the one before it is kept in {kept}"]

    assert write(path, ends=True, started="whole") == []
    assert starts(path) == "whole"
    assert not kept.exists()


def test_two_sessions_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    first = ResultsFile(path, rungs=(), about={"settings": {}})

    with pytest.raises(ConfigError, match="another session is writing it"):
        ResultsFile(path, rungs=(), about={"settings": {}})
    first.end((), exitstatus=0, failed=(), totals={})
    assert len(path.read_text().splitlines()) == 2
    ResultsFile(path, rungs=(), about={"settings": {}}).end((), exitstatus=0, failed=(), totals={})


def test_what_is_set_aside_of_a_private_run_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, ends=True)
    path.chmod(0o644)

    ResultsFile(path, rungs=(), about={"settings": {}}, private=True)

    assert oct((tmp_path / "run.earlier.jsonl").stat().st_mode & 0o777) == oct(0o600)


def test_a_large_last_line_is_a_proper_end(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, ends=True)
    lines = path.read_text().splitlines()
    end = json.loads(lines[-1]) | {"totals": {"conclusions": ["x" * 3_000_000]}}
    path.write_text("\n".join([*lines[:-1], json.dumps(end)]) + "\n")
    write(path, ends=False, started="killed")

    write(path, ends=False, started="again")

    assert starts(tmp_path / "run.earlier.jsonl") == "first"
