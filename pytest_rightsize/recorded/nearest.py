"""Finds the recorded answer whose question is nearest to one that has none, and says how the two differ."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_rightsize.recorded.keys import Recorded, rung_digest
from pytest_rightsize.records import Identity, Json

__all__ = ["Place", "conversation_text", "differences", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of an answer: the request and its rung, the case that asks, and the number of the draw."""

    rung: str
    identity: Identity
    base: str
    request: Mapping[str, Json]
    asker: str
    draw: int


def nearest(candidates: Sequence[tuple[str, Recorded]], request: Mapping[str, Json]) -> Recorded:
    """The one of the candidates, each with its conversation as text, whose conversation is most like the request's."""
    from rapidfuzz import fuzz, process

    _, _, place = process.extractOne(conversation_text(request), [text for text, _ in candidates], scorer=fuzz.ratio)
    return candidates[place][1]


def conversation_text(request: Mapping[str, Json]) -> str:
    """A conversation as text, with one message on a line or more."""
    messages: Sequence[Mapping[str, Json]] = request.get("messages", ())
    parts = ((message.get("role"), message.get("content")) for message in messages)
    return "\n".join(f"{role}: {text if isinstance(text, str) else json.dumps(text)}" for role, text in parts)


def differences(found: Recorded, place: Place) -> Iterator[str]:
    """Lines that say how a recorded answer's question differs from that of a place."""
    before, after = conversation_text(found.request or {}), conversation_text(place.request)
    if before != after:
        diff = difflib.unified_diff(before.splitlines(), after.splitlines(), "recorded", "asked", lineterm="", n=1)
        yield from (f"    {line}" for line in diff)
    for name, value in (found.request or {}).items():
        requested = json.dumps(place.request.get(name))
        if name != "messages" and json.dumps(value) != requested:
            yield f"    {name}: recorded with {json.dumps(value)}, asked with {requested}"
    if found.base == place.base:
        yield f"    it is the answer to {found.asker or 'any test'}, for the time {found.draw + 1}"
    if rung_digest(found.rung, found.identity) != rung_digest(place.rung, place.identity):
        was, is_now = found.identity.content, place.identity.content
        for name in dict.fromkeys([*was, *is_now]):
            if was.get(name) != is_now.get(name):
                yield f"    the rung's {name}: was {json.dumps(was.get(name))}, is {json.dumps(is_now.get(name))}"
