"""Counts of tokens as endpoints report them: what is counted in, and what contradicts itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.providers.openai.counts import counts_in
from pytest_rightsize.records import Price

PRICE = Price(prompt=1.0, completion=10.0, cached=0.1)


def details(reasoning: int) -> dict[str, Any]:
    return {"completion_tokens_details": {"reasoning_tokens": reasoning}}


@pytest.mark.parametrize(
    ("reference", "usage", "prompt", "cached", "completion", "reasoning"),
    [
        ("openai", {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19, **details(5)}, 10, None, 9, 5),
        (
            "vercel/ai#12425",
            {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 331, **details(317)},
            12,
            None,
            319,
            317,
        ),
        (
            "Wei-Shaw/sub2api#5771",
            {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 72, **details(20)},
            12,
            None,
            60,
            20,
        ),
        (
            "BerriAI/litellm#5017",
            {
                "prompt_tokens": 1000,
                "completion_tokens": 2,
                "prompt_cache_hit_tokens": 900,
                "prompt_cache_miss_tokens": 100,
            },
            1000,
            900,
            2,
            None,
        ),
        ("Moonshot", {"prompt_tokens": 100, "completion_tokens": 2, "cached_tokens": 64}, 100, 64, 2, None),
        (
            "LiteLLM",
            {
                "prompt_tokens": 100,
                "completion_tokens": 2,
                "total_tokens": 102,
                "cache_read_input_tokens": 90,
                "prompt_tokens_details": {"cached_tokens": 90},
            },
            100,
            90,
            2,
            None,
        ),
        (
            "Anthropic",
            {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5},
            105,
            90,
            2,
            None,
        ),
        (
            "Anthropic beside a prompt",
            {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 102, "cache_read_input_tokens": 90},
            100,
            90,
            2,
            None,
        ),
        (
            "Gemini",
            {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "cached_content_token_count": 8},
            10,
            8,
            2,
            None,
        ),
        (
            "xAI",
            {"prompt_tokens": 10, "completion_tokens": 60, "total_tokens": 70, "reasoning_tokens": 50},
            10,
            None,
            60,
            50,
        ),
        (
            "a zero filled in",
            {
                "prompt_tokens": 100,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 0},
                "prompt_cache_hit_tokens": 64,
            },
            100,
            64,
            2,
            None,
        ),
    ],
)
def test_counts_in_the_spelling_of_any_vendor(
    reference: str, usage: Any, prompt: int, cached: int | None, completion: int, reasoning: int | None
) -> None:
    tokens, doubts = counts_in(usage, wrote=True, reasoned=False)
    assert (tokens.prompt, tokens.cached, tokens.completion, tokens.reasoning) == (
        prompt,
        cached,
        completion,
        reasoning,
    )
    assert doubts == ()


@pytest.mark.parametrize(
    ("reference", "usage", "known"),
    [
        (
            "BerriAI/litellm#23342",
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 2495},
            },
            (None, 2),
        ),
        (
            "Perplexity",
            {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "reasoning_tokens": 193000},
            (33, None),
        ),
        ("no total", {"prompt_tokens": 33, "completion_tokens": 5, **details(9)}, (33, None)),
        ("more than its parts", {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 50}, (10, None)),
        ("less than its parts", {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 12}, (None, None)),
        (
            "hit and miss",
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 3},
            (None, 2),
        ),
        ("negative", {"prompt_tokens": 10, "completion_tokens": -1}, (10, None)),
        ("float", {"prompt_tokens": 10.0, "completion_tokens": 2.0}, (None, None)),
    ],
)
def test_a_count_that_cannot_be_is_unknown_and_said(
    reference: str, usage: Any, known: tuple[int | None, int | None]
) -> None:
    tokens, doubts = counts_in(usage, wrote=True, reasoned=False)
    assert (tokens.prompt, tokens.completion) == known
    assert doubts
    assert PRICE.cost_usd(tokens) is None


def test_reasoning_that_only_the_total_betrays_is_counted_where_there_is_some() -> None:
    """vercel/ai#6738, router-for-me/CLIProxyAPI#5733: Gemini's endpoint leaves it out of completion_tokens."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 50}
    for reasoned, host in ((True, ""), (False, "generativelanguage.googleapis.com")):
        tokens, doubts = counts_in(usage, wrote=True, reasoned=reasoned, host=host)
        assert (tokens.completion, tokens.reasoning, doubts) == (40, 38, ())


def test_a_vendor_that_leaves_reasoning_out_is_known_without_a_total() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, **details(30)}
    tokens, _ = counts_in(usage, wrote=True, reasoned=False, host="api.x.ai")
    assert (tokens.completion, tokens.reasoning) == (32, 30)


COUNTS = st.none() | st.integers(-3, 3000) | st.floats(0, 10) | st.sampled_from(["7", True, {}, []])


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens"),
                *("prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cache_read_input_tokens", "input_tokens"),
            ]
        ),
        COUNTS,
    ),
    st.booleans(),
    st.booleans(),
)
def test_no_count_is_below_zero_or_above_what_it_is_part_of(usage: Any, wrote: bool, reasoned: bool) -> None:
    tokens, _ = counts_in(usage, wrote=wrote, reasoned=reasoned)
    for part, whole in ((tokens.cached, tokens.prompt), (tokens.reasoning, tokens.completion)):
        if part is not None:
            assert whole is not None
            assert 0 <= part <= whole
    cost = PRICE.cost_usd(tokens)
    assert cost is None or cost >= 0
