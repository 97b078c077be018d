"""Suites in shards, and `rightsize merge`: together they give what one session gives."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.records import Run
from pytest_rightsize.results.results_file import read_run
from tests.conftest import record

# What one session recorded would be no news to the next.
OPTIONS = ("--rightsize-ladder=small,big", "--rightsize-cache=off")
TASKS = ("billing", "extract", "route", "translate", "upper")


@pytest.fixture
def tasks(pytester: pytest.Pytester) -> pytest.Pytester:
    """Five tasks of four cases, of which the small rung passes some, and a test that asks no model."""
    functions = "".join(
        f"""
        @pytest.mark.rightsize(task="{task}", chosen="big")
        @pytest.mark.parametrize("word", [*"abcd"])
        def test_{task}(model, word):
            assert model.ask("{task} " + word) == word.upper()
        """
        for task in TASKS
    )
    pytester.makepyfile(test_suite=f"import pytest\n\ndef test_plain(): pass\n{functions}".replace("\n        ", "\n"))
    pytester.makefile(
        ".toml",
        rightsize="\n".join(
            f'[ladder.{rung}]\nprovider = "replay"\nfile = "{rung}.jsonl"' for rung in ("small", "big")
        ),
    )
    right = {f"{task} {word}": word.upper() for task in TASKS for word in "abcd"}
    record(pytester.path / "big.jsonl", right)
    record(pytester.path / "small.jsonl", right | {f"{task} d": "?" for task in ("route", "upper")})
    return pytester


def trials(run: Run) -> set[Any]:
    return {(trial.key, trial.outcome) for trial in run.trials}


def end(file: Path) -> Any:
    """The last line, whose sums by task stand in the order in which trials ended."""
    line = json.loads(file.read_text("utf-8").splitlines()[-1])
    line["totals"]["spending"]["tasks"].sort(key=lambda usage: (usage["task"], usage["rung"]))
    return line


def shard(project: pytest.Pytester, index: int, count: int, *options: str) -> Path:
    file = project.path / f"shard-{index}.jsonl"
    result = project.runpytest(*OPTIONS, f"--rightsize-shard={index}/{count}", f"--rightsize-results={file}", *options)
    assert result.ret in (0, 1)
    return file


@pytest.mark.parametrize(
    ("options", "shard_options"),
    [
        ((), ()),
        (("--rightsize-strategy=full",), ()),
        (("--rightsize-strategy=full",), ("--rightsize-shard-by=case",)),
        (("--rightsize-confidence=0.8", "--rightsize-pass-rate=0.5"), ()),
    ],
)
def test_shards_merged_are_one_run(
    tasks: pytest.Pytester, options: tuple[str, ...], shard_options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tasks.path)
    gates = "--rightsize-gate=oversized,unsolved,provisional"
    whole = tasks.runpytest(
        *OPTIONS, "--rightsize-results=whole.jsonl", "--rightsize-markdown=whole.md", gates, *options
    )
    files = [shard(tasks, index, 3, *options, *shard_options) for index in (1, 2, 3)]
    status = main(
        ["merge", *map(str, files), "-o", "run.jsonl", "--markdown", "run.md", "--gate=oversized,unsolved,provisional"]
    )
    assert status == whole.ret == 1
    one, merged = read_run(tasks.path / "whole.jsonl"), read_run(tasks.path / "run.jsonl")
    assert trials(merged) == trials(one)
    assert (merged.planned, [*merged.policies]) == (one.planned, [*one.policies])
    assert (tasks.path / "run.md").read_text("utf-8") == (tasks.path / "whole.md").read_text("utf-8")
    assert end(tasks.path / "run.jsonl") == end(tasks.path / "whole.jsonl")
    assert [part["shard"] for part in merged.about["shards"]] == ["1/3", "2/3", "3/3"]


def test_a_test_without_a_model_runs_in_the_first_shard_only(tasks: pytest.Pytester) -> None:
    ran = [tasks.runpytest(*OPTIONS, f"--rightsize-shard={index}/2", "-v", "--rightsize-gate=none") for index in (1, 2)]
    assert ["test_plain PASSED" in str(result.stdout) for result in ran] == [True, False]


def test_the_session_says_which_part_it_is(tasks: pytest.Pytester) -> None:
    result = tasks.runpytest(*OPTIONS, "--rightsize-shard=1/2", "--rightsize-gate=none")
    mine = [line for line in result.stdout.lines if line.startswith("rightsize: shard 1/2:")]
    assert mine[0].endswith(" of 5 tasks")
    result.stdout.no_fnmatch_line("*trials were deselected*")


def test_a_shard_without_a_task_writes_its_file_and_fails_nothing(tasks: pytest.Pytester) -> None:
    """Where there are more shards than tasks."""
    files = [shard(tasks, index, 12) for index in range(1, 13)]
    empty = [file for file in files if not read_run(file).trials]
    assert empty
    status = [
        tasks.runpytest(*OPTIONS, f"--rightsize-shard={file.stem.removeprefix('shard-')}/12").ret for file in empty[-1:]
    ]
    assert status == [0]
    assert main(["merge", *map(str, files), "-o", str(tasks.path / "run.jsonl"), "--gate=none"]) == 0
    assert len(read_run(tasks.path / "run.jsonl").policies) == 5


def test_a_shard_on_several_workers_holds_the_same(tasks: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    alone = shard(tasks, 1, 2).read_text("utf-8")
    together = shard(tasks, 1, 2, "-n2").read_text("utf-8")
    plans = [[line for line in text.splitlines() if '"kind": "suite"' in line] for text in (alone, together)]
    assert plans[0] == plans[1]
    assert len(plans[0]) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rightsize-shard=3/2"], "--rightsize-shard was given '3/2': give which shard of how many"),
        (["--rightsize-shard-by=case"], "give --rightsize-shard=I/N too"),
        (["--rightsize-shard=1/2", "--rightsize-shard-by=case"], "give --rightsize-strategy=full, or shard by task"),
        (
            ["--rightsize-shard=1/2", "--rightsize-shard-by=case", "--rightsize-strategy=full"],
            "has no verdict before `rightsize merge`: give --rightsize-results=FILE",
        ),
        (
            [
                *("--rightsize-shard=1/2", "--rightsize-shard-by=case", "--rightsize-strategy=full"),
                *("--rightsize-results=r.jsonl", "--rightsize-gate=unsolved"),
            ],
            "cannot judge a part of a task's cases",
        ),
        (
            [
                *("--rightsize-shard=1/2", "--rightsize-shard-by=case", "--rightsize-strategy=full"),
                *("--rightsize-results=r.jsonl", "--rightsize-strength"),
            ],
            "run `rightsize strength` with the merged file",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(tasks: pytest.Pytester, options: list[str], words: str) -> None:
    result = tasks.runpytest(*OPTIONS, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in str(result.stderr)
