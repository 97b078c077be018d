"""Sessions that play wrong answers to their tests: what is counted, what is noted, and that nothing else changes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.results.results_file import read_run
from tests.conftest import record
from tests.providers.openai.endpoint import Answering, completion, serve

LADDER = "--rightsize-ladder=tiny,small,big"
PLAY = "--rightsize-strength"
RUN = "--rightsize-results=run.jsonl"


def strengths_of(folder: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["task"]: line for line in lines if line["kind"] == "strength"}


def counts(strength: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """How many passed and were played, of each kind."""
    return {kind: (count["passed"], count["played"]) for kind, count in strength["kinds"].items()}


def lines_of(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] in kinds]


def one_rung(pytester: pytest.Pytester, source: str, answers: dict[str, str]) -> None:
    """A project of one rung that answers so."""
    pytester.makepyfile(test_it=source)
    pytester.makefile(".toml", rightsize='[ladder.one]\nprovider = "replay"\nfile = "one.jsonl"\n')
    record(pytester.path / "one.jsonl", answers)


ONE = "--rightsize-ladder=one"
CITIES = {"France?": "It is Paris", "Italy?": "Rome", "Spain?": "Madrid", "Norway?": "Oslo"}


# --- what is counted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-n2",), ("--rightsize-concurrency=1",)])
def test_a_test_of_equality_lets_nothing_pass(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    """`small` is the smallest that passes: it has three of four right, and to these the wrong answers are played."""
    result = suite.runpytest(LADDER, PLAY, RUN, *options)
    strength = strengths_of(suite.path)["upper"]
    assert (strength["rung"], strength["share"], strength["uncounted"]) == ("small", 0, 0)
    assert counts(strength) == {"other": (0, 6), "empty": (0, 3), "refusal": (0, 3)}
    result.stdout.fnmatch_lines(
        [
            "upper: strength: its tests let 0 of 12 wrong answers pass",
            "rightsize: of 1 task, 1 over-sized; *",
        ]
    )
    assert "too kind" not in str(result.stdout)


def test_a_test_that_asserts_nothing_of_the_answer_is_noted(pytester: pytest.Pytester) -> None:
    source = f"""
        import pytest
        @pytest.mark.parametrize("question", {list(CITIES)})
        @pytest.mark.rightsize(task="cities")
        def test_it(model, question):
            assert model.ask(question)
    """
    one_rung(pytester, source, CITIES)
    result = pytester.runpytest(ONE, PLAY, RUN, "--rightsize-markdown=out.md", "--rightsize-report=json:out.json")
    note = "its assertions let 12 of 12 wrong answers of other cases pass: the verdict may be too kind"
    strength = strengths_of(pytester.path)["cities"]
    assert counts(strength) == {
        "other": (12, 12),
        "empty": (0, 4),
        "refusal": (4, 4),
        "truncated": (4, 4),
        "prompt": (4, 4),
    }
    result.stdout.fnmatch_lines(
        [f"cities: {note}", "cities: strength: its tests let 24 of 28 wrong answers pass (12 of 12 answers of *"]
    )
    (verdict,) = judge(read_run(pytester.path / "run.jsonl"))
    assert verdict.notes == (note,)
    assert lines_of(pytester.path, "verdict")[0]["notes"] == [note]
    document = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    assert document["verdicts"][0]["notes"] == [note]
    assert document["strengths"][0]["kinds"]["other"] == {"passed": 12, "played": 12}
    markdown = (pytester.path / "out.md").read_text(encoding="utf-8")
    assert note in markdown
    assert "strength: its tests let 24 of 28 wrong answers pass (12 of 12" in markdown


QUEUES = ["billing", "shipping", "returns", "login", "other"]


def test_cases_that_share_five_queues_are_not_noted(pytester: pytest.Pytester) -> None:
    """Each queue is spelled as the model likes; the test looks for its name, as a parameter or by itself."""
    tickets = {f"ticket {number}": QUEUES[number % 5] for number in range(30)}
    source = f"""
        import pytest
        @pytest.mark.rightsize(task="route")
        @pytest.mark.parametrize(("ticket", "queue"), {list(tickets.items())})
        def test_route(model, ticket, queue):
            assert queue in model.ask(ticket)

        TICKETS = {tickets}
        @pytest.mark.rightsize(task="look up")
        @pytest.mark.parametrize("ticket", list(TICKETS))
        def test_look_up(model, ticket):
            assert TICKETS[ticket] in model.ask(ticket)
    """
    spelled = {
        ticket: (queue if number % 2 else f"I think that ticket {number} is for the queue {queue}")
        for number, (ticket, queue) in enumerate(tickets.items())
    }
    one_rung(pytester, source, spelled)
    result = pytester.runpytest(ONE, PLAY, RUN)
    assert "too kind" not in str(result.stdout)
    assert counts(strengths_of(pytester.path)["route"])["other"] == (0, 40)
    passed, played = counts(strengths_of(pytester.path)["look up"])["other"]
    assert played == 40
    assert passed <= 8


def test_several_questions_get_the_whole_conversation_of_another_case(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        @pytest.mark.rightsize(task="talk")
        @pytest.mark.parametrize("word", "abc")
        def test_talk(model, word):
            first, second = model.ask("hello"), model.ask(word)
            with open("said.txt", "a") as file:
                file.write(f"{word} {first} {second}" + chr(10))
            assert (first, second) == ("hi", word.upper() * 2)
    """
    one_rung(pytester, source, {"hello": "hi", "a": "AA", "b": "BB", "c": "CC"})
    result = pytester.runpytest(ONE, PLAY, RUN)
    result.assert_outcomes(passed=3)
    assert counts(strengths_of(pytester.path)["talk"])["other"] == (0, 6)
    said = (pytester.path / "said.txt").read_text(encoding="utf-8").splitlines()
    assert {"a hi BB", "a hi CC", "b hi AA", "c hi AA"} <= set(said)
    assert "a I'm sorry, but I can't help with that. I'm sorry, but I can't help with that." in said
    assert "a hello a" in said


