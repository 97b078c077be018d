"""Sessions with many requests in flight: for pytest, and for a reader of its output, each test ran once.

The rung is a provider defined here that answers once as many requests are in flight as the test wants, so that nothing
depends on time.
"""

import gc
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_rightsize.results.results_file import read_run

PROVIDER = '''
import threading
from concurrent.futures import Future

from pytest_rightsize.errors import RungError
from pytest_rightsize.records import Reply, Tokens


class Gate:
    """Answers in upper case; holds replies back until `together` are in flight or nothing more can come.

    Nothing can while a prompt is in flight whose test is `alone`.
    """

    options = {"together": int, "delay_ms": int, "alone": str}
    required = ()
    leaves_machine = True

    def __init__(self, rung):
        self.together = rung.options.get("together", 1)
        self.delay = rung.options.get("delay_ms", 250) / 1000
        self.alone = rung.options.get("alone", "").split()
        self.waiting = []
        self.most = 0
        self.lock = threading.Lock()
        self.timer = None

    def check(self):
        return None

    def submit(self, request):
        future = Future()
        with self.lock:
            self.waiting.append((future, request))
            self.most = max(self.most, len(self.waiting))
            with open("asked.txt", "a") as file:
                file.write(request.messages[-1]["content"] + "\\n")
            with open("most.txt", "w") as file:
                file.write(str(self.most))
            full = len(self.waiting) >= self.together or request.messages[-1]["content"] in self.alone
            if self.timer is not None:
                self.timer.cancel()
            self.timer = threading.Timer(0.002 if full else self.delay, self.answer)
            self.timer.daemon = True
            self.timer.start()
        return future

    def answer(self):
        with self.lock:
            waiting, self.waiting = self.waiting, []
        for future, request in reversed(waiting):
            prompt = request.messages[-1]["content"]
            if not future.set_running_or_notify_cancel():
                continue
            if prompt == "fault":
                future.set_exception(RungError("no", reason="server"))
            else:
                future.set_result(Reply(text=prompt.upper(), seconds=2.0, tokens=Tokens(prompt=1, completion=1)))

    def close(self):
        pass


def pytest_rightsize_providers():
    return {"gate": Gate}
'''
LADDER = """
default = "gate"
[ladder.gate]
provider = "gate"
together = 4
[ladder.gate2]
provider = "gate"
together = 4
""".lstrip()


@pytest.fixture
def gated(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose rung `gate` answers four requests at a time."""
    pytester.makeconftest(PROVIDER)
    pytester.makefile(".toml", rightsize=LADDER)
    return pytester


def most(gated: pytest.Pytester) -> int:
    """How many requests were in flight at once, at most."""
    return int((gated.path / "most.txt").read_text(encoding="utf-8"))


def asked(gated: pytest.Pytester) -> list[str]:
    return (gated.path / "asked.txt").read_text(encoding="utf-8").splitlines()


def starts(gated: pytest.Pytester) -> list[str]:
    """What the tests wrote down of what happened to them."""
    return (gated.path / "log.txt").read_text(encoding="utf-8").splitlines()


def check_in_flight_together(result: pytest.RunResult, gated: pytest.Pytester) -> None:
    """Eight tests asked one letter each, four at a time at least, and wrote it down at each start."""
    result.assert_outcomes(passed=8)
    assert most(gated) >= 4
    assert sorted(asked(gated)) == list("abcdefgh")
    assert 8 < len(starts(gated)) <= 16  # a reply that comes at once leaves nothing to wait for


NOTE = """
    import pytest

    def note(text):
        with open("log.txt", "a") as file:
            file.write(text + "\\n")
"""


def test_tests_of_one_question_are_in_flight_together(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abcdefgh")
        def test_upper(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = gated.runpytest("--rightsize-ladder=gate")
    result.assert_outcomes(passed=8)
    assert most(gated) >= 4
    assert sorted(asked(gated)) == list("abcdefgh")


def test_pythons_search_for_garbage_is_as_it_was_when_a_session_has_ended(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import gc
        def test_it(model):
            assert model.ask("a") == "A" and gc.get_freeze_count() > 1000
        """
    )
    before = gc.get_threshold()
    gated.runpytest_inprocess("--rightsize-ladder=gate").assert_outcomes(passed=1)
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


