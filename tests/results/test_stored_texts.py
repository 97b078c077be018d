"""A session keeps trials without their texts, and reads them again from the file that it writes."""

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.records import AnswerRecord, Run, Tokens, Trial, TrialKey
from pytest_rightsize.results.results_file import ResultsFile
from pytest_rightsize.results.stored_texts import without_texts
from tests.runs import make_run

RUN = make_run({"t": {"a": "1100"}})


def trial(case: str, *, text: str = "Grüße \ud800 😀", outcome: str = "failed") -> Trial:
    messages = ({"role": "user", "content": f"What is {case}?"},)
    answer = AnswerRecord(
        text=text,
        messages=messages,
        reasoning="thinking",
        tokens=Tokens(prompt=3, completion=2, source="reported"),
        seconds=0.25,
        tool_calls=({"id": "1"},),
        finish_reason="stop",
        cost_usd=0.5,
    )
    key = TrialKey(task="t", case=case, rung="a")
    detail = f"assert {text!r}"
    return Trial(key=key, outcome=outcome, reason="wrong", detail=detail, answers=(answer, answer), seconds=1.0)  # type: ignore[arg-type]  # an outcome


def results_file(path: Path) -> ResultsFile:
    return ResultsFile(path, rungs=RUN.rungs, about={"settings": {}}, is_read_again=True)


def test_what_verdicts_and_sums_need_stays_and_texts_go() -> None:
    whole = trial("x")
    kept = without_texts(whole)
    assert (kept.key, kept.outcome, kept.reason, kept.seconds) == (whole.key, "failed", "wrong", 1.0)
    for answer, before in zip(kept.answers, whole.answers, strict=True):
        assert (answer.tokens, answer.seconds, answer.cost_usd) == (before.tokens, before.seconds, before.cost_usd)
        assert (answer.text, answer.messages, answer.reasoning, answer.tool_calls) == ("", (), None, ())
    assert kept.detail is None


def test_a_kept_trial_has_all_that_is_no_text() -> None:
    names = {field.name for field in fields(AnswerRecord)}
    unlike_the_default: dict[str, Any] = {name: name for name in names} | {"tokens": Tokens(prompt=3)}
    answer = AnswerRecord(**unlike_the_default)
    own: dict[str, Any] = {field.name: field.name for field in fields(Trial)}
    kept = without_texts(Trial(**own | {"answers": (answer,), "judgements": ()}))
    emptied = {"text": "", "messages": (), "reasoning": None, "tool_calls": ()}
    assert kept.answers == (AnswerRecord(**unlike_the_default | emptied),)
    assert kept == Trial(**own | {"answers": kept.answers, "judgements": (), "detail": None})


def test_prompts_stay_comparable_where_they_are_needed() -> None:
    first, same, other = (without_texts(trial(case), keeps_prompts=True) for case in ("x", "x", "y"))
    assert first.answers[0].messages == same.answers[0].messages != other.answers[0].messages
    assert "What is" not in str(first)


def test_each_trial_is_read_again_as_it_was(tmp_path: Path) -> None:
    file = results_file(tmp_path / "run.jsonl")
    trials = [trial(str(number), text="long " * 5_000 if number == 1 else f"answer {number}") for number in range(4)]
    for one in trials:
        file.trial(one)
    assert file.texts is not None
    run = Run(rungs=RUN.rungs, trials=tuple(map(without_texts, trials)), read_texts=file.texts.whole)
    assert [run.whole(one) for one in reversed(run.trials)] == trials[::-1]
    file.end([], exitstatus=0, failed=[], totals={})
    # The file may have been moved, or removed, when the reports are written.
    (tmp_path / "run.jsonl").rename(tmp_path / "moved.jsonl")
    assert [run.whole(one) for one in run.trials] == trials
    file.texts.close()


def test_a_run_that_holds_its_texts_needs_no_file() -> None:
    whole = trial("x")
    assert replace(RUN, trials=(whole,)).whole(whole) is whole


def test_lines_that_a_full_disk_refused_are_read_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = results_file(tmp_path / "run.jsonl")
    file.trial(trial("written"))
    writer = file._file

    class Full:
        """Takes ten bytes more, and is full then."""

        left = 10

        def write(self, data: bytes) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            self.left, written = 0, writer_file.write(bytes(data[: self.left]))
            return written

    writer_file = writer._file
    monkeypatch.setattr(writer, "_file", Full())
    file.trial(trial("cut in two"))
    file.trial(trial("refused"))
    assert file.texts is not None
    for case in ("written", "cut in two", "refused"):
        assert file.texts.whole(without_texts(trial(case))) == trial(case)
    file.texts.close()


def test_a_file_that_was_cut_off_meanwhile_is_an_error_and_no_empty_text(tmp_path: Path) -> None:
    file = results_file(tmp_path / "run.jsonl")
    file.trial(trial("x"))
    (tmp_path / "run.jsonl").write_text("")
    assert file.texts is not None
    with pytest.raises(OSError, match="cut off"):
        file.texts.whole(without_texts(trial("x")))
    file.texts.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_cannot_be_read_again() -> None:
    assert ResultsFile(Path("/dev/null"), rungs=(), about={"settings": {}}, is_read_again=True).texts is None
