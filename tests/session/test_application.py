"""Sessions whose application asks through its own SDK: it is not touched, and is answered by the rung of its test."""

import os
import threading

import openai
import pytest
from aiohttp import web  # noqa: F401  # see below

import pytest_rightsize.served.clients
import pytest_rightsize.served.guard
import pytest_rightsize.served.serving
import pytest_rightsize.session.builtin
import pytest_rightsize.session.hooks  # noqa: F401  # see below
from pytest_rightsize.results.results_file import read_run
from tests.conftest import LADDER, record

# Sessions in this process forget what they imported. So what takes long is imported before them, and what listens to
# Python's audit events, as nobody can stop that.
_CLIENT = openai.OpenAI(api_key="x")
_RESOURCES = (_CLIENT.chat.completions, _CLIENT.responses)

SERVED = LADDER + "\n    [app]\n    serve = true\n"
APP = """
    import openai

    client = openai.OpenAI()

    def upper(word, **more):
        answer = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": word}], **more
        )
        return answer.choices[0].message.content
"""
SUITE = """
    import app
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
    def test_upper(model, word):
        assert app.upper(word) == word.upper()
"""
CLIMB = ("--rightsize-ladder=tiny,small,big", "--rightsize-strategy=full", "--rightsize-gate=none")
PASSED = ["upper *1/4 *3/4[*] *4/4 *small*"]


@pytest.fixture
def app(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An application with a client that is made when conftest.py imports it; `tiny` is too small, `small` is not."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(app=APP, test_suite=SUITE)
    pytester.makeconftest("import app")
    pytester.makefile(".toml", rightsize=SERVED)
    record(pytester.path / "tiny.jsonl", dict(zip("abcd", "Abcd", strict=True)))
    record(pytester.path / "small.jsonl", dict(zip("abcd", "ABCd", strict=True)))
    record(pytester.path / "big.jsonl", dict(zip("abcd", "ABCD", strict=True)))
    return pytester


def test_the_applications_calls_climb_the_ladder(app: pytest.Pytester) -> None:
    before = dict(os.environ)
    result = app.runpytest(*CLIMB, "--rightsize-results=run.jsonl")
    result.stdout.fnmatch_lines(PASSED)
    run = read_run(app.path / "run.jsonl")
    texts = dict.fromkeys(("tiny", "small", "big"), "")
    for trial in sorted(run.trials, key=lambda trial: trial.key):
        texts[trial.key.rung] += "".join(answer.text for answer in trial.answers)
    assert texts == {"tiny": "Abcd", "small": "ABCd", "big": "ABCD"}
    before.pop("PYTEST_CURRENT_TEST")
    assert dict(os.environ) == before


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["one process", "xdist"])
def test_workers_serve_each_its_own(app: pytest.Pytester, workers: list[str]) -> None:
    """The controller lets conftest.py make its client, too, but leaves no variable to its workers."""
    app.makeconftest(
        """
        import os
        BEFORE = {name: os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL")}
        import app

        def pytest_runtest_teardown(item):
            with open("seen.txt", "a") as seen:
                seen.write(f"{os.environ['OPENAI_BASE_URL']}\\n")

        def pytest_sessionstart(session):
            with open("starts.txt", "a") as starts:
                starts.write(f"{BEFORE}\\n")
        """
    )
    result = app.runpytest(*workers, *CLIMB)
    result.stdout.fnmatch_lines(PASSED)
    urls = set((app.path / "seen.txt").read_text().split())
    starts = set((app.path / "starts.txt").read_text().splitlines())
    assert len(starts) == (3 if workers else 1)
    # The trials of a task are all one worker's, and its URL is not the controller's.
    assert len(urls) == 1
    assert any(urls.copy().pop() in start for start in starts)
    for start in starts:
        assert start.startswith("{'OPENAI_API_KEY': 'rightsize-no-key', 'OPENAI_BASE_URL': 'http://127.0.0.1:")
    assert "OPENAI_BASE_URL" not in os.environ


