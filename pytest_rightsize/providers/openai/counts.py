"""Token counts of an answer from what endpoints of any vendor report; pure.

The `usage` of a completion comes in, Tokens go out, with a sentence for each count that contradicts another. Such a
count is unknown: a cost from it could be negative, or a hundred times too low.
"""

from collections.abc import Mapping
from functools import cache

from pytest_rightsize.records import Json, Tokens

__all__ = ["counts_in"]

# Where vendors report what they read from a cache: OpenAI and most others; the Responses API; DeepSeek; Anthropic by
# way of LiteLLM and OpenRouter; Moonshot; Gemini.
_CACHED = (
    *(("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens")),
    *("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens"),
    *("cached_content_token_count", "cachedContentTokenCount"),
)
_CREATED = ("cache_creation_input_tokens", ("prompt_tokens_details", "cache_creation_tokens"))
# What was reasoned: OpenAI and most others; the Responses API; xAI, Together and Perplexity; Gemini.
_REASONING = (
    *(("completion_tokens_details", "reasoning_tokens"), ("output_tokens_details", "reasoning_tokens")),
    *("reasoning_tokens", "thoughts_token_count", "thoughtsTokenCount"),
)
_PROMPT = ("prompt_tokens", "promptTokenCount", "prompt_token_count")
_COMPLETION = ("completion_tokens", "candidatesTokenCount", "candidates_token_count")
_TOTAL = ("total_tokens", "totalTokenCount", "total_token_count")
_PLAIN = (*_PROMPT, *_COMPLETION, *_TOTAL)
# Their completion tokens leave the reasoning out, whatever else they report: xAI, and Gemini's compatible endpoint
# (vercel/ai#12425, vercel/ai#6738).
_APART_AT = ("x.ai", "googleapis.com")

Name = str | tuple[str, str]


def counts_in(usage: Json, *, wrote: bool, reasoned: bool, host: str = "") -> tuple[Tokens, tuple[str, ...]]:
    """The counts, and what contradicts what; `wrote` and `reasoned` say whether there is an answer, and reasoning.

    A zero for what is there means that it was not counted, and without a prompt count all are unknown. Raises TypeError
    if the usage is no object.
    """
    if usage is not None and not isinstance(usage, dict):
        raise TypeError(f"the usage is no object but {type(usage).__name__}")
    if not usage:
        return Tokens(), ()
    if usage.get("prompt_tokens") is None and "cache_read_input_tokens" in usage:
        usage = _from_anthropic(usage)
    doubts = [
        f"{name} is {value!r:.20}"
        for name in _PLAIN
        if (value := usage.get(name)) is not None and _count(usage, name) is None
    ]
    prompt, completion = _first(usage, _PROMPT), _first(usage, _COMPLETION)
    if not prompt:
        return Tokens(), tuple(doubts)
    if not completion and (wrote or reasoned):
        completion = None
    cached, created = _cached(usage, doubts), _first(usage, _CREATED) or 0
    reasoning, total = _first(usage, _REASONING), _first(usage, _TOTAL) or None
    if completion is None:
        # Reasoning is part of what was not counted.
        reasoning = None
    else:
        prompt, completion, reasoning = _summed(
            prompt,
            completion,
            reasoning,
            total,
            outside=(cached or 0) + created,
            reasoned=reasoned,
            host=host,
            doubts=doubts,
        )
    if prompt is not None and cached is not None and cached > prompt:
        doubts.append(f"{cached:,} cached tokens of {prompt:,} in the prompt")
        prompt = cached = None
    hit, miss = _count(usage, "prompt_cache_hit_tokens"), _count(usage, "prompt_cache_miss_tokens")
    if prompt is not None and hit is not None and miss is not None and hit + miss != prompt:
        doubts.append(f"{hit:,} tokens from the cache and {miss:,} others of {prompt:,} in the prompt")
        prompt = cached = None
    if not reasoning and reasoned:
        reasoning = None
    return Tokens(
        prompt=prompt,
        cached=None if prompt is None else cached,
        completion=completion,
        reasoning=reasoning,
        source="reported",
        reasoning_source="unknown" if reasoning is None else None,
    ), tuple(doubts)