def test_what_is_printed_and_counted_looks_as_if_each_test_ran_once(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abcdef")
        def test_upper(model, word, record_property):
            print("before", word)
            record_property("word", word)
            answer = model.ask(word)
            print("after", word)
            assert answer == "C"
        """
    )
    result = gated.runpytest("-v", "--junitxml=junit.xml", "-rA", "--durations=0", "--durations-min=1")
    result.assert_outcomes(passed=1, failed=5)
    told = re.findall(r"^test_what\S+\[(\w)\] (PASSED|FAILED)", str(result.stdout), re.MULTILINE)
    assert told == [(word, "PASSED" if word == "c" else "FAILED") for word in "abcdef"]
    text = str(result.stdout)
    for word in "abcdef":
        assert text.count(f"\nbefore {word}\n") == text.count(f"\nafter {word}\n") == 1
    junit = (gated.path / "junit.xml").read_text(encoding="utf-8")
    assert re.findall(r'testcase [^>]*name="test_upper\[(\w)\]"', junit) == list("abcdef")
    assert junit.count("<property ") == 6
    assert len(re.findall(r"^2\.\d\ds call ", text, re.MULTILINE)) == 6


def test_function_fixtures_end_with_every_start_and_wider_ones_live_on(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        NOTE
        + """
    @pytest.fixture(scope="session")
    def of_session():
        note("session up"); yield 1; note("session down")

    @pytest.fixture(scope="module", autouse=True)
    def of_module(of_session):
        note("module up"); yield 1; note("module down")

    class TestOne:
        @pytest.fixture(scope="class", autouse=True)
        def of_class(self):
            note("class up"); yield; note("class down")

        @pytest.fixture
        def of_function(self, monkeypatch, tmp_path, capsys):
            monkeypatch.setenv("SET_BY_TEST", "1"); (tmp_path / "x").write_text("x")
            note("function up"); yield; note("function down")

        @pytest.mark.parametrize("word", "abcd")
        def test_it(self, model, of_function, word):
            assert not hasattr(self, "seen")
            self.seen = True
            assert model.ask(word) == word.upper()

    def test_after(model):
        assert model.ask("z") == "Z"
    """
    )
    gated.runpytest("--rightsize-ladder=gate,gate2", "--rightsize-strategy=full").assert_outcomes(passed=10)
    log = starts(gated)
    assert log.count("function up") == log.count("function down") > 8
    for wide in ("session", "module"):
        assert (log.count(f"{wide} up"), log.count(f"{wide} down")) == (1, 1), wide
    assert log.count("class up") == log.count("class down") == 2
    assert log[-2:] == ["module down", "session down"]


def test_modules_with_fixtures_of_their_own_do_not_overlap_and_others_do(gated: pytest.Pytester) -> None:
    body = (
        NOTE
        + """
    @pytest.fixture(scope="module", autouse=True)
    def own():
        note(__name__ + " up"); yield; note(__name__ + " down")

    def test_it(model):
        assert model.ask(__name__) == __name__.upper()
    """
    )
    gated.makepyfile(test_m1=body, test_m2=body)
    gated.makepyfile(
        **{
            f"test_n{number}": f"def test_it(model): assert model.ask('n{number}') == 'N{number}'"
            for number in range(4)
        }
    )
    gated.runpytest().assert_outcomes(passed=6)
    assert starts(gated) == ["test_m1 up", "test_m1 down", "test_m2 up", "test_m2 down"]
    assert most(gated) == 4


def test_a_fixture_of_a_package_is_set_up_once_for_all_its_modules(gated: pytest.Pytester) -> None:
    package = gated.mkpydir("suite")
    (package / "conftest.py").write_text(
        dedent(
            NOTE
            + """
    @pytest.fixture(scope="package", autouse=True)
    def of_package():
        note("package up"); yield; note("package down")
    """
        ),
        encoding="utf-8",
    )
    test = "import pytest\n@pytest.mark.parametrize('word', 'abc')\ndef test_it(model, word): assert model.ask(word)\n"
    for name in ("test_p", "test_q"):
        (package / f"{name}.py").write_text(test, encoding="utf-8")
    gated.makepyfile(test_outside="def test_it(model): assert model.ask('z') == 'Z'")
    gated.runpytest("--rightsize-ladder=gate,gate2", "--rightsize-strategy=full").assert_outcomes(passed=14)
    # Rung by rung the package is left and entered again, in any case.
    assert starts(gated) == ["package up", "package down"] * 2
    gated.path.joinpath("log.txt").unlink()
    gated.runpytest("suite", "--rightsize-ladder=gate,gate2", "--rightsize-strategy=full").assert_outcomes(passed=12)
    assert starts(gated) == ["package up", "package down"]


def test_a_fixture_of_a_module_with_parameters_is_set_up_once_for_each(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        NOTE
        + """
    @pytest.fixture(scope="module", params=["x", "y"])
    def which(request):
        note(request.param + " up"); yield request.param; note(request.param + " down")

    @pytest.mark.parametrize("word", "abcd")
    def test_it(model, which, word):
        assert model.ask(which + word) == (which + word).upper()
    """
    )
    gated.runpytest().assert_outcomes(passed=8)
    assert starts(gated) == ["x up", "x down", "y up", "y down"]


def test_an_error_in_the_teardown_of_a_module_is_reported_once(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        test_a="""
        import pytest
        @pytest.fixture(scope="module", autouse=True)
        def broken():
            yield
            raise OSError("cannot tear down")
        @pytest.mark.parametrize("word", "abcd")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """,
        test_b="def test_b(model): assert model.ask('b') == 'B'",
    )
    gated.runpytest().assert_outcomes(passed=5, errors=1)


def test_questions_that_depend_on_each_other_and_a_conversation(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abcd")
        def test_chain(model, word):
            first = model.ask(word)
            second = model.ask(first + "x")
            assert model.ask(second + "y") == word.upper() + "XY"

        @pytest.mark.parametrize("word", "efgh")
        def test_talk(model, word):
            talk = model.chat(system="be brief")
            talk.ask(word)
            assert talk.ask(word * 2) == word.upper() * 2
            assert [turn["role"] for turn in talk.messages] == ["system", "user", "assistant", "user", "assistant"]
        """
    )
    gated.runpytest("--rightsize-ladder=gate", "--rightsize-results=run.jsonl").assert_outcomes(passed=8)
    assert len(asked(gated)) == 4 * 3 + 4 * 2
    answers = sorted(len(trial.answers) for trial in read_run(gated.path / "run.jsonl").trials)
    assert answers == [2] * 4 + [3] * 4


