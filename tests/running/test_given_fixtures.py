"""Parameters and `model` are given to a test; whoever may look on while fixtures are set up sees all of them."""

from typing import Any

import pytest
from _pytest.fixtures import FixtureDef

from tests.conftest import record

_SUITE = """
    import pytest

    @pytest.fixture
    def upper(word, model):
        yield word.upper()
        with open("finished", "a") as file:
            file.write(word)

    @pytest.mark.parametrize("word", ["a", "b"])
    def test_it(request, model, word, upper):
        assert model.ask(word) == upper
        assert request.getfixturevalue("word") is word
        assert request.getfixturevalue("model") is model
        assert set(request.fixturenames) >= {"model", "word", "upper", "_rightsize_trial"}
    """

_NAMES = {"model", "word", "upper", "_rightsize_trial"}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the fixtures that pytest sets up."""
    names: list[str] = []
    execute = FixtureDef.execute

    def noting(definition: FixtureDef[Any], request: Any) -> Any:
        names.append(definition.argname)
        return execute(definition, request)

    monkeypatch.setattr(FixtureDef, "execute", noting)
    return names


@pytest.fixture
def ladder(pytester: pytest.Pytester) -> pytest.Pytester:
    record(pytester.path / "small.jsonl", {"a": "A", "b": "B"})
    pytester.makefile(".toml", rightsize='[ladder.small]\nprovider = "replay"\nfile = "small.jsonl"\n')
    return pytester


def _run(ladder: pytest.Pytester, executed: list[str], suite: str, *options: str) -> pytest.RunResult:
    ladder.makepyfile(suite)
    executed.clear()
    return ladder.runpytest("--rightsize-ladder=small", "--rightsize-gate=none", *options)


def test_what_has_a_value_is_given_and_the_rest_is_set_up_and_finished(
    ladder: pytest.Pytester, executed: list[str]
) -> None:
    _run(ladder, executed, _SUITE).assert_outcomes(passed=2)
    assert [name for name in executed if name in _NAMES] == ["upper", "upper"]
    assert (ladder.path / "finished").read_text() == "ab"


@pytest.mark.parametrize(
    "hook", ["pytest_fixture_setup(fixturedef, request)", "pytest_fixture_post_finalizer(fixturedef)"]
)
def test_where_a_conftest_may_look_on_every_fixture_is_set_up(
    ladder: pytest.Pytester, executed: list[str], hook: str
) -> None:
    ladder.makeconftest(f"""
        def {hook}:
            with open("seen", "a") as file:
                file.write(fixturedef.argname + "\\n")
        """)
    _run(ladder, executed, _SUITE).assert_outcomes(passed=2)
    assert {*executed} >= _NAMES
    assert {*(ladder.path / "seen").read_text().split()} >= _NAMES


def test_an_option_that_shows_fixtures_shows_all(ladder: pytest.Pytester, executed: list[str]) -> None:
    result = _run(ladder, executed, _SUITE, "--setup-show")
    result.stdout.fnmatch_lines(["*SETUP    F word*", "*SETUP    F model*", "*SETUP    F upper*"])


def test_a_fixture_around_model_and_a_wider_parameter_are_set_up(ladder: pytest.Pytester, executed: list[str]) -> None:
    suite = """
        import pytest

        @pytest.fixture
        def model(model):
            return lambda word: model.ask(word).lower()

        @pytest.mark.parametrize("word", ["a", "b"], scope="module")
        def test_it(model, word):
            assert model(word) == word
        """
    _run(ladder, executed, suite).assert_outcomes(passed=2)
    assert executed.count("model") == 4  # the project's, and ours within it
    assert executed.count("word") == 2


def test_a_test_that_runs_without_a_rung_is_told_so(ladder: pytest.Pytester) -> None:
    ladder.makepyfile("""
        import pytest

        @pytest.mark.parametrize("word", ["a"])
        def test_it(model, word):
            raise AssertionError("it must not start")
        """)
    result = ladder.runpytest("--rightsize-cache=off")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*has no rung to run on*"])
    result.stdout.no_fnmatch_line("*Traceback*")
