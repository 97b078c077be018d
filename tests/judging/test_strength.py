"""Which wrong answers are played to a task, how they are counted, and when that makes a note."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_rightsize.judging.strength import (
    MOST_OF_A_KIND,
    MOST_SWAPS,
    PassedCase,
    WrongAnswer,
    count_strength,
    strength_note,
    strength_words,
    with_strength,
    wrong_answers,
)
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Outcome
from pytest_rightsize.strength_records import Played, Strength, WrongKind
from tests.runs import make_run


def passed_case(name: str, *texts: str, prompt: str = "what?", **parameters: str) -> PassedCase:
    messages = ({"role": "system", "content": "be brief"}, {"role": "user", "content": prompt})
    answers = tuple(AnswerRecord(text=text, messages=messages, finish_reason="stop") for text in texts)
    return PassedCase(case=name, answers=answers, parameters=parameters)


def played(*cases: PassedCase, kind: WrongKind = "other") -> set[tuple[str, str]]:
    """Each wrong answer of a kind: the case it is played to, and its last text."""
    return {(wrong.case, wrong.answers[-1].text) for wrong in wrong_answers(cases) if wrong.kind == kind}


# --- answers of other cases ---------------------------------------------------------------------------------------


def test_every_case_is_played_the_answers_of_the_others() -> None:
    cases = [passed_case("1", "Paris"), passed_case("2", "Rome"), passed_case("3", "Oslo")]
    assert played(*cases) == {(f"{n}", city) for n in (1, 2, 3) for city in ("Paris", "Rome", "Oslo")} - {
        ("1", "Paris"),
        ("2", "Rome"),
        ("3", "Oslo"),
    }


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("billing", "billing"),
        ("billing", " Billing.\n"),
        ("billing", "The queue is: billing"),
        ('{"a": 1}', '{ "A": 1 }'),
        ("?!", "?!"),
        ("", "anything"),
    ],
)
def test_an_answer_that_may_be_right_here_too_is_not_played(mine: str, theirs: str) -> None:
    assert played(passed_case("1", mine), passed_case("2", theirs)) == set()


@pytest.mark.parametrize(("mine", "theirs"), [("4", "14"), ("bill", "billing"), ("yes", "no"), ("!", "?")])
def test_an_answer_that_only_looks_alike_is_played(mine: str, theirs: str) -> None:
    assert len(played(passed_case("1", mine), passed_case("2", theirs))) == 2


def test_cases_with_a_parameter_in_common_may_share_a_right_answer() -> None:
    """Two spellings of the same queue; what all cases have in common says nothing."""
    cases = [
        passed_case("1", "Billing it is", queue="billing", language="en"),
        passed_case("2", "I would say: invoices (billing)", queue="billing", language="en"),
        passed_case("3", "shipping", queue="shipping", language="en"),
    ]
    assert played(*cases) == {
        ("1", "shipping"),
        ("2", "shipping"),
        ("3", "Billing it is"),
        ("3", "I would say: invoices (billing)"),
    }


def test_the_same_answer_of_two_cases_is_played_once() -> None:
    cases = [passed_case("1", "yes"), passed_case("2", "no"), passed_case("3", "No.")]
    assert len([wrong for wrong in wrong_answers(cases) if wrong.kind == "other" and wrong.case == "1"]) == 1


def test_calls_of_tools_are_compared_without_their_ids() -> None:
    def call(identity: str, city: str) -> PassedCase:
        calls = ({"id": identity, "function": {"name": "weather", "arguments": city}},)
        return PassedCase(case=identity, answers=(AnswerRecord(text="", tool_calls=calls),))

    swaps = wrong_answers([call("1", "Rome"), call("2", "Rome"), call("3", "Oslo")])
    assert Counter(wrong.case for wrong in swaps if wrong.kind == "other") == {"1": 1, "2": 1, "3": 1}


def test_a_conversation_is_played_whole_and_what_all_say_first_tells_nothing() -> None:
    cases = [passed_case("1", "hello", "Paris"), passed_case("2", "hello", "Rome")]
    swaps = [wrong for wrong in wrong_answers(cases) if wrong.kind == "other"]
    assert {(wrong.case, *[answer.text for answer in wrong.answers]) for wrong in swaps} == {
        ("1", "hello", "Rome"),
        ("2", "hello", "Paris"),
    }


def test_a_conversation_that_shares_an_answer_which_tells_something_is_not_played() -> None:
    cases = [passed_case("1", "ok", "Paris"), passed_case("2", "sure", "Paris"), passed_case("3", "well", "Rome")]
    assert ("1", "Paris") not in played(*cases)
    assert ("1", "Rome") in played(*cases)


def test_no_more_swaps_than_forty_and_every_case_has_its_turn() -> None:
    swaps = wrong_answers(passed_case(f"{n}", f"answer {n}") for n in range(100))
    others = [wrong for wrong in swaps if wrong.kind == "other"]
    assert len(others) == MOST_SWAPS == 40
    assert len({wrong.case for wrong in others}) == MOST_SWAPS
    assert len({wrong.answers[0].text for wrong in others}) == MOST_SWAPS
    assert {count for kind, count in Counter(wrong.kind for wrong in swaps).items() if kind != "other"} == {
        MOST_OF_A_KIND
    }


@settings(deadline=None)
@given(
    texts=st.lists(st.sampled_from(["", "a", "b", "a b", "c!", "C", "?"]), max_size=8),
    data=st.data(),
)
def test_the_order_of_the_cases_does_not_matter_and_no_case_gets_its_own(texts: list[str], data: st.DataObject) -> None:
    cases = [passed_case(f"case {number}", text) for number, text in enumerate(texts)]
    wrong = wrong_answers(cases)
    assert wrong == wrong_answers(data.draw(st.permutations(cases)))
    own = {case.case: case.answers[0].text for case in cases}
    assert all(answer.answers[0].text != own[answer.case] for answer in wrong)


# --- other wrong answers ------------------------------------------------------------------------------------------


def test_the_other_kinds_of_one_case() -> None:
    wrong = wrong_answers([passed_case("1", "Paris, of course", prompt="The capital of France?")])
    assert [(each.kind, each.answers[0].text, each.answers[0].finish_reason) for each in wrong] == [
        ("empty", "", "stop"),
        ("refusal", "I'm sorry, but I can't help with that.", "stop"),
        ("truncated", "Paris, o", "length"),
        ("prompt", "The capital of France?", "stop"),
    ]


def kinds_of(wrong: list[WrongAnswer]) -> list[str]:
    return [each.kind for each in wrong]


def test_what_is_no_wrong_answer_here_is_left_out() -> None:
    """Half of one letter is nothing; a case whose right answer is a refusal; a prompt that was withheld."""
    assert kinds_of(wrong_answers([passed_case("1", "A", prompt="sha256:" + 64 * "0")])) == ["empty", "refusal"]
    refused = passed_case("1", "I'm sorry, but I can't help with that", prompt="how to?")
    assert kinds_of(wrong_answers([refused])) == ["empty", "truncated", "prompt"]
    assert kinds_of(wrong_answers([passed_case("1", "", prompt="say nothing")])) == ["refusal", "prompt"]
    assert wrong_answers([PassedCase(case="asks nothing", answers=())]) == []


def test_a_prompt_of_parts_is_its_texts() -> None:
    content = [{"type": "text", "text": "what is"}, {"type": "image_url"}, {"type": "text", "text": "this?"}]
    answer = AnswerRecord(text="a cat", messages=({"role": "user", "content": content},))
    wrong = wrong_answers([PassedCase(case="1", answers=(answer,))])
    assert [each.answers[0].text for each in wrong if each.kind == "prompt"] == ["what is\nthis?"]


def test_the_prompt_of_a_conversation_is_its_last_question() -> None:
    asked = [("user", "who?"), ("assistant", "I"), ("user", "and where?"), ("assistant", "here")]
    messages = tuple({"role": role, "content": content} for role, content in asked)
    wrong = wrong_answers([PassedCase(case="1", answers=(AnswerRecord(text="there", messages=messages),))])
    assert [each.answers[0].text for each in wrong if each.kind == "prompt"] == ["and where?"]


# --- what came of them --------------------------------------------------------------------------------------------


def test_counting_leaves_out_what_tells_nothing() -> None:
    ends: list[tuple[WrongKind, Outcome, str | None]] = [
        ("other", "passed", None),
        ("other", "failed", "wrong"),
        ("empty", "failed", "wrong"),
        ("prompt", "error", "FileNotFoundError"),
        ("prompt", "not_run", None),
    ]
    strength = count_strength("t", "4b", ends)
    assert strength == Strength(
        task="t",
        rung="4b",
        kinds={"other": Played(passed=1, played=2), "empty": Played(passed=0, played=1)},
        uncounted=2,
        uncounted_because="FileNotFoundError",
    )
    assert strength.share == pytest.approx(1 / 3)
    assert Strength.from_dict(strength.to_dict()) == strength
    assert strength_words(strength) == (
        "strength: its tests let 1 of 3 wrong answers pass (1 of 2 answers of other cases, 0 of 1 empty answers); "
        "2 starts tell nothing (FileNotFoundError)"
    )


def test_where_none_pass_the_words_are_short() -> None:
    assert strength_words(of_others(0, 40)) == "strength: its tests let 0 of 40 wrong answers pass"


def test_nothing_played_is_no_share() -> None:
    strength = count_strength("t", "4b", [])
    assert strength.share is None
    assert strength_note(strength) is None
    assert strength_words(strength) == "strength: no wrong answer could be played to its tests"


def of_others(passed: int, played: int) -> Strength:
    return Strength(task="t", rung="4b", kinds={"other": Played(passed=passed, played=played)})


@pytest.mark.parametrize(
    ("passed", "played", "is_noted"),
    [
        (14, 40, True),
        (13, 40, True),
        (12, 40, False),
        (8, 40, False),
        (40, 40, True),
        (0, 0, False),
        (4, 4, False),
        (5, 5, True),
        (4, 5, True),
        (3, 5, False),
        (12, 12, True),
        (3, 12, False),
    ],
)
def test_a_note_needs_more_than_chance_explains(passed: int, played: int, is_noted: bool) -> None:
    assert (strength_note(of_others(passed, played)) is not None) == is_noted


def test_a_note_is_wrong_in_at_most_one_of_twenty_where_a_fifth_passes() -> None:
    from scipy.stats import binom

    for played in range(1, MOST_SWAPS + 1):
        wrong = sum(
            float(binom.pmf(passed, played, 0.2))
            for passed in range(played + 1)
            if strength_note(of_others(passed, played))
        )
        assert wrong < 0.05


def test_the_words_of_a_note() -> None:
    assert strength_note(of_others(14, 40)) == (
        "its assertions let 14 of 40 wrong answers of other cases pass: the verdict may be too kind"
    )


def test_other_kinds_make_no_note() -> None:
    """An answer cut in half, or a prompt that names the queues, may well hold what a test looks for."""
    assert strength_note(Strength(task="t", rung="4b", kinds={"truncated": Played(passed=10, played=10)})) is None


def test_a_note_stands_behind_those_of_the_verdict_and_only_where_a_rung_passes() -> None:
    run = make_run({"t": {"a": "1111"}, "u": {"a": "0000"}})
    solved, unsolved = judge(run)
    strengths = {"t": of_others(14, 40), "u": of_others(14, 40)}
    assert with_strength(solved, strengths).notes[-1].startswith("its assertions let 14 of 40")
    assert with_strength(unsolved, strengths) == unsolved
    assert with_strength(solved, {}) == solved