def test_a_test_that_fails_by_itself_is_not_counted_as_strong(pytester: pytest.Pytester) -> None:
    """A fixture that cannot be set up twice; and one that fails by the answer, before the test judges it."""
    source = """
        import pytest
        READY = []
        @pytest.fixture(scope="module")
        def server():
            assert not READY, "the port is in use"
            READY.append(1)
        @pytest.mark.rightsize(task="once")
        @pytest.mark.parametrize("word", "ab")
        def test_once(model, server, word):
            assert model.ask(word) == word.upper()
        @pytest.mark.rightsize(task="file")
        @pytest.mark.parametrize("word", "ab")
        def test_file(model, word):
            answer = model.ask(word)
            if answer != word.upper():
                open(f"no folder/{answer}")
    """
    one_rung(pytester, source, {"a": "A", "b": "B"})
    result = pytester.runpytest(ONE, PLAY, RUN)
    result.assert_outcomes(passed=4)
    for task in ("once", "file"):
        strength = strengths_of(pytester.path)[task]
        assert (strength["kinds"], strength["share"], strength["uncounted"]) == ({}, None, 6)
    result.stdout.fnmatch_lines(
        [
            "once: strength: no wrong answer could be played to its tests; "
            "6 starts tell nothing (the test failed for a reason of its own)"
        ]
    )


def test_only_tasks_that_pass_are_played_to(suite: pytest.Pytester) -> None:
    suite.runpytest("--rightsize-ladder=tiny", PLAY, RUN, "--rightsize-gate=none")
    assert strengths_of(suite.path) == {}


# --- that nothing else changes ------------------------------------------------------------------------------------

WIDE = """
    import pytest, warnings

    def note(text):
        with open("log.txt", "a") as file:
            file.write(text + chr(10))

    @pytest.fixture(scope="session")
    def session_wide():
        note("session up")
        yield "session"
        note("session down")

    @pytest.fixture(scope="module", params=["x", "y"])
    def module_wide(request, session_wide):
        note(f"{request.param} up")
        yield request.param
        note(f"{request.param} down")

    @pytest.fixture
    def narrow():
        note("narrow up")
        yield
        note("narrow down")

    @pytest.mark.rightsize(task="wide")
    class TestWide:
        @pytest.mark.parametrize("word", ["a", "b", "c"])
        def test_it(self, model, module_wide, narrow, word, record_property, record_testsuite_property):
            record_testsuite_property("suite", "once")
            record_property("mine", word)
            warnings.warn("of the test")
            print("printed by the test")
            assert not hasattr(self, "seen")
            self.seen = True
            assert model.ask(word) == word.upper()
"""


