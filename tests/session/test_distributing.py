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
    ],
)
def test_what_a_worker_says_is_its_last_line(formatted: str, line: str | None) -> None:
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