def test_the_users_own_key_stays(app: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-users")
    app.makeconftest("import app; assert app.client.api_key == 'sk-users'")
    app.runpytest(*CLIMB).stdout.fnmatch_lines(PASSED)
    assert os.environ["OPENAI_API_KEY"] == "sk-users"


def test_without_serve_no_variable_is_set(app: pytest.Pytester) -> None:
    app.makefile(".toml", rightsize=LADDER)
    app.makeconftest("import os; assert 'OPENAI_BASE_URL' not in os.environ")
    app.makepyfile(test_suite="def test_it(model): assert model.ask('a') == 'A'")
    assert app.runpytest(*CLIMB).ret == pytest.ExitCode.OK


def test_a_conftest_that_breaks_leaves_no_variable_behind(app: pytest.Pytester) -> None:
    threads = {thread.name for thread in threading.enumerate()}
    app.makeconftest("raise RuntimeError('broken')")
    assert app.runpytest(*CLIMB).ret == pytest.ExitCode.USAGE_ERROR
    assert "OPENAI_BASE_URL" not in os.environ
    assert {thread.name for thread in threading.enumerate()} <= threads


@pytest.mark.parametrize("serve", [True, False], ids=["served", "opened late"])
def test_a_test_hands_the_application_a_client(app: pytest.Pytester, serve: bool) -> None:
    if not serve:
        app.makefile(".toml", rightsize=LADDER)
        app.makeconftest("")
    app.makepyfile(
        test_suite="""
        import asyncio, json, os, urllib.request
        import openai

        def asked(word):
            return {"model": "gpt-4o", "messages": [{"role": "user", "content": word}]}

        def test_client(model):
            assert isinstance(model.client, openai.OpenAI)
            answer = model.client.chat.completions.create(**asked("a"))
            assert answer.choices[0].message.content == "A"
            assert model.client.responses.create(model="x", input="b").output_text == "B"
            assert model.answers == ("A", "B")
            assert model.tokens.total == 8
            assert model.cost_usd is None

        def test_async_client(model):
            async def ask(word):
                answer = await model.async_client.chat.completions.create(**asked(word))
                return answer.choices[0].message.content

            async def both():
                assert isinstance(model.async_client, openai.AsyncOpenAI)
                return await asyncio.gather(ask("a"), ask("b"))

            assert asyncio.run(both()) == ["A", "B"]

        def test_url(model):
            request = urllib.request.Request(f"{model.base_url}/chat/completions", json.dumps(asked("c")).encode())
            assert json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"] == "C"
            assert model.env["OPENAI_BASE_URL"] == model.base_url
            assert model.env["ANTHROPIC_BASE_URL"] == model.base_url.removesuffix("/v1")
            assert model.env["OPENAI_API_KEY"]
        """
    )
    result = app.runpytest("--rightsize-ladder=big")
    assert result.parseoutcomes() == {"passed": 3}


def test_one_client_is_shared_and_asks_for_its_own_start_only(app: pytest.Pytester) -> None:
    app.makepyfile(
        test_suite="""
        import openai, pytest
        kept = []

        def ask(client, word):
            return client.chat.completions.create(model="m", messages=[{"role": "user", "content": word}])

        def test_first(model):
            kept.append(model)
            kept.append(model.client)
            ask(model.client, "a")

        def test_second(model):
            ask(model.client, "b")
            assert model.client._client is kept[-1]._client
            with pytest.raises(openai.BadRequestError, match="this URL is that of a start which has ended"):
                ask(kept[-1], "c")
            with pytest.raises(RuntimeError, match="has ended, and its model is asked no more"):
                kept[0].client
            assert model.answers == ("B",)
        """
    )
    result = app.runpytest("--rightsize-ladder=big")
    assert result.parseoutcomes() == {"passed": 2}


def test_a_rung_that_is_the_endpoint_itself_is_refused(app: pytest.Pytester) -> None:
    app.makefile(
        ".toml",
        rightsize='[app]\nserve = true\n[ladder.loop]\nprovider = "openai"\nmodel = "m"\nbase_url_env = "MINE"\n',
    )
    app.makeconftest("import os; os.environ['MINE'] = os.environ['OPENAI_BASE_URL']")
    try:
        result = app.runpytest("--rightsize-ladder=loop")
    finally:
        os.environ.pop("MINE", None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*rung 'loop': its base_url is the endpoint that this session serves*"])


def test_a_rung_with_the_applications_variable_asks_what_the_user_set(
    app: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    app.makefile(
        ".toml",
        rightsize='[app]\nserve = true\n[ladder.users]\nprovider = "openai"\nmodel = "m"\nretries = 0\n'
        'base_url_env = "OPENAI_BASE_URL"\n',
    )
    app.makepyfile(test_suite="import app\ndef test_it(model): app.upper('a')")
    result = app.runpytest("--rightsize-ladder=users")
    result.stdout.fnmatch_lines(["*http://127.0.0.1:9/v1*cannot be reached*"])


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_hears_nothing_of_what_stays_on_this_machine(
    app: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    app.runpytest(*CLIMB).stdout.fnmatch_lines(PASSED)
    assert "NO_PROXY" not in os.environ


def test_without_the_package_openai_all_but_the_clients_works(app: pytest.Pytester) -> None:
    app.makefile(".toml", rightsize=LADDER)
    app.makeconftest("")
    app.makepyfile(
        test_suite="""
        import json, sys, urllib.request
        import pytest

        def test_it(model, monkeypatch):
            monkeypatch.setitem(sys.modules, "openai", None)
            with pytest.raises(ImportError, match="python -m pip install openai`, or give the application"):
                model.client
            asked = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
            request = urllib.request.Request(f"{model.base_url}/chat/completions", json.dumps(asked).encode())
            assert json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"] == "A"
        """
    )
    assert app.runpytest("--rightsize-ladder=big").parseoutcomes() == {"passed": 1}


# --- [app] ------------------------------------------------------------------------------------------------------------


def test_a_name_can_have_a_rung_of_its_own(app: pytest.Pytester) -> None:
    app.makefile(".toml", rightsize=SERVED + '\n[app.models]\n"judge" = "big"\n')
    app.makepyfile(
        test_suite="""
        import app

        def test_it(model):
            assert app.upper("b") == "b"
            judged = app.client.chat.completions.create(model="judge", messages=[{"role": "user", "content": "b"}])
            assert judged.choices[0].message.content == "B"
            assert model.answers == ("b",)
        """
    )
    result = app.runpytest("--rightsize-ladder=tiny", "--rightsize-results=run.jsonl")
    assert result.parseoutcomes() == {"passed": 1}
    (trial,) = read_run(app.path / "run.jsonl").trials
    assert [answer.text for answer in trial.answers] == ["b"]


def test_a_name_that_is_not_under_test_is_an_error(app: pytest.Pytester) -> None:
    app.makefile(".toml", rightsize=SERVED + '    stands_for = ["gpt-4o"]\n')
    result = app.runpytest("--rightsize-ladder=big")
    result.stdout.fnmatch_lines(["*the application asks the model 'gpt-4o-mini', which [[]app[]] does not name*"])
    assert "passed" not in result.parseoutcomes()


def test_a_private_task_beside_a_model_that_leaves_the_machine_is_refused(app: pytest.Pytester) -> None:
    app.makefile(".toml", rightsize=SERVED + '\n[app.models]\n"judge" = "frontier"\n[tasks.upper]\nprivate = true\n')
    result = app.runpytest("--rightsize-ladder=small,big")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    words = "*[[]app[]] models: the task 'upper' is private, and judge (frontier) would leave this machine*"
    result.stderr.fnmatch_lines([words])


def test_offline_refuses_a_model_that_leaves_the_machine(app: pytest.Pytester) -> None:
    app.makefile(".toml", rightsize=SERVED + '\n[app.models]\n"judge" = "frontier"\n')
    result = app.runpytest("--rightsize-ladder=big", "--rightsize-offline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rightsize-offline: frontier would leave this machine: name other rungs in*"])


# --- what else it connects to -----------------------------------------------------------------------------------------

BIG = ("--rightsize-ladder=big", "--rightsize-strategy=full")
GOES_OUT = """
    import socket, sys, threading
    import app
    import pytest

    @pytest.mark.rightsize(task="care", pass_rate=0.5, private={private})
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_it(model, word):
        def go_out():
            try:
                {leave}
            except OSError:
                pass

        other = threading.Thread(target=go_out)
        other.start()
        other.join()
        assert app.upper(word) == "{expected}" or "{expected}" == "any"
"""
CONNECTS = 'socket.create_connection(("192.0.2.1", 9), timeout=0.1)'
LOOKS_UP = 'sys.audit("socket.getaddrinfo", "api.openai.com", 443, 0, 0, 0)'


@pytest.mark.parametrize("options", [["--rightsize-offline"], []], ids=["offline", "private"])
@pytest.mark.parametrize(
    ("leave", "expected", "outcomes"),
    [
        (CONNECTS, "any", {"passed"}),  # it can do without
        (CONNECTS, "wrong", {"error"}),  # who knows why
        (LOOKS_UP, "any", {"error"}),
    ],
)
def test_what_leaves_this_machine_is_refused(
    app: pytest.Pytester, options: list[str], leave: str, expected: str, outcomes: set[str]
) -> None:
    app.makepyfile(test_suite=GOES_OUT.format(private=not options, leave=leave, expected=expected))
    result = app.runpytest(*BIG, "--rightsize-results=run.jsonl", *options)
    host = "192.0.2.1" if leave == CONNECTS else "api.openai.com"
    why = "--rightsize-offline" if options else "the task 'care' is private"
    result.stdout.fnmatch_lines([f"*test_suite.py::test_it* was refused a connection to {host}: {why}*"])
    assert {trial.outcome for trial in read_run(app.path / "run.jsonl").trials} == outcomes


def test_a_vendors_host_is_told_once_for_a_function(app: pytest.Pytester) -> None:
    app.makepyfile(test_suite=GOES_OUT.format(private=False, leave=LOOKS_UP, expected="any"))
    result = app.runpytest(*BIG)
    told = [line for line in result.outlines if "looked up api.openai.com" in line]
    assert len(told) == 1
    assert "the application may have a fixed base_url" in told[0]
    assert result.parseoutcomes()["passed"] == 2
