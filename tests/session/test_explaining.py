"""What a session tells of single trials: why answers are too small, and of a rung that could not answer, once."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tests.conftest import record

LADDER = "--rightsize-ladder=tiny,small,big"
DEAD = """
    [ladder.dead]
    provider = "openai"
    base_url = "http://127.0.0.1:9/v1"
    model = "x"
    retries = 0
    [ladder.gone]
    provider = "replay"
    file = "gone.jsonl"
"""
SEVERAL = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
    def test_upper(model, word):
        assert model.ask(word) == word.upper()

    @pytest.mark.rightsize(task="shout", pass_rate=0.75, chosen="big")
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_shout(model, word):
        assert model.ask(word) == word.upper()
"""


def lines_between(output: str, first: str, last: str) -> list[str]:
    return re.split(last, re.split(first, output)[1])[0].splitlines()[1:-1]


def test_the_first_reasons_of_a_task_are_shown(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "--rightsize-strategy=full")
    assert lines_between(str(result.stdout), "why answers are too small", "smallest model") == [
        "upper: 4 too small, 3 of them here",
        "  small: test_suite.py::test_upper[d] (wrong)",
        "    answer: d",
        "    | assert 'd' == 'D'",
        "    |   - D",
        "    |   + d",
        "  tiny: test_suite.py::test_upper[b] (wrong)",
        "    answer: b",
        "    | assert 'b' == 'B'",
        "    |   - B",
        "    |   + b",
        "  tiny: test_suite.py::test_upper[c] (wrong)",
        "    answer: c",
        "    | assert 'c' == 'C'",
        "    |   - C",
        "    |   + c",
        "1 more: -rt shows all; with --rightsize-results=run.jsonl, `rightsize show run.jsonl` shows any case",
    ]


def test_where_more_is_shown_is_said_with_the_file_as_it_is_typed(suite: pytest.Pytester) -> None:
    result = suite.runpytest(LADDER, "--rightsize-strategy=full", "--rightsize-results=out/run.jsonl")
    result.stdout.fnmatch_lines(["1 more: -rt shows all, `rightsize show out/run.jsonl --task TASK` any case on *"])


@pytest.mark.parametrize(
    ("options", "has_story", "has_summary"),
    [
        (["-rt"], True, True),
        (["-rA"], True, True),
        (["--tb=long"], True, False),
        (["-rt", "-n1"], True, True),
        (["-ra"], False, False),
        (["-q"], False, False),
    ],
    ids=str,
)
def test_the_full_story_is_told_where_it_is_asked_for(
    suite: pytest.Pytester, options: list[str], has_story: bool, has_summary: bool
) -> None:
    output = str(suite.runpytest(LADDER, "--rightsize-strategy=full", *options).stdout)
    assert (output.count(">       assert model.ask(word) == word.upper()") == 4) is has_story
    assert ("_ test_suite.py::test_upper[tiny-d] _" in output) is has_story
    summary = output.partition("short test summary info")[2]
    assert (summary.count("TOO SMALL test_suite.py::test_upper[") == 4) is has_summary
    assert ("TOO SMALL test_suite.py::test_upper[small-d] - assert 'd' == 'D'" in summary) is has_summary


def test_the_full_story_has_what_the_test_wrote_and_every_subtest_that_failed(suite: pytest.Pytester) -> None:
    """What a test writes stands behind a mark, so that no line of it is a command of a CI system."""
    suite.makepyfile(
        test_suite="""
        import pytest

        def test_written(model):
            print("::error::looked at", model.ask("b"))
            assert 0

        @pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has none")
        def test_subtests(model, subtests):
            for word in "bac":
                with subtests.test(word):
                    assert model.ask(word) == word.upper(), f"about {word}"
        """
    )
    told = str(suite.runpytest("--rightsize-ladder=tiny", "-rt").stdout)
    assert "Captured stdout call:\n    | ::error::looked at b\n" in told
    if hasattr(pytest, "Subtests"):
        assert [word for word in "bac" if f" AssertionError: about {word}\n" in told] == ["b", "c"]
    assert "    | ::error" not in str(suite.runpytest("--rightsize-ladder=tiny", "-rt", "--show-capture=log").stdout)


