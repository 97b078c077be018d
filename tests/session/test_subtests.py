"""Subtests of pytest 9: a trial is what the whole test came to, and not what one of them did."""

from pathlib import Path

import pytest

from pytest_rightsize.records import Trial
from pytest_rightsize.results.results_file import read_run

pytestmark = pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has no subtests of its own")
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=1.0, chosen="big")
    @pytest.mark.parametrize("pair", ["ab", "cd"])
    def test_upper(model, subtests, pair):
        for word in pair:
            with subtests.test(word=word):
                assert model.ask(word) == word.upper()
"""
LADDER = "--rightsize-ladder=tiny,small,big"


def trials_of(path: Path) -> dict[tuple[str, str], Trial]:
    return {(trial.key.rung, trial.key.case[-3:-1]): trial for trial in read_run(path).trials}


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",), ("-n2",)])
def test_a_test_whose_subtest_fails_has_not_passed(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    """`tiny` knows only a, `small` not d: both fail the second case, by its first and by its second subtest."""
    suite.makepyfile(test_suite=SUITE)
    result = suite.runpytest(LADDER, "--rightsize-strategy=full", "--rightsize-results=run.jsonl", "-x", *options)
    trials = trials_of(suite.path / "run.jsonl")
    assert {key: trial.outcome for key, trial in trials.items()} == {
        ("tiny", "ab"): "failed",
        ("tiny", "cd"): "failed",
        ("small", "ab"): "passed",
        ("small", "cd"): "failed",
        ("big", "ab"): "passed",
        ("big", "cd"): "passed",
    }
    # Of every subtest, and not of the first alone; and a wrong answer is data, which stops no session.
    assert {len(trial.answers) for trial in trials.values()} == {2}
    assert trials["small", "cd"].reason == "wrong"
    assert "failed" not in result.parseoutcomes()


def test_without_a_ladder_a_failing_subtest_fails_as_ever(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_suite=SUITE.replace('chosen="big"', 'chosen="small"'))
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*test_upper*cd*contains 1 failed subtest*"])


def test_a_test_that_fails_beside_its_subtests_is_graded_by_its_own_end(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize(task="upper")
        def test_upper(model, subtests):
            with subtests.test("one"):
                assert model.ask("a") == "A"
            assert model.ask("b") == "B", "the second is wrong"
        """
    )
    suite.runpytest("--rightsize-ladder=tiny", "--rightsize-results=run.jsonl")
    (trial,) = read_run(suite.path / "run.jsonl").trials
    assert trial.outcome == "failed"
    assert "the second is wrong" in (trial.detail or "")


@pytest.mark.parametrize("at_once", ["1", "8"])
def test_a_subtest_in_a_fixture_is_no_trial_of_its_own(suite: pytest.Pytester, at_once: str) -> None:
    """`small` knows a, and not d: the trial is what the test comes to after a subtest that passes in its setup."""
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.fixture(params=["ad", "da", "aa"])
        def word(model, subtests, request):
            with subtests.test("setup"):
                assert model.ask(request.param[0]) == request.param[0].upper()
            return request.param[1]

        def test_upper(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    options = (f"--rightsize-concurrency={at_once}", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    suite.runpytest("--rightsize-ladder=small", *options)
    trials = read_run(suite.path / "run.jsonl").trials
    found = {trial.key.case[-3:-1]: (trial.outcome, len(trial.answers)) for trial in trials}
    assert found == {"ad": ("failed", 2), "da": ("failed", 2), "aa": ("passed", 2)}


def test_a_subtest_that_fails_after_the_test_fails_the_session_and_no_trial(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.fixture
        def checked(model, subtests):
            yield
            with subtests.test("teardown"):
                assert model.ask("d") == "D"

        def test_upper(model, checked):
            assert model.ask("a") == "A"
        """
    )
    result = suite.runpytest("--rightsize-ladder=small", "--rightsize-results=run.jsonl")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(['>           assert model.ask("d") == "D"'])  # an error is shown whole
    assert [trial.outcome for trial in read_run(suite.path / "run.jsonl").trials] == ["passed"]
