"""The command line itself: help with examples that parse, the nearest name, versions, completion of a shell."""

import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pytest_rightsize.commands.__main__ import _command_names, _parser, main
from pytest_rightsize.results.kept_runs import next_run

COMMANDS = _command_names()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_and_each_of_them_parses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(12):  # the runs that examples name
        next_run(tmp_path / ".rightsize" / "runs")
    module = import_module(COMMANDS[name])
    assert module.EXAMPLES
    for example in module.EXAMPLES:
        words = shlex.split(example)
        assert words[:2] == ["rightsize", name]
        assert _parser([name]).parse_all(words[1:]).run is module.run
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert f"\n  {module.EXAMPLES[0]}\n" in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plna"], "rightsize: the command line: unknown command 'plna': did you mean 'plan'? Known: cache, "),
        (
            ["plan", "--bra", "0.9"],
            "rightsize plan: the following arguments are required: --bar; --bra is unknown: did you mean '--bar'?",
        ),
        (
            ["plan", "--bar=0.9", "--powr=1"],
            "rightsize plan: unrecognized arguments: --powr=1: did you mean '--power'?",
        ),
        (["cache", "statt"], "'statt' (choose from 'export', 'import', 'stat', 'prune'): did you mean 'stat'?"),
        (["compare", "a", "--rungs=a,b", "--cases=-1"], "--cases: '-1' is no whole number from 0 to 1,000,000"),
        (["report", "a", f"--cases={10**30}"], "is no whole number from 0 to 1,000,000"),
        (["show", "a", "--width=1e3"], "--width: '1e3' is no whole number from 20 to 10,000"),
        (["lock"], "rightsize lock: the following arguments are required: RUN\nSee rightsize lock --help."),
        (["--print-completion", "bsh"], "unknown shell 'bsh': did you mean 'bash'?"),
    ],
)
def test_what_is_wrong_is_told_with_the_nearest_name(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--print-completion" in arguments:
        pytest.importorskip("shtab")
    try:
        status: object = main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert words in capsys.readouterr().err


def test_without_a_command_the_help_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n    {name} " not in shown] == []


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("rightsize 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="the extra `completion`")
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    assert "doctor" in script
    assert "older-than" in script


def test_bash_takes_the_script_and_completes_a_command() -> None:
    pytest.importorskip("shtab", reason="the extra `completion`")
    script = (
        'eval "$({0} -m pytest_rightsize.commands --print-completion bash)"; COMP_WORDS=(rightsize pl); COMP_CWORD=1; '
        '_shtab_rightsize; echo "${{COMPREPLY[@]}}"'
    )
    bash = ["bash", "--norc", "-c", script.format(shlex.quote(sys.executable))]
    assert subprocess.run(bash, capture_output=True, text=True, check=True).stdout.split() == ["plan"]


def test_a_command_that_is_not_named_is_not_imported() -> None:
    """Each takes a tenth of a second or more."""
    script = "import sys; from pytest_rightsize.commands.__main__ import main; main([]); print([*sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = run.stdout.splitlines()[-1]
    assert "pytest_rightsize.commands.__main__" in modules
    assert not [name for name in ("tabulate", "pytest_rightsize.commands.plan", "'pytest'") if name in modules]


@pytest.mark.parametrize("command", [["report"], ["lock"], ["route"], ["strength"], ["compare", "--rungs=a,b"]])
def test_a_file_without_a_run_is_told(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").touch()
    name, *options = command
    assert main([name, str(tmp_path / "empty.jsonl"), *options]) == 2
    assert "empty.jsonl has no run: it is empty, or its session ended before" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bar=90"], "--bar was given 90, which looks like percent: write 0.9"),
        (["--bar=0.9", "--margin=5"], "--margin was given 5, which looks like percent: write 0.05"),
        (
            ["--bar=0.95", "--true-rate=0.9"],
            "--true-rate 0.9 is below the bar 0.95: a model of that rate should not",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_told(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *arguments]) == 2
    assert words in capsys.readouterr().err
