"""Reads the tool calls that a model wrote in its own format, and gives them the form of the OpenAI API; pure.

An answer with its marks comes in; the calls and the words beside them go out. What is no whole call stays in the words.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_rightsize.providers.llama_cpp.tool_call_values import Found
from pytest_rightsize.providers.llama_cpp.tool_formats import FORMATS
from pytest_rightsize.records import Json, Request

__all__ = ["ToolChoice", "calls_in"]


@dataclass(frozen=True, kw_only=True)
class ToolChoice:
    """The tools that the model may call, and whether it must: one of them, or the one that is `named`."""

    tools: tuple[Mapping[str, Json], ...]
    is_forced: bool
    named: str | None = None

    @classmethod
    def of(cls, request: Request) -> "ToolChoice":
        """What a request says; with `tool_choice="none"` the model does not learn of the tools."""
        choice, tools = request.extra.get("tool_choice"), request.tools or ()
        if choice == "none":
            return cls(tools=(), is_forced=False)
        named = choice["function"]["name"] if isinstance(choice, Mapping) else None
        return cls(tools=tools, is_forced=choice == "required" or named is not None, named=named)

    @property
    def schema(self) -> Mapping[str, Json]:
        """What a forced call is held to: the arguments of the named tool, else a name and its arguments."""
        parameters = self.parameters
        if self.named is not None:
            return parameters.get(self.named, {"type": "object"})
        calls = [
            {
                "type": "object",
                "properties": {"name": {"const": name}, "arguments": schema},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for name, schema in parameters.items()
        ]
        return calls[0] if len(calls) == 1 else {"anyOf": calls}

    @property
    def parameters(self) -> dict[str, Mapping[str, Json]]:
        """The schema of each tool's arguments, by its name."""
        functions = [tool.get("function") or tool for tool in self.tools]
        return {
            str(function.get("name")): function.get("parameters") or {"type": "object"}
            for function in functions
            if isinstance(function, Mapping)
        }


def calls_in(answer: str, choice: ToolChoice, *, seed: str = "") -> tuple[tuple[Mapping[str, Json], ...], str]:
    """The calls in an answer, and its words without them. `seed` makes the ids of one turn differ from another's."""
    if not choice.tools:
        return (), answer
    parameters = choice.parameters
    if choice.named is not None and (arguments := _object(answer)) is not None:
        if set(arguments) == {"name", "arguments"} and arguments["name"] == choice.named:
            arguments = arguments["arguments"]
        return (_call(0, choice.named, arguments, seed),), ""
    for read in FORMATS:
        found: Found | None = read(answer, parameters)
        if found is not None and found.calls:
            calls = tuple(_call(index, name, arguments, seed) for index, (name, arguments) in enumerate(found.calls))
            return calls, found.words.strip()
    return (), answer


def _object(text: str) -> dict[str, Json] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _call(index: int, name: str, arguments: Json, seed: str) -> dict[str, Json]:
    """A call as in the OpenAI API. Its id has nine letters and digits: some templates take no other."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    digest = hashlib.sha256(f"{seed} {index} {name} {text}".encode("utf-8", "replace")).hexdigest()
    return {"id": digest[:9], "type": "function", "function": {"name": name, "arguments": text}}
