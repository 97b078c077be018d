"""Whatever a session can do with `model.ask`, it does with an application's own calls."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_rightsize.results.results_file import read_run
from tests.conftest import record
from tests.providers.openai.endpoint import Answering, Endpoint, completion, serve
from tests.session.test_application import APP, SERVED
from tests.session.test_playing import counts, strengths_of

RUN = "--rightsize-results=run.jsonl"
NEAR = """
[app]
serve = true
[ladder.near]
provider = "openai"
model = "m"
base_url = "{url}"
"""
SUITE = """
    import app
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75)
    @pytest.mark.parametrize("word", ["aa", "bb", "cc", "dd"])
    def test_upper(model, word):
        with open("starts.txt", "a") as starts:
            starts.write(word)
        assert app.upper(word) == word.upper()
"""
LADDER = ("--rightsize-ladder=near", "--rightsize-strategy=full")


def upper(asked: dict[str, Any]) -> Answering:
    """Whatever is asked, in capitals; it takes 9 tokens."""
    return Answering(body=completion(asked["messages"][-1]["content"].upper()))


@pytest.fixture
def near(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A rung of this machine, and an application with a client that is made at import."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(app=APP, test_suite=SUITE)
    pytester.makeconftest("import app")
    with serve(upper) as endpoint:
        pytester.makefile(".toml", rightsize=NEAR.format(url=endpoint.url))
        yield endpoint


def outcomes(pytester: pytest.Pytester) -> list[tuple[str, str | None]]:
    run = read_run(pytester.path / "run.jsonl")
    return [(trial.outcome, trial.reason) for trial in sorted(run.trials, key=lambda trial: trial.key)]


PASSED: list[tuple[str, str | None]] = [("passed", None)] * 4


def test_answers_are_recorded_and_replayed_whatever_wire_they_are_asked_by(
    pytester: pytest.Pytester, near: Endpoint
) -> None:
    pytester.runpytest(*LADDER, RUN)
    assert outcomes(pytester) == PASSED
    assert len(near.requests) == 4
    assert set(near.keys) == {None}  # neither the application's nor the dummy
    # The same application over another API of the same SDK.
    pytester.makepyfile(
        app="""
        import openai

        client = openai.OpenAI()

        def upper(word):
            return client.responses.create(model="gpt-4o-mini", input=word).output_text
        """
    )
    pytester.runpytest(*LADDER, RUN, "--rightsize-cache=replay")
    assert outcomes(pytester) == PASSED
    assert len(near.requests) == 4
    assert all(answer.cached for trial in read_run(pytester.path / "run.jsonl").trials for answer in trial.answers)


@pytest.mark.usefixtures("near")
def test_a_budget_ends_what_the_application_may_ask(pytester: pytest.Pytester) -> None:
    pytester.runpytest(*LADDER, RUN, "--rightsize-budget=tokens:18", "--rightsize-concurrency=1")
    assert outcomes(pytester) == [*PASSED[:2], ("not_run", "budget"), ("not_run", "budget")]


@pytest.mark.parametrize("private", [True, False], ids=["private", "offline"])
def test_an_application_asks_no_rung_beyond_this_machine(pytester: pytest.Pytester, private: bool) -> None:
    pytester.makepyfile(app=APP, test_suite=SUITE)
    pytester.makefile(
        ".toml", rightsize=NEAR.format(url="http://192.0.2.1/v1") + f"[tasks.upper]\nprivate = {str(private).lower()}\n"
    )
    result = pytester.runpytest(*LADDER, RUN, *([] if private else ["--rightsize-offline"]))
    if private:
        assert outcomes(pytester) == [("not_run", "private")] * 4
    else:
        result.stderr.fnmatch_lines(["*--rightsize-offline: near would leave this machine*"])
    assert not (pytester.path / "starts.txt").exists()


@pytest.mark.usefixtures("near")
def test_what_is_withheld_is_in_no_file(pytester: pytest.Pytester) -> None:
    pytester.runpytest(*LADDER, RUN, "--rightsize-redact=prompts,answers", "--rightsize-html=page.html")
    assert outcomes(pytester) == PASSED
    written = (pytester.path / "run.jsonl").read_text()
    assert '"AA"' not in written
    assert '"aa"' not in written


@pytest.mark.usefixtures("near")
def test_the_session_stops_at_the_first_failure(pytester: pytest.Pytester) -> None:
    """A test of an application that breaks by itself is a failure of pytest's; a wrong answer is none."""
    pytester.makepyfile(
        test_suite="""
        import app
        import pytest

        @pytest.mark.parametrize("word", ["aa", "bb", "cc"])
        def test_it(model, word):
            assert app.upper(word) == "BB"

        def test_broken(model):
            app.no_such_function()

        def test_never(model):
            app.upper("never")
        """
    )
    result = pytester.runpytest(*LADDER, RUN, "-x", "--rightsize-concurrency=1")
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])
    assert outcomes(pytester) == [
        ("error", "test"),
        ("failed", "wrong"),
        ("passed", None),
        ("failed", "wrong"),
    ]


