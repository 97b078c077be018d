"""Calls of an application as exchanges: each distinct one once, in the words of `model.ask`."""

from typing import Any

from pytest_rightsize.authoring.heard_calls import HeardCalls
from pytest_rightsize.records import Reply
from pytest_rightsize.served.wires import Asked


def asked(*messages: dict[str, Any], model: str = "big", **more: Any) -> Asked:
    return Asked(messages=messages, model=model, **more)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def call(ident: str) -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def heard(*calls: tuple[Asked, Reply]) -> HeardCalls:
    found = HeardCalls()
    for question, reply in calls:
        found.add(question, reply)
    return found


def test_the_same_question_is_one_case_with_its_count() -> None:
    exchanges = heard((asked(user("a")), Reply(text="A")), (asked(user("a")), Reply(text="A"))).exchanges()
    assert [(each.ask, each.answers, each.about) for each in exchanges] == [
        ({"prompt": "a"}, ("A",), {"answer": "A", "model": "big", "calls": 2})
    ]


def test_the_most_frequent_answer_counts_and_the_others_are_kept() -> None:
    replies = [Reply(text=text) for text in ("B", "A", "C", "A")]
    (exchange,) = heard(*((asked(user("a")), reply) for reply in replies)).exchanges()
    assert exchange.answers == ("A",)
    assert exchange.about == {"answer": "A", "model": "big", "calls": 4, "also_answered": ["B", "C"]}


def test_another_model_or_parameter_is_another_question() -> None:
    questions = [asked(user("a")), asked(user("a"), model="small"), asked(user("a"), temperature=0.0)]
    assert len(heard(*((question, Reply(text="A")) for question in questions)).exchanges()) == 3


def test_a_system_message_and_a_prompt_read_best_apart() -> None:
    system = {"role": "system", "content": "s"}
    asks = [
        heard((asked(*messages), Reply(text="A"))).exchanges()[0].ask
        for messages in ([system, user("a")], [user("a"), user("b")], [system])
    ]
    assert asks == [
        {"system": "s", "prompt": "a"},
        {"messages": [user("a"), user("b")]},
        {"messages": [system]},
    ]


def test_ids_of_calls_make_no_new_question() -> None:
    def turn(ident: str) -> Asked:
        answer = {"role": "tool", "tool_call_id": ident, "content": "21"}
        return asked(user("a"), {"role": "assistant", "content": None, "tool_calls": [call(ident)]}, answer)

    (exchange,) = heard((turn("call_xyz"), Reply(text="A")), (turn("call_abc"), Reply(text="A"))).exchanges()
    messages = exchange.ask["messages"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == "call_1"


def test_ids_of_calls_make_no_new_answer() -> None:
    replies = [Reply(text="", tool_calls=(call(ident),)) for ident in ("x", "y")]
    (exchange,) = heard(*((asked(user("a")), reply) for reply in replies)).exchanges()
    assert exchange.about == {"model": "big", "calls": 2}
    assert exchange.tool_calls == (call("x"),)


def test_what_only_one_vendor_takes_is_left_out_and_named() -> None:
    tools = ({"type": "function", "function": {"name": "f"}},)
    question = asked(
        user("a"), tools=tools, max_tokens=5, seed=1, extra={"tool_choice": "required", "reasoning_effort": "low"}
    )
    found = heard((question, Reply(text="A")))
    expected = {"prompt": "a", "tools": [*tools], "max_tokens": 5, "seed": 1, "tool_choice": "required"}
    assert found.exchanges()[0].ask == expected
    assert found.left_out == {"reasoning_effort"}


def test_reasoning_in_the_text_is_no_part_of_the_answer() -> None:
    (exchange,) = heard((asked(user("a")), Reply(text="<think>hm</think>\n\nA"))).exchanges()
    assert exchange.answers == ("A",)


def test_an_answer_that_ended_at_a_limit_is_marked() -> None:
    (exchange,) = heard((asked(user("a")), Reply(text="A", finish_reason="length"))).exchanges()
    assert exchange.cut_off
    assert exchange.about["finish_reason"] == "length"
