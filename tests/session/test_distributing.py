"""The session under pytest-xdist: workers that cannot be configured end it with one sentence."""

from types import SimpleNamespace

import pytest

from pytest_rightsize.session.distribution import exception_line

pytest.importorskip("xdist")


@pytest.mark.parametrize(
    ("formatted", "line"),
    [
        ("Traceback (most recent call last):\n  ...\npytest.UsageError: unknown rung 'a'. Known: b.\n", None),
        ("ModuleNotFoundError: No module named 'pytest_rightsize'", "No module named 'pytest_rightsize'"),
        ("SystemExit", "SystemExit"),
        (
            "Traceback (most recent call last):\n  ...\nValueError: a\n\nDuring handling:\n\n"
            "Traceback (most recent call last):\n  ...\npytest.UsageError: usage: -c [options] [file_or_dir]\n"
            "-c: error: unrecognized arguments: --rightsize-ladder=1b -d\n  inifile: None\n  rootdir: /work\n",
            "unrecognized arguments: --rightsize-ladder=1b -d",
        ),
        ("Traceback (most recent call last):\n  ...\nOSError: it has\ntwo lines.\n", "it has"),
    ],
)
def test_what_a_worker_says_is_one_line(formatted: str, line: str | None) -> None:
    assert exception_line(SimpleNamespace(formatted=formatted)) == (line or "unknown rung 'a'. Known: b")


def test_a_worker_that_only_vanished_says_nothing() -> None:
    assert exception_line("Not properly terminated") is None


def test_a_worker_in_another_folder_ends_the_session_with_one_sentence(suite: pytest.Pytester) -> None:
    elsewhere = suite.mkdir("elsewhere")
    result = suite.runpytest("-d", "--tx", f"popen//chdir={elsewhere}", "--rightsize-ladder=small,big")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = str(result.stdout) + str(result.stderr)
    assert said.count("could not be started") == 1
    assert "replacing crashed worker" not in said
    assert "Traceback" not in said
    assert "unknown rung 'small'" in said
    assert "--rightsize-config" in said


def test_a_worker_without_the_plugin_is_told_what_to_install(suite: pytest.Pytester) -> None:
    """By the environment of the worker alone, in which pytest loads no plugins but those it is told of."""
    suite.makeini("[pytest]\naddopts = --rightsize-ladder=small,big")
    result = suite.runpytest("-d", "--tx", "popen//env:PYTEST_PLUGINS=xdist.plugin")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*could not be started: unrecognized arguments: --rightsize-*. Install there what *"])


def test_a_worker_of_another_version_is_refused(suite: pytest.Pytester) -> None:
    suite.makeconftest(
        """
        import pytest

        @pytest.hookimpl(trylast=True, optionalhook=True)
        def pytest_configure_node(node):
            node.workerinput["rightsize-version"] = "0.0.1"
        """
    )
    result = suite.runpytest("-n1", "--rightsize-ladder=small,big")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*it has pytest-rightsize *, and the session has 0.0.1. Install there what *"])


def test_answers_that_a_test_gives_to_pytest_reach_the_controller(suite: pytest.Pytester) -> None:
    """What sends reports between processes knows no kind of text but `str`: the whole session ended."""
    suite.makepyfile(
        test_suite="""
        import pytest

        def test_property(model, record_property):
            record_property("answer", model.ask("a"))
            record_property("nested", [{"answer": model.ask("a")}])

        def test_skip(model):
            pytest.skip(model.ask("a"))

        def test_xfail(model):
            pytest.xfail(model.ask("a"))

        def test_fail(model):
            pytest.fail(model.ask("a"), pytrace=False)

        def test_message(model):
            answer = model.ask("a")
            assert answer == "B", answer

        @pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has none")
        def test_subtests(model, subtests):
            with subtests.test(model.ask("a"), answer=model.ask("a")):
                pass
        """
    )
    result = suite.runpytest("-n1", "--rightsize-ladder=big", "--junit-xml=junit.xml")
    assert "INTERNALERROR" not in str(result.stdout)
    written = (suite.path / "junit.xml").read_text(encoding="utf-8")
    assert '<property name="answer" value="A"' in written
    assert "[{'answer': 'A'}]" in written.replace("&#39;", "'").replace("&apos;", "'")
    assert result.parseoutcomes()["xfailed"] == 1


def test_a_notice_of_a_worker_ends_no_session_where_warnings_are_errors(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import unittest
        import pytest

        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def ask(self, model):
                self.model = model

            def test_upper(self):
                assert self.model.ask("a") == "A"

        def test_upper(model):
            assert model.ask("a") == "A"
        """
    )
    result = suite.runpytest("-n1", "-W", "error::pytest_rightsize.errors.RightsizeWarning", "--rightsize-ladder=big")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*RightsizeWarning: test_suite.py::TestOld::test_upper is a method of a unittest.*"])
