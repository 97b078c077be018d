"""Whole sessions by strategy and confidence: the requests and their order, trials given up, and their reports."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.results.results_file import read_run
from tests.conftest import record
from tests.running.test_suspension import LADDER as GATED_LADDER
from tests.running.test_suspension import PROVIDER, asked, most

LADDER = "--rightsize-ladder=tiny,small,big"


def trials_of(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == "trial"]


def test_a_settled_task_gives_up_what_was_not_sent_while_others_are_in_flight(pytester: pytest.Pytester) -> None:
    """Four at a time, all wrong, of twelve: three failures settle it, and the four in flight are still heard."""
    pytester.makeconftest(PROVIDER)
    pytester.makefile(".toml", rightsize=GATED_LADDER)
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.rightsize(task="t", pass_rate=0.8)
        @pytest.mark.parametrize("word", "abcdefghijkl")
        def test_upper(model, word):
            assert model.ask(word) == "no"
        """
    )
    options = ("--rightsize-ladder=gate", "--rightsize-concurrency=4", "--rightsize-results=run.jsonl")
    result = pytester.runpytest(*options, "--rightsize-gate=none")
    assert most(pytester) == 4
    assert len(asked(pytester)) < 12
    trials = trials_of(pytester.path / "run.jsonl")
    heard = [trial for trial in trials if trial["outcome"] == "failed"]
    assert len(heard) == len(asked(pytester))
    given_up = {(trial["outcome"], trial["reason"]) for trial in trials if trial not in heard}
    assert given_up == {("not_run", "settled")}
    result.stdout.fnmatch_lines(["t * <10/12 * UNSOLVED"])
    (verdict,) = judge(read_run(pytester.path / "run.jsonl"))
    assert (verdict.standing["gate"].state, verdict.standing["gate"].given_up) == ("fails", 12 - len(heard))


def test_no_more_are_in_flight_than_are_likely_to_be_needed(pytester: pytest.Pytester) -> None:
    """Of forty cases that all fail, nine settle it: with room for forty at once, far from forty are asked."""
    pytester.makeconftest(PROVIDER)
    pytester.makefile(".toml", rightsize=GATED_LADDER.replace("together = 4", "together = 40"))
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.rightsize(task="t", pass_rate=0.8)
        @pytest.mark.parametrize("number", range(40))
        def test_it(model, number):
            assert model.ask(f"a{number}") == "no"
        """
    )
    options = ("--rightsize-ladder=gate", "--rightsize-concurrency=40", "--rightsize-gate=none")
    pytester.runpytest(*options)
    assert most(pytester) <= 11
    assert 9 <= len(asked(pytester)) <= 20
    (pytester.path / "asked.txt").unlink()
    pytester.runpytest(*options, "--rightsize-strategy=full")
    assert len(asked(pytester)) == 40


def test_a_test_of_two_questions_that_has_begun_is_finished(pytester: pytest.Pytester) -> None:
    """What is in flight when the task is settled is paid for: the test goes on to its end."""
    pytester.makeconftest(PROVIDER)
    pytester.makefile(".toml", rightsize=GATED_LADDER)
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abcdefgh")
        def test_upper(model, word):
            if word == "a":
                assert model.ask(word) == "no"
            model.ask(word)
            assert model.ask(word + word)
        """
    )
    pytester.runpytest("--rightsize-ladder=gate", "--rightsize-concurrency=4", "--rightsize-results=run.jsonl")
    trials = trials_of(pytester.path / "run.jsonl")
    outcomes = {trial["case"][-2]: trial["outcome"] for trial in trials}
    assert outcomes["a"] == "failed"
    for trial in trials:
        assert len(trial["answers"]) == {"passed": 2, "failed": 1, "not_run": 0}[trial["outcome"]]
    assert asked(pytester).count("b") == len([trial for trial in trials if trial["case"].endswith("[b]")])


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_bisect_asks_the_middle_first_and_skips_what_lies_above_it(
    suite: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    options = (LADDER, "--rightsize-strategy=bisect", "--rightsize-savings=none", "--rightsize-results=run.jsonl")
    result = suite.runpytest(*options, *workers)
    result.stdout.fnmatch_lines(["upper   <3/4    >=3/4[*]   -      small       big       provisional  OVER-SIZED"])
    result.stdout.fnmatch_lines(["*; ran 50 % of all test and model combinations, 24 tokens"])
    rungs = [trial["rung"] for trial in trials_of(suite.path / "run.jsonl")]
    assert list(dict.fromkeys(rungs)) == ["small", "tiny", "big"]


def test_bisect_falls_back_to_full_on_a_ladder_that_is_not_monotone_and_says_so(suite: pytest.Pytester) -> None:
    record(suite.path / "tiny.jsonl", dict(zip("abcd", "ABCD", strict=True)))
    record(suite.path / "small.jsonl", dict(zip("abcd", "abcd", strict=True)))
    result = suite.runpytest(LADDER, "--rightsize-strategy=bisect")
    result.stdout.fnmatch_lines(
        [
            "upper   >=3/4[*]  <3/4     >=3/4  tiny        big       provisional  OVER-SIZED",
            "upper: non-monotone: tiny passes, small fails, so bisect fell back to full",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "marker", "table", "verdict"),
    [
        (["-o", "rightsize_confidence=0.95"], "", "", "UNDECIDED"),
        (["--rightsize-confidence=0.6"], "", "", "OVER-SIZED"),
        (["--rightsize-confidence=0.95"], "", "", "UNDECIDED"),
        (["--rightsize-confidence=0.95"], ", confidence=0.6", "", "OVER-SIZED"),
        (["--rightsize-confidence=0.6"], "", "confidence = 0.95", "UNDECIDED"),
    ],
)
def test_confidence_from_option_marker_and_ladder_file(
    suite: pytest.Pytester, arguments: list[str], marker: str, table: str, verdict: str
) -> None:
    """Four of four show 0.75 at 0.6 and not at 0.95; a marker wins over the file, the file over the option."""
    source = (suite.path / "test_suite.py").read_text(encoding="utf-8")
    (suite.path / "test_suite.py").write_text(source.replace("pass_rate=0.75", f"pass_rate=0.75{marker}"))
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tasks.upper]\n{table}\n")
    record(suite.path / "small.jsonl", dict(zip("abcd", "ABCD", strict=True)))
    result = suite.runpytest("--rightsize-ladder=small,big", *arguments)
    result.stdout.fnmatch_lines([f"upper * {verdict}"])


