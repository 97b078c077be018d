"""Why answers are too small: which reasons are shown, how short, and that no text of a model has an effect."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_rightsize.judging.gates import GATES, failed_gates
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Trial, TrialKey
from pytest_rightsize.reports.case_names import readable_case
from pytest_rightsize.reports.gate_groups import gate_groups
from pytest_rightsize.reports.github import annotations
from pytest_rightsize.reports.html.report import HtmlReport
from pytest_rightsize.reports.markdown import MarkdownReport
from pytest_rightsize.reports.reasons import Reasons, answer_text
from pytest_rightsize.reports.rung_faults import Faults
from tests.reports.test_terminal import check
from tests.runs import make_run

LADDER = ("tiny", "small", "big")
EXPLANATION = "AssertionError: assert 'sales' == 'billing'\n  \n  - billing\n  + sales"


def wrong(case: str = "a", rung: str = "tiny", task: str = "route", **changes: Any) -> Trial:
    """A trial that is too small."""
    trial = Trial(
        key=TrialKey(task=task, case=f"test_a.py::test_{task}[{case}]", rung=rung),
        outcome="failed",
        reason="wrong",
        detail=EXPLANATION,
        answers=(AnswerRecord(text="sales", messages=({"role": "user", "content": "Which queue?"},)),),
    )
    return replace(trial, **changes)


def reasons(*trials: Trial, keeps_all: bool = False) -> Reasons:
    heard = Reasons(LADDER, keeps_all=keeps_all)
    for trial in trials:
        heard.add(trial)
    return heard


def test_the_section_is_the_golden_one() -> None:
    long = "The best queue for this is probably sales, as the customer says so. " * 9
    heard = reasons(
        *(wrong(case) for case in ("I was charged twice", "Gr\\xf6\\xdfe", "c", "d")),
        wrong("I was charged twice", "small", answers=(AnswerRecord(text=long),)),
        wrong("json", "tiny", "contact", reason="format", detail="json.decoder.JSONDecodeError: Expecting value"),
        wrong(
            "cut", "tiny", "contact", reason="truncated", answers=(AnswerRecord(text="a\nb", finish_reason="length"),)
        ),
        wrong("many", "tiny", "contact", detail="\n".join(f"line {number}" for number in range(20))),
    )
    check("why", "\n".join(heard.lines(width=100, more="-rt shows all")) + "\n")
    check("why_one_line", "\n".join(heard.lines(width=100, one_line=True, more="-rt shows all")) + "\n")


def test_each_rung_has_its_turn_the_largest_first() -> None:
    heard = reasons(*(wrong(case) for case in "abcd"), wrong("d", "small"), wrong("d", "big"), wrong("a", "big"))
    shown = [(reason.key.rung, reason.key.case[-2]) for reason in heard.first("route")]
    assert shown == [("big", "d"), ("small", "d"), ("tiny", "a")]


def test_three_reasons_of_one_rung_are_its_first_three() -> None:
    assert [reason.key.case[-2] for reason in reasons(*map(wrong, "abcd")).first("route")] == ["a", "b", "c"]


def test_reasons_that_are_not_shown_are_counted() -> None:
    assert reasons(*map(wrong, "abcde")).lines(more="-rt shows all")[-1] == "2 more: -rt shows all"
    assert not any("more" in line for line in reasons(*map(wrong, "abc")).lines(more="-rt shows all"))


def test_of_very_many_tasks_the_first_are_shown() -> None:
    lines = reasons(*(wrong(task=f"t{number}") for number in range(250))).lines(more="-rt shows all")
    assert lines[-1] == "150 more: -rt shows all"
    assert sum(line.endswith("too small") for line in lines) == 100


@pytest.mark.parametrize(
    "other", [{"outcome": "passed"}, {"outcome": "error", "reason": "transport"}, {"outcome": "not_run"}], ids=str
)
def test_what_is_no_wrong_answer_is_no_reason(other: dict[str, Any]) -> None:
    assert not reasons(wrong(**other)).all


def test_all_are_kept_in_full_where_that_was_asked_for() -> None:
    text = "word " * 500
    heard = reasons(*(wrong(case, answers=(AnswerRecord(text=text),)) for case in "abcde"), keeps_all=True)
    assert len(heard.all) == 5
    assert all(reason.story is not None and text in reason.story for reason in heard.all)
    assert [line for line in heard.short_summary() if line.startswith("TOO SMALL ")] == heard.short_summary()


def test_a_traceback_stands_in_the_place_of_the_explanation() -> None:
    heard = Reasons(LADDER, keeps_all=True)
    heard.add(wrong(), traceback="E   the traceback")
    assert heard.all[0].story == "user:\n    | Which queue?\nanswer:\n    | sales\nE   the traceback"


def test_every_question_of_a_conversation_is_told_once() -> None:
    first = ({"role": "user", "content": "one"},)
    second = (*first, {"role": "assistant", "content": "eins"}, {"role": "user", "content": "two"})
    answers = (AnswerRecord(text="eins", messages=first), AnswerRecord(text="zwei", messages=second))
    story = reasons(wrong(answers=answers), keeps_all=True).all[0].story or ""
    titles = [line for line in story.splitlines() if line.endswith(":")]
    assert titles == ["user 1:", "answer 1:", "user 2:", "answer 2:", "reason:"]


def test_words_of_a_private_task_stay_out_until_they_are_asked_for() -> None:
    for keeps_all in (False, True):
        heard = Reasons(LADDER, keeps_all=keeps_all)
        heard.add(wrong(), private=True)
        told = "\n".join([*heard.lines(), *(reason.story or "" for reason in heard.all)])
        assert ("sales" in told) is keeps_all


@pytest.mark.parametrize("text", ["::error::x", "a\n::set-output::x", "\x1b[31mred", "\u202ereversed", "a\x00b"])
def test_text_of_a_model_has_no_effect(text: str) -> None:
    heard = reasons(wrong(answers=(AnswerRecord(text=text),), detail=text))
    for line in heard.lines():
        assert not line.lstrip().startswith("::")
        assert not {"\x1b", "\x00", "\u202e"} & set(line)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([AnswerRecord(text=" two\n words ")], "two words"),
        ([AnswerRecord(text="")], "(empty)"),
        ([AnswerRecord(text="", reasoning="hm")], "(empty, after reasoning)"),
        ([AnswerRecord(text="", tool_calls=({"function": {"name": "look_up"}},))], "(no text; it calls look_up)"),
        ([AnswerRecord(text="a"), AnswerRecord(text="b")], "(the last of 2) b"),
        ([AnswerRecord(text="x" * 1200)], f"(1,200 characters) {'x' * 200}…"),
        ([AnswerRecord(text="a", finish_reason="length")], "a (cut off at the limit of its tokens)"),
    ],
)
def test_an_answer_is_one_line(answers: list[AnswerRecord], words: str) -> None:
    assert answer_text(answers) == words


@pytest.mark.parametrize(
    ("escaped", "readable"),
    [
        ("t[Gr\\xf6\\xdfe]", "t[Größe]"),
        ("t[\\u4f60\\u597d \\U0001f615]", "t[你好 😕]"),
        ("t[a\\nb\\x1b]", "t[a\\nb\\x1b]"),  # these would have an effect
        ("t[\\\\xf6]", "t[\\\\xf6]"),  # a backslash that was there before
    ],
)
def test_a_case_is_named_as_people_wrote_it(escaped: str, readable: str) -> None:
    assert readable_case(escaped) == readable


def fault(case: str, rung: str = "tiny", reason: str = "transport", detail: str = "no connection") -> Trial:
    return Trial(key=TrialKey(task="t", case=case, rung=rung), outcome="error", reason=reason, detail=detail)


def test_a_fault_is_told_once_with_the_number_of_answers_that_did_not_come() -> None:
    heard = Faults()
    for trial in (
        *(fault(case) for case in "abc"),
        Trial(key=TrialKey(task="t", case="d", rung="tiny"), outcome="not_run", reason="down"),
        fault("a", "small", "rate_limit", "too many requests"),
        fault("a", "big", "missing", "rung big cannot answer: it is not there. To get it: get it"),
        fault("e", "small", "test", "the test is broken"),
        fault("f", "small", "timeout", "Failed: Timeout (>1.0s) from pytest-timeout."),
        wrong("b", "big"),
    ):
        heard.add(trial)
    missing = "rung big cannot answer: it is not there. To get it: get it"
    assert heard.lines() == [
        "no connection (3 answers did not come, and it was asked no more)",
        "too many requests (1 answer did not come)",
        missing,
    ]
    assert heard.lines(told={missing}) == heard.lines()[:2]


def test_markdown_tells_the_first_reasons_but_none_of_a_private_task() -> None:
    run = make_run({"route": {"tiny": "00", "big": "11"}, "secret": {"tiny": "00", "big": "11"}}, chosen="big")
    trials = [
        replace(trial, detail="assert 'x' == '`y`'") if trial.outcome == "failed" else trial for trial in run.trials
    ]
    private = replace(run.policies["secret"], private=True)
    run = replace(run, trials=trials, policies={**run.policies, "secret": private})
    text = MarkdownReport().render(run, judge(run))
    assert "- route, route-0: **tiny** answers x (wrong: assert 'x' == '\\`y\\`')" in text
    assert "secret-0" not in text


def test_reports_tell_a_fault_once_and_that_the_rung_could_not_answer() -> None:
    run = make_run({task: {"tiny": "11", "gone": "E-", "big": "11"} for task in "tuv"}, strategy="full")
    verdicts = judge(run)
    markdown = MarkdownReport().render(run, verdicts)
    assert markdown.count("- refused") == 1
    assert "❔ could not answer" in markdown
    page = HtmlReport().render(run, verdicts)
    assert page.count("Refused (3 answers did not come).") == 1
    assert "could not answer" in page


def test_tasks_that_wait_for_the_same_rung_share_one_sentence_and_others_do_not() -> None:
    outcomes = {task: {"gone": "EE", "big": "11"} for task in "tuvwxyz"} | {"bad": {"gone": "00", "big": "00"}}
    failed = failed_gates(judge(make_run(outcomes, chosen="big")), tuple(GATES))
    groups = gate_groups([*failed, *failed_gates(judge(make_run({"worse": outcomes["bad"]})), ("unsolved",))])
    assert [group.tasks for group in groups] == ["7 tasks (t, u, v, w, x, y, and 1 more)", "bad", "worse"]
    assert groups[0].text.startswith("whether gone passes is not known")
    assert [group.only is None for group in groups] == [True, False, False]
    assert len([*annotations(make_run(outcomes, chosen="big"), failed)]) == 2
