"""An answer that is put together piece by piece, and the events of a stream. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.strict_json import loads

__all__ = ["BrokenAnswerError", "Partial", "events_in", "lines_in", "text_in", "written"]


class BrokenAnswerError(Exception):
    """It is no answer, or one that broke off; the message says what it is, as a clause without its subject."""


@dataclass(kw_only=True)
class Partial:
    """An answer so far: `calls` by what tells them apart in the stream; `end` is why it ended, once it has."""

    text: str = ""
    reasoning: str = ""
    calls: dict[Any, dict[str, str]] = field(default_factory=dict)
    end: str | None = None

    def call(self, key: Any, *, ident: str | None = None, name: str | None = None, arguments: str = "") -> None:
        """Begin a call, or add to it."""
        call = self.calls.setdefault(key, {"id": "", "name": "", "arguments": ""})
        call["id"] = ident or call["id"]
        call["name"] = name or call["name"]
        call["arguments"] += arguments

    def reply(self) -> Reply:
        """The whole answer; raises BrokenAnswerError where it has no end."""
        if self.end is None:
            raise BrokenAnswerError("broke off before its end")
        calls = tuple(
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in self.calls.values()
        )
        return Reply(text=self.text, reasoning=self.reasoning or None, finish_reason=self.end, tool_calls=calls)


def events_in(stream: str) -> Iterator[Json]:
    """The data of each server-sent event, as JSON; `[DONE]` is left out. Raises BrokenAnswerError for other data.

    By https://html.spec.whatwg.org/multipage/server-sent-events.html; names of events are not needed.
    """
    data: list[str] = []
    for line in [*stream.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            text = "\n".join(data)
            data.clear()
            if text.strip() not in ("", "[DONE]"):
                yield _parsed(text)


def lines_in(stream: str) -> Iterator[Json]:
    """Each line of a stream of JSON lines."""
    return (_parsed(line) for line in stream.split("\n") if line.strip())


def _parsed(text: str) -> Json:
    try:
        return loads(text)
    except ValueError:
        raise BrokenAnswerError("has an event that is not JSON") from None


def text_in(content: Json) -> str:
    """The text of a content, which may be a list of parts or nothing."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def written(arguments: Json) -> str:
    """Arguments of a call as JSON, where a vendor sends them as an object."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
