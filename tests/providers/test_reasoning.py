"""Reasoning is told from the answer, whichever family of models wrote it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.reasoning import (
    KNOWN_MARKS,
    Parts,
    marks_of,
    opened_by,
    reasoning_in,
    separate,
    with_reasoning_apart,
    words_of,
)
from pytest_rightsize.providers.template_kwargs import with_template_kwargs
from pytest_rightsize.records import Reply, Rung

HARMONY = "<|channel|>analysis<|message|>simple<|end|><|start|>assistant<|channel|>final<|message|>4"


def rung(**options: Any) -> Rung:
    return Rung(name="r", provider="x", options=options)


def apart(text: str, *, prompt: str = "", reasoning: str | None = None, **options: Any) -> tuple[str, str | None]:
    reply = with_reasoning_apart(Reply(text=text, reasoning=reasoning), rung(**options), [{"content": prompt}])
    return reply.text, reply.reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("4", None, "4"),
        ("<think>\nhm\n</think>\n\n4", "hm", "4"),
        ("<think>\n\n</think>\n\n4", "", "4"),
        ("<think>hm", "hm", ""),
        ("<think>a</think>\n<think>b</think>4", "a\nb", "4"),
        # Written by the template: no opening mark in the answer.
        ("hm\n</think>\n\n4", "hm", "4"),
        ("<seed:think>hm</seed:think>4", "hm", "4"),
        ("<mm:think>hm</mm:think>4", "hm", "4"),
        ("[THINK]hm[/THINK]4", "hm", "4"),
        ("<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>4<|END_RESPONSE|>", "hm", "4"),
        ("<|channel>thought\nhm\n<channel|>4", "hm", "4"),
        ("<unused94>thought\nhm<unused95>4", "hm", "4"),
        ("<|inner_prefix|>hm<|inner_suffix|>4", "hm", "4"),
        ("<|think|>hm<|end|><|begin|>assistant<|content|>4", "hm", "4"),
        ("◁think▷hm◁/think▷4", "hm", "4"),
        ("<|begin_of_thought|>hm<|end_of_thought|>\n\n<|begin_of_solution|>4<|end_of_solution|>", "hm", "4"),
        ("Here are my reasoning steps:\nhm\n[BEGIN FINAL RESPONSE]\n4\n[END FINAL RESPONSE]", "hm", "4\n"),
        ("<think>hm</think><answer>4</answer>", "hm", "4"),
        ("<think>hm</think>\n<response>\n4\n</response>", "hm", "4"),
        ("<think:opensource>hm</think:opensource>4", "hm", "4"),
        (
            "<|open|>think<|sep|>hm<|close|>think<|sep|><|open|>response<|sep|>4<|close|>response<|sep|>"
            "<|close|>message<|sep|>",
            "hm",
            "4",
        ),
        # Kimi K3 without thinking: its template begins the answer.
        ("4<|close|>response<|sep|><|close|>message<|sep|><|end_of_msg|>", None, "4"),
        (" to=self<|message|>hm<|eom|><|start|>assistant to=user<|message|>4<|eot|>", "hm", "4"),
        (" to=user<|message|>4", None, "4"),
        (" to=self<|message|>cut off", "cut off", ""),
        ("Write to=self<|message|> first", None, "Write to=self<|message|> first"),
        (HARMONY, "simple", "4"),
        ("<|channel|>analysis<|message|>cut off", "cut off", ""),
        ("<|channel|>final<|message|>4<|return|>", None, "4"),
        ("analysissimpleassistantfinal4", "simple", "4"),
        # Who writes about the marks keeps the words.
        ("4 is what follows <think>hm</think>", None, "4 is what follows <think>hm</think>"),
        ("Use `</think>` to close it", None, "Use `</think>` to close it"),
    ],
)
def test_reasoning_and_answer(text: str, reasoning: str | None, answer: str) -> None:
    assert separate(text) == Parts(reasoning=reasoning, answer=answer)


@pytest.mark.parametrize("marks", KNOWN_MARKS, ids=lambda marks: marks.open)
def test_every_mark_may_have_been_opened_by_the_prompt(marks: Any) -> None:
    assert opened_by(f"<|assistant|>\n{marks.open}\n") == marks
    assert separate(f"hm\n{marks.close}\n\n4", opened=marks, knows_prompt=True) == Parts(reasoning="hm", answer="4")
    assert separate("hm, so 2+2 is", opened=marks, knows_prompt=True) == Parts(reasoning="hm, so 2+2 is", answer="")


@pytest.mark.parametrize("marks", KNOWN_MARKS, ids=lambda marks: marks.open)
def test_every_mark_is_found_in_a_text(marks: Any) -> None:
    assert separate(f"{marks.open}hm{marks.close}4") == Parts(reasoning="hm", answer="4")
    closed_alone = ("hm", "4") if marks.can_stand_alone else (None, f"hm{marks.close}4")
    assert separate(f"hm{marks.close}4") == Parts(reasoning=closed_alone[0], answer=closed_alone[1])


def test_a_prompt_whose_reasoning_is_closed_opens_none() -> None:
    assert opened_by("<|assistant|>\n<think>\n\n</think>\n\n") is None


def test_where_the_prompt_is_known_a_closing_mark_alone_is_an_answer() -> None:
    text = "The mark </think> closes it"
    assert separate(text, knows_prompt=True) == Parts(reasoning=None, answer=text)


@given(st.text())
def test_without_a_mark_all_is_the_answer(text: str) -> None:
    if not any(mark in text for each in KNOWN_MARKS for mark in (each.open, each.close)):
        assert separate(text).answer == text or text.startswith("analysis")


@given(st.text(), st.text(alphabet="ab4 \n"))
def test_what_stands_between_marks_is_never_in_the_answer(reasoning: str, answer: str) -> None:
    if not any(mark in reasoning for each in KNOWN_MARKS for mark in (each.open, each.close)):
        parts = separate(f"<think>{reasoning}</think>{answer}")
        assert parts == Parts(reasoning=reasoning.strip(), answer=answer.lstrip())


def test_marks_of_the_rung_come_before_the_known_ones() -> None:
    reply = with_reasoning_apart(Reply(text="<<hm>>4"), rung(reasoning={"open": "<<", "close": ">>"}))
    assert (reply.text, reply.reasoning) == ("4", "hm")


def test_marks_may_be_part_of_the_answer() -> None:
    reply = with_reasoning_apart(Reply(text="<think>hm</think>4"), rung(reasoning=False))
    assert (reply.text, reply.reasoning) == ("<think>hm</think>4", None)


def test_a_rung_may_say_that_its_model_reasons() -> None:
    assert marks_of(rung(reasoning=True)) == marks_of(rung())


@pytest.mark.parametrize("option", [{}, {"open": "<"}, {"open": "", "close": ">"}, {"open": 1, "close": 2}])
def test_another_form_of_marks_is_refused(option: Any) -> None:
    with pytest.raises(ConfigError, match="write the marks around the model's reasoning"):
        marks_of(rung(reasoning=option))


def test_unknown_marks_are_told_and_no_wrong_answer() -> None:
    with pytest.raises(RungError, match=r"begins with <reflection> .. </reflection>.*add reasoning = ") as caught:
        apart("<reflection>hm</reflection>4")
    assert caught.value.reason == "bad_reply"
    assert apart("<reflection>hm</reflection>4", prompt="Answer in <reflection> marks") == (
        "<reflection>hm</reflection>4",
        None,
    )
    assert apart("<b>hm</b>4") == ("<b>hm</b>4", None)
    assert apart("<thoughts>nothing else</thoughts>") == ("<thoughts>nothing else</thoughts>", None)


def test_a_provider_that_looked_is_believed() -> None:
    assert apart("The mark </think> closes it", reasoning="") == ("The mark </think> closes it", None)
    assert apart("<think></think>4", reasoning="hm") == ("4", "hm")


def test_the_words_of_a_conversation_hold_those_of_its_parts() -> None:
    messages: list[Mapping[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "tool", "content": None},
    ]
    assert words_of([*messages, {"content": "b"}]) == "a\n\nb"


def test_reasoning_is_found_for_counting_wherever_it_stands() -> None:
    assert reasoning_in("well <think>hm</think>4") == "hm"
    assert reasoning_in("<|channel|>analysis<|message|>simple<|end|>") == "simple"


def test_variables_of_a_request_come_before_those_of_the_rung() -> None:
    body = {"chat_template_kwargs": {"a": 1}, "seed": 1}
    assert with_template_kwargs(body, rung(chat_template_kwargs={"a": 2, "b": 3})) == {
        "chat_template_kwargs": {"a": 1, "b": 3},
        "seed": 1,
    }
    assert with_template_kwargs({"seed": 1}, rung()) == {"seed": 1}
