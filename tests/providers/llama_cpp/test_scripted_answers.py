"""What a test gets of an answer whose tokens are given: reasoning, tool calls and text, by the template's own words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import RungError
from pytest_rightsize.records import Reply, Request, Rung

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'")
pytest.importorskip("llguidance", reason="llguidance is not installed: pip install 'pytest-rightsize[local]'")
pytest.importorskip("gguf", reason="gguf is not installed, which writes the model")
from pytest_rightsize.providers.llama_cpp import sampling
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp
from tests.providers.llama_cpp.random_gguf import END_TOKEN, TINY, write_model

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
THINKING = "{{ messages[-1].content }}\n<think>\n"
PLAIN = "{{ tools }}{{ messages[-1].content }}{% if off is defined %} /off{% endif %}"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Answers with what it is told to; every byte is a token."""
    opened: list[LlamaCpp] = []
    script: list[int] = []
    monkeypatch.setattr(sampling.Sampler, "draw", lambda *_: script.pop(0) if script else END_TOKEN)

    def answer(template: str, words: str, *, options: dict[str, Any] | None = None, **more: Any) -> Reply:
        path = write_model(tmp_path / f"{len(opened)}.gguf", TINY, template=template)
        rung = Rung(name="local", provider="llama_cpp", model=str(path), options={"n_threads": 1, **(options or {})})
        opened.append(LlamaCpp(rung))
        script[:] = [3 + byte for byte in words.encode()]
        fields = {"max_tokens": 200} | more
        return opened[-1].submit(Request(messages=({"role": "user", "content": "Hi"},), **fields)).result(60)

    yield answer
    for provider in opened:
        provider.close()


def test_reasoning_that_the_template_has_begun_is_no_answer(model: Any) -> None:
    reply = model(THINKING, "hm\n</think>\n\n4")
    assert (reply.text, reply.reasoning, reply.tokens.reasoning) == ("4", "hm", 2)


def test_reasoning_that_is_cut_off_leaves_no_answer(model: Any) -> None:
    reply = model(THINKING, "hm, so 2+2 is", max_tokens=8)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("", "hm, so 2", "length")


def test_a_question_that_ends_with_a_mark_begins_no_reasoning(model: Any) -> None:
    reply = model("{{ messages[-1].content }}", "An opening tag.", options={"reasoning": {"open": "Hi", "close": "Ho"}})
    assert (reply.text, reply.reasoning) == ("An opening tag.", "")


def test_a_call_becomes_one(model: Any) -> None:
    reply = model(PLAIN, CALL, tools=(TOOL,))
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")
    assert reply.tool_calls[0]["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}


def test_without_tools_a_call_is_text(model: Any) -> None:
    assert model(PLAIN, CALL).text == CALL


def test_variables_of_rung_and_request_reach_the_template(model: Any) -> None:
    lengths = [
        model(PLAIN, "x", options=options, extra=extra).tokens.prompt
        for options, extra in (
            ({}, {}),
            ({"chat_template_kwargs": {"off": True}}, {}),
            ({}, {"chat_template_kwargs": {"off": True}}),
        )
    ]
    assert lengths[0] < lengths[1] == lengths[2]


def test_what_a_template_refuses_is_told_in_its_words(model: Any) -> None:
    with pytest.raises(RungError, match=r"refused the conversation \(No user turns, please\)") as caught:
        model("{{ raise_exception('No user turns, please') }}", "x")
    assert caught.value.reason == "request"


def test_the_vocabulary_bounds_a_bias(model: Any) -> None:
    with pytest.raises(RungError, match="its tokens are 0 to 511"):
        model(PLAIN, "x", extra={"logit_bias": {"512": 1}})