@pytest.mark.parametrize(("option", "number"), [("--tb=no", 0), ("--tb=line", 4), ("-qq", 0)])
def test_less_is_told_where_less_is_asked_for(suite: pytest.Pytester, option: str, number: int) -> None:
    output = str(suite.runpytest(LADDER, option).stdout).partition("smallest model")[0]
    assert len(output.partition("why answers are too small")[2].splitlines()[1:]) == number


def test_trials_that_were_not_run_are_listed_where_that_is_asked_for(suite: pytest.Pytester) -> None:
    output = str(suite.runpytest(LADDER, "-rn").stdout)
    assert "NOT RUN test_suite.py::test_upper[big-a] - settled: small passes" in output
    assert output.count("short test summary info") == 1


def test_what_is_withheld_stays_so_in_the_full_story(suite: pytest.Pytester) -> None:
    output = str(suite.runpytest(LADDER, "-rt", "--rightsize-redact=answers").stdout)
    assert "why answers are too small" in output
    assert "assert 'b' == 'B'" not in output
    assert "withheld (sha256:" in output


def with_rungs(suite: pytest.Pytester) -> pytest.Pytester:
    suite.makepyfile(test_suite=SEVERAL)
    with (suite.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write(DEAD)
    return suite


@pytest.mark.parametrize("quiet", [[], ["-q"]], ids=["default", "-q"])
def test_a_missing_rung_is_told_once_and_what_the_others_did_is_shown(suite: pytest.Pytester, quiet: list[str]) -> None:
    result = with_rungs(suite).runpytest("--rightsize-ladder=tiny,gone,big", "--junit-xml=junit.xml", *quiet)
    output = str(result.stdout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert output.count("gone.jsonl is not there") == 1
    assert "ERRORS" not in output
    result.stdout.fnmatch_lines(
        [
            "upper   <3/4    could not answer  >=3/4  -           big       -           UNDECIDED",
            "shout   1/2     could not answer  2/2    -           big       -           UNDECIDED",
            "gate undecided: 2 tasks (upper, shout): whether gone passes is not known, as it could not "
            "answer: fix that, or leave it out with --rightsize-ladder=tiny,big",
        ]
    )
    assert not re.search(r"\d+ of \d+ trials had no answer|had an answer", output)
    assert "1 unanswered" in output
    # What reads JUnit's XML sees no header, and hears it there.
    (told,) = {error.text for error in ElementTree.parse(suite.path / "junit.xml").iter("error")}
    assert "gone.jsonl is not there" in (told or "")


def test_a_rung_that_breaks_is_told_once_with_what_to_do(suite: pytest.Pytester) -> None:
    output = str(with_rungs(suite).runpytest("--rightsize-ladder=tiny,dead,big").stdout)
    assert output.count("is the server running?") == 1
    assert re.search(r"is the server running\? \(\d answers? did not come, and it was asked no more\)", output)
    assert output.count("could not answer  ") == 2
    assert "answers are too small" in output
    assert "127.0.0.1" not in output.partition("why answers are too small")[2].partition("smallest model")[0]


def test_each_answer_that_is_missing_from_the_record_counts_and_one_is_told(suite: pytest.Pytester) -> None:
    record(suite.path / "small.jsonl", {"a": "A", "b": "B"})
    result = suite.runpytest(LADDER)
    result.stdout.fnmatch_lines(
        ["upper: small: 2 of 4 trials had no answer", "*small.jsonl has no answer to '[cd]'*(2 answers did not come)"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_tests_that_broke_by_themselves_are_failures_and_not_held_against_the_rung(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
        @pytest.mark.parametrize("word", ["a", "b"])
        def test_upper(model, word):
            raise NameError("no such name")
        """
    )
    result = suite.runpytest("--rightsize-ladder=big")
    output = str(result.stdout)
    assert "could not answer" not in output
    assert "why answers are too small" not in output
    result.stdout.fnmatch_lines(["*NameError: no such name", "upper: big: its tests broke before they could judge*"])
