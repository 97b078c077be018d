"""Lines and files that are read have a longest size, in every reader; what the program writes itself is within it."""

import gzip
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_rightsize import bounded_files
from pytest_rightsize.authoring import promptfoo_files
from pytest_rightsize.authoring.chat_lines import read_chat_lines
from pytest_rightsize.authoring.yaml_files import read_yaml
from pytest_rightsize.bounded_files import LONGEST_LINE_BYTES, file_sha256, numbered_lines, whole_text
from pytest_rightsize.config.case_files import read_cases
from pytest_rightsize.config.ladder import read_ladder
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.baseline import read_baseline
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.recorded.json_lines import read_lines
from pytest_rightsize.records import AnswerRecord, Rung, Trial, TrialKey
from pytest_rightsize.results import results_file
from pytest_rightsize.results.merging import read_shards
from pytest_rightsize.results.results_file import ResultsFile, read_run, read_strengths
from pytest_rightsize.results.run_summaries import read_summary

HEAD = json.dumps({"kind": "run", "schema": 1, "ladder": [{"name": "a", "provider": "p"}], "settings": {}})
SHARD = HEAD.replace('"settings": {}', '"settings": {"shard": {"index": 1, "count": 1, "by": "case"}}')
LONG = "a" * 5_000


def replay(path: Path) -> object:
    return Replay(Rung(name="r", provider="replay", options={"file": path.name}, base_dir=str(path.parent))).check()


READERS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "results": (read_run, "run.jsonl", HEAD),
    "baseline": (read_baseline, "run.jsonl", HEAD),
    "history": (read_summary, "run.jsonl", HEAD),
    "strengths": (read_strengths, "run.jsonl", ""),
    "shards": (lambda path: read_shards([path]), "run.jsonl", SHARD),
    "recorded": (lambda path: [*read_lines(path)], "answers.jsonl", ""),
    "replay": (replay, "replay.jsonl", '{"prompt": "a", "text": "b"}'),
    "cases": (lambda path: read_cases(path, ["n"], test="t"), "cases.jsonl", '{"n": 1}'),
    "table": (lambda path: read_cases(path, ["n"], test="t"), "cases.csv", "n"),
    "chats": (read_chat_lines, "chats.jsonl", '{"prompt": "a", "completion": "b"}'),
    "promptfoo": (lambda path: promptfoo_files.tests_in(path, [f"file://{path}"]), "tests.jsonl", '{"vars": {}}'),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_that_is_too_long_is_refused_by_file_and_line(
    name: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_files, "LONGEST_LINE_BYTES", 4_000)
    read, file, head = READERS[name]
    path = tmp_path / file
    path.write_text("".join(f"{line}\n" for line in (head,) if head) + LONG + end, encoding="utf-8")

    with pytest.raises(ConfigError) as told:
        read(path)

    assert f"{path}:{2 if head else 1} is longer than" in str(told.value)


def test_a_packed_replay_file_is_refused_by_the_length_of_what_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_files, "LONGEST_LINE_BYTES", 4_000)
    path = tmp_path / "replay.jsonl.gz"
    path.write_bytes(gzip.compress(LONG.encode()))

    with pytest.raises(ConfigError, match=r"replay\.jsonl\.gz:1 is longer than"):
        replay(path)


