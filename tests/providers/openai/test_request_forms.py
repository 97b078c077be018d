"""What is learned from an endpoint's refusals, and which schemas OpenAI's strict mode takes."""

from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.openai.faults import Fault
from pytest_rightsize.providers.openai.request_forms import RequestForm, allows_strict, schema_field

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
OPEN = {**CLOSED, "additionalProperties": True}


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (CLOSED, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"a": OPEN}}, False),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": OPEN}}}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}}, True),
        ({**CLOSED, "properties": {"a": {"anyOf": [OPEN]}}}, False),
        ({**CLOSED, "$defs": {"b": OPEN}}, False),
        ({**CLOSED, "properties": {"a": {"allOf": [CLOSED]}}}, False),
        ({**CLOSED, "properties": {"a": {"not": {}}}}, False),
    ],
)
def test_strict_mode_takes_what_is_closed_all_the_way_down(schema: Any, is_strict: bool) -> None:
    assert allows_strict(schema) is is_strict


def form(**options: Any) -> tuple[RequestForm, list[str]]:
    notes: list[str] = []
    return RequestForm(**{"model": "m", "host": "h", **options}, on_note=notes.append), notes


def refusal(words: str, kind: Any = "request") -> Fault:
    return Fault(kind=kind, words=words, status=400)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("the queue is full of max_tokens", "request"),
        ("max_tokens must be at least 1", "request"),
        ("messages must not be empty", "request"),
        ("temperature of the room", "request"),
        ("Unsupported parameter: 'max_tokens'", "rate_limit"),
        ("Unsupported parameter: 'max_tokens'", "refusal"),
    ],
)
def test_nothing_is_learned_from_words_that_ask_for_nothing_else(words: str, kind: Any) -> None:
    learner, notes = form()
    sent = {"max_tokens": 1, "temperature": 0.0}
    assert not learner.learn(refusal(words, kind), sent)
    assert learner.fitted(sent) == sent
    assert notes == []


def test_a_name_of_the_limit_is_learned_both_ways() -> None:
    learner, _ = form(model="gpt-5", host="api.openai.com")
    body = {"max_tokens": 1}
    assert learner.fitted(body) == {"max_completion_tokens": 1}
    assert learner.learn(refusal("max_completion_tokens: Extra inputs are not permitted"), learner.fitted(body))
    assert learner.fitted(body) == {"max_tokens": 1}


@pytest.mark.parametrize(
    "words",
    [
        "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
        "'reasoning_content' is unsupported)]",
        "Unknown parameter: 'messages[1].reasoning_content'.",
    ],
)
def test_reasoning_of_earlier_turns_is_left_out_where_it_is_refused(words: str) -> None:
    learner, notes = form()
    body = {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "c"}]
    }
    assert learner.fitted(body) == body
    assert learner.learn(refusal(words), body)
    assert learner.fitted(body)["messages"] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert not learner.learn(refusal(words), learner.fitted(body))
    assert [note.partition(" (")[0] for note in notes] == [
        "takes no reasoning of earlier turns, which is left out from now on"
    ]


def test_strict_is_left_out_where_it_is_refused_before_another_form_is_tried() -> None:
    learner, notes = form()
    body = {"response_format": schema_field(CLOSED)}
    sent = learner.fitted(body, CLOSED)
    assert sent["response_format"]["json_schema"]["strict"] is True
    words = "Invalid schema for response_format 'answer': In context=(), 'format' is not permitted."
    assert learner.learn(refusal(words), sent, has_schema=True)
    sent = learner.fitted(body, CLOSED)
    assert sent["response_format"] == schema_field(CLOSED)
    assert notes == []


def test_a_schema_that_is_not_taken_at_all_is_told_and_left_out() -> None:
    learner, notes = form()
    body = {"messages": [], "response_format": schema_field(OPEN)}
    for _ in range(3):
        sent = learner.fitted(body, OPEN)
        assert learner.learn(refusal("response_format is not supported by this model"), sent, has_schema=True)
    assert learner.fitted(body, OPEN) == {"messages": []}
    assert not learner.learn(refusal("response_format is not supported by this model"), {"messages": []})
    assert len(notes) == 2
    assert notes[-1].startswith("takes no response_format")


def test_what_another_request_has_learned_is_not_learned_again() -> None:
    learner, notes = form()
    sent = learner.fitted({"response_format": schema_field(OPEN)}, OPEN)
    for _ in range(5):  # five that were in flight with the first form
        assert learner.learn(refusal("json_schema is not supported"), sent, has_schema=True)
    assert learner.fitted({"response_format": schema_field(OPEN)}, OPEN)["response_format"]["type"] == "json_object"
    assert notes == []


def test_a_response_format_of_the_users_own_teaches_nothing() -> None:
    learner, _ = form()
    sent = {"response_format": {"type": "json_schema", "json_schema": {}}}
    assert not learner.learn(refusal("response_format is not supported by this model"), sent)
    assert learner.fitted({"response_format": schema_field(OPEN)}, OPEN)["response_format"]["type"] == "json_schema"


def test_a_form_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"structured_output = 'xml' cannot be: write one of json_schema"):
        form(structured_output="xml")


def test_a_grammar_is_made_of_the_schema() -> None:
    pytest.importorskip("llama_cpp")
    learner, _ = form(structured_output="grammar")
    fitted = learner.fitted({"response_format": schema_field(CLOSED)}, CLOSED)
    assert set(fitted) == {"grammar"}
    assert "root ::=" in fitted["grammar"]
    with pytest.raises(RungError, match="cannot be made a grammar") as caught:
        learner.fitted({"response_format": {}}, {"$ref": "#/nowhere"})
    assert caught.value.alone