def _summed(
    prompt: int,
    completion: int,
    reasoning: int | None,
    total: int | None,
    *,
    outside: int,
    reasoned: bool,
    host: str,
    doubts: list[str],
) -> tuple[int | None, int | None, int | None]:
    """Prompt, completion and reasoning such that they make up the total; what cannot be told is None.

    `outside` are the cached tokens, which some leave out of those of the prompt.
    """
    is_apart = host.endswith(_APART_AT)
    if total is None or total == prompt + completion:
        if reasoning is not None and is_apart and total is None:
            return prompt, completion + reasoning, reasoning
        if reasoning is not None and reasoning > completion:
            doubts.append(f"{reasoning:,} reasoning tokens of {completion:,} in the answer")
            return prompt, None, None
        return prompt, completion, reasoning
    more = total - prompt - completion
    if reasoning and more == reasoning:
        return prompt, completion + reasoning, reasoning
    if outside and more == outside:
        if reasoning is not None and reasoning > completion:
            doubts.append(f"{reasoning:,} reasoning tokens of {completion:,} in the answer")
            return prompt + outside, None, None
        return prompt + outside, completion, reasoning
    if reasoning and outside and more == outside + reasoning:
        return prompt + outside, completion + reasoning, reasoning
    if more > 0 and not reasoning and (is_apart or reasoned):
        return prompt, completion + more, more
    doubts.append(f"{prompt:,} tokens in the prompt and {completion:,} in the answer, and {total:,} in all")
    return (prompt, None, None) if more > 0 else (None, None, None)


def _from_anthropic(usage: Mapping[str, Json]) -> dict[str, Json]:
    """Anthropic's own counts, whose `input_tokens` leave out what the cache took and gave, in the words of OpenAI."""
    parts = [_count(usage, name) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")]
    fresh, rest = parts[0], [part or 0 for part in parts[1:]]
    prompt = None if fresh is None else fresh + sum(rest)
    return {**usage, "prompt_tokens": prompt, "completion_tokens": usage.get("output_tokens")}


def _cached(usage: Mapping[str, Json], doubts: list[str]) -> int | None:
    """The cached tokens; None where two fields differ, but for a zero beside a count: some fill in what they lack."""
    if not _has_any(usage, _CACHED):
        return None
    found = {count for name in _CACHED if (count := _count(usage, name)) is not None}
    if len(found - {0}) > 1:
        doubts.append(f"{' and '.join(f'{count:,}' for count in sorted(found))} cached tokens")
        return None
    return max(found, default=None)


def _first(counts: Mapping[str, Json], names: tuple[Name, ...]) -> int | None:
    """The first count above zero that one of the names has, else zero if one has that."""
    if not _has_any(counts, names):
        return None
    found = [count for name in names if (count := _count(counts, name)) is not None]
    return next((count for count in found if count), found[0] if found else None)


@cache
def _tops(names: tuple[Name, ...]) -> frozenset[str]:
    """The fields of the usage itself in which the names stand."""
    return frozenset(name if isinstance(name, str) else name[0] for name in names)


def _has_any(counts: Mapping[str, Json], names: tuple[Name, ...]) -> bool:
    """Whether any of the fields is there: most usages have three, and each would be looked up under seven names."""
    return not _tops(names).isdisjoint(counts)


def _count(counts: Mapping[str, Json], name: Name) -> int | None:
    """A count, or None where the endpoint reports none or something that is no count."""
    if type(name) is str:
        count = counts.get(name)
    else:
        inner = counts.get(name[0])
        count = inner.get(name[1]) if isinstance(inner, dict) else None
    # Not isinstance: True and False are no counts.
    return count if type(count) is int and 0 <= count < 2**53 else None
