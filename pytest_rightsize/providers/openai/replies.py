"""Turns a chat completion of an OpenAI-compatible endpoint into a Reply; pure.

In comes parsed JSON, out goes the first choice with its token counts. A completion that carries an error, or whose
finish reason says that a fault has cut it off, is that fault. A count that is not reported, or that cannot be right,
becomes None and is never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from pytest_rightsize.providers.openai.contents import Content, content_of
from pytest_rightsize.providers.openai.counts import counts_in
from pytest_rightsize.providers.openai.error_bodies import ErrorReport, error_in
from pytest_rightsize.providers.openai.faults import AnswerFaultError, Fault, Infrastructure, Kind
from pytest_rightsize.providers.openai.outcomes import fault_of, finish_of
from pytest_rightsize.records import Json, Reply

__all__ = ["Completion", "parse_reply", "read_completion"]


_FAULTS: tuple[Infrastructure, ...] = get_args(Infrastructure)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A reply, and what is odd about it, as sentences for the user."""

    reply: Reply
    notes: tuple[str, ...] = ()


def parse_reply(completion: Json, seconds: float, retries: int) -> Reply:
    """The first choice as a Reply; raises as `read_completion` does."""
    return read_completion(completion, seconds, retries).reply


def read_completion(completion: Json, seconds: float, retries: int, *, host: str = "") -> Completion:
    """The first choice of a completion, from the endpoint at `host`.

    Raises AnswerFaultError if it is a fault, and ValueError or the like if this is no chat completion with a choice.
    """
    error = error_in(completion)
    if error is not None:
        raise AnswerFaultError(fault_of(error))
    choices = completion.get("choices")
    if not choices:
        raise ValueError("it has no choice")
    choice = choices[0]
    finish_reason = _finish_reason(choice)
    content = content_of(_message(choice, finish_reason))
    tokens, doubts = counts_in(
        completion.get("usage"),
        wrote=bool(content.text or content.refusal or content.calls),
        reasoned=bool(content.reasoning) or "</think>" in content.text,
        host=host,
    )
    reply = Reply(
        text=content.text or content.refusal or "",
        seconds=seconds,
        retries=retries,
        tokens=tokens,
        finish_reason="content_filter" if content.refusal else finish_reason,
        reasoning=content.reasoning,
        tool_calls=content.calls,
    )
    notes = [f"reports counts that cannot be ({doubt}), which are unknown" for doubt in doubts]
    return Completion(reply=reply, notes=(*notes, *_hints(content, finish_reason)))


def _finish_reason(choice: Mapping[str, Json]) -> str | None:
    """Why the model stopped; raises AnswerFaultError where that was a fault, as the endpoint or its upstream says."""
    error = choice.get("error")
    reasons = [finish_of(choice.get("finish_reason")), finish_of(choice.get("native_finish_reason"))]
    inner = choice.get("provider_specific_fields")  # LiteLLM calls every reason that it does not know a stop
    if isinstance(inner, dict):
        reasons.append(finish_of(inner.get("native_finish_reason")))
    fault = next((kind for kind in _FAULTS if kind in reasons), None) if any(reasons) else None
    if error or fault is not None:
        raise AnswerFaultError(_fault_of_choice(choice, error, fault))
    ends = [reason for reason in reasons if reason is not None]
    # What is said by the upstream, where the endpoint calls it a stop.
    return next(
        (end for end in ends[1:] if end in ("content_filter", "length", "malformed")), ends[0] if ends else None
    )


def _fault_of_choice(choice: Mapping[str, Json], error: Json, kind: Kind | None) -> Fault:
    """The fault of a choice: what its error says, else what its finish reason does."""
    reason = choice.get("finish_reason")
    said = error_in({"error": error}) if error else None
    if said is None and isinstance(reason, dict) and isinstance(reason.get("message"), str):
        status = reason.get("status_code")
        words = reason["message"]
        said = ErrorReport(status=status if isinstance(status, int) else 200, words=words, signals=words)
    if said is not None and said.words:
        return fault_of(said)
    words = f"the answer was broken off, finish reason {choice.get('native_finish_reason') or reason!r}"
    return Fault(kind=kind or "server", words=words)


def _message(choice: Mapping[str, Json], finish_reason: str | None) -> Json:
    """The message of a choice; one that was filtered may have none."""
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str) and "logprobs" not in choice:
        return {"content": choice["text"]}
    if message is None and finish_reason in ("content_filter", "length", "malformed"):
        return {}
    if message is None:
        raise ValueError("its choice has no message")
    return message


def _hints(content: Content, finish_reason: str | None) -> tuple[str, ...]:
    if content.text or content.calls or content.refusal or not content.reasoning or finish_reason not in ("stop", None):
        return ()
    return (
        "gave an answer that is empty beside its reasoning: its server may have taken the answer for reasoning; look "
        "at the server's reasoning parser, or turn the model's reasoning off",
    )
