"""A test that keeps answers between its starts has as many in its trial as if it had been started once."""

import json

import pytest

from pytest_rightsize.answers import Transcript
from pytest_rightsize.records import AnswerRecord
from pytest_rightsize.results.results_file import read_run
from tests.running.test_suspension import asked, gated

__all__ = ["gated"]

SUITE = """
    import pytest

    KNOWN = {}

    @pytest.mark.parametrize("word", "abcd")
    def test_two_steps(model, word):
        key = model.rung, word
        if key not in KNOWN:
            KNOWN[key] = model.ask(f"classify {word}")
        assert model.ask(f"{word} as {KNOWN[key]}").startswith(word.upper())
"""


@pytest.mark.parametrize("concurrency", ["1", "8"])
def test_a_project_that_keeps_answers_has_all_of_them_in_its_trials(gated: pytest.Pytester, concurrency: str) -> None:
    gated.makepyfile(SUITE)
    result = gated.runpytest(
        "--rightsize-ladder=gate",
        "--rightsize-cache=off",
        f"--rightsize-concurrency={concurrency}",
        "--rightsize-results=run.jsonl",
    )
    result.assert_outcomes(passed=4)
    assert "starts again" not in result.stdout.str()
    assert len(asked(gated)) == 8
    lines = map(json.loads, (gated.path / "run.jsonl").read_text(encoding="utf-8").splitlines())
    trials = [line for line in lines if line["kind"] == "trial"]
    assert len(trials) == 4
    for trial in trials:
        word = trial["case"][-2].upper()
        assert [answer["text"] for answer in trial["answers"]] == [f"CLASSIFY {word}", f"{word} AS CLASSIFY {word}"]
        if concurrency == "8":
            # The test would have waited for both, which took two seconds each.
            assert trial["seconds"] >= 4


def test_answers_within_subtests_count_once(gated: pytest.Pytester) -> None:
    """Each subtest has a report of its own before the test has ended."""
    pytest.importorskip("_pytest.subtests", reason="pytest 9 has subtests")
    gated.makepyfile(
        """
        def test_it(model, subtests):
            for word in "abc":
                with subtests.test(word=word):
                    assert model.ask(word) == word.upper()
        """
    )
    gated.runpytest("--rightsize-ladder=gate", "--rightsize-cache=off", "--rightsize-results=run.jsonl")
    (trial,) = read_run(gated.path / "run.jsonl").trials
    assert [answer.text for answer in trial.answers] == ["A", "B", "C"]


def records(words: str) -> list[AnswerRecord]:
    return [AnswerRecord(text=word) for word in words]


@pytest.mark.parametrize(
    ("starts", "whole"),
    [
        (["a", "ab", "abc"], "abc"),  # asks everything again, as nearly every test does
        (["a", "b"], "ab"),
        (["ab", "c", "d"], "abcd"),
        (["aa", "a"], "aa"),
        (["aba", "ab"], "aab"),
        (["", "a"], "a"),
    ],
)
def test_each_answer_counts_once(starts: list[str], whole: str) -> None:
    transcript = Transcript()
    for words in starts:
        transcript = transcript.restarted(0)
        transcript.answers += records(words)
    kept = transcript.take_earlier()
    assert "".join(answer.text for answer in transcript.answers) == whole
    assert len(kept) == len(whole) - len(starts[-1])
    assert transcript.take_earlier() == []


def test_a_rerun_has_none_of_the_answers_before_its_failure() -> None:
    transcript = Transcript(answers=records("a")).restarted(1)
    assert transcript.take_earlier() == []
