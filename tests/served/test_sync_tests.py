"""Sync tests whose application asks over HTTP: they are left while they wait, and start again with their replies."""

import signal

import pytest

from tests.running.test_suspension import check_in_flight_together
from tests.served.project import asked, climb, make, notes, outcomes, trials

UPPER = """
    import pytest, app
    @pytest.mark.parametrize("word", "abcdefgh")
    def test_upper(model, word):
        app.note(word)
        assert app.ask(word) == word.upper()
"""


@pytest.fixture(params=["urllib", "httpx"])
def project(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    make(pytester, client=request.param)
    return pytester


def test_tests_of_one_call_are_in_flight_together_and_start_twice(project: pytest.Pytester) -> None:
    check_in_flight_together(climb(project, UPPER), project)
    assert all(trial["answers"][0]["text"] == name[-2].upper() for name, trial in trials(project).items())


def test_whatever_waits_is_left_and_nothing_is_asked_twice(project: pytest.Pytester) -> None:
    """Calls in turn, the same call twice, threads, an event loop in the test, a child process, and fixtures."""
    result = climb(
        project,
        """
        import asyncio, os, subprocess, sys
        from concurrent.futures import ThreadPoolExecutor
        import pytest, app

        @pytest.fixture
        def fetched():
            return app.ask("fetched")

        def test_in_turn(model):
            assert app.ask("first") + app.ask("second") == "FIRSTSECOND"

        def test_twice(model):
            assert app.ask("same") == app.ask("same") == "SAME"

        def test_threads(model):
            with ThreadPoolExecutor(3) as pool:
                assert list(pool.map(app.ask, ["t1", "t2", "t3"])) == ["T1", "T2", "T3"]

        def test_loop(model):
            async def main():
                return await asyncio.gather(*(asyncio.to_thread(app.ask, word) for word in ("l1", "l2")))
            assert asyncio.run(main()) == ["L1", "L2"]

        def test_child(model):
            code = "import app, sys; print(app.ask('child'))"
            child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.getcwd())
            assert child.stdout.strip() == "CHILD", child.stderr

        def test_fixture(fetched, model):
            assert fetched == "FETCHED"

        def test_both(model):
            assert model.ask("plain") + app.ask("served") == "PLAINSERVED"
        """,
    )
    result.assert_outcomes(passed=7)
    expected = ["first", "second", "same", "same", "t1", "t2", "t3", "l1", "l2", "child", "fetched", "plain", "served"]
    assert sorted(asked(project)) == sorted(expected)
    assert not result.parseoutcomes().get("warnings")
    assert [len(trials(project)[f"test_{name}"]["answers"]) for name in ("threads", "twice", "both")] == [3, 2, 2]


def test_a_thread_of_a_start_that_is_left_ends_without_a_word(project: pytest.Pytester) -> None:
    """Its call is refused, and it raises; as an error, a warning of that would fail the test that runs next."""
    climb(
        project,
        """
        import threading
        import pytest, app

        @pytest.mark.parametrize("word", "abcd")
        @pytest.mark.parametrize("waits", [threading.Thread.join, lambda thread: done.wait()])
        def test_upper(model, waits, word):
            global done
            answers, done = [], threading.Event()

            def ask():
                answers.append(app.ask(word))
                done.set()

            thread = threading.Thread(target=ask)
            thread.start()
            waits(thread)
            assert answers == [word.upper()]
        """,
        "-Werror::pytest.PytestUnhandledThreadExceptionWarning",
    ).assert_outcomes(passed=8)
    assert {*outcomes(project).values()} == {("passed", None)}


def test_an_application_that_catches_everything_ends_rightly(project: pytest.Pytester) -> None:
    result = climb(
        project,
        """
        import time, app

        def test_bare_except(model):
            try:
                answer = app.ask("bare")
            except:
                answer = "fallback"
            assert answer == "BARE"

        def test_retries_for_ever(model):
            while True:
                try:
                    answer = app.ask("again")
                    break
                except:
                    pass
            assert answer == "AGAIN"

        def test_catches_exceptions(model):
            for _ in range(3):
                try:
                    answer = app.ask("caught")
                    break
                except Exception:
                    answer = "fallback"
            assert answer == "CAUGHT"

        def test_falls_back_on_another_question(model):
            try:
                answer = app.ask("asked")
            except BaseException:
                answer = app.ask("never asked")
            assert answer == "ASKED"
        """,
    )
    result.assert_outcomes(passed=4)
    assert sorted(asked(project)) == ["again", "asked", "bare", "caught"]


def test_a_stream_and_a_client_of_openai(project: pytest.Pytester) -> None:
    pytest.importorskip("openai")
    result = climb(
        project,
        """
        import openai
        client = openai.OpenAI()
        question = dict(model="gpt", messages=[{"role": "user", "content": "hi"}])

        def test_whole(model):
            assert client.chat.completions.create(**question).choices[0].message.content == "HI"

        def test_stream(model):
            chunks = client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True})
            chunks = list(chunks)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "HI"
            assert chunks[-1].usage.total_tokens == 2

        def test_responses(model):
            assert client.responses.create(model="gpt", input="hi").output_text == "HI"
        """,
    )
    result.assert_outcomes(passed=3)
    assert asked(project) == ["hi"] * 3


def test_a_client_made_at_import_is_answered_by_each_rung_in_its_turn(pytester: pytest.Pytester) -> None:
    make(pytester, more='[ladder.other]\nprovider = "reverse"\n')
    pytester.makeconftest((pytester.path / "conftest.py").read_text(encoding="utf-8") + REVERSE)
    result = climb(
        pytester,
        """
        import pytest, app
        @pytest.mark.rightsize(pass_rate=0.5)
        @pytest.mark.parametrize("word", ["ab", "cd"])
        def test_it(model, word):
            assert app.ask(word) == (word.upper() if model.rung == "gate" else word[::-1])
        """,
        "--rightsize-ladder=gate,other",
        "--rightsize-strategy=full",
    )
    result.assert_outcomes(passed=4)


REVERSE = '''

class Reverse(Gate):
    """Another rung, which answers at once and backwards."""
    options = {}

    def submit(self, request):
        future = Future()
        future.set_result(Reply(text=request.messages[-1]["content"][::-1], seconds=0.0))
        return future


def pytest_rightsize_providers():
    return {"gate": Gate, "reverse": Reverse}
'''


@pytest.mark.parametrize("option", ["--rightsize-concurrency=1", "--pdb"])
def test_where_each_test_starts_once_its_application_waits_in_place(project: pytest.Pytester, option: str) -> None:
    climb(project, UPPER.replace("abcdefgh", "ab"), option).assert_outcomes(passed=2)
    assert notes(project) == ["a", "b"]


def test_a_signal_that_somebody_else_handles_is_left_to_them(project: pytest.Pytester) -> None:
    result = climb(
        project,
        """
        import signal, pytest, app
        seen = []
        signal.signal(signal.SIGURG, lambda *_: seen.append(1))
        @pytest.mark.parametrize("word", "ab")
        def test_upper(model, word):
            app.note(word)
            assert app.ask(word) == word.upper() and not seen
        def test_end():
            signal.signal(signal.SIGURG, signal.SIG_DFL)
        """,
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*wait for their replies one at a time: another part of this program handles*SIGURG*"])
    assert sorted(notes(project)) == ["a", "b"]


@pytest.mark.parametrize("project", ["urllib"], indirect=True)  # no test is left by a signal where httpx asks
def test_a_signal_that_somebody_takes_while_tests_run_is_told_once(project: pytest.Pytester) -> None:
    ours = signal.getsignal(signal.SIGURG)
    result = climb(
        project,
        """
        import signal, pytest, app
        @pytest.mark.parametrize("word", "ab")
        def test_upper(model, word):
            before = signal.getsignal(signal.SIGURG)
            signal.signal(signal.SIGURG, lambda *_: None)
            app.note(word)
            assert app.ask(word) == word.upper()
            signal.signal(signal.SIGURG, before)
        """,
    )
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("sync tests wait for their replies one at a time") == 1
    assert signal.getsignal(signal.SIGURG) == ours


def test_where_no_thread_can_be_interrupted_sync_tests_wait_in_place_which_is_said_once(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.setattr("pytest_rightsize.served.interrupting._SIGNAL", None)
    result = climb(project, UPPER.replace("abcdefgh", "ab"))
    result.assert_outcomes(passed=2)
    assert notes(project) == ["a", "b"]
    told = "sync tests wait for their replies one at a time: this system cannot interrupt a thread"
    assert result.stdout.str().count(told) == 1


def test_the_signal_is_given_back_when_the_tests_have_ended(project: pytest.Pytester) -> None:
    before = signal.getsignal(signal.SIGURG)
    climb(project, "import app\ndef test_it(model):\n    assert app.ask('a') == 'A'\n").assert_outcomes(passed=1)
    assert signal.getsignal(signal.SIGURG) is before


def test_a_test_that_asks_something_else_when_it_starts_again_goes_on_in_that_start(project: pytest.Pytester) -> None:
    result = climb(
        project,
        """
        import time, app
        def test_clock(model):
            text = f"it is {time.perf_counter()}"
            assert app.ask(text) == text.upper()
        """,
    )
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*asks something else when it starts again*"])
    assert len(asked(project)) == 2
