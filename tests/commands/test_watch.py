"""`rightsize watch`: which tests a change touches, and that they run again on recorded answers."""

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.authoring.repository_scan import touched_tests
from pytest_rightsize.commands import watch
from pytest_rightsize.commands.__main__ import main

ASKS = "import pytest\n{}\ndef test_it(model): assert model\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "shop/app.py": "from . import llm\n",
        "shop/llm.py": "",
        "shop/other.py": "",
        "tests/conftest.py": "",
        "tests/test_app.py": ASKS.format("import shop.app\nFILE = 'cases.jsonl'"),
        "tests/test_plain.py": "import shop.llm\ndef test_it(): pass\n",
        "test_top.py": ASKS.format("from shop.other import x"),
        "tests/cases.jsonl": "{}\n",
        "rightsize.toml": "",
        "broken.py": "def",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (["tests/test_app.py"], ["tests/test_app.py"]),
        (["shop/llm.py"], ["tests/test_app.py"]),
        (["shop/other.py", "shop/app.py"], ["test_top.py", "tests/test_app.py"]),
        (["tests/test_plain.py"], []),
        (["tests/conftest.py"], ["tests/test_app.py"]),
        (["conftest.py"], ["test_top.py", "tests/test_app.py"]),
        (["tests/cases.jsonl"], ["tests/test_app.py"]),
        (["rightsize.toml"], None),
        (["broken.py"], []),
        (["shop/llm.py", "rightsize.toml"], None),
    ],
)
def test_a_change_touches_the_tests_that_depend_on_it(
    project: Path, changed: Sequence[str], tests: list[str] | None
) -> None:
    assert touched_tests(project, changed) == tests


def test_files_that_are_saved_together_are_one_change() -> None:
    looks: Any = iter([{"a": (1, 1)}, {"a": (1, 1)}, {"a": (2, 1)}, {"a": (2, 1), "b": (1, 1)}] + [{"b": (1, 1)}] * 2)
    looks = iter([*looks, {"b": (2, 2)}, {"b": (2, 2)}])
    found = [*islice(watch.changes(lambda: next(looks), lambda: None), 2)]
    assert found == [{"a", "b"}, {"b"}]


def test_tests_run_at_once_and_again_when_a_file_is_saved(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C comes at the third look; the commands are noted in place of being run."""
    commands: list[Sequence[str]] = []
    saved = iter([{"shop/llm.py"}, {"tests/test_plain.py"}, {"rightsize.toml"}])

    def changes(*_: object) -> Any:
        yield from saved
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "changes", changes)
    monkeypatch.setattr(watch, "_run", lambda command, tests, _: commands.append([*command, *tests]))
    assert main(["watch", "--dir", str(project), "--", "--rightsize-ladder=a,b", "-q"]) == 0
    base = [sys.executable, "-m", "pytest", "--rightsize-runs=0", "--rightsize-cache=replay"]
    options = ["--rightsize-ladder=a,b", "-q"]
    assert commands == [[*base, *options], [*base, *options, "tests/test_app.py"], [*base, *options]]
    shown = capsys.readouterr().out
    assert "shop/llm.py: tests/test_app.py\n" in shown
    assert "tests/test_plain.py: no test with a model depends on it\n" in shown
    assert "rightsize.toml: all tests\n" in shown


def test_what_is_on_disk_is_seen(project: Path) -> None:
    before = watch._snapshot(project)
    (project / "shop" / "new.py").write_text("x = 1", encoding="utf-8")
    (project / "shop" / "llm.py").write_text("x = 2", encoding="utf-8")
    (project / ".hidden").mkdir()
    (project / ".hidden" / "x.py").touch()
    now = watch._snapshot(project)
    assert {name for name in now if now[name] != before.get(name)} == {"shop/new.py", "shop/llm.py"}


def test_what_is_no_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--dir", str(tmp_path / "none")]) == 2
    assert "none is no folder" in capsys.readouterr().err
