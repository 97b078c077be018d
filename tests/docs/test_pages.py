"""Every block of the documentation is run, executed or read, and what it shows as output is what comes out."""

import json
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.commands.schema import schema_text
from tests.docs.pages import Block, blocks_of, commands_in, shows

ROOT = Path(__file__).parents[2]
_DOCS = [path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts]
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in _DOCS)]
_SHOWN_ONLY = ("text", "{eval-rst}", "{toctree}", "{include} ../CHANGELOG.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_works_and_shows_what_comes_out(
    page: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    names: dict[str, object] = {}
    for block in blocks_of(ROOT / page):
        where = f"{page}:{block.line}"
        if block.reason is not None:
            continue
        if block.file is not None:
            path = pytester.path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command in commands_in(block):
                said = _run(command.words, pytester, capsys)
                assert shows(said, command.output, Path.cwd()), f"{where}: $ {command.words}\n{said}"
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language not in _SHOWN_ONLY:
            _read(block, where)


def _run(words: str, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says: of pytest, `rightsize` or `cat`, all in this process."""
    name, *arguments = shlex.split(words)
    capsys.readouterr()
    if name == "pytest":
        # Without what else is installed for tests of this project. One case after the other: with more in flight it
        # depends on their timing whether the last one of a task was answered before the task was decided.
        alone = ["--rightsize-concurrency=1"] if any("--rightsize-ladder" in word for word in arguments) else []
        pytester.runpytest_inprocess("-p", "no:randomly", *alone, *arguments)
    elif name == "rightsize":
        main(arguments)
    elif name == "cat":
        return Path(arguments[0]).read_text(encoding="utf-8")
    else:
        raise AssertionError(f"no test can run {name!r}: say why it is not run")
    said = capsys.readouterr()
    return said.out + said.err


def _read(block: Block, where: str) -> None:
    if block.language == "toml":
        table = tomllib.loads(block.text)
        # Days are text to a schema.
        plain = json.loads(json.dumps(table.get("tool", {}).get("rightsize", table), default=str))
        assert list(_ladder_files().iter_errors(plain)) == [], where
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
        assert yaml.safe_load(block.text), where
    else:
        raise AssertionError(f"{where}: a block of {block.language!r} is neither run nor read: say why, or what it is")


@cache
def _ladder_files() -> Any:
    """The check of the ladder file's schema, made once: that takes most of its time."""
    return jsonschema.Draft202012Validator(json.loads(schema_text()))


def test_the_first_page_of_the_site_shows_the_table_of_the_readme() -> None:
    tables = [
        [block.text for block in blocks_of(ROOT / page) if block.text.startswith("task ") and "multiply" in block.text]
        for page in ("README.md", "docs/index.md")
    ]
    assert len(tables[0]) == 1
    assert tables[0] == tables[1]


def test_a_block_that_is_not_run_says_why() -> None:
    reasons = [block.reason for page in PAGES for block in blocks_of(ROOT / page) if block.reason is not None]
    assert all(len(reason) > 8 for reason in reasons)


@pytest.mark.parametrize(
    ("shown", "is_so"),
    [("", True), ("a 1\nc", True), ("a ...\nc", True), ("...\nc", True), ("a 2\nc", False), ("c", False)],
)
def test_output_is_compared_whole(shown: str, is_so: bool) -> None:
    assert shows("a  1\nc\n\n", shown, Path.cwd()) is is_so