def test_a_question_in_a_fixture_and_one_at_its_end(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.fixture
        def summary(model, request):
            yield model.ask("sum" + request.node.callspec.params["word"])
            assert model.ask("end") == "END"
        @pytest.mark.parametrize("word", "abcd")
        def test_it(model, summary, word):
            assert summary == "SUM" + word.upper()
            assert model.ask(word) == word.upper()
        """
    )
    gated.runpytest("--rightsize-concurrency=16").assert_outcomes(passed=4)
    assert asked(gated).count("end") == 4
    assert most(gated) >= 4


def test_parameters_rungs_and_samples_each_have_their_own_answers(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abc")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = gated.runpytest("--rightsize-ladder=gate,gate2", "--rightsize-samples=3", "--rightsize-strategy=full")
    result.assert_outcomes(passed=18)
    assert sorted(asked(gated)) == sorted("abc" * 6)


def test_skip_xfail_and_an_exception_after_the_first_answer(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        def test_skips(model):
            model.ask("a"); pytest.skip("enough")
        def test_xfails(model):
            model.ask("b"); pytest.xfail("known")
        @pytest.mark.xfail(strict=True)
        def test_marked(model):
            assert model.ask("c") == "no"
        def test_raises(model):
            model.ask("d"); raise KeyError("oops")
        def test_adds_a_marker(model, request):
            request.applymarker(pytest.mark.xfail); assert model.ask("e") == "no"
        """
    )
    result = gated.runpytest("-p", "no:randomly")
    result.assert_outcomes(skipped=1, xfailed=3, failed=1)
    result.stdout.fnmatch_lines(["*KeyError: 'oops'"])