def test_the_last_failed_test_is_run_alone(pytester: pytest.Pytester, near: Endpoint) -> None:
    first = "        assert app"
    broken = SUITE.replace(first, f"        if word == 'bb': app.no_such_function()\n{first}")
    pytester.makepyfile(test_suite=broken)
    pytester.runpytest(*LADDER, RUN)
    assert outcomes(pytester) == [PASSED[0], ("error", "test"), *PASSED[:2]]
    before = len(near.requests)
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest(*LADDER, RUN, "--lf", "--rightsize-cache=refresh")
    assert result.parseoutcomes()["passed"] == 1
    assert [asked["messages"][-1]["content"] for asked in near.requests[before:]] == ["bb"]


@pytest.mark.parametrize(
    ("options", "starts"), [(["--pdb"], "aabbccdd"), (["--rightsize-concurrency=1"], "aabbccdd")], ids=["pdb", "one"]
)
@pytest.mark.usefixtures("near")
def test_a_test_that_is_watched_starts_once(pytester: pytest.Pytester, options: list[str], starts: str) -> None:
    pytester.runpytest(*LADDER, RUN, *options)
    assert outcomes(pytester) == PASSED
    assert (pytester.path / "starts.txt").read_text() == starts


@pytest.mark.parametrize("method", ["signal", "thread"])
@pytest.mark.usefixtures("near")
def test_a_time_limit_stands_beside_the_signal(pytester: pytest.Pytester, method: str) -> None:
    limit = f'    @pytest.mark.timeout(60, method="{method}")\n    def test'
    pytester.makepyfile(test_suite=SUITE.replace("    def test", limit))
    result = pytester.runpytest(*LADDER, RUN)
    assert outcomes(pytester) == PASSED
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.usefixtures("near")
def test_workers_share_the_tests(pytester: pytest.Pytester) -> None:
    more = "\n".join(SUITE.splitlines()[4:]).replace('upper"', 'other"').replace("test_upper", "test_other")
    pytester.makepyfile(test_suite=SUITE + more + "\n")
    result = pytester.runpytest(*LADDER, RUN, "-n2")
    assert outcomes(pytester) == PASSED * 2
    assert result.parseoutcomes()["passed"] == 8
    assert "OPENAI_BASE_URL" not in os.environ


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",)], ids=["many", "one"])
def test_wrong_answers_are_played_to_the_application(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(app=APP, test_suite=SUITE)
    pytester.makeconftest("import app")
    pytester.makefile(".toml", rightsize=SERVED)
    for rung in ("tiny", "small", "big"):
        right = dict.fromkeys(("aa", "bb", "cc", "dd"), "no") if rung == "tiny" else {}
        record(pytester.path / f"{rung}.jsonl", {**{word: word.upper() for word in ("aa", "bb", "cc", "dd")}, **right})
    pytester.runpytest("--rightsize-ladder=tiny,small,big", "--rightsize-strength", RUN, *options)
    strength = strengths_of(pytester.path)["upper"]
    assert (strength["rung"], strength["share"], strength["uncounted"]) == ("small", 0, 0)
    assert counts(strength) == {"other": (0, 6), "empty": (0, 3), "refusal": (0, 3), "truncated": (0, 3)}


def test_wrong_answers_are_not_played_in_place_of_another_rungs(pytester: pytest.Pytester, near: Endpoint) -> None:
    """The planner is answered as before, from the record; a judge that is asked anew leaves its case uncounted."""
    planner = (
        f'[ladder.other]\nprovider = "openai"\nmodel = "o"\nbase_url = "{near.url}"\n[app.models]\nother = "other"\n'
    )
    pytester.makefile(".toml", rightsize=NEAR.format(url=near.url) + planner)
    pytester.makepyfile(
        test_suite="""
        import app
        import pytest

        def other(text):
            asked = [{"role": "user", "content": text}]
            return app.client.chat.completions.create(model="other", messages=asked).choices[0].message.content

        @pytest.mark.rightsize(task="planned", pass_rate=0.5)
        @pytest.mark.parametrize("word", ["aa", "bb"])
        def test_planned(model, word):
            assert other(f"plan {word}") == f"PLAN {word.upper()}"
            assert app.upper(word) == word.upper()

        @pytest.mark.rightsize(task="judged", pass_rate=0.5)
        @pytest.mark.parametrize("word", ["cc", "dd"])
        def test_judged(model, word):
            assert other(f"is it {app.upper(word)}") == f"IS IT {word.upper()}"
        """
    )
    for options in ((), ("--rightsize-strength",)):  # answers are on disk a moment after they came
        pytester.runpytest(*LADDER, RUN, *options)
    assert outcomes(pytester) == PASSED
    planned, judged = (strengths_of(pytester.path)[task] for task in ("planned", "judged"))
    assert (planned["share"], planned["uncounted"]) == (0, 0)
    assert sum(played for _, played in counts(planned).values()) > 0
    assert (counts(judged), judged["uncounted"] > 0) == ({}, True)
    assert len(near.requests) == 8
