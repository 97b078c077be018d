"""A trial is what the whole test came to, also where a conftest.py says that it failed."""

import pytest

from pytest_rightsize.results.results_file import read_run

# A recipe that many projects have: checks are collected, and the test fails when it has ended.
SOFT_CHECKS = """
    import pytest

    @pytest.fixture
    def mistakes(request):
        request.node.mistakes = []
        return request.node.mistakes

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        if report.when == "call" and getattr(item, "mistakes", None):
            report.outcome = "failed"
            report.longrepr = f"mistakes: {item.mistakes}"
        return report
    """
SUITE = """
    import pytest

    @pytest.mark.parametrize("word", ["a", "d"])
    def test_upper(model, word, mistakes):
        if model.ask(word) != word.upper():
            mistakes.append(word)
    """


@pytest.mark.parametrize("folder", [".", "folder"])
def test_a_conftest_may_fail_a_test_that_raised_nothing(suite: pytest.Pytester, folder: str) -> None:
    """That of a folder is loaded when this plugin already is, so that its hooks would stand around ours."""
    conftest, test = suite.makepyfile(conftest=SOFT_CHECKS), suite.makepyfile(test_suite=SUITE)
    (suite.path / folder).mkdir(exist_ok=True)
    for path in (conftest, test):
        path.rename(suite.path / folder / path.name)
    suite.runpytest("--rightsize-ladder=small", "--rightsize-strategy=full", "--rightsize-results=run.jsonl")
    trials = {trial.key.case[-2]: trial for trial in read_run(suite.path / "run.jsonl").trials}
    assert {word: (trial.outcome, trial.reason) for word, trial in trials.items()} == {
        "a": ("passed", None),
        "d": ("failed", "wrong"),
    }
    assert trials["d"].detail == "mistakes: ['d']"


@pytest.mark.parametrize("word", ["a", "d"])
def test_what_xfail_says_of_a_test_is_no_outcome_of_its_trial(suite: pytest.Pytester, word: str) -> None:
    suite.makepyfile(
        test_suite=f"""
        import pytest

        @pytest.mark.xfail(strict=True, reason="not yet")
        def test_upper(model):
            assert model.ask("{word}") == "{word.upper()}"
        """
    )
    suite.runpytest("--rightsize-ladder=small", "--rightsize-results=run.jsonl")
    (trial,) = read_run(suite.path / "run.jsonl").trials
    assert (trial.outcome, trial.reason) == ("not_run", "xfail")


def test_a_test_that_a_plugin_runs_again_after_all_asks_its_own_rung(suite: pytest.Pytester) -> None:
    """As plugins that go through the tests for an hour; what was noted of the trial is gone by then."""
    suite.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtestloop(session):
            result = yield
            for item in session.items:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            return result
        """
    )
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize(chosen="big")
        def test_upper(model):
            print("ASKED", model.rung, model.ask("d").upper())
            assert False
        """
    )
    result = suite.runpytest(
        "--rightsize-ladder=small,big", "--rightsize-strategy=full", "--rightsize-concurrency=1", "-s"
    )
    asked = [line.partition("ASKED ")[2] for line in result.outlines if "ASKED" in line]
    assert asked == ["small D", "big D"] * 2


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",), ("-n1",)], ids=str)
@pytest.mark.parametrize("way", ["tryfirst=True", "wrapper=True"])
def test_a_hook_that_fails_a_test_too_late_for_its_trial_is_told(
    suite: pytest.Pytester, way: str, options: tuple[str, ...]
) -> None:
    """Pytest itself may count such a failure or not, by the order of hooks; a verdict on it is not to be trusted."""
    suite.makeconftest(
        f"""
        import pytest

        @pytest.hookimpl({way})
        def pytest_runtest_logreport(report):
            if report.when == "call" and report.nodeid.endswith("[big-b]"):
                report.outcome, report.longrepr = "failed", "said late"
            {"return (yield)" if "wrapper" in way else ""}
        """
    )
    result = suite.runpytest("--rightsize-ladder=big", "--rightsize-gate=none", *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["rightsize: test_suite.py::test_upper[[]big-b] is shown as failed by a hook pytest_runtest_logreport, after *"]
    )