def test_what_catches_exceptions_does_not_swallow_the_suspension(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import contextlib, pytest
        @pytest.mark.parametrize("word", "abcd")
        def test_it(model, word):
            answer = None
            try:
                answer = model.ask(word)
            except Exception:
                pytest.fail("caught")
            finally:
                with contextlib.suppress(Exception):
                    assert model.ask("finally") == "FINALLY"
            assert answer == word.upper()

        @pytest.mark.parametrize("word", "efgh")
        def test_catches_everything(model, word):
            try:
                answer = model.ask(word)
            except BaseException:
                answer = "caught"
            with pytest.raises(ValueError):
                model.ask(word + "x")
                raise ValueError
            assert answer == word.upper()
        """
    )
    gated.runpytest("--rightsize-ladder=gate").assert_outcomes(passed=8)
    assert most(gated) >= 4
    assert asked(gated).count("finally") == 4


@pytest.mark.parametrize(
    ("limit", "most_in_flight"), [("--rightsize-concurrency=1", 1), ("--rightsize-concurrency=3", 3)]
)
def test_the_option_bounds_what_is_in_flight(gated: pytest.Pytester, limit: str, most_in_flight: int) -> None:
    gated.makepyfile(
        NOTE
        + """
    @pytest.mark.parametrize("word", "abcdef")
    def test_upper(model, word):
        note(word)
        assert model.ask(word) == word.upper()
    """
    )
    gated.runpytest(limit).assert_outcomes(passed=6)
    assert most(gated) == most_in_flight
    assert (len(starts(gated)) == 6) is (most_in_flight == 1)


def test_a_rung_and_a_test_bound_it_too(gated: pytest.Pytester) -> None:
    with (gated.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ladder.narrow]\nprovider = "gate"\nmax_in_flight = 2\n')
    gated.makepyfile(
        NOTE
        + """
    @pytest.mark.parametrize("word", "abcdef")
    def test_upper(model, word):
        assert model.ask(word) == word.upper()

    @pytest.mark.rightsize(concurrent=False)
    def test_alone(model):
        note("alone")
        assert model.ask("alone") == "ALONE"
    """
    )
    gated.runpytest("--rightsize-ladder=narrow").assert_outcomes(passed=7)
    assert most(gated) <= 3
    assert starts(gated) == ["alone"]


@pytest.mark.parametrize("options", [(), ("-W", "error::pytest_rightsize.errors.RightsizeWarning")], ids=str)
def test_a_clock_in_the_prompt_ends_rightly_with_one_warning(gated: pytest.Pytester, options: tuple[str, ...]) -> None:
    gated.makepyfile(
        """
        import time, pytest
        @pytest.mark.parametrize("word", "ab")
        def test_it(model, word):
            prompt = f"{word} {time.perf_counter_ns()}"
            assert model.ask(prompt) == prompt.upper()
            assert model.ask("fixed") == "FIXED"
        """
    )
    result = gated.runpytest(*options)
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*test_it[[]a]*should not be suspended: it asks something else*"])


def test_warnings_of_a_test_are_told_once(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import warnings
        def test_it(model):
            warnings.warn("look")
            model.ask("a"); model.ask("b")
        """
    )
    gated.runpytest().assert_outcomes(passed=1, warnings=1)


def test_warnings_of_a_fixture_that_is_set_up_once_are_told(gated: pytest.Pytester) -> None:
    """The start that sets it up is dropped; what the next one warns of again is told once."""
    gated.makepyfile(
        """
        import warnings
        import pytest
        @pytest.fixture(scope="module")
        def wide():
            warnings.warn("of the module")
        @pytest.fixture
        def narrow():
            warnings.warn("of the function")
        @pytest.fixture(scope="class")
        def late():
            warnings.warn("of the class")
        def test_it(model, wide, narrow, request):
            warnings.warn("look")
            model.ask("a")
            request.getfixturevalue("late")
            model.ask("b")
        """
    )
    result = gated.runpytest()
    result.assert_outcomes(passed=1, warnings=4)
    for told in ("of the module", "of the class", "of the function", "look"):
        result.stdout.fnmatch_lines([f"*UserWarning: {told}"])