def test_a_packed_replay_file_that_is_broken_says_so(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl.gz"
    path.write_bytes(gzip.compress(b"x")[:10] + b"\xff" * 20)  # its header is right

    with pytest.raises(ConfigError, match=r"replay\.jsonl\.gz is no gzip file"):
        replay(path)


def test_a_file_of_one_endless_line_takes_the_memory_of_the_longest_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LONGEST_LINE_BYTES == 128_000_000
    longest = 8_000_000
    monkeypatch.setattr(bounded_files, "LONGEST_LINE_BYTES", longest)
    path = tmp_path / "run.jsonl"
    with path.open("wb") as file:
        file.truncate(1000 * longest)  # without holding so much on the disk
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"run\.jsonl:1 is longer than 8 MB, and lines so long are not read"):
            read_run(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 3 * longest


def test_lines_are_numbered_and_the_longest_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_files, "LONGEST_LINE_BYTES", 4)
    path = tmp_path / "lines"
    path.write_text("abc\n\nabcd", encoding="utf-8")

    with path.open("rb") as file:
        assert [*numbered_lines(file, path)] == [(1, b"abc\n"), (2, b"\n"), (3, b"abcd")]
    path.write_text("abcd\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file, pytest.raises(ConfigError, match="lines:1 is longer"):
        next(numbered_lines(file, path))


def test_a_file_that_is_read_whole_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "rightsize.toml"
    path.write_bytes(b"#" * 65_000_000)

    with pytest.raises(ConfigError, match=r"toml is larger than 64 MB, and is not read whole: give a smaller file"):
        read_ladder(path, {})
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        whole_text(path, largest_bytes=1_000_000)


@pytest.mark.parametrize(
    ("read", "name"), [(read_yaml, "a.yaml"), (lambda path: read_cases(path, ["n"], test="t"), "cases.yml")]
)
def test_a_yaml_file_has_a_smaller_one(read: Callable[[Path], object], name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("- n: 1\n" * 1_200_000, encoding="utf-8")

    with pytest.raises(ConfigError, match=rf"{name} is larger than 8 MB, and is not read whole: .* or JSON Lines"):
        read(path)


# --- what the program writes ------------------------------------------------------------------------------------------


def test_no_line_is_written_that_no_reader_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bounded_files, results_file):
        monkeypatch.setattr(module, "LONGEST_LINE_BYTES", 4_000)
    path, told = tmp_path / "run.jsonl", list[str]()
    file = ResultsFile(path, rungs=[Rung(name="a", provider="p")], about={"settings": {}}, on_trouble=told.append)
    questions = [[{"role": "user", "content": text}] for text in ("short", LONG)]
    trials = [
        Trial(
            key=TrialKey(task="t", case=str(number), rung="a"),
            outcome="passed",
            answers=(AnswerRecord(text=text, messages=tuple(messages)),),
        )
        for number, (text, messages) in enumerate([("yes", questions[0]), (LONG, questions[0]), ("no", questions[1])])
    ]
    for trial in trials:
        file.trial(trial)
    file.end([], exitstatus=0, failed=(), totals={})

    read = read_run(path).trials
    assert [trial.outcome for trial in read] == ["passed"] * 3
    assert read[0].answers[0].text == "yes"
    assert read[1].answers[0].text.startswith("sha256:")
    assert read[2].answers[0].text == "no"
    assert str(read[2].answers[0].messages[0]["content"]).startswith("sha256:")
    assert told == [f"1 on a was answered with more than 0 MB: {path} has hashes in the place of these answers"]


# --- a run whose texts stay in the file -------------------------------------------------------------------------------


def a_run(path: Path) -> list[Trial]:
    file = ResultsFile(path, rungs=[Rung(name="a", provider="p")], about={"settings": {}})
    trials = [
        Trial(
            key=TrialKey(task="t\x1b", case=str(number), rung="a"),
            outcome="failed",
            detail=f"why {number}",
            answers=(AnswerRecord(text=f"ä{number}", messages=({"role": "user", "content": f"q{number % 2}"},)),),
        )
        for number in range(4)
    ]
    for trial in trials:
        file.trial(trial)
    file.end([], exitstatus=1, failed=(), totals={})
    return trials


def test_a_trial_whose_texts_stay_in_the_file_is_read_whole_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    a_run(path)

    at_once, later = read_run(path), read_run(path, texts_stay=True)

    assert [later.whole(trial) for trial in later.trials] == list(at_once.trials)
    assert [trial.answers[0].text for trial in at_once.trials] == ["ä0", "ä1", "ä2", "ä3"]
    assert all(trial.answers[0].text.startswith("sha256:") for trial in later.trials)


def test_a_file_that_changed_after_it_was_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    a_run(path)
    run = read_run(path, texts_stay=True)
    path.write_text(path.read_text(encoding="utf-8").replace("why", "because"), encoding="utf-8")

    with pytest.raises(OSError, match="has changed since it was read: try again"):
        run.whole(run.trials[-1])


def test_prompts_that_stand_in_the_trials_line_are_read_whole_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    answer = {"text": "x", "messages": [{"role": "user", "content": "y"}], "tokens": {}}
    trial = {"kind": "trial", "task": "t", "case": "c", "rung": "a", "outcome": "passed", "answers": [answer]}
    path.write_text(f"{HEAD}\n{json.dumps(trial)}\n", encoding="utf-8")

    run = read_run(path, texts_stay=True)

    assert run.whole(run.trials[0]) == read_run(path).trials[0]


def test_a_file_is_known_by_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"abc")
    digest = file_sha256(tmp_path / "model.gguf")
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders, and opens no folder")
def test_what_is_no_regular_file_is_refused_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"abcd")
    opened: list[int] = []
    closed: list[int] = []
    open_file, close_file = os.open, os.close

    def open_noted(path: Path, flags: int, *mode: int) -> int:
        opened.append(open_file(path, flags, *mode))
        return opened[-1]

    def close_noted(handle: int) -> None:
        closed.append(handle)
        close_file(handle)

    monkeypatch.setattr("os.open", open_noted)
    monkeypatch.setattr("os.close", close_noted)
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="it is no regular file"):
            bounded_files.regular_file_bytes(tmp_path / name, largest_bytes=10)
    assert len(opened) >= 2
    assert set(opened) <= set(closed)
    with pytest.raises(OSError, match="larger than 3 bytes"):
        bounded_files.regular_file_bytes(tmp_path / "file", largest_bytes=3)
    assert bounded_files.regular_file_bytes(tmp_path / "file", largest_bytes=4) == b"abcd"
