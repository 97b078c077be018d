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