def test_wide_fixtures_are_set_up_once_more_for_all_starts(pytester: pytest.Pytester) -> None:
    one_rung(pytester, WIDE, {"a": "A", "b": "B", "c": "C"})
    pytester.runpytest(ONE).assert_outcomes(passed=6, warnings=6)
    once = (pytester.path / "log.txt").read_text(encoding="utf-8").splitlines()
    (pytester.path / "log.txt").unlink()
    pytester.runpytest(ONE, PLAY, RUN).assert_outcomes(passed=6, warnings=6)
    twice = (pytester.path / "log.txt").read_text(encoding="utf-8").splitlines()
    for line in ("session up", "session down", "x up", "x down", "y up", "y down"):
        assert (once.count(line), twice.count(line)) == (1, 2), line
    assert twice.count("narrow up") == twice.count("narrow down") > once.count("narrow up")
    assert twice[-3:] == ["narrow down", "y down", "session down"]
    strength = strengths_of(pytester.path)["wide"]
    assert all(passed == 0 for passed, _ in counts(strength).values())
    assert strength["uncounted"] == 0


def without_times(text: str) -> str:
    return re.sub(r'(time|timestamp|hostname)="[^"]*"|\d+\.\d+s', "", text)


CONFTEST = """
    import pytest
    def pytest_runtest_logreport(report):
        with open("reports.txt", "a") as file:
            file.write(f"{report.nodeid} {report.when} {report.outcome}" + chr(10))
    def pytest_exception_interact(node):
        with open("reports.txt", "a") as file:
            file.write(f"interact {node.nodeid}" + chr(10))
"""


