"""What two runs differ in is told in whichever order they are given, and nothing is told of what is not known."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.judging.differences import prompts_differ, shortened, what_differs
from pytest_rightsize.records import AnswerRecord, Policy, Price, Run, Trial, TrialKey
from tests.runs import make_run

NAMES = ("old", "new")


def run_with(**about: Any) -> Run:
    return replace(make_run({"t": {"a": "11"}}), about=about)


def differs(before: Any, after: Any) -> list[str]:
    return what_differs(run_with(**before), run_with(**after), NAMES, ["a"])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            {"commit": "a" * 40},
            {"commit": "b" * 40},
            [f"the suite is at commit {'a' * 10} in old and {'b' * 10} in new"],
        ),
        (
            {"commit": "b" * 40},
            {"commit": "a" * 40},
            [f"the suite is at commit {'b' * 10} in old and {'a' * 10} in new"],
        ),
        ({"commit": "a" * 40}, {"commit": "a" * 40}, []),
        ({"commit": "a" * 40}, {}, []),
        ({}, {"commit": "a" * 40}, []),
        (
            {"machine": {"cpu": "x"}},
            {"machine": {"cpu": "y", "gpu": "z"}},
            [
                "the machine's cpu is x in old and y in new: mind that with seconds and energy",
                "the machine's gpu is not set in old and z in new: mind that with seconds and energy",
            ],
        ),
    ],
)
def test_surroundings(before: Any, after: Any, told: list[str]) -> None:
    assert differs(before, after) == told


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (["1" * 64], ["2" * 64], f"{'1' * 16} in old and {'2' * 16} in new"),
        (["2" * 64], ["1" * 64], f"{'2' * 16} in old and {'1' * 16} in new"),
        (["1" * 64], ["1" * 64], None),
        (["1" * 64], None, None),
        (None, ["1" * 64], None),
        (None, None, None),
    ],
)
def test_hashes_of_files_that_both_recorded(before: Any, after: Any, words: str | None) -> None:
    of_a, of_b = ({"identities": {"a": {"sha256": hashes}}} for hashes in (before, after))
    assert differs(of_a, of_b) == ([] if words is None else [f"rung a: its file has the hash {words}"])


def test_settings_that_change_no_answer_are_not_told() -> None:
    """Whether a recording is completed changes which trials there are, and no answer."""

    def of(**settings: Any) -> Run:
        return replace(run_with(), rungs=[replace(run_with().rungs[0], **settings)])

    other = of(options={"file": "a.jsonl", "complete": False}, price=Price(prompt=1.0, completion=2.0), max_in_flight=2)
    assert what_differs(of(options={"file": "a.jsonl"}), other, NAMES, ["a"]) == []
    assert what_differs(of(options={"file": "b.jsonl"}), other, NAMES, ["a"]) == [
        "rung a: file is b.jsonl in old and a.jsonl in new"
    ]


def test_a_rung_that_one_of_both_has_not_differs_in_nothing() -> None:
    assert what_differs(run_with(), make_run({"t": {"b": "11"}}), NAMES, ["a", "b"]) == []


def test_cases_that_one_of_both_has_and_the_terms_of_a_task() -> None:
    one, other = make_run({"t": {"a": "1"}}), make_run({"t": {"a": "1111111"}})
    other = replace(other, policies={"t": Policy(task="t", pass_rate=0.9), "u": Policy(task="u")})
    assert what_differs(one, other, NAMES, ["a"]) == [
        "6 cases are only in new: t: t-1, t: t-2, t: t-3, t: t-4, t: t-5 and 1 more",
        "task t: pass_rate is 0.75 in old and 0.9 in new",
    ]
    assert what_differs(other, make_run({"t": {"a": "111111"}}), NAMES, ["a"])[0] == "1 case is only in old: t: t-6"
    assert shortened(list("abcde")) == "a, b, c, d, e"


def test_a_run_with_itself_differs_in_nothing_but_may_be_cut_off() -> None:
    run = replace(make_run({"t": {"a": "11"}}), interrupted=True)
    assert what_differs(run, run, NAMES, ["a"]) == ["old was cut off: of what it lacks nothing is said"]
    assert what_differs(run_with(), run, NAMES, ["a"])[0] == "new was cut off: of what it lacks nothing is said"


def test_a_conversation_is_told_by_its_first_question_of_any_sample() -> None:
    def asking(*questions: str | None) -> list[Trial]:
        answers = tuple(
            AnswerRecord(text="x", messages=() if content is None else ({"role": "user", "content": content},))
            for content in questions
        )
        silent = Trial(key=TrialKey(task="t", case="c", rung="a"), outcome="error", reason="transport")
        asked = Trial(key=TrialKey(task="t", case="c", rung="a", sample=1), outcome="passed", answers=answers)
        return [silent, asked]

    assert prompts_differ(asking("p", "q"), asking("p", "r")) is False
    assert prompts_differ(asking("p", "q"), asking("q", "q")) is True
    assert prompts_differ(asking("p"), asking(None)) is None
    assert prompts_differ(asking("p"), []) is None
