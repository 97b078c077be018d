"""Whose call it is, and what becomes of calls that are nobody's, or that no rung can be asked."""

import json

import pytest

from tests.served.project import asked, climb, make, notes, outcomes, trials

JUDGE = '''

from pytest_rightsize.errors import TooLongError
from pytest_rightsize.records import Identity

class Judge(Gate):
    """Answers at once, with its name; nothing fits that is called long."""

    options = {}

    def submit(self, request):
        future = Future()
        prompt = request.messages[-1]["content"]
        with open("judged.txt", "a") as file:
            file.write(f"{prompt} {request.temperature}\\n")
        if prompt.startswith("long"):
            future.set_exception(TooLongError("9,000 tokens do not fit"))
        else:
            future.set_result(Reply(text=f"judge {prompt}", seconds=0.0))
        return future


class Recorded(Gate):
    """Its answers are recorded."""

    def identity(self, sha256):
        return Identity(content={"kind": "gate"})


def pytest_rightsize_providers():
    return {"gate": Recorded, "judge": Judge}
'''


@pytest.fixture(params=["urllib", "httpx"])
def project(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    make(pytester, together=1, more='[ladder.judge]\nprovider = "judge"\n', client=request.param)
    conftest = pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + JUDGE, encoding="utf-8")
    return pytester


def add_to_app(project: pytest.Pytester, lines: str) -> None:
    ladder = project.path / "rightsize.toml"
    ladder.write_text(ladder.read_text(encoding="utf-8").replace("serve = true", f"serve = true\n{lines}"), "utf-8")


def test_a_test_that_passes_and_never_asked_says_nothing_of_its_rung(project: pytest.Pytester) -> None:
    result = climb(
        project,
        """
        import app
        def test_never(model):
            pass
        def test_fails_before(model):
            assert 1 == 2, app.ask("never reached")
        def test_asks(model):
            assert app.ask("a") == "A"
        """,
    )
    found = outcomes(project)
    assert found["test_never"] == ("error", "unasked")
    assert found["test_asks"] == ("passed", None)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*passed and never asked its rung*"])


def test_what_no_rung_can_be_asked_is_an_error_even_if_the_application_catches_it(project: pytest.Pytester) -> None:
    climb(
        project,
        """
        import json, app

        def refused(function, *args, **more):
            try:
                function(*args, **more)
            except app.Refused as refusal:
                return refusal.args
            raise AssertionError("it was answered")

        def test_path(model):
            status, body, headers = refused(app.post, "/embeddings", {"input": "x"})
            assert status == 404 and headers["x-should-retry"] == "false"
            assert "/embeddings" in json.loads(body)["error"]["message"]
            assert app.ask("a") == "A"

        def test_parameter(model):
            assert refused(app.ask, "b", n=2)[0] == 400
            assert app.ask("c") == "C"
        """,
    )
    assert {*outcomes(project).values()} == {("error", "unserved")}
    assert "/embeddings" in trials(project)["test_path"]["detail"]


def test_a_fault_of_the_rung_is_told_once_and_is_not_to_be_tried_again(project: pytest.Pytester) -> None:
    climb(
        project,
        """
        import pytest, app
        def test_fault(model):
            with pytest.raises(app.Refused) as refused:
                app.ask("fault")
            status, _, headers = refused.value.args
            assert status == 400 and headers["x-should-retry"] == "false"
        """,
    )
    assert outcomes(project) == {"test_fault": ("error", "server")}
    assert asked(project) == ["fault"]


def test_a_prompt_that_is_too_long_is_told_by_the_code_that_applications_know(project: pytest.Pytester) -> None:
    climb(
        project,
        """
        import json, app
        def test_shortens(model):
            try:
                app.ask("long text")
            except app.Refused as refused:
                assert json.loads(refused.args[1])["error"]["code"] == "context_length_exceeded"
                assert app.ask("text") == "judge text"
        """,
        "--rightsize-ladder=judge",
    )
    assert outcomes(project) == {"test_shortens": ("failed", "too_long")}


