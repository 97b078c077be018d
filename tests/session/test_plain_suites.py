"""A suite with a ladder file and no test that asks a model is run and shown as without the plugin."""

import os
import re

import pytest

PLAIN = """
    import logging, os, pytest

    @pytest.fixture
    def model():
        return "ours"

    def test_one(model):
        print("hello one")
        logging.getLogger("x").warning("log one")

    @pytest.mark.parametrize("number", [2, 1])
    def test_two(number):
        print("hello", number)

    class TestThree:
        def test_three(self):
            print("hello three")
            assert 0
"""


def shown(result: pytest.RunResult) -> list[str]:
    """What was printed from the first test on, without times, ids of objects and folders."""
    text = result.stdout.str()
    begin = text.find("collected ")
    return re.sub(r"in \d+\.\d+s|0x[0-9a-f]+", "", text[max(begin, 0) :]).splitlines()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-v",),
        ("-s",),
        ("-sv",),
        ("-o", "log_cli=true"),
        ("-x", "-q"),
        ("--durations=0", "--durations-min=100", "-rA"),
        ("-p", "no:terminal"),
    ],
)
def test_what_is_shown_and_when_is_the_same(
    suite: pytest.Pytester, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.makepyfile(test_suite=PLAIN)
    # Without the plugin nobody knows its ini keys, and pytest warns of them.
    monkeypatch.setenv("PYTEST_ADDOPTS", os.environ["PYTEST_ADDOPTS"].replace("-o rightsize_runs=0", ""))
    with_plugin = suite.runpytest("-p", "no:pytest_asyncio.plugin", *options)
    without = suite.runpytest("-p", "no:pytest_asyncio.plugin", "-p", "no:pytest_rightsize.plugin", *options)
    assert with_plugin.ret == without.ret
    assert shown(with_plugin) == shown(without)


@pytest.mark.parametrize("options", [(), ("--rightsize-ladder=tiny,big",)])
def test_a_crash_names_its_test(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    suite.makepyfile(test_suite="import os\ndef test_one(): pass\ndef test_crashes(): os._exit(3)\n")
    result = suite.runpytest_subprocess("-v", "-s", *options)
    assert result.ret == 3
    assert re.search(r"test_one PASSED[^\n]*\n(.*\n)*test_suite.py::test_crashes ?$", result.stdout.str())


@pytest.mark.parametrize("options", [("--rightsize-ladder=tiny,big", "--rightsize-gate=none"), ()])
def test_beside_tests_that_ask_a_plain_one_is_shown_while_it_runs(
    suite: pytest.Pytester, options: tuple[str, ...]
) -> None:
    suite.makepyfile(
        test_plain="""
        def test_first(): print("hello first")
        def test_second(): print("hello second")
        """,
        test_suite="""
        def test_asks(model):
            assert model.ask("a")
        """,
    )
    result = suite.runpytest("-p", "no:pytest_asyncio.plugin", "-v", "-s", *options)
    result.stdout.re_match_lines_random(
        [r"test_plain.py::test_first hello first", r"test_plain.py::test_second hello second"]
    )


def test_an_observer_of_statuses_sees_every_trial(suite: pytest.Pytester) -> None:
    """As editors do, which learn outcomes in this hook and return nothing."""
    suite.makeconftest(
        """
        def pytest_report_teststatus(report):
            if report.when == "call":
                with open("seen.txt", "a") as file:
                    file.write(f"{report.nodeid.rpartition('[')[2]} {report.outcome}\\n")
        """
    )
    options = ("--rightsize-ladder=tiny", "--rightsize-strategy=full", "--rightsize-gate=none")
    result = suite.runpytest("-p", "no:pytest_asyncio.plugin", "-v", *options)
    assert result.parseoutcomes() == {"passed": 1, "too": 3}
    result.stdout.fnmatch_lines(["*test_upper[[]tiny-b] TOO SMALL*"])
    seen = (suite.path / "seen.txt").read_text(encoding="utf-8").split()
    assert sorted(seen[1::2]) == ["passed", "skipped", "skipped", "skipped"]
