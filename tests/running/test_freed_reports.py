"""Reports that the terminal keeps and never reads: those of setups and teardowns that passed in silence."""

import pytest

SESSION = """
    import pytest

    @pytest.fixture
    def loud():
        yield
        print("torn down")

    def test_quiet(model):
        assert model.ask("x") == "y"

    def test_loud(model, loud):
        assert model.ask("x") == "y"

    class Looks:
        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(self, session):
            stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
            kept = [(report.nodeid.partition("::")[2], report.when) for report in stats.get("", [])]
            print("KEPT", kept, "PASSED", len(stats["passed"]))
"""


def test_only_reports_with_something_to_show_are_kept(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    source, plugin = SESSION.split("    class Looks:")
    pytester.makepyfile(test_it=source)
    pytester.makeconftest(
        f"    import pytest\n\n    class Looks:{plugin}\n"
        "    def pytest_configure(config):\n        config.pluginmanager.register(Looks())\n"
    )

    result = pytester.runpytest("--rightsize-ladder=a", "-rP")

    result.assert_outcomes(passed=2)
    # -rP shows what the teardown printed, from the one report that is kept for it.
    result.stdout.fnmatch_lines(["*KEPT [[]('test_loud[[]a[]]', 'teardown')[]] PASSED 2", "*torn down*"])


SUBTESTS = """
    import pytest
    from _pytest.subtests import failed_subtests_key

    @pytest.mark.parametrize("number", range(3))
    def test_plain(number):
        pass

    def test_parts(subtests):
        with subtests.test("one"):
            assert False

    @pytest.fixture(scope="session", autouse=True)
    def notes(request):
        yield
        print("NOTED", dict(request.config.stash[failed_subtests_key]))
    """


def test_failed_subtests_are_counted_as_ever(pytester: pytest.Pytester) -> None:
    """Of tests without one nothing is kept."""
    pytest.importorskip("_pytest.subtests")
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    pytester.makepyfile(SUBTESTS)

    result = pytester.runpytest("--rightsize-ladder=a", "-s")

    assert any("contains 1 failed subtest" in line for line in result.outlines)
    noted = next(line for line in result.outlines if "NOTED" in line)
    assert "test_plain" not in noted
    assert "test_parts" in noted
