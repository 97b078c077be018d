"""Turns a chat completion of an OpenAI-compatible endpoint into a Reply; pure.

In comes parsed JSON, out goes the first choice with its token counts. A count that is not reported, or that cannot be
right, becomes None and is never guessed.
"""

import json

from pytest_rightsize.records import Json, Reply, Tokens

__all__ = ["parse_reply"]


def parse_reply(completion: Json, seconds: float, retries: int) -> Reply:
    """The first choice as a Reply; raises ValueError or the like if this is no chat completion with a choice."""
    choices = completion.get("choices")
    message = choices[0].get("message") if choices else None
    if message is None:
        raise ValueError("it has no choice")
    refusal = message.get("refusal")
    text = message.get("content") or refusal or ""
    if not isinstance(text, str):
        raise ValueError(f"the content is no text but {type(text).__name__}")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    finish_reason = choices[0].get("finish_reason")
    calls = message.get("tool_calls") or ()
    json.dumps(calls, allow_nan=False)  # 1e999 is valid JSON, and becomes an infinite float
    return Reply(
        text=text,
        seconds=seconds,
        retries=retries,
        tokens=_tokens(completion.get("usage"), text=text, reasoning=reasoning),
        finish_reason="content_filter" if refusal else finish_reason if isinstance(finish_reason, str) else None,
        reasoning=reasoning if isinstance(reasoning, str) else None,
        tool_calls=tuple({name: value for name, value in call.items() if value is not None} for call in calls),
    )


def _tokens(usage: Json, *, text: str, reasoning: Json) -> Tokens:
    """The reported counts; a zero for text that is there means unknown, and without a prompt count all are unknown."""
    if usage is not None and not isinstance(usage, dict):
        raise TypeError(f"the usage is no object but {type(usage).__name__}")
    prompt = _count(usage, "prompt_tokens")
    if not usage or not prompt:
        return Tokens()
    completion = _count(usage, "completion_tokens")
    reasoning_tokens = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    if not completion and (text or reasoning):
        completion = reasoning_tokens = None
    if reasoning_tokens is not None and (
        (not reasoning_tokens and (reasoning or "</think>" in text)) or reasoning_tokens > (completion or 0)
    ):
        reasoning_tokens = None
    return Tokens(
        prompt=prompt,
        cached=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        completion=completion,
        reasoning=reasoning_tokens,
        source="reported",
        reasoning_source="unknown" if reasoning_tokens is None else None,
    )


def _count(counts: Json, name: str) -> int | None:
    """A count, or None where the endpoint reports none or something that is no count."""
    count = counts.get(name) if isinstance(counts, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**53 else None
