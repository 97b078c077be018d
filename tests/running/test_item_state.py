"""A test that was suspended while its fixtures were made starts again as if it had not been started."""

import pytest

from pytest_rightsize.results.results_file import read_run
from tests.running.test_suspension import asked, gated

__all__ = ["gated"]

# As pytest-lazy-fixtures does: the hook itself asks for the fixture that a parameter names.
NAMED = """
    class Named(str):
        pass

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(fixturedef, request):
        if isinstance(getattr(request, "param", None), Named):
            request.param = request.getfixturevalue(request.param)
    """


def test_a_hook_that_makes_a_fixture_may_ask_the_model(gated: pytest.Pytester) -> None:
    with (gated.path / "conftest.py").open("a", encoding="utf-8") as file:
        file.write("\nimport pytest\n" + "\n".join(line[4:] for line in NAMED.splitlines()))
    gated.makepyfile(
        """
        import pytest
        from conftest import Named

        @pytest.fixture
        def first(model):
            return model.ask("a")

        @pytest.fixture
        def second(model):
            return model.ask("b")

        @pytest.mark.parametrize("answer", [Named("first"), Named("second")])
        def test_it(model, answer):
            assert answer in ("A", "B") and model.ask("c") == "C"
        """
    )
    result = gated.runpytest("--rightsize-ladder=gate", "--rightsize-results=run.jsonl")
    result.assert_outcomes(passed=2)
    assert sorted(asked(gated)) == ["a", "b", "c", "c"]
    assert [len(trial.answers) for trial in read_run(gated.path / "run.jsonl").trials] == [2, 2]
