"""`rightsize init`: files that make a session with a verdict, for each kind of ladder and CI."""

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from pytest_rightsize.commands import init
from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.commands._machine import Memory
from pytest_rightsize.commands._plugins import classes
from pytest_rightsize.config.ladder import read_ladder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, on a machine of 16 GB."""
    monkeypatch.chdir(tmp_path)
    memory = Memory(total=16_000_000_000, free=None)
    monkeypatch.setattr(init, "memory_of_this_machine", lambda: memory)
    return tmp_path


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_demo_passes_on_a_bare_installation(pytester: pytest.Pytester) -> None:
    assert main(["init", "--models", "demo"]) == 0
    result = pytester.runpytest("--rightsize-ladder=25k,60k,160k,820k", "--rightsize-offline")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["iso-date *9/18 *15/18 *18/18[*] *18/18 *160k  *160k *right-sized"])
    assert pytester.runpytest().parseoutcomes() == {"passed": 18}


def test_the_demo_needs_no_other_recorded_answers(pytester: pytest.Pytester) -> None:
    assert main(["init", "--models", "demo"]) == 0
    result = pytester.runpytest("--rightsize-ladder=25k,60k,160k,820k", "--rightsize-cache=replay")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["iso-date *160k  *160k *right-sized"])


@pytest.mark.parametrize(
    ("options", "files", "rungs"),
    [
        (
            ["--models=demo", "--ci=github"],
            {
                "test_dates.py",
                ".github/workflows/rightsize.yml",
                *(f"demo-answers/{name}.jsonl" for name in ("25k", "60k", "160k", "820k")),
            },
            ["25k", "60k", "160k", "820k"],
        ),
        (["--models=local", "--ci=gitlab"], {"test_tickets.py", "rightsize.gitlab-ci.yml"}, ["1b", "4b", "15b"]),
        (["--models=local", "--memory=2", "--ci=none"], {"test_tickets.py"}, ["1b"]),
        (
            ["--models=endpoint", "--model=org/a b:c", "--model=gpt-5", "--ci=github"],
            {"test_tickets.py", ".github/workflows/rightsize.yml"},
            ["a-b-c", "gpt-5"],
        ),
    ],
)
def test_the_files_are_a_ladder_a_test_and_a_workflow(
    here: Path, options: list[str], files: set[str], rungs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *options]) == 0
    assert written(here) == {"rightsize.toml", "rightsize.schema.json", *files}
    providers, meters = classes()
    ladder = read_ladder(here / "rightsize.toml", providers, meters)
    assert [*ladder.rungs] == rungs
    assert ladder.default in rungs
    schema: Any = yaml.safe_load((here / "rightsize.schema.json").read_text("utf-8"))
    text = (here / "rightsize.toml").read_text("utf-8")
    Draft202012Validator(schema).validate(tomllib.loads(text))
    assert text.startswith("#:schema rightsize.schema.json\n")
    told = capsys.readouterr().out
    assert f"pytest --rightsize-ladder={','.join(rungs)}" in told
    for path in here.rglob("*.yml"):
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert f"pytest --rightsize-ladder={','.join(rungs)}" in str(workflow)
    for path in here.glob("test_*.py"):
        compile(path.read_text("utf-8"), path.name, "exec")
        assert "$" not in path.read_text("utf-8")


def test_a_vendors_key_is_named_by_its_variable_and_a_local_server_has_none(here: Path) -> None:
    main(["init", "--models=endpoint", "--model=m", "--ci=github"])
    assert 'api_key_env = "OPENAI_API_KEY"' in (here / "rightsize.toml").read_text("utf-8")
    workflow = (here / ".github" / "workflows" / "rightsize.yml").read_text("utf-8")
    assert "OPENAI_API_KEY: ${{ secrets.OPENAI_API_KEY }}" in workflow
    main(["init", "--models=endpoint", "--model=m", "--base-url=http://localhost:11434/v1", "--force"])
    text = (here / "rightsize.toml").read_text("utf-8")
    assert 'base_url = "http://localhost:11434/v1"' in text
    assert "api_key_env" not in text


def test_no_file_is_replaced_unless_that_is_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rightsize.toml").write_text("mine", encoding="utf-8")
    assert main(["init", "--models", "demo"]) == 2
    assert "rightsize.toml is there already: give another --dir, or --force to replace it" in capsys.readouterr().err
    assert written(here) == {"rightsize.toml"}
    assert (here / "rightsize.toml").read_text("utf-8") == "mine"
    assert main(["init", "--models", "demo", "--force"]) == 0
    assert "[ladder.25k]" in (here / "rightsize.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--models=endpoint"], "give --model NAME for each, smallest first"),
        (["--models=endpoint", "--model=m", "--base-url=nowhere"], "--base-url is no URL"),
        (["--models=endpoint", "--model=m", "--key-variable=sk-123"], "--key-variable needs the name of a variable"),
        (["--models=local", "--memory=0.5"], "no model of the list fits 0.5 GB of memory"),
        (["--memory=-1"], "--memory was given -1"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    here: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *options]) == 2
    assert words in capsys.readouterr().err
    assert written(here) == set()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answers", "files"),
    [
        ("\n\n", {"test_dates.py"}),
        ("lokal\nlocal\ngithub\n", {"test_tickets.py", ".github/workflows/rightsize.yml"}),
        ("endpoint\nqwen3:4b, gpt-5\ngitlab\n", {"test_tickets.py", "rightsize.gitlab-ci.yml"}),
        ("", {"test_dates.py"}),
    ],
)
def test_on_a_terminal_three_questions_are_asked(
    here: Path, monkeypatch: pytest.MonkeyPatch, answers: str, files: set[str]
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answers))
    monkeypatch.setattr("sys.stdout", _Terminal())
    assert main(["init"]) == 0
    assert {
        name for name in written(here) if not name.startswith(("rightsize.toml", "rightsize.schema", "demo"))
    } == files


@pytest.mark.parametrize(
    ("is_repository", "arguments", "lines"),
    [
        (False, ["--models=demo"], []),
        (False, ["--models=demo", "--dir=my suite", "--ci=github"], ["go to the files:      cd 'my suite'"]),
        (True, ["--models=demo", "--ci=github"], []),
        (True, ["--models=demo", "--dir=evals"], ["go to the files:      cd evals"]),
        (
            True,
            ["--models=demo", "--dir=evals", "--ci=github"],
            [
                "go to the files:      cd evals",
                "move the workflow:    GitHub reads it from {}/.github/workflows alone, and runs it there",
            ],
        ),
    ],
)
def test_another_folder_is_said_with_what_to_do_there(
    is_repository: bool, arguments: list[str], lines: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if is_repository:
        (here / ".git").mkdir()
    assert main(["init", *arguments]) == 0
    said = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    assert said[: len(lines)] == [line.format(here) for line in lines]
    assert said[len(lines)].startswith("climb the ladder:")
