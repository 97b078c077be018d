"""Answers follow their schema, or the schema is refused by name; on a model that would write anything else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from pytest_rightsize.providers.llama_cpp.structured_output import _closed
from pytest_rightsize.records import Reply, Request, Rung

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'")
pytest.importorskip("llguidance", reason="llguidance is not installed: pip install 'pytest-rightsize[local]'")
pytest.importorskip("gguf", reason="gguf is not installed, which writes the model")
from tests.providers.llama_cpp.random_gguf import TINY, write_model  # needs gguf

NODE = {
    "type": "object",
    "properties": {"v": {"enum": [1, 2]}, "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}},
    "required": ["v", "next"],
}


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    """Random weights: every token that the schema leaves open is drawn by chance."""
    path = write_model(tmp_path_factory.mktemp("models") / "endless.gguf", TINY)
    provider = LlamaCpp(Rung(name="local", provider="llama_cpp", model=str(path), options={"n_threads": 1}))
    yield provider
    provider.close()


def ask(provider: LlamaCpp, schema: Any = None, **more: Any) -> Reply:
    asked = {"max_tokens": 300} | more
    return provider.submit(Request(messages=({"role": "user", "content": "hi"},), schema=schema, **asked)).result()


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["red", "Zürich", "🙂"]},
        {"type": "integer", "minimum": 3, "maximum": 7},
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 6},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "integer"},
        {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 99},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"},
        {"type": "string", "maxLength": 8},
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 3},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"enum": ["k"]}], "minItems": 2, "maxItems": 2},
        {"type": "object", "properties": {'a "q" \\ b': {"type": "boolean"}}, "required": ['a "q" \\ b']},
        {"const": {"a": [1, 2]}},
        {"type": ["boolean", "null"]},
        {"$defs": {"n": NODE}, "$ref": "#/$defs/n"},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_an_answer_that_has_ended_follows_its_schema(endless: LlamaCpp, schema: Any, temperature: float) -> None:
    import jsonschema

    reply = ask(endless, schema, temperature=temperature, seed=1)
    if reply.finish_reason == "stop":
        jsonschema.validate(json.loads(reply.text), schema)
    else:
        # Only what may go on for ever is cut off.
        assert "$defs" in schema


@pytest.mark.parametrize(
    "extra",
    [
        {"response_format": {"type": "json_object", "schema": {"enum": [7]}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": [7]}}}},
    ],
)
def test_every_spelling_holds_the_answer(endless: LlamaCpp, extra: Any) -> None:
    assert ask(endless, extra=extra).text == "7"


def test_no_line_break_is_written_into_a_string(endless: LlamaCpp) -> None:
    reply = ask(endless, {"type": "string", "maxLength": 30}, temperature=2.0, seed=5)
    assert len(json.loads(reply.text)) <= 30


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strng"}, "no JSON schema: 'strng'"),
        ({"$ref": "https://127.0.0.1:9/x.json"}, "127.0.0.1:9/x.json"),
        ({"type": "string", "pattern": "^(?=a)b$"}, "look-ahead"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused_by_name(
    endless: LlamaCpp, schema: Any, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RungError, match=f"the schema cannot be enforced .*{words}") as caught:
        ask(endless, schema)
    assert caught.value.reason == "request"
    assert capfd.readouterr().err == ""


def test_what_no_grammar_enforces_is_checked_and_told(endless: LlamaCpp) -> None:
    """`not` is such a word: an answer that breaks it is no fault of the model, and no answer either."""
    kept = {"enum": [1], "not": {"type": "string"}}
    assert ask(endless, kept).text == "1"
    with pytest.raises(RungError, match=r"breaks a part of the schema that cannot be enforced .*not at "):
        ask(endless, {"enum": ["a"], "not": {"type": "string"}})


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"type": "object", "properties": {"a": {}}}, True),
        ({"properties": {"a": {}}}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, False),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["b"]}, False),
        ({"type": "object", "properties": {"a": {}}, "minProperties": 2}, False),
        ({"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["b"]}]}, False),
    ],
)
def test_an_object_has_no_other_properties_where_none_are_meant(schema: Any, closed: bool) -> None:
    assert (_closed(schema).get("additionalProperties") is False) == closed


def test_a_property_may_have_any_name() -> None:
    schema = {"properties": {"properties": {"type": "integer"}, "const": {"properties": {"a": {}}}}}
    assert _closed(schema) == {
        "properties": {
            "properties": {"type": "integer"},
            "const": {"properties": {"a": {}}, "additionalProperties": False},
        },
        "additionalProperties": False,
    }


def test_margins_of_a_constrained_answer_are_finite_and_are_those_of_choices(endless: LlamaCpp) -> None:
    """Where the schema leaves no choice nothing can fall the other way."""
    forced = ask(endless, {"const": "abc"})
    assert forced.text == '"abc"'
    assert forced.margin is None or forced.margin < 100
    chosen = ask(endless, {"enum": ["red", "blue"]})
    assert chosen.margin is not None
    assert 0 <= chosen.margin < 100


def test_a_greedy_answer_with_a_bias_or_a_penalty_has_a_margin(endless: LlamaCpp) -> None:
    for extra in ({"logit_bias": {"70": 3.0}}, {"repeat_penalty": 1.5}):
        margin = ask(endless, max_tokens=6, extra=extra).margin
        assert margin is not None
        assert 0 <= margin < 100
