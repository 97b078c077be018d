"""Two rungs that say who they are: OpenAI-compatible endpoints on this machine."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.providers.openai.endpoint import Answering, Script, completion, serve

__all__ = ["RUNGS", "two_rungs"]

RUNGS = ("small", "big")
# Long enough that a test is left before the reply comes.
_DELAY_S = 0.03


def _script(rung: str) -> Script:
    """Calls the first tool, or fills in a schema, or says the last message under the rung's name."""

    def answer(asked: dict[str, Any]) -> Answering:
        time.sleep(_DELAY_S)
        last = asked["messages"][-1]
        if asked.get("tools") and last["role"] != "tool":
            return Answering(body=_call(asked["tools"][0]["function"]))
        schema = asked.get("response_format", {}).get("json_schema", {}).get("schema")
        if schema is not None:
            return Answering(body=completion(json.dumps(dict.fromkeys(schema["properties"], "Oslo"))))
        text = _text(last["content"])
        thought = {"reasoning_content": "Hm."} if text == "think" else {}
        return Answering(body=completion(f"{rung} says {text}", **thought))

    return answer


def _call(function: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(dict.fromkeys(function["parameters"]["properties"], "Oslo"))
    call = {"id": "call_1", "type": "function", "function": {"name": function["name"], "arguments": arguments}}
    return completion(None, tool_calls=[call], finish_reason="tool_calls")


def _text(content: Any) -> str:
    """The words of a message, and the kinds of its other parts."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] if part["type"] == "text" else part["type"] for part in content)


@contextmanager
def two_rungs() -> Iterator[str]:
    """The ladder file of the two, which answer meanwhile."""
    with ExitStack() as stack:
        endpoints = {rung: stack.enter_context(serve(_script(rung))) for rung in RUNGS}
        tables = [
            f'[ladder.{rung}]\nprovider = "openai"\nbase_url = "{endpoint.url}"\nmodel = "fake"\n'
            for rung, endpoint in endpoints.items()
        ]
        yield "[app]\nserve = true\n" + "".join(tables)