def test_an_undecided_rung_says_how_many_trials_it_needs(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--rightsize-ladder=big", "--rightsize-confidence=0.95", "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(
        [
            "rightsize: ladder big; strategy climb; confidence 0.95",
            "upper   @1[?] [[]2,100] * UNDECIDED",
            "([?] undecided, @ stopped: decided after so many, [[],[]] bounds of the pass rate in %, *",
            "upper: big stopped after 1 of 4 cases: the rest could not decide it",
            "upper: big: needs about 10 more trials to show 0.75 at this rate",
            "gate undecided: upper: it is not known *: add cases, or lower the confidence (test_suite.py:3)",
        ]
    )
    last = [json.loads(line) for line in (suite.path / "run.jsonl").read_text(encoding="utf-8").splitlines()][-2]
    assert last["confidence"] == 0.95
    assert last["standing"]["big"]["state"] == "undecided"


def test_every_standing_in_the_results_file_has_bounds(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    lines = [json.loads(line) for line in (suite.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    for standing in lines[-2]["standing"].values():
        assert 0 <= standing["low"] <= standing["rate"] <= standing["high"] <= 1
    assert lines[-2]["standing"]["big"]["low"] == pytest.approx(0.05 ** (1 / 4))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--rightsize-confidence=95", "--rightsize-confidence was given '95': give a number between 0.5 and 1"),
        ("--rightsize-confidence=high", "--rightsize-confidence was given 'high'"),
        ("--rightsize-strategy=bisec", "did you mean 'bisect'?"),
    ],
)
def test_bad_options_are_refused_before_anything_is_asked(suite: pytest.Pytester, option: str, message: str) -> None:
    result = suite.runpytest(LADDER, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in str(result.stderr)


def test_a_marker_confidence_out_of_range_is_an_error_of_that_test(suite: pytest.Pytester) -> None:
    source = (suite.path / "test_suite.py").read_text(encoding="utf-8")
    (suite.path / "test_suite.py").write_text(source.replace("pass_rate=0.75", "confidence=0.5"))
    result = suite.runpytest(LADDER)
    assert "was given confidence=0.5: give a number between 0.5 and 1" in str(result.stdout)