def test_a_thread_that_outlives_its_test_is_waited_for(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as a busy machine needs."""
    monkeypatch.setattr("pytest_rightsize.served.leftover.LONGEST_S", 60)
    climb(
        project,
        """
        import threading, time, app

        def late():
            time.sleep(0.05)
            try:
                app.ask("late")
            except app.Refused:
                app.note("refused")

        def test_late(model):
            threading.Thread(target=late).start()
            assert app.ask("a") == "A"

        def test_other(model):
            assert app.ask("b") == "B"
        """,
    )
    assert sorted(set(asked(project))) == ["a", "b"]
    assert {*outcomes(project).values()} == {("passed", None)}


def test_a_thread_that_stays_asks_for_nobody(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test after the other: any test that runs beside such a thread would be an error too."""
    monkeypatch.setattr("pytest_rightsize.served.leftover.LONGEST_S", 0.2)
    result = climb(
        project,
        """
        import threading, time, app
        go_on = threading.Event()

        def for_ever():
            while not go_on.is_set():
                time.sleep(0.01)
            try:
                app.ask("stray")
            except Exception:  # refused, or cut off as the session ends
                app.note("refused")

        stayer = threading.Thread(target=for_ever, name="stayer")

        def test_stays(model):
            stayer.start()
            assert model.ask("c") == "C"

        def test_ambiguous(model):
            app.ask("d")

        def teardown_module():
            go_on.set()
            stayer.join()
        """,
        "--rightsize-concurrency=1",
    )
    assert sorted(set(asked(project))) == ["c"]
    found = outcomes(project)
    assert found["test_stays"] == found["test_ambiguous"] == ("error", "unserved")
    assert "'stayer'" in trials(project)["test_stays"]["detail"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_timer_that_goes_off_after_its_test_asks_for_nobody(project: pytest.Pytester) -> None:
    """It goes off when the next test says so: it waits for that in place of its interval."""
    result = climb(
        project,
        """
        import threading, app
        go_off, done = threading.Event(), threading.Event()

        def late():
            try:
                app.ask("late")
            except app.Refused:
                app.note("refused")
            done.set()

        def test_sets(model):
            timer = threading.Timer(3600, late)
            timer.finished.wait = lambda _: go_off.wait()
            timer.start()
            assert app.ask("a") == "A"

        def test_never_asks(model):
            go_off.set()
            done.wait()
        """,
        "--rightsize-concurrency=1",
    )
    assert asked(project) == ["a"]
    assert notes(project) == ["refused"]
    assert outcomes(project) == {"test_sets": ("passed", None), "test_never_asks": ("error", "unserved")}
    result.stdout.fnmatch_lines(["*the thread * which *test_sets* has left running: let that test wait*"])


def test_threads_of_pools_and_those_that_wait_hold_no_test_up(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that a test which is held up never ends.
    monkeypatch.setattr("pytest_rightsize.served.leftover.LONGEST_S", 3600.0)
    climb(
        project,
        """
        import queue, threading
        from concurrent.futures import ThreadPoolExecutor
        import app
        pool = ThreadPoolExecutor(2)
        tasks = queue.Queue()

        def test_pool(model):
            assert list(pool.map(app.ask, "ab")) == ["A", "B"]

        def test_waiting(model):
            threading.Thread(target=tasks.get, daemon=True).start()
            assert app.ask("c") == "C"
        """,
    ).assert_outcomes(passed=2)


def test_a_web_page_is_refused(project: pytest.Pytester) -> None:
    climb(
        project,
        """
        import pytest, app
        @pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "rebound.example"}])
        def test_page(model, headers):
            with pytest.raises(app.Refused) as refused:
                app.post("/chat/completions", {"model": "x", "messages": []}, headers=headers.items())
            assert refused.value.args[0] == 403
            assert app.ask("a") == "A"
        """,
    ).assert_outcomes(passed=2)


def test_planted_answers_are_served_too(project: pytest.Pytester) -> None:
    """How strong a test is: its application is answered wrongly, and the test must notice."""
    result = climb(
        project,
        """
        import pytest, app
        @pytest.mark.parametrize("word", ["ab", "cd", "ef"])
        def test_upper(model, word):
            app.note("start")
            assert app.ask(word) == word.upper()
        """,
        "--rightsize-strength",
    )
    result.assert_outcomes(passed=3)
    line = next(
        line
        for line in map(json.loads, (project.path / "run.jsonl").read_text(encoding="utf-8").splitlines())
        if line["kind"] == "strength"
    )
    assert line["share"] == 0.0
    assert line["uncounted"] == 0
    assert sorted(asked(project)) == ["ab", "cd", "ef"]
    assert len(notes(project)) > 6


def test_recorded_answers_are_served_and_nothing_is_asked(project: pytest.Pytester) -> None:
    tests = """
        import app
        def test_both(model):
            assert app.ask("a") + app.ask("b") == "AB"
        """
    for option in ("--rightsize-cache=auto", "--rightsize-cache=replay"):
        climb(project, tests, option).assert_outcomes(passed=1)
        assert [answer["text"] for answer in trials(project)["test_both"]["answers"]] == ["A", "B"]
    assert asked(project) == ["a", "b"]


def test_a_call_that_is_nobodys_is_refused(project: pytest.Pytester) -> None:
    result = climb(
        project,
        """
        import pytest, app

        def refusal(text, root=None):
            try:
                return app.ask(text, root)
            except app.Refused as refused:
                return refused.args[1]

        at_import = refusal("imported")
        roots = []

        @pytest.fixture(scope="module")
        def wide():
            return refusal("wide")

        def test_import(model):
            assert "no test is running" in at_import
            roots.append(model.base_url)
            assert refusal("own", model.base_url) == "OWN"

        def test_ended_url(model):
            assert "has ended" in refusal("stale", roots[-1]) and app.ask("b") == "B"

        def test_wide(wide, model):
            assert "wide (of scope module)" in wide and app.ask("c") == "C"
        """,
    )
    assert result.parseoutcomes().get("passed") == 2
    assert sorted(asked(project)) == ["b", "c", "own"]
    assert trials(project)["test_wide"]["reason"] == "unserved"  # what its fixture got is no answer


def test_a_start_whose_wider_fixture_was_refused_is_not_left(project: pytest.Pytester) -> None:
    """The next start would not set the fixture up again, and the test would pass on what was no answer."""
    ladder = project.path / "rightsize.toml"
    waits = ladder.read_text(encoding="utf-8").replace("together = 1", "together = 9")  # the reply comes late
    ladder.write_text(waits, encoding="utf-8")
    result = climb(
        project,
        """
        import pytest, app

        @pytest.fixture(scope="module")
        def wide():
            try:
                return app.ask("wide")
            except app.Refused:
                return "refused"

        def test_wide(wide, model):
            assert wide == "refused" and app.ask("c") == "C"
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert trials(project)["test_wide"]["reason"] == "unserved"


def test_names_of_models_go_where_the_table_says(project: pytest.Pytester) -> None:
    add_to_app(project, 'stands_for = ["small"]\nmodels = { "planner" = "judge" }\nignore = ["temperature"]')
    climb(
        project,
        """
        import app
        def test_both(model):
            assert app.ask("same", model="small") == "SAME"
            assert app.ask("same", model="planner", temperature=0.7) == "judge same"
            assert len(model.answers) == 1

        def test_planner_only(model):
            assert app.ask("plan", model="planner") == "judge plan"

        def test_fault_of_the_planner(model):
            try:
                app.ask("long plan", model="planner")
            except app.Refused:
                assert app.ask("x", model="small") == "X"

        def test_unknown(model):
            try:
                app.ask("y", model="other")
            except app.Refused:
                assert app.ask("z", model="small") == "Z"
        """,
    )
    found = outcomes(project)
    assert found == {
        "test_both": ("passed", None),
        "test_planner_only": ("error", "unasked"),
        "test_fault_of_the_planner": ("error", "bad_reply"),
        "test_unknown": ("error", "unserved"),
    }
    assert [answer["text"] for answer in trials(project)["test_both"]["answers"]] == ["SAME"]
    assert "'other'" in trials(project)["test_unknown"]["detail"]
    judged = (project.path / "judged.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(set(judged)) == ["long plan None", "plan None", "same None"]
