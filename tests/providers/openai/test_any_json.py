"""Whatever JSON an endpoint sends is a reply, a fault or unreadable, and never another exception."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.providers.openai.error_bodies import report_of
from pytest_rightsize.providers.openai.http import UNREADABLE
from pytest_rightsize.providers.openai.outcomes import fault_of
from pytest_rightsize.providers.openai.replies import read_completion

NAMES = [
    *(
        "choices",
        "message",
        "content",
        "type",
        "text",
        "thinking",
        "tool_calls",
        "function_call",
        "refusal",
        "reasoning",
    ),
    *(
        "reasoning_details",
        "finish_reason",
        "error",
        "errors",
        "detail",
        "code",
        "metadata",
        "raw",
        "usage",
        "base_resp",
    ),
    *("prompt_tokens", "completion_tokens", "total_tokens", "loc", "msg", "retryDelay", "details", "innererror"),
]
WORDS = st.sampled_from(
    ["stop", "error", "content_filter", "text", "thinking", '{"error": {"message": "x"}}', "[[", "429"]
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 600) | st.floats(allow_nan=False) | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)


@given(JSON)
def test_a_completion_is_read_or_is_none(value: Any) -> None:
    for answer in (
        value,
        {"choices": [value]},
        {"choices": [{"message": value, "finish_reason": "stop"}], "usage": value},
    ):
        try:
            reply = read_completion(answer, 0.1, 0).reply
        except UNREADABLE:
            continue
        assert isinstance(reply.text, str)
        assert reply.reasoning is None or isinstance(reply.reasoning, str)
        assert reply.finish_reason is None or isinstance(reply.finish_reason, str)


@given(JSON, st.integers(100, 599))
def test_an_error_is_always_sorted(value: Any, status: int) -> None:
    fault = fault_of(report_of(status, json.dumps(value)))
    assert isinstance(fault.words, str)
    assert fault.wait_s is None or fault.wait_s >= 0


@given(st.text(max_size=200), st.integers(100, 599))
def test_any_text_is_sorted(text: str, status: int) -> None:
    assert fault_of(report_of(status, text)).kind


def test_deep_nesting_is_sorted() -> None:
    assert fault_of(report_of(500, "[" * 10_000)).kind == "server"
    assert fault_of(report_of(500, '{"error":' * 500 + '"x"' + "}" * 500)).kind == "server"
