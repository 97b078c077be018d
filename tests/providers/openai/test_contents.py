"""Messages in all the shapes that endpoints write them."""

from typing import Any

import pytest

from pytest_rightsize.providers.openai.contents import content_of
from pytest_rightsize.providers.openai.faults import AnswerFaultError
from pytest_rightsize.providers.openai.replies import read_completion

CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("reference", "message", "text", "reasoning"),
    [
        ("openai", {"content": "hi"}, "hi", None),
        ("vercel/ai#8072", {"content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}, "hi", None),
        (
            "simonw/llm-mistral#39",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "hi"},
                ]
            },
            "hi",
            "hm",
        ),
        ("Responses", {"content": [{"type": "output_text", "text": "hi"}]}, "hi", None),
        (
            "Mistral",
            {"content": [{"type": "text", "text": "hi"}, {"type": "reference", "reference_ids": [1]}]},
            "hi",
            None,
        ),
        (
            "Anthropic",
            {"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "hi"}]},
            "hi",
            None,
        ),
        ("DeepSeek", {"content": "hi", "reasoning_content": "hm"}, "hi", "hm"),
        ("OpenRouter", {"content": "hi", "reasoning": "hm"}, "hi", "hm"),
        ("OpenRouter", {"content": "hi", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "hi", "hm"),
        (
            "OpenRouter",
            {"content": "hi", "reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]},
            "hi",
            "hm",
        ),
        (
            "OpenRouter",
            {"content": "hi", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            "hi",
            None,
        ),
        ("LiteLLM", {"content": "hi", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, "hi", "hm"),
        ("LiteLLM", {"content": "hi", "provider_specific_fields": {"reasoning_content": "hm"}}, "hi", "hm"),
        ("Ollama", {"content": "hi", "thinking": "hm"}, "hi", "hm"),
        ("nothing", {"content": None}, "", None),
        ("nothing", {}, "", None),
    ],
)
def test_text_and_reasoning(reference: str, message: Any, text: str, reasoning: str | None) -> None:
    content = content_of(message)
    assert (content.text, content.reasoning, content.refusal) == (text, reasoning, None)


@pytest.mark.parametrize(
    "content", [{"queue": "billing"}, [1], [{"type": "text"}], [{"type": "hologram", "text": "x"}], 7, True]
)
def test_what_cannot_be_read_is_no_empty_answer(content: Any) -> None:
    with pytest.raises(ValueError, match=r"the content|a part"):
        content_of({"content": content})


def test_a_refusal_among_the_parts_is_one() -> None:
    completion = {"choices": [{"message": {"content": [{"type": "refusal", "refusal": "I will not"}]}}]}
    reply = read_completion(completion, 0.1, 0).reply
    assert (reply.text, reply.finish_reason) == ("I will not", "content_filter")


@pytest.mark.parametrize(
    ("message", "calls"),
    [
        ({"content": None, "tool_calls": [{**CALL, "index": None}]}, (CALL,)),
        ({"content": None, "tool_calls": CALL}, (CALL,)),
        ({"content": None, "function_call": CALL["function"]}, ({"type": "function", "function": CALL["function"]},)),
        ({"content": [{"type": "tool_use", "id": "1", "name": "add", "input": {}}]}, (CALL,)),
    ],
    ids=["list", "one", "legacy", "parts"],
)
def test_calls_in_every_form(message: Any, calls: Any) -> None:
    assert content_of(message).calls == calls


@pytest.mark.parametrize(
    ("choice", "finish_reason"),
    [
        ({"finish_reason": "content_filter"}, "content_filter"),  # bespokelabsai/curator#261
        ({"finish_reason": "content_filter: SAFETY", "message": {"role": "assistant"}}, "content_filter"),
        ({"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS", "message": {"content": "a"}}, "length"),
        ({"finish_reason": "MALFORMED_FUNCTION_CALL", "message": {"content": ""}}, "malformed"),
        ({"finish_reason": "tool_use", "message": {"content": ""}}, "tool_calls"),
    ],
)
def test_a_finish_reason_is_told_in_the_words_of_openai(choice: Any, finish_reason: str) -> None:
    assert read_completion({"choices": [choice]}, 0.1, 0).reply.finish_reason == finish_reason


@pytest.mark.parametrize(
    ("reference", "choice", "kind", "words"),
    [
        (
            "maximhq/bifrost#5425",
            {"finish_reason": "error", "message": {"content": "bil"}, "error": {"code": 502, "message": "lost"}},
            "server",
            "lost",
        ),
        (
            "OpenRouter",
            {"finish_reason": "stop", "message": {"content": "bil"}, "error": {"code": 429, "message": "slow"}},
            "rate_limit",
            "slow",
        ),
        (
            "DeepSeek",
            {"finish_reason": "insufficient_system_resource", "message": {"content": "bil"}},
            "server",
            "broken off",
        ),
        (
            "LiteLLM 1.93",
            {
                "finish_reason": "stop",
                "message": {"content": "bil"},
                "provider_specific_fields": {"native_finish_reason": "insufficient_system_resource"},
            },
            "server",
            "broken off",
        ),
        (
            "SGLang",
            {
                "finish_reason": {"type": "abort", "message": "the queue is full", "status_code": 503},
                "message": {"content": ""},
            },
            "rate_limit",
            "the queue is full",
        ),
        ("vLLM", {"finish_reason": "abort", "message": {"content": "bil"}}, "server", "broken off"),
        (
            "can1357/oh-my-pi#7465 (Ollama)",
            {"finish_reason": "load", "message": {"content": ""}},
            "loading",
            "broken off",
        ),
    ],
)
def test_an_answer_that_a_fault_has_cut_off_is_that_fault(reference: str, choice: Any, kind: str, words: str) -> None:
    with pytest.raises(AnswerFaultError, match=words) as caught:
        read_completion({"choices": [choice]}, 0.1, 0)
    assert caught.value.fault.kind == kind


def test_an_empty_answer_beside_reasoning_has_a_hint() -> None:
    """QwenLM/Qwen3#1297, vllm-project/vllm#17609."""
    completion = {"choices": [{"finish_reason": "stop", "message": {"content": None, "reasoning_content": "billing"}}]}
    notes = read_completion(completion, 0.1, 0).notes
    assert len(notes) == 1
    assert "empty beside its reasoning" in notes[0]
    completion["choices"][0]["finish_reason"] = "length"
    assert read_completion(completion, 0.1, 0).notes == ()