@pytest.mark.parametrize("how", ["fd", "sys"])
def test_what_a_fixture_wrote_that_is_set_up_once_is_shown_with_its_test(gated: pytest.Pytester, how: str) -> None:
    """The start that sets it up is dropped; one at a time all of it stands in the report of that test."""
    gated.makepyfile(
        """
        import logging
        import sys
        import pytest
        @pytest.fixture(scope="session")
        def widest():
            print("of the session")
        @pytest.fixture(scope="module")
        def wide(widest):
            print("of the module")
            sys.stderr.write("to stderr\\n")
            logging.warning("logged once")
        @pytest.fixture
        def narrow(model):
            print("of the function")
            return model.ask("n")
        @pytest.fixture(scope="module")
        def late(request):
            print("late", request.getfixturevalue("later"))
        @pytest.fixture(scope="module")
        def later():
            print("later")
        def test_it(model, wide, narrow, request):
            request.getfixturevalue("late")
            print("before")
            assert model.ask("a") == "", "it is shown"
        """
    )
    options = ("--capture", how, "-p", "no:randomly")
    shown = [gated.runpytest(*options, f"--rightsize-concurrency={number}").outlines for number in (1, 8)]
    one_at_a_time, in_flight = (lines[lines.index(next(x for x in lines if " stdout setup" in x)) :] for lines in shown)
    assert in_flight[:-2] == one_at_a_time[:-2]
    captured = "\n".join(in_flight)
    for text in ("of the session\nof the module\nof the function\n", "to stderr\n", "logged once\n", "before\n"):
        assert captured.count(text) == 1


@pytest.mark.parametrize("capture", ["capsys", "capfd"])
def test_a_test_that_captures_itself_reads_its_own_output_alone(gated: pytest.Pytester, capture: str) -> None:
    """Also where a wide fixture is set up meanwhile, whose output pytest would put with what was captured before."""
    gated.makepyfile(
        f"""
        import contextlib
        import io
        import pytest
        @pytest.fixture
        def early():
            print("early")
        @pytest.fixture(scope="module")
        def late():
            print("late")
        @pytest.fixture(scope="class")
        def later():
            print("later")
        @pytest.fixture
        def read(early, {capture}, request):
            request.getfixturevalue("late")
            late = {capture}.readouterr().out
            with contextlib.redirect_stdout(io.StringIO()) as own:
                request.getfixturevalue("later")
            return late, own.getvalue()
        def test_it(read, model):
            assert read == ("late\\n", "later\\n")
        """
    )
    gated.runpytest().assert_outcomes(passed=1)


def test_x_stops_at_the_first_failure_in_the_order_of_the_tests(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abcdefgh")
        def test_it(model, word):
            assert model.ask(word) == word.upper() and word not in "cf"
        """
    )
    gated.runpytest("-x").assert_outcomes(passed=2, failed=1)
    gated.runpytest("--maxfail=2").assert_outcomes(passed=4, failed=2)
    gated.runpytest("--lf").assert_outcomes(failed=2)
    gated.runpytest("--sw").assert_outcomes(passed=2, failed=1)
    gated.runpytest("--sw").assert_outcomes(failed=1, deselected=2)


def test_tests_that_ask_nobody_run_beside_them(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        '''
        import unittest, pytest
        def double(x):
            """
            >>> double(2)
            4
            """
            return 2 * x
        class TestOld(unittest.TestCase):
            @classmethod
            def setUpClass(cls): cls.n = getattr(cls, "n", 0) + 1
            def test_one(self): assert self.n == 1
            def test_two(self): assert self.n == 1
        @pytest.mark.parametrize("word", "abcd")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        class TestAsks(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _model(self, model): self.model = model
            def test_three(self): assert self.model.ask("e") == "E"
            def test_four(self): assert self.model.ask("f") == "F"
        '''
    )
    gated.runpytest("--doctest-modules").assert_outcomes(passed=9)


def test_a_thread_of_the_test_waits(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        from concurrent.futures import ThreadPoolExecutor
        def test_it(model):
            with ThreadPoolExecutor(2) as pool:
                assert list(pool.map(model.ask, "ab")) == ["A", "B"]
        """
    )
    gated.runpytest("--rightsize-ladder=gate").assert_outcomes(passed=1)


