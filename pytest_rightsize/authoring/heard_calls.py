"""Turns the calls of an application into exchanges: each distinct question once, with the answer that it got. Pure.

Ids of tool calls are numbered anew, so that the same conversation is the same question whenever it was held.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_rightsize.authoring.exchanges import Exchange
from pytest_rightsize.providers.reasoning import separate
from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires import Asked

__all__ = ["HeardCalls", "ask_of"]

# What any rung can be asked beside the arguments that `model.ask` names; anything else is of one vendor.
_PORTABLE = (
    *("tool_choice", "stop", "response_format", "top_k", "min_p", "frequency_penalty", "presence_penalty"),
    "repeat_penalty",
)


@dataclass(kw_only=True)
class HeardCalls:
    """Questions with their answers, as they come in; `left_out` are parameters that no case has."""

    left_out: set[str] = field(default_factory=set)
    count: int = 0
    _answers: dict[str, Counter[str]] = field(default_factory=dict)
    _asks: dict[str, tuple[str, Mapping[str, Json]]] = field(default_factory=dict)
    _replies: dict[str, Reply] = field(default_factory=dict)

    def add(self, asked: Asked, reply: Reply) -> None:
        """Count one call."""
        self.count += 1
        ask = ask_of(asked)
        self.left_out |= set(asked.extra) - set(_PORTABLE)
        question = json.dumps([asked.model, ask], sort_keys=True)
        reply = _plain(reply)
        answer = json.dumps([reply.text, [call["function"] for call in reply.tool_calls]])
        self._asks.setdefault(question, (asked.model, ask))
        self._answers.setdefault(question, Counter())[answer] += 1
        self._replies.setdefault(answer, reply)

    def exchanges(self) -> list[Exchange]:
        """One for each distinct question, in the order of the first calls, with its most frequent answer."""
        return [self._exchange(question, *asked) for question, asked in self._asks.items()]

    def _exchange(self, question: str, model: str, ask: Mapping[str, Json]) -> Exchange:
        counts = self._answers[question]
        (first, _), *others = counts.most_common()
        reply = self._replies[first]
        about: dict[str, Json] = {"answer": reply.text} if reply.text or not reply.tool_calls else {}
        about |= {"model": model, "calls": counts.total()}
        cut_off = reply.finish_reason not in (None, "stop", "tool_calls", "function_call")
        if cut_off:
            about["finish_reason"] = reply.finish_reason
        if others:
            about["also_answered"] = [_shown(self._replies[answer]) for answer, _ in others]
        return Exchange(
            ask=ask,
            answers=(reply.text,),
            tool_calls=reply.tool_calls,
            cut_off=cut_off,
            about=about,
        )


def ask_of(asked: Asked) -> dict[str, Json]:
    """Arguments of `model.ask` for the question."""
    ask = _question(_with_plain_ids(asked.messages))
    if asked.tools:
        ask["tools"] = [dict(tool) for tool in asked.tools]
    options = {
        "schema": asked.schema,
        "max_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "seed": asked.seed,
        **{name: asked.extra.get(name) for name in _PORTABLE},
    }
    return ask | {name: value for name, value in options.items() if value is not None}


def _question(messages: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """The messages as `system` and `prompt` where they are no more than that, which reads best."""
    roles = [message.get("role") for message in messages]
    are_texts = all(set(message) == {"role", "content"} and isinstance(message["content"], str) for message in messages)
    if are_texts and roles == ["user"]:
        return {"prompt": messages[0]["content"]}
    if are_texts and roles == ["system", "user"]:
        return {"system": messages[0]["content"], "prompt": messages[1]["content"]}
    return {"messages": [dict(message) for message in messages]}


def _with_plain_ids(messages: Iterable[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    ids: dict[str, str] = {}

    def plain(ident: Json) -> str:
        return ids.setdefault(str(ident), f"call_{len(ids) + 1}")

    renamed: list[Mapping[str, Json]] = []
    for message in messages:
        changed = dict(message)
        if changed.get("tool_calls"):
            changed["tool_calls"] = [{**call, "id": plain(call.get("id"))} for call in changed["tool_calls"]]
        if "tool_call_id" in changed:
            changed["tool_call_id"] = plain(changed["tool_call_id"])
        renamed.append(changed)
    return renamed


def _plain(reply: Reply) -> Reply:
    """The reply without reasoning that stands in its text, as rungs give it."""
    return replace(reply, text=separate(reply.text).answer)


def _shown(reply: Reply) -> Json:
    return [call["function"] for call in reply.tool_calls] or reply.text
