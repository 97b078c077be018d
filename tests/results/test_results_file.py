"""The results file: what is written is what is read, also after the writer died at any byte."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.baseline import read_baseline
from pytest_rightsize.judging.differences import prompts_differ
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import WITHHOLDABLE, Price, Run, Rung, Trial, TrialKey
from pytest_rightsize.results.redaction import redacted
from pytest_rightsize.results.results_file import ResultsFile, no_trial, read_run
from pytest_rightsize.results.session_head import SessionHead
from tests.benchmarks.bench_results_file import write_file
from tests.runs import make_run

RUN = make_run({"t": {"a": "1100", "b": "10E1"}, "u": {"a": "0000", "b": "----"}}, chosen="b")


def write(path: Path, run: Run) -> list[str]:
    """A whole results file of `run`; its lines."""
    file = ResultsFile(path, rungs=run.rungs, about={"settings": {"strategy": run.strategy}})
    file.plan(run.policies.values(), run.planned)
    for trial in run.trials:
        file.trial(trial)
    file.end(judge(run), exitstatus=1, failed=["undecided: t"], totals={"answers": 11})
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "run.jsonl", RUN)
    assert judge(read_run(tmp_path / "run.jsonl")) == judge(RUN)
    assert list(read_run(tmp_path / "run.jsonl").trials) == list(RUN.trials)


def test_every_line_is_json_of_a_known_kind(tmp_path: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in write(tmp_path / "run.jsonl", RUN)]
    assert kinds == ["run", "plan", "plan", *["trial"] * len(RUN.trials), "verdict", "verdict", "end"]


@given(st.data())
def test_a_file_cut_off_anywhere_gives_every_whole_trial(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "run.jsonl"
    lines = write(path, RUN)
    whole = "".join(lines)
    end = data.draw(st.integers(min_value=len(lines[0]), max_value=len(whole) - 2))
    path.write_text(whole[:end], encoding="utf-8")
    run = read_run(path)
    complete = sum('"kind": "trial"' in line for line in whole[:end].splitlines(keepends=True) if line.endswith("\n"))
    assert run.interrupted
    # A last line without its newline counts if it is whole.
    assert list(run.trials) in (list(RUN.trials)[:complete], list(RUN.trials)[: complete + 1])
    assert all(verdict.verdict != "right-sized" for verdict in judge(run) if verdict.task == "t")


@given(text=st.text(st.characters(), max_size=40))
def test_any_text_of_a_model_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "run.jsonl"
    plain = {**RUN.trials[0].to_dict(), "detail": text}
    plain["answers"][0]["text"] = text
    file = ResultsFile(path, rungs=RUN.rungs, about={"settings": {}})
    file.trial(Trial.from_dict(plain))
    (trial,) = read_run(path).trials
    assert (trial.detail, trial.answers[0].text) == (text, text)


def test_a_trial_written_twice_counts_as_its_last_line_says(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = write(path, RUN)
    passed = next(line for line in lines if '"outcome": "passed"' in line)
    path.write_text("".join([*lines, passed.replace('"passed"', '"failed"')]), encoding="utf-8")
    trials = read_run(path).trials
    assert len(trials) == len(RUN.trials)
    assert trials[0].outcome == "failed"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda lines: lines[1:], ':1 is not the first line of a results file: it has no "kind": "run"'),
        (lambda lines: [lines[0].replace('"schema": 1', '"schema": 9'), *lines[1:]], "has schema 9; this version"),
        (lambda lines: [lines[0], "{broken\n", *lines[1:]], ":2 is not JSON"),
        (lambda lines: [lines[0], "3\n", *lines[1:]], ":2 cannot be read: it is not a JSON object"),
        (lambda lines: [lines[0], '{"kind": "trial"}\n'], ":2 is not a line this version understands"),
    ],
)
def test_what_is_no_results_file_is_refused_by_its_line(tmp_path: Path, edit: object, words: str) -> None:
    path = tmp_path / "run.jsonl"
    assert callable(edit)
    path.write_text("".join(edit(write(path, RUN))), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_run(path)
    assert words in str(caught.value)


def test_what_was_asked_stands_once_in_the_file_and_comes_back_with_every_answer(tmp_path: Path) -> None:
    asked = ({"role": "user", "content": "2 + 2?"},)
    trials = [
        replace(trial, answers=tuple(replace(answer, messages=asked) for answer in trial.answers))
        for trial in RUN.trials
    ]
    lines = write(tmp_path / "run.jsonl", replace(RUN, trials=trials))
    assert sum("2 + 2?" in line for line in lines) == 1
    assert list(read_run(tmp_path / "run.jsonl").trials) == trials


def test_a_run_knows_where_and_how_it_ran_and_what_a_rung_cost(tmp_path: Path) -> None:
    rung = Rung(name="big", provider="openai", price=Price(prompt=1.0, completion=2.0), options={"base_url": "x"})
    about = SessionHead({"strategy": "full"}, tmp_path)
    ResultsFile(tmp_path / "run.jsonl", rungs=[rung], about=about)
    run = read_run(tmp_path / "run.jsonl")
    assert run.rungs == (rung,)
    assert run.about == about
    assert run.about["machine"]["cores"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the results file .*none.jsonl"):
        read_run(tmp_path / "none.jsonl")


def asking(run: Run, prompt: str = "2 + 2?") -> Run:
    """The run, each of whose answers was asked for and says something."""
    messages = ({"role": "user", "content": prompt},)
    trials = [
        replace(trial, answers=tuple(replace(answer, messages=messages, text="four") for answer in trial.answers))
        for trial in run.trials
    ]
    return replace(run, trials=trials)


def test_a_run_read_without_words_or_recorded_without_them_asks_the_same_as_any_other(tmp_path: Path) -> None:
    prompted = asking(RUN)
    write(tmp_path / "run.jsonl", prompted)
    withheld = replace(prompted, trials=[redacted(trial, WITHHOLDABLE) for trial in prompted.trials])
    write(tmp_path / "withheld.jsonl", withheld)
    runs = [prompted, withheld]
    for name in ("run", "withheld"):
        runs += [read_run(tmp_path / f"{name}.jsonl"), read_run(tmp_path / f"{name}.jsonl", words_of=no_trial)]
    firsts = [run.trials[:1] for run in runs]
    assert not any(prompts_differ(one, other) for one in firsts for other in firsts)
    other = asking(RUN, "2 + 3?").trials[:1]
    assert all(prompts_differ(one, other) for one in firsts)


def test_without_words_a_run_counts_the_same_and_says_none(tmp_path: Path) -> None:
    write(tmp_path / "run.jsonl", asking(RUN))
    run = read_run(tmp_path / "run.jsonl", words_of=no_trial)
    assert judge(run) == judge(RUN)
    assert "four" not in repr(run)
    assert "2 + 2" not in repr(run)
    some = read_run(tmp_path / "run.jsonl", words_of=lambda key: key.rung == "b")
    assert {trial.key.rung: trial.answers[0].text[:7] for trial in some.trials if trial.answers} == {
        "a": "sha256:",
        "b": "four",
    }


def _whole(path: Path) -> None:
    read_run(path)


def _wordless(path: Path) -> None:
    read_run(path, words_of=no_trial)


def _lock(path: Path) -> None:
    assert main(["lock", str(path), "--output", str(path.with_name("rightsize.lock"))]) == 0


def _compare(path: Path) -> None:
    assert main(["compare", str(path), "--rungs", "small,big", "--cases", "3"]) == 0


def _summary(path: Path) -> None:
    assert main(["report", str(path)]) == 0


@pytest.mark.parametrize("read", [_wordless, _lock, _compare, _summary, read_baseline])
def test_what_shows_no_words_is_read_as_a_stream(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "run.jsonl"
    size_bytes = 8_000_000
    write_file(path, size_bytes=size_bytes, chars=40_000)
    read(path)  # whatever it imports is there before anything is counted
    peaks = []
    for reading in (_whole, read):
        tracemalloc.start()
        reading(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > size_bytes / 2
    assert peaks[1] < size_bytes / 5


def test_a_line_that_somebody_wrote_by_hand_need_not_name_what_is_as_usual() -> None:
    line = {"kind": "trial", "task": "t", "case": "a", "rung": "s", "outcome": "passed"}
    assert Trial.from_dict(line) == Trial(key=TrialKey(task="t", case="a", rung="s", sample=0), outcome="passed")
