"""Replies for every wire, and how its streams are read."""

import json
from collections.abc import Iterable
from typing import Any

from pytest_rightsize.records import Reply, Tokens

TOKENS = Tokens(prompt=11, cached=4, completion=5, reasoning=2, source="reported")
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
TEXT = Reply(text="It is sunny.", tokens=TOKENS, finish_reason="stop", seconds=0.5)
CALLS = Reply(text="", tool_calls=(CALL,), tokens=TOKENS, finish_reason="tool_calls")
UNKNOWN = Reply(text="It is sunny.")
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": CITY},
}


def events_in(stream: Iterable[bytes]) -> list[tuple[str | None, Any]]:
    """Names and data of server-sent events; `[DONE]` stays a text."""
    read: list[tuple[str | None, Any]] = []
    for block in b"".join(stream).decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        data = lines["data"]
        read.append((lines.get("event"), data if data == "[DONE]" else json.loads(data)))
    return read
