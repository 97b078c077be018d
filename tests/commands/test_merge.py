"""`rightsize merge`: what does not belong together is refused, and what is missing is undecided."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.content_parts import image_part
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.part_data import PartData, with_references
from pytest_rightsize.records import Run
from pytest_rightsize.results.kept_media import media_beside
from pytest_rightsize.results.results_file import ResultsFile, read_run
from pytest_rightsize.session.sharding import suite_plan
from pytest_rightsize.shards import Shard
from tests.reports.rich_run import rich_run
from tests.runs import make_run

Lines = list[dict[str, Any]]
RUN = make_run({task: {"a": "11", "b": "11"} for task in ("t", "u", "v", "w")}, chosen="b")


def write(path: Path, shard: Shard, *, run: Run = RUN, **about: Any) -> Path:
    """The results file of one shard of a run."""
    settings = {"strategy": run.strategy, "objective": "size", "shard": shard.to_dict()}
    head = {"started": "2026-01-01T00:00:00", "machine": {"cores": shard.index}, "settings": settings, **about}
    file = ResultsFile(path, rungs=run.rungs, about=head)
    mine = [trial for trial in run.trials if shard.holds(trial.key)]
    file.suite(suite_plan([trial.key for trial in run.trials], run.policies))
    for trial in mine:
        file.trial(trial)
    file.end([], exitstatus=0, failed=[], totals={"identities": {"a": {"sha256": "1"}}})
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Both files of a suite in two shards; each has tasks."""
    return [write(tmp_path / f"s{index}.jsonl", Shard(index=index, count=2)) for index in (1, 2)]