@pytest.mark.parametrize("options", [(), ("-s",), ("-n2",), ("-x",)])
def test_reports_trials_outcomes_and_files_of_others_are_as_without_the_option(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    one_rung(pytester, WIDE + "\n    def test_plain():\n        pass\n", {"a": "A", "b": "B", "c": "C"})
    pytester.makeconftest(CONFTEST)
    seen = []
    for play in ((), (PLAY,)):
        result = pytester.runpytest(ONE, RUN, "--junit-xml=junit.xml", *options, *play)
        trials = [{**line, "seconds": None} for line in lines_of(pytester.path, "trial", "plan", "prompt")]
        reports = (pytester.path / "reports.txt").read_text(encoding="utf-8").splitlines()
        junit = without_times((pytester.path / "junit.xml").read_text(encoding="utf-8"))
        end = {**lines_of(pytester.path, "end")[0]["totals"], "spending": None}
        output = [
            without_times(line)
            for line in result.outlines
            if "strength" not in line and not line.startswith(("rootdir", "plugins"))
        ]
        by_worker = "-n2" in options
        seen.append(
            (
                result.ret,
                result.parseoutcomes(),
                sorted(map(str, trials)),
                sorted(reports),
                sorted(junit.split("<")) if by_worker else junit,
                end,
                [] if by_worker else output,
            )
        )
        (pytester.path / "reports.txt").unlink()
    assert seen[0][0] == pytest.ExitCode.OK
    for without, with_strength in zip(*seen, strict=True):
        assert without == with_strength
    assert strengths_of(pytester.path)["wide"]["share"] == 0


def test_nothing_is_asked_of_any_server(pytester: pytest.Pytester) -> None:
    """Of an endpoint that counts its requests, with and without the option."""
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("word", "abc")
        def test_it(model, word):
            assert model.ask(word) == word.upper()
        """
    )
    with serve(lambda asked: Answering(body=completion(asked["messages"][-1]["content"].upper()))) as endpoint:
        pytester.makefile(
            ".toml", rightsize=f'[ladder.one]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\n'
        )
        options = (ONE, RUN, "--rightsize-cache=off", PLAY)
        pytester.runpytest(*options).assert_outcomes(passed=3)
        assert len(endpoint.requests) == 3
        (strength,) = strengths_of(pytester.path).values()
        assert counts(strength)["other"] == (0, 6)
        assert main(["strength", str(pytester.path / "run.jsonl"), "--root", str(pytester.path)]) == 0
        assert len(endpoint.requests) == 3


def test_no_session_plays_unless_asked_to(suite: pytest.Pytester) -> None:
    suite.runpytest(LADDER, RUN)
    assert strengths_of(suite.path) == {}
    suite.makeini("[pytest]\nrightsize_strength = true\n")
    suite.runpytest(LADDER, RUN)
    assert "upper" in strengths_of(suite.path)


def test_a_debugger_watches_no_second_start(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, RUN, PLAY, "--setup-show")
    assert strengths_of(suite.path) == {}
    result.stdout.fnmatch_lines(["*--rightsize-strength does nothing beside options that watch tests, such as --pdb"])


def test_withheld_answers_are_played_and_not_written(pytester: pytest.Pytester) -> None:
    source = f"""
        import pytest
        @pytest.mark.parametrize("question", {list(CITIES)})
        @pytest.mark.rightsize(task="cities")
        def test_it(model, question):
            assert {CITIES}[question] == model.ask(question)
    """
    one_rung(pytester, source, CITIES)
    pytester.runpytest(ONE, PLAY, RUN, "--rightsize-redact=prompts,answers")
    assert counts(strengths_of(pytester.path)["cities"])["other"] == (0, 12)
    assert "Madrid" not in (pytester.path / "run.jsonl").read_text(encoding="utf-8")


# --- later --------------------------------------------------------------------------------------------------------


def test_a_results_file_is_played_later(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    weak = """
        import pytest
        @pytest.mark.rightsize(task="weak [odd]", pass_rate=0.75)
        @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
        def test_weak(model, word):
            assert len(model.ask(word)) == 1
    """
    suite.makepyfile(test_weak=weak)
    suite.makeini("[pytest]\naddopts = -x\nrightsize_html = page.html\nrightsize_strength = true\n")
    suite.runpytest(LADDER, RUN, "-o", "rightsize_strength=false")
    before = (suite.path / "run.jsonl").read_bytes()
    (suite.path / "page.html").unlink()
    capsys.readouterr()
    assert main(["strength", str(suite.path / "run.jsonl"), "--root", str(suite.path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrong answers that the tests of each task let pass",
        "task        rung    other cases    empty    refusals    truncated    prompts",
        "upper       small   0/6            0/3      0/3         -            -",
        "weak [odd]  tiny    6/6            0/3      0/3         -            -",
        "weak [odd]: its assertions let 6 of 6 wrong answers of other cases pass: the verdict may be too kind",
    ]
    assert (suite.path / "run.jsonl").read_bytes() == before
    assert not (suite.path / "page.html").exists()


def test_cases_whose_names_are_withheld_are_found_again(
    suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.runpytest(LADDER, RUN, "--rightsize-redact=prompts")
    capsys.readouterr()
    assert main(["strength", str(suite.path / "run.jsonl"), "--root", str(suite.path)]) == 0
    assert "upper   small   0/6            0/3      0/3         -            -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "root", "message"),
    [
        (("--rightsize-redact=answers",), ".", "has hashes in the place of answers (--rightsize-redact=answers)"),
        (("--rightsize-ladder=tiny",), ".", "no task passes on any rung in"),
        ((), "..", "has no test_suite.py: give the rootdir that pytest shows at its start, with --root=DIR"),
    ],
)
def test_what_cannot_be_played_is_told(
    suite: pytest.Pytester, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], root: str, message: str
) -> None:
    suite.runpytest(LADDER, RUN, *options)
    assert main(["strength", str(suite.path / "run.jsonl"), "--root", str(suite.path / root)]) == 2
    assert message in capsys.readouterr().err


def test_tests_that_do_not_start_are_told_in_pytests_words(
    suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.runpytest(LADDER, RUN)
    suite.makepyfile(test_suite="import no_such_module")
    assert main(["strength", str(suite.path / "run.jsonl"), "--root", str(suite.path)]) == 2
    error = capsys.readouterr().err
    assert "pytest could not start the tests in" in error
    assert "No module named 'no_such_module'" in error


def test_tests_that_are_gone_are_told(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    suite.runpytest(LADDER, RUN)
    suite.makepyfile(test_suite="def test_other(): pass")
    assert main(["strength", str(suite.path / "run.jsonl"), "--root", str(suite.path)]) == 0
    assert "upper: not played: none of its tests was found" in capsys.readouterr().out


# --- what ends a session, and broken files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "exit_status"),
    [("raise KeyboardInterrupt", pytest.ExitCode.INTERRUPTED), ("pytest.exit('wrong')", pytest.ExitCode.OK)],
)
def test_ctrl_c_ends_the_session_and_its_fixtures_and_no_test_does(
    pytester: pytest.Pytester, statement: str, exit_status: int
) -> None:
    source = f"""
        import pytest
        @pytest.fixture(scope="module")
        def wide():
            with open("log.txt", "a") as file:
                file.write("up ")
            yield
            with open("log.txt", "a") as file:
                file.write("down ")
        @pytest.mark.parametrize("word", "ab")
        def test_it(model, wide, word):
            if model.ask(word) != word.upper():
                {statement}
    """
    one_rung(pytester, source, {"a": "A", "b": "B"})
    # In this process pytester passes Ctrl-C on.
    result = pytester.runpytest_subprocess(ONE, PLAY, RUN)
    assert result.ret == exit_status
    assert (pytester.path / "log.txt").read_text(encoding="utf-8") == "up down up down "
    assert [line["outcome"] for line in lines_of(pytester.path, "trial")] == ["passed", "passed"]


@pytest.mark.parametrize(
    "counts",
    [{"passed": 2, "played": 1}, {"passed": 1}, {"passed": -1, "played": 1}, {"passed": 1, "played": 10**9}, []],
)
def test_counts_that_cannot_be_are_told_with_their_line(suite: pytest.Pytester, counts: Any) -> None:
    suite.runpytest(LADDER, RUN)
    line = {"kind": "strength", "task": "upper", "rung": "small", "kinds": {"other": counts}}
    with (suite.path / "run.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(ConfigError, match=r"run.jsonl:\d+ is not a line this version understands"):
        read_run(suite.path / "run.jsonl")


def test_tests_of_other_makings_are_played_to_as_well(pytester: pytest.Pytester, load: Callable[..., None]) -> None:
    """A coroutine, one that is rerun after a failure, and one whose subtests fail without failing its own call."""
    load("pytest_rerunfailures")
    source = """
        import pytest

        @pytest.mark.rightsize(task="async")
        @pytest.mark.asyncio
        @pytest.mark.parametrize("word", "ab")
        async def test_async(model, word):
            assert model.ask(word) == word.upper()

        @pytest.mark.rightsize(task="rerun")
        @pytest.mark.flaky(reruns=2)
        @pytest.mark.parametrize("word", "ab")
        def test_rerun(model, word):
            with open("starts.txt", "a") as file:
                file.write(word)
            assert model.ask(word) == word.upper()
    """
    subtests = """
        @pytest.mark.rightsize(task="subtests")
        @pytest.mark.parametrize("word", "ab")
        def test_subtests(model, word, subtests):
            answer = model.ask(word)
            with subtests.test("upper"):
                assert answer == word.upper()
    """
    has_subtests = hasattr(pytest, "Subtests")  # pytest 9 has
    source += subtests if has_subtests else ""
    one_rung(pytester, source, {"a": "A", "b": "B"})
    result = pytester.runpytest(ONE, PLAY, RUN, "--rightsize-concurrency=1", "--rightsize-gate=none")
    assert result.ret == pytest.ExitCode.OK
    strengths = strengths_of(pytester.path)
    assert list(strengths) == ["async", "rerun", *(["subtests"] if has_subtests else [])]
    for strength in strengths.values():
        assert counts(strength) == {"other": (0, 2), "empty": (0, 2), "refusal": (0, 2)}
    # Each once in the session, and once for each wrong answer.
    assert len((pytester.path / "starts.txt").read_text(encoding="utf-8")) == 2 + 6


def test_the_page_shows_the_strength_beside_the_verdict(suite: pytest.Pytester) -> None:
    pytest.importorskip("jinja2")
    suite.runpytest(LADDER, PLAY, "--rightsize-html=page.html")
    page = (suite.path / "page.html").read_text(encoding="utf-8")
    assert "Strength: its tests let 0 of 12 wrong answers pass." in page
