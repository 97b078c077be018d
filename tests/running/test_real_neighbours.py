"""The same with the plugins themselves, where they are installed; `test_neighbours.py` has what stands for them."""

import json
from importlib.util import find_spec
from typing import Any

import pytest

from pytest_rightsize.results.results_file import read_run
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.running.test_neighbours import at_once, same_as_one_at_a_time, session
from tests.running.test_suspension import LADDER, NOTE, asked, gated, most, starts

__all__ = ["gated"]


@pytest.fixture(autouse=True)
def _only_what_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """These plugins do not like each other, so each session loads one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_rightsize.plugin")
    monkeypatch.delenv("PYTEST_PLUGINS")


def plugin(name: str) -> tuple[str, str]:
    """The options that load a plugin; it is not imported here, as its sessions must not share what it keeps."""
    if find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    return "-p", name


def test_allure_gets_one_result_a_trial(gated: pytest.Pytester) -> None:
    at_once(gated)
    options = (*plugin("allure_pytest.plugin"), "--alluredir=allure", "--clean-alluredir")
    gated.makepyfile(
        """
        import allure, pytest
        @pytest.mark.parametrize("word", ["a", "b"])
        def test_it(model, word):
            with allure.step("ask"):
                answer = model.ask(word)
            allure.attach(answer, "answer", allure.attachment_type.TEXT)
            assert answer == "A"
        """
    )
    result, _ = same_as_one_at_a_time(gated, *options)
    results = [json.loads(path.read_text("utf-8")) for path in (gated.path / "allure").glob("*-result.json")]
    assert len(results) == 4
    assert {(len(one["steps"]), len(one["attachments"])) for one in results} == {(1, 1)}
    result.stdout.fnmatch_lines(["*4 tests wait for their answers one at a time: allure-pytest writes*"])
    # Nor one of a start with planted answers.
    session(gated, *options, "--rightsize-strength")
    assert len([*(gated.path / "allure").glob("*-result.json")]) == 4


def test_benchmark_asks_as_often_as_one_at_a_time_and_says_that_it_does(
    gated: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(gated)
    gated.makepyfile(
        """
        def test_latency(model, benchmark):
            assert benchmark.pedantic(model.ask, args=("hello",), rounds=3) == "HELLO"
        """
    )
    # Within a worker of pytest-xdist it would call each test once.
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    options = plugin("pytest_benchmark.plugin")
    same_as_one_at_a_time(gated, *options)
    assert len(asked(gated)) == 2 * 3
    for result in (session(gated, *options)[0], session(gated, *options, "--rightsize-concurrency=1")[0]):
        result.stdout.fnmatch_lines(["*the fixture benchmark asks the model again in every round, and each is paid*"])


RERUN = """
    @pytest.mark.flaky({arguments})
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_never(model, word):
        answer = model.ask(word)
        note(f"judged {{model.rung}} {{word}}")
        assert answer == "wrong"

    @pytest.mark.parametrize("word", ["c", "d", "e", "f"])
    def test_other(model, word):
        assert model.ask(word) == word.upper()
"""


@pytest.mark.parametrize(
    ("name", "arguments"), [("flaky.flaky_pytest_plugin", "max_runs=3"), ("pytest_retry.retry_plugin", "retries=2")]
)
def test_a_plugin_that_runs_tests_again_has_as_many_runs(gated: pytest.Pytester, name: str, arguments: str) -> None:
    gated.makefile(".toml", rightsize=LADDER.replace("together = 4", 'together = 4\nalone = "a b"'))
    gated.makepyfile(NOTE + RERUN.format(arguments=arguments))
    same_as_one_at_a_time(gated, *plugin(name))
    noted = starts(gated)
    assert {noted.count(line) for line in noted} == {3}
    # Who is not marked is in flight with others as ever.
    assert most(gated) >= 4


@pytest.mark.parametrize(
    ("name", "arguments"), [("flaky.flaky_pytest_plugin", "max_runs=3"), ("pytest_retry.retry_plugin", "retries=2")]
)
def test_the_last_run_is_the_trial(gated: pytest.Pytester, name: str, arguments: str) -> None:
    at_once(gated)
    gated.makepyfile(
        f"""
        import pytest
        RUNS = []
        @pytest.mark.flaky({arguments})
        def test_it(model):
            RUNS.append(model.rung)
            count = RUNS.count(model.rung)
            assert model.ask(f"a{{count}}") == "A2"
        """
    )
    result = session(gated, *plugin(name), "--junit-xml=junit.xml")[0]
    assert "too small" not in result.parseoutcomes()
    trials = read_run(gated.path / "run.jsonl").trials
    assert [(trial.outcome, [answer.text for answer in trial.answers]) for trial in trials] == [("passed", ["A2"])] * 2
    _, *entries = (gated.path / "junit.xml").read_text("utf-8").split("<testcase")
    assert {entry.count('"rightsize.outcome"') for entry in entries} == {1}


def test_a_test_that_depends_on_another_runs_after_it(gated: pytest.Pytester) -> None:
    at_once(gated)
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.dependency(name="first")
        def test_first(model):
            assert model.ask("a") == "A"
        @pytest.mark.dependency(depends=["first"])
        def test_second(model):
            assert model.ask("b") == "B"
        """
    )
    result, _ = same_as_one_at_a_time(gated, *plugin("pytest_dependency"))
    assert result.parseoutcomes()["passed"] == 4
    assert most(gated) == 1
    gated.makepyfile("def test_it(model): assert model.ask('a') == 'A'\ndef test_other(model): assert model.ask('b')")
    session(gated, *plugin("pytest_dependency"), "-o", "automark_dependency=true")
    assert most(gated) == 1


