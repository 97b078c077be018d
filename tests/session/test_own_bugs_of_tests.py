"""A bug of the test itself is never held against a model, and what may be one is said."""

import pytest

from pytest_rightsize.results.results_file import read_run

LADDER = ("--rightsize-ladder=tiny,small,big", "--rightsize-results=run.jsonl")


def suite_of(suite: pytest.Pytester, *lines: str) -> None:
    body = "\n            ".join(lines)
    suite.makepyfile(
        test_suite=f"""
        import pytest

        @pytest.mark.rightsize(task="upper", chosen="big")
        @pytest.mark.parametrize("word", ["a", "b"])
        def test_upper(model, word):
            answer = model.ask(word)
            {body}
        """
    )


@pytest.mark.parametrize(
    "line", ["assert answer.content == word.upper()", "assert answer['text'] == word.upper()", "answer.json(shema={})"]
)
def test_a_wrong_use_of_the_answer_is_an_error_of_the_test(line: str, suite: pytest.Pytester) -> None:
    suite_of(suite, line)
    result = suite.runpytest(*LADDER)
    trials = read_run(suite.path / "run.jsonl").trials
    assert {(trial.outcome, trial.reason) for trial in trials} <= {("error", "test"), ("not_run", "settled")}
    assert sum(trial.outcome == "error" for trial in trials) >= 2
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "too small" not in result.parseoutcomes()
    text = result.stdout.str()
    assert "larger rung, mend" not in text
    assert "Error: " in text  # with its traceback, as in any session


def test_what_ends_alike_on_every_rung_is_called_suspicious(suite: pytest.Pytester) -> None:
    suite_of(suite, "table = {'x': 1}", "assert table[answer] == 1")
    result = suite.runpytest(*LADDER)
    trials = read_run(suite.path / "run.jsonl").trials
    assert {(trial.outcome, trial.reason, trial.raised_at) for trial in trials} == {
        ("failed", "format", "KeyError at test_suite.py:8"),
        ("not_run", "settled", None),
    }
    result.stdout.fnmatch_lines(["*suspicious: every trial ended in KeyError at test_suite.py:8*"])
    assert "add a larger rung" not in result.stdout.str()


def test_what_a_larger_rung_mends_is_not(suite: pytest.Pytester) -> None:
    """`tiny` knows A only: its other answer is no key of the table."""
    suite_of(suite, "table = {'A': 1, 'B': 2}", "assert table[answer]")
    result = suite.runpytest(*LADDER, "--rightsize-ladder=tiny,big")
    assert "suspicious" not in result.stdout.str()
    trials = read_run(suite.path / "run.jsonl").trials
    assert [trial.raised_at for trial in trials if trial.outcome == "failed"] == ["KeyError at test_suite.py:8"]
