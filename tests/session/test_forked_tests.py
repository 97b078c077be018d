"""Trials are not forked: pytest-forked is refused with a sentence."""

import pytest

PLUGIN = """
    def pytest_addoption(parser):
        parser.addoption("--forked", action="store_true", dest="forked", default=False)

    def pytest_configure(config):
        config.addinivalue_line("markers", "forked: run in a process of its own")
    """


@pytest.fixture
def suite(suite: pytest.Pytester) -> pytest.Pytester:
    """The suite, with what stands for pytest-forked."""
    suite.makepyfile(pytest_forked=PLUGIN)
    suite.syspathinsert()
    return suite


def test_a_trial_that_would_be_forked_ends_the_session_before_a_question(suite: pytest.Pytester) -> None:
    result = suite.runpytest("-p", "pytest_forked", "--forked", "--rightsize-ladder=big")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_upper* would run in a process of its own, by pytest-forked*without --forked*"])
    assert suite.runpytest("-p", "pytest_forked", "--rightsize-ladder=big").ret == pytest.ExitCode.OK
    assert suite.runpytest("-p", "pytest_forked", "--forked").ret == pytest.ExitCode.OK  # no ladder, no verdict


def test_a_marker_is_enough(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.forked
        def test_plain():
            pass

        @pytest.mark.forked
        def test_upper(model):
            assert model.ask("a") == "A"
        """
    )
    result = suite.runpytest("-p", "pytest_forked", "--rightsize-ladder=big")
    result.stderr.fnmatch_lines(["*test_upper* would run in a process of its own*"])
    assert suite.runpytest("-p", "pytest_forked", "--rightsize-ladder=big", "-k", "plain").ret == pytest.ExitCode.OK