def test_an_async_test_waits(gated: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    pytest.importorskip("anyio")
    gated.makepyfile(
        """
        import asyncio, pytest
        @pytest.mark.asyncio
        @pytest.mark.parametrize("word", "ab")
        async def test_asyncio(model, word):
            await asyncio.sleep(0)
            assert model.ask(word) == word.upper()
        @pytest.mark.anyio
        @pytest.mark.parametrize("word", "cd")
        async def test_anyio(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    gated.makeini("[pytest]\nasyncio_mode = strict\n")
    result = gated.runpytest("--rightsize-ladder=gate", "-p", "anyio")
    assert result.parseoutcomes()["passed"] >= 4
    assert "failed" not in result.parseoutcomes()


def test_reruns_ask_again_and_are_counted_as_pytest_rerunfailures_does(gated: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    gated.makepyfile(
        NOTE
        + """
    def attempts():
        try:
            return open("log.txt").read().count("past")
        except OSError:
            return 0
    def test_it(model):
        model.ask("a")
        seen = attempts()
        note("past")
        assert model.ask("b") == "B"
        assert seen >= 2
    @pytest.mark.parametrize("word", "cdef")
    def test_other(model, word):
        assert model.ask(word) == word.upper()
    """
    )
    result = gated.runpytest("--reruns=3", "-p", "rerunfailures")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 5
    assert outcomes.get("rerun", 0) <= 3
    assert "failed" not in outcomes


def test_a_timeout_does_not_count_waiting(gated: pytest.Pytester) -> None:
    pytest.importorskip("pytest_timeout")
    with (gated.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ladder.slow]\nprovider = "gate"\ntogether = 5\ndelay_ms = 2500\n')
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.timeout(2)
        @pytest.mark.parametrize("word", "abcd")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    gated.runpytest("--rightsize-ladder=slow", "-p", "timeout").assert_outcomes(passed=4)


def test_an_order_by_chance_changes_nothing(gated: pytest.Pytester) -> None:
    pytest.importorskip("pytest_randomly")
    gated.makepyfile(
        """
        import random, pytest
        @pytest.mark.parametrize("word", "abcdefgh")
        def test_it(model, word):
            prompt = f"{word}{random.random()}"
            assert model.ask(prompt) == prompt.upper()
        """
    )
    result = gated.runpytest("--rightsize-ladder=gate", "-p", "randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=8)


def test_workers_of_xdist_have_many_in_flight_each(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.rightsize(task="t")
        @pytest.mark.parametrize("word", "abcdefgh")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = gated.runpytest("-n2", "--rightsize-ladder=gate,gate2", "--rightsize-results=run.jsonl")
    result.assert_outcomes(passed=8)
    assert most(gated) >= 4
    outcomes = [trial.outcome for trial in read_run(gated.path / "run.jsonl").trials]
    assert sorted(outcomes) == ["not_run"] * 8 + ["passed"] * 8
    gated.runpytest("-n2").assert_outcomes(passed=8)


def test_a_task_that_is_settled_low_never_asks_higher(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("task", "abc")
        def test_tasks(model, task):
            assert model.ask(task) == task.upper() and (task != "b" or model.rung == "gate2")
        """
    )
    gated.runpytest("--rightsize-ladder=gate,gate2", "--rightsize-results=run.jsonl")
    assert len(asked(gated)) == 6
    (gated.path / "asked.txt").unlink()
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.rightsize(task="one")
        @pytest.mark.parametrize("word", "abcd")
        def test_one(model, word):
            assert model.ask("1" + word) == "1" + word.upper()
        @pytest.mark.rightsize(task="two")
        @pytest.mark.parametrize("word", "abcd")
        def test_two(model, word):
            assert model.ask("2" + word) == "2" + word.upper() and model.rung == "gate2"
        """
    )
    gated.runpytest("--rightsize-ladder=gate,gate2", "--rightsize-results=run.jsonl")
    assert sum(prompt.startswith("1") for prompt in asked(gated)) == 4
    heard = {(t.key.task, t.key.rung) for t in read_run(gated.path / "run.jsonl").trials if t.outcome != "not_run"}
    assert heard == {("one", "gate"), ("two", "gate"), ("two", "gate2")}


def test_an_interrupt_with_many_in_flight_leaves_a_whole_file(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import os, signal, pytest
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        @pytest.mark.parametrize("number", range(100))
        def test_it(model, number):
            if number == 90:
                os.kill(os.getpid(), signal.SIGINT)
            assert model.ask(f"n{number}") == f"N{number}"
        """
    )
    result = gated.runpytest_subprocess(
        "--rightsize-ladder=gate", "--rightsize-concurrency=64", "--rightsize-results=run.jsonl"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    lines = [json.loads(line) for line in Path(gated.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["kind"] == "end"
    trials = [line for line in lines if line["kind"] == "trial"]
    assert {trial["outcome"] for trial in trials} == {"passed"}
    result.stdout.fnmatch_lines(["*interrupted after *"])


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_an_interrupt_after_the_test_costs_no_trial(gated: pytest.Pytester, end: str) -> None:
    """Its answers are paid for, and what it came to was known before its fixture ended."""
    gated.makepyfile(
        f"""
        import pytest
        ended = []
        @pytest.fixture
        def closing():
            yield
            if ended:
                {end}
        @pytest.mark.parametrize("word", "ab")
        def test_it(model, closing, word):
            assert model.ask(word) == word.upper()
            ended.append(word)
        """
    )
    result = gated.runpytest_subprocess("--rightsize-ladder=gate", "--rightsize-results=run.jsonl")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert [trial.outcome for trial in read_run(gated.path / "run.jsonl").trials] == ["passed"]
    result.stdout.fnmatch_lines(["*interrupted after 1 of 2 trials*", "*1 passed*"])


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has no subtests of its own")
def test_failed_subtests_of_dropped_starts_and_of_the_teardown_are_not_counted(gated: pytest.Pytester) -> None:
    """Pytest counts them before it tells of the test, and so it would one at a time."""
    gated.makepyfile(
        """
        import pytest
        @pytest.fixture
        def checked(subtests):
            yield
            with subtests.test("teardown"):
                assert 0
        def test_it(model, subtests, checked):
            with subtests.test("first"):
                assert 0
            assert model.ask("a") == "A"
            assert model.ask("b") == "B"
        def test_other(model, checked):
            assert model.ask("c") == "C"
        """
    )
    result = gated.runpytest()
    result.stdout.fnmatch_lines(["contains 1 failed subtest"])
    assert result.parseoutcomes() == {"failed": 4, "passed": 1}


def test_a_fault_is_an_error_and_counted_once(gated: pytest.Pytester) -> None:
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.rightsize(task="t")
        @pytest.mark.parametrize("word", ["a", "fault", "b", "fault", "c"])
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    result = gated.runpytest("--rightsize-ladder=gate")
    assert result.parseoutcomes() == {"passed": 3, "unanswered": 2}


def test_what_was_in_flight_when_its_rung_went_down_fails_nothing(gated: pytest.Pytester) -> None:
    """Three faults in a row take the rung out, and fail; one at a time the others would not have been asked."""
    gated.makepyfile(
        """
        import pytest
        @pytest.mark.rightsize(task="t")
        @pytest.mark.parametrize("number", range(8))
        def test_it(model, number):
            model.ask("fault")
        """
    )
    result = gated.runpytest("--rightsize-ladder=gate", "--junit-xml=junit.xml")
    result.stdout.fnmatch_lines(["* 5 not run, 3 unanswered in *"])
    (suite,) = ElementTree.parse(gated.path / "junit.xml").iter("testsuite")
    assert (int(suite.get("failures", 0)) + int(suite.get("errors", 0)), suite.get("skipped")) == (3, "5")


def test_folders_with_a_conftest_each_are_told_in_order(gated: pytest.Pytester) -> None:
    test = """
        import pytest
        @pytest.mark.parametrize("word", "abc")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """
    for name in ("one", "two"):
        folder = gated.mkdir(name)
        (folder / "conftest.py").write_text("def pytest_runtest_logreport(report): assert report\n", encoding="utf-8")
        (folder / f"test_{name}.py").write_text(dedent(test), encoding="utf-8")
    result = gated.runpytest("-v")
    result.assert_outcomes(passed=6)
    told = re.findall(r"^(\w+)/test_\w+\.py::test_it\[(\w)\] PASSED", str(result.stdout), re.MULTILINE)
    assert told == [(folder, word) for folder in ("one", "two") for word in "abc"]
    assert most(gated) >= 4