def change(path: Path, edit: Callable[[Lines], object]) -> None:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    edit(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def merged(shards: list[Path], *options: str) -> int:
    return main(["merge", *map(str, shards), "-o", str(shards[0].with_name("run.jsonl")), *options])


def test_both_shards_have_tasks_and_make_the_run(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert all(read_run(path).trials for path in shards)
    assert merged(shards, "--gate=none") == 0
    run = read_run(shards[0].with_name("run.jsonl"))
    assert {trial.key for trial in run.trials} == {trial.key for trial in RUN.trials}
    assert [verdict.task for verdict in judge(run)] == ["t", "u", "v", "w"]
    assert not run.interrupted
    assert run.about["identities"] == {"a": {"sha256": "1"}}
    assert [part["machine"]["cores"] for part in run.about["shards"]] == [1, 2]
    assert "2 shards are merged in " in capsys.readouterr().out


def test_images_of_prompts_are_taken_along(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    data = PartData(data=b"GIF89a", media_type="image/gif")
    moved = shards[0].parent / "other" / shards[0].name
    moved.parent.mkdir()
    shards[0].rename(moved)
    media_beside(moved).keep(data)
    messages = with_references([{"role": "user", "content": [image_part(data.data)]}])
    change(moved, lambda lines: lines.insert(1, {"kind": "prompt", "id": "00" * 16, "messages": [*messages]}))
    output = shards[1].with_name("run.jsonl")
    assert main(["merge", str(moved), str(shards[1]), "-o", str(output), "--gate=none"]) == 0
    assert media_beside(output).read(data.reference.sha256) == data.data
    assert "cannot be copied" not in capsys.readouterr().err


def test_the_order_of_the_files_does_not_matter(shards: list[Path]) -> None:
    merged(shards, "--gate=none")
    forwards = shards[0].with_name("run.jsonl").read_text("utf-8")
    merged(shards[::-1], "--gate=none")
    assert shards[0].with_name("run.jsonl").read_text("utf-8") == forwards


def test_a_gate_that_fails_is_the_exit_status(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert merged(shards, "--gate=oversized,provisional") == 1
    assert "gate oversized: " in capsys.readouterr().out


def test_what_the_merged_file_is_worse_than_is_told(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert merged(shards, "--gate=none") == 0
    baseline = shards[0].with_name("earlier.jsonl")
    shards[0].with_name("run.jsonl").rename(baseline)
    assert merged(shards, f"--baseline={baseline}", "--gate=regressed") == 0
    assert merged(shards, "--gate=regressed") == 2
    assert "--gate=regressed needs something to compare with: give --baseline=FILE" in capsys.readouterr().err


def _setting(name: str, value: object) -> Callable[[Lines], object]:
    return lambda lines: lines[0]["settings"].__setitem__(name, value)


def _model(lines: Lines) -> None:
    lines[-1]["totals"]["identities"]["a"] = {"sha256": "2"}


def _bar(lines: Lines) -> None:
    next(line for line in lines if line["kind"] == "suite")["pass_rate"] = 0.5


def _cut_off(lines: Lines) -> None:
    lines.pop()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_setting("strategy", "full"), "strategy = 'climb' against strategy = 'full'"),
        (_setting("samples", 3), "samples = None against samples = 3"),
        (_setting("shard", {"index": 2, "count": 3, "by": "task"}), "shard 1/2 by task against shard 2/3 by task"),
        (_setting("shard", {"index": 2, "count": 2, "by": "case"}), "shard 1/2 by task against shard 2/2 by case"),
        (_setting("shard", {"index": 1, "count": 2, "by": "task"}), "are both shard 1/2: leave one of them out"),
        (_setting("shard", None), "is no shard: its session was run without --rightsize-shard"),
        (lambda lines: lines[0].__setitem__("schema", 99), "has schema 99; this version reads 1"),
        (lambda lines: lines[0]["ladder"].pop(), "ladder a,b against ladder a"),
        (lambda lines: lines[0]["ladder"][1].update(model="m"), "ladder b with model = None against ladder b with"),
        (lambda lines: lines[0].update(commit="c0ffee"), "commit None against commit c0ffee"),
        (
            lambda lines: lines[0].update(versions={"pytest-rightsize": "9"}),
            "pytest-rightsize None against pytest-rightsize 9",
        ),
        (_bar, "are of different suites, as task t shows"),
        (lambda lines: lines.remove(next(line for line in lines if line.get("kind") == "suite")), "as task t shows"),
        (lambda lines: lines.extend(lines[:]), "begins another run: give each shard's file as its session wrote it"),
        (lambda lines: lines.append(lines[-2]), "was cut off before its end: run shard 2/2 again"),
        (_model, "a is another model in"),
        (_cut_off, "was cut off before its end: run shard 2/2 again"),
        (lambda lines: lines[0].update(kind="plan"), "is not the first line of a results file"),
        (lambda lines: lines.clear(), "is empty"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    shards: list[Path], edit: Callable[[Lines], object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shards[1], edit)
    assert merged(shards, "--gate=none") == 2
    assert words in capsys.readouterr().err
    assert not shards[0].with_name("run.jsonl").exists()


def test_a_trial_of_another_shard_is_refused(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """As where somebody joined two files."""
    trial = next(line for line in shards[0].read_text("utf-8").splitlines() if '"kind": "trial"' in line)
    change(shards[1], lambda lines: lines.insert(-1, json.loads(trial)))
    assert merged(shards, "--gate=none") == 2
    assert "is not of shard 2/2: the file was changed" in capsys.readouterr().err


def test_a_trial_that_stands_twice_in_a_shard_is_refused(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """With another outcome, as where a file was mended by hand: which of the two counts nobody can say."""
    lines = shards[1].read_text("utf-8").splitlines()
    trial = next(line for line in lines if '"kind": "trial"' in line)
    change(shards[1], lambda lines: lines.insert(-1, {**json.loads(trial), "outcome": "failed"}))
    assert merged(shards, "--gate=none") == 2
    assert "for the second time, and no session writes a trial twice" in capsys.readouterr().err


def test_the_order_in_which_tests_were_collected_does_not_matter(shards: list[Path]) -> None:
    """As pytest-randomly collects the same tests in another order each time."""

    def turn(lines: Lines) -> None:
        suite = [line for line in lines if line["kind"] == "suite"]
        lines[1 : 1 + len(suite)] = suite[::-1]

    change(shards[1], turn)
    assert merged(shards, "--gate=none") == 0


def test_a_plan_that_was_cut_off_is_not_the_plan_of_the_suite(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the tasks that it does not name any more would be lost without a word."""

    def cut(lines: Lines) -> None:
        del lines[3:]

    change(shards[0], cut)
    assert merged(shards, "--partial", "--gate=none") == 0
    assert set(read_run(shards[0].with_name("run.jsonl")).policies) == {"t", "u", "v", "w"}
    assert merged(shards[:1], "--partial", "--gate=none") == 2
    assert "so nothing says what the suite holds" in capsys.readouterr().err


def test_shards_of_a_suite_without_a_model_have_nothing_to_merge(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in shards:
        change(path, lambda lines: lines.__setitem__(slice(1, -1), []))
    assert merged(shards, "--gate=none") == 2
    assert "no test of this suite asks a model" in capsys.readouterr().err


def test_a_shard_that_is_missing_is_refused_or_left_undecided(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert merged(shards[1:]) == 2
    assert "1 of 2 shards are missing: 1/2. Give their files too, or --partial" in capsys.readouterr().err
    assert merged(shards[1:], "--partial", "--gate=undecided") == 1
    run = read_run(shards[1].with_name("run.jsonl"))
    words = {verdict.task: verdict.verdict for verdict in judge(run)}
    held = {trial.key.task for trial in run.trials}
    assert 0 < len(held) < 4
    assert {task for task, word in words.items() if word == "undecided"} == set(words) - held


def test_a_shard_that_was_cut_off_is_undecided_where_it_lacks_trials(shards: list[Path]) -> None:
    task = next(iter(read_run(shards[1]).trials)).key.task

    def cut(lines: Lines) -> None:
        del lines[next(n for n, line in enumerate(lines) if line["kind"] == "trial" and line["task"] == task) + 1 :]

    change(shards[1], cut)
    with shards[1].open("a", encoding="utf-8") as file:
        file.write('{"kind": "trial", "task": "')
    assert merged(shards, "--partial", "--gate=none") == 0
    run = read_run(shards[0].with_name("run.jsonl"))
    assert {verdict.task: verdict.verdict for verdict in judge(run)}[task] == "undecided"


def test_the_models_of_a_shard_that_was_cut_off_are_unknown(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tasks are judged; that its rungs are the models of the other shards is not claimed."""
    assert merged(shards, "--gate=none") == 0
    assert read_run(shards[0].with_name("run.jsonl")).about["identities"] == {"a": {"sha256": "1"}}
    assert "is not known" not in capsys.readouterr().out
    change(shards[1], _cut_off)
    assert merged(shards, "--partial", "--gate=none") == 0
    assert "a: which model answered in shard 2/2 is not known, as its file does not tell" in capsys.readouterr().out
    run = shards[0].with_name("run.jsonl")
    assert read_run(run).about["identities"] == {}
    end = json.loads(run.read_text("utf-8").splitlines()[-1])
    assert end["totals"]["unidentified"] == {"a": ["2/2"], "b": ["2/2"]}


def test_a_rung_that_a_shard_did_not_ask_may_lack_its_fingerprint_there(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    change(shards[1], lambda lines: lines[-1]["totals"].update(identities={}))
    assert merged(shards, "--gate=none") == 0
    assert "a: which model answered in shard 2/2 is not known" in capsys.readouterr().out

    def unasked(lines: Lines) -> None:
        for line in lines:
            if line["kind"] == "trial" and line["rung"] == "a":
                line.update(outcome="not_run", answers=[])

    change(shards[1], unasked)
    assert merged(shards, "--gate=none") == 0
    assert "is not known" not in capsys.readouterr().out
    assert read_run(shards[0].with_name("run.jsonl")).about["identities"] == {"a": {"sha256": "1"}}


def test_a_part_of_each_task_by_unknown_models_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = [write(tmp_path / f"s{index}.jsonl", Shard(index=index, count=2, by="case")) for index in (1, 2)]
    change(shards[1], _cut_off)
    assert merged(shards, "--partial", "--gate=none") == 2
    assert "a verdict might rest on two models. Run shard 2/2 again, or leave its file out" in capsys.readouterr().err
    assert merged(shards[:1], "--partial", "--gate=none") == 0


def test_the_merged_file_is_none_of_the_shards(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = shards[0].read_text("utf-8")
    assert main(["merge", *map(str, shards), "-o", str(shards[0])]) == 2
    assert "is one of the shards: give another file" in capsys.readouterr().err
    assert shards[0].read_text("utf-8") == before


def test_a_file_that_is_no_run_is_not_replaced(shards: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    target = shards[0].with_name("run.jsonl")
    target.write_text("import os\n", encoding="utf-8")
    assert merged(shards) == 2
    assert f"-o would replace {target}, which is no results file" in capsys.readouterr().err
    assert target.read_text("utf-8") == "import os\n"


def test_its_reports_and_verdicts_are_those_of_the_merged_file(
    shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rich = rich_run()
    for path, index in zip(shards, (1, 2), strict=True):
        write(path, Shard(index=index, count=2), run=rich)
    names = ("html", "markdown", "json", "csv")
    options = [f"--{name}={tmp_path / 'merged'}.{name}" for name in names]
    assert merged(shards, "--gate=none", *options) == 1  # a rung refused an answer
    run = shards[0].with_name("run.jsonl")
    assert main(["report", str(run), *(f"--{name}={tmp_path / 'later'}.{name}" for name in names)]) == 0
    for name in ("html", "markdown", "csv"):
        assert (tmp_path / f"merged.{name}").read_text("utf-8") == (tmp_path / f"later.{name}").read_text("utf-8")
    ours, later = (json.loads((tmp_path / f"{name}.json").read_text("utf-8")) for name in ("merged", "later"))
    assert ours["trials"] == later["trials"]
    lines = [json.loads(line) for line in run.read_text("utf-8").splitlines()]
    verdicts = [line for line in lines if line["kind"] == "verdict"]
    assert [verdict.to_dict()["standing"] for verdict in judge(read_run(run))] == [one["standing"] for one in verdicts]
