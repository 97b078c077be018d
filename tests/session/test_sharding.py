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
        ((), ("--rightsize-shard-collects=own",)),
        ((), ("--rightsize-shard-collects=suite",)),
        (("--rightsize-strategy=full", "--rightsize-samples=2"), ("--rightsize-shard-collects=own",)),
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


# --- a shard that collects its own tests ------------------------------------------------------------------------------

OWN = ("--rightsize-shard-collects=own", "--rightsize-gate=none")


def suite_lines(file: Path) -> list[str]:
    return [line for line in file.read_text("utf-8").splitlines() if '"kind": "suite"' in line]


@pytest.mark.parametrize("options", [(), OWN])
def test_of_other_shards_one_test_a_function_is_collected(tasks: pytest.Pytester, options: tuple[str, ...]) -> None:
    """Forty trials and a plain test are in the suite; the plan of all of them is known all the same."""
    counts = []
    for index in (1, 2, 3):
        of_shard = (*OPTIONS, f"--rightsize-shard={index}/3", "--rightsize-gate=none")
        whole = ("--rightsize-shard-collects=suite", f"--rightsize-results=all-{index}.jsonl")
        every = tasks.runpytest(*of_shard, *whole)
        own = tasks.runpytest(*of_shard, *options, f"--rightsize-results=own-{index}.jsonl")
        assert "collected 41 items" in str(every.stdout)
        lines = [line for line in own.outlines if line.startswith("collected ")]
        words = lines[0].split()
        others, mine = int(words[words.index("deselected") - 1]), int(words[words.index("selected") - 1])
        counts.append((others, mine))
        assert suite_lines(tasks.path / f"own-{index}.jsonl") == suite_lines(tasks.path / f"all-{index}.jsonl")
    # Of the five functions those of other shards have one test each; the plain one is of the first shard.
    assert sum(mine for _, mine in counts) == 41
    assert sum(others for others, _ in counts) == 2 * 5 + 2


MARKED = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if "test_route" in item.name and "-a]" in item.name:
            item.add_marker(pytest.mark.rightsize(task="easy"), append=False)
"""
TAKEN = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "test_upper" not in item.name]
"""


@pytest.mark.parametrize(
    ("options", "conftest", "words"),
    [
        (("-k", "not upper"), "", "were taken out of the collection"),
        (("test_suite.py::test_route",), "", "some were taken out, or named alone"),
        ((), TAKEN, "some were taken out, or named alone"),
        ((), MARKED, "is of task easy, its function of route: something has marked it"),
    ],
)
def test_a_plan_that_is_not_known_ends_the_session(
    tasks: pytest.Pytester, options: tuple[str, ...], conftest: str, words: str
) -> None:
    """Each in the shard that has the task `route`, or the function that is named."""
    tasks.makeconftest(conftest)
    results = [tasks.runpytest(*OPTIONS, *OWN, f"--rightsize-shard={index}/2", *options) for index in (1, 2)]
    refused = [result for result in results if result.ret == pytest.ExitCode.USAGE_ERROR]
    assert refused
    assert all(words in str(result.stderr) for result in refused)
    assert all("give --rightsize-shard-collects=suite" in str(result.stderr) for result in refused)


@pytest.mark.parametrize(
    ("options", "conftest"),
    [(("-k", "not upper"), ""), (("test_suite.py::test_route",), ""), ((), TAKEN), ((), MARKED)],
)
def test_where_something_may_choose_the_whole_suite_is_collected(
    tasks: pytest.Pytester, options: tuple[str, ...], conftest: str
) -> None:
    """The plans of all shards are then the same, and those of sessions that are told to collect all."""
    tasks.makeconftest(conftest)
    plans = []
    for index, more in ((1, ()), (2, ()), (1, ("--rightsize-shard-collects=suite",))):
        file = tasks.path / "shard.jsonl"
        file.unlink(missing_ok=True)
        of_shard = (f"--rightsize-shard={index}/2", "--rightsize-gate=none", f"--rightsize-results={file}")
        assert tasks.runpytest(*OPTIONS, *of_shard, *options, *more).ret in (0, 5)
        plans.append(suite_lines(file))
    assert plans[0] == plans[1] == plans[2]
    assert plans[0]


def test_a_folder_that_chooses_late_is_told_what_to_give(tasks: pytest.Pytester) -> None:
    """Its conftest.py is loaded when other tests were collected already."""
    folder = tasks.mkdir("z_folder")
    folder.joinpath("conftest.py").write_text(TAKEN, encoding="utf-8")
    folder.joinpath("test_more.py").write_text("def test_more(model):\n    model.ask('a')\n", encoding="utf-8")
    results = [tasks.runpytest(*OPTIONS, f"--rightsize-shard={index}/2") for index in (1, 2)]
    refused = [result for result in results if result.ret == pytest.ExitCode.USAGE_ERROR]
    assert refused
    assert all("give --rightsize-shard-collects=suite" in str(result.stderr) for result in refused)


def test_cases_that_are_marked_may_be_of_several_shards(tasks: pytest.Pytester) -> None:
    """Each of them is collected, as its task is known by its own marker."""
    tasks.makepyfile(
        test_suite="""
        import pytest

        TASKS = ("billing", "extract", "route")

        def case(word, task):
            return pytest.param(task, word, marks=pytest.mark.rightsize(task=task))

        @pytest.mark.parametrize(("task", "word"), [case(w, t) for t in TASKS for w in "abcd"])
        def test_all(model, task, word):
            assert model.ask(f"{task} {word}") == word.upper()
        """
    )
    files = [shard(tasks, index, 3, *OWN) for index in (1, 2, 3)]
    assert suite_lines(files[0]) == suite_lines(files[1]) == suite_lines(files[2])
    assert main(["merge", *map(str, files), "-o", str(tasks.path / "run.jsonl"), "--gate=none"]) == 0
    merged = read_run(tasks.path / "run.jsonl")
    assert sorted(merged.policies) == ["billing", "extract", "route"]
    assert sum(merged.planned.values()) == 24


def test_a_shard_on_several_workers_holds_the_same(tasks: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    alone = shard(tasks, 1, 2).read_text("utf-8")
    together = shard(tasks, 1, 2, "-n2").read_text("utf-8")
    own = shard(tasks, 1, 2, "-n2", *OWN).read_text("utf-8")
    plans = [[line for line in text.splitlines() if '"kind": "suite"' in line] for text in (alone, together, own)]
    assert plans[0] == plans[1] == plans[2]
    assert len(plans[0]) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rightsize-shard=3/2"], "--rightsize-shard was given '3/2': give which shard of how many"),
        (["--rightsize-shard-by=case"], "give --rightsize-shard=I/N too"),
        (["--rightsize-shard-collects=own"], "is of a shard by task: give --rightsize-shard=I/N"),
        (["--rightsize-shard=1/2", "--rightsize-shard-collects=mine"], "--rightsize-shard-collects: unknown"),
        (
            [
                *("--rightsize-shard=1/2", "--rightsize-shard-by=case", "--rightsize-strategy=full"),
                *("--rightsize-results=r.jsonl", "--rightsize-shard-collects=own"),
            ],
            "is of a shard by task",
        ),
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