def test_a_cassette_has_the_answers_of_its_test_and_none_stops_real_requests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = plugin("pytest_recording.plugin")
    monkeypatch.setattr("pytest_rightsize.providers.openai.http._backoff", lambda _: 0.001)
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture(scope="module")
        def vcr_config():
            return {"ignore_localhost": False, "match_on": ["method", "body"]}

        @pytest.mark.vcr
        @pytest.mark.parametrize("word", ["a", "b", "c"])
        def test_it(model, word):
            assert model.ask(word) + model.ask(word * 2) == word.upper() * 3
        """
    )

    def shout(request: dict[str, Any]) -> Answering:
        return Answering(body=completion(request["messages"][-1]["content"].upper()))

    with serve(shout) as endpoint:
        rung = f'[ladder.s]\nprovider = "openai"\nmodel = "m"\nmeter = "none"\nbase_url = "{endpoint.url}"\n'
        pytester.makefile(".toml", rightsize=rung)
        options = ("--rightsize-ladder=s", "--rightsize-cache=off", "--rightsize-gate=none", *recording)
        none = pytester.runpytest(*options, "--record-mode=none", "--rightsize-results=run.jsonl")
        assert not endpoint.requests
        assert none.ret == pytest.ExitCode.TESTS_FAILED
        assert {trial.outcome for trial in read_run(pytester.path / "run.jsonl").trials} == {"error"}
        pytester.runpytest(*options, "--record-mode=once").assert_outcomes(passed=3)
        cassettes = sorted((pytester.path / "cassettes" / "test_it").iterdir())
        assert [path.read_text("utf-8").count("uri:") for path in cassettes] == [2, 2, 2]
        assert len(endpoint.requests) == 6
        pytester.runpytest(*options, "--record-mode=none").assert_outcomes(passed=3)
        assert len(endpoint.requests) == 6


def test_steps_of_bdd_are_told_and_climb_with_the_remedy(gated: pytest.Pytester) -> None:
    at_once(gated)
    options = plugin("pytest_bdd.plugin")
    gated.makefile(
        ".feature",
        routing="""
        Feature: routing
          Scenario Outline: one
            Given the ticket "<ticket>"
            When it is routed
            Then it is "<queue>"
            Examples:
            | ticket | queue |
            | a      | A     |
            | b      | B     |
        """,
    )
    steps = """
        from pytest_bdd import given, parsers, scenarios, then, when
        import pytest
        scenarios("routing.feature")
        @given(parsers.parse('the ticket "{ticket}"'), target_fixture="ticket")
        def _ticket(ticket): return ticket
        @when("it is routed", target_fixture="routed")
        def _routed(model, ticket): return model.ask(ticket)
        @then(parsers.parse('it is "{queue}"'))
        def _queue(routed, queue): assert routed == queue
        """
    gated.makepyfile(steps)
    told = gated.runpytest("--rightsize-ladder=gate,gate2", "--rightsize-strategy=full", *options)
    told.assert_outcomes(passed=2)
    told.stdout.fnmatch_lines(["*gets its `model` only while it runs*pytestmark = pytest.mark.usefixtures(*"])
    gated.makepyfile(steps + '\n        pytestmark = pytest.mark.usefixtures("model")\n')
    result, _ = same_as_one_at_a_time(gated, *options)
    assert result.parseoutcomes()["passed"] == 4
    assert "only while it runs" not in str(result.stdout)
