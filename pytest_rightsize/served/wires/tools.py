"""Tools, the choice among them, and calls of them, in the form of the OpenAI chat API; pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.asked import UnservedError
from pytest_rightsize.served.wires.fields import Fields
from pytest_rightsize.served.wires.parts import flat
from pytest_rightsize.strict_json import loads

__all__ = [
    "Call",
    "PastCalls",
    "calls_of",
    "choice_fields",
    "function_call",
    "function_tool",
    "named_choice",
    "openai_choice",
    "refuse_other_kinds",
    "turn_message",
]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call that a model asked for: `arguments` is what it wrote, which may be no JSON."""

    id: str
    name: str
    arguments: str

    @property
    def values(self) -> dict[str, Json] | None:
        """The arguments as an object; None where they are none, as where the model was cut off."""
        if not self.arguments.strip():
            return {}  # a call of a function that takes nothing, as several servers write it
        try:
            value = loads(self.arguments)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


def calls_of(reply: Reply, prefix: str) -> Iterator[Call]:
    """The calls of a reply; one without an id gets `prefix` and its number, one without a name has an empty name."""
    for index, call in enumerate(reply.tool_calls):
        function = call.get("function") or {}
        function = function if isinstance(function, Mapping) else {}
        name, arguments, ident = function.get("name"), function.get("arguments"), call.get("id")
        yield Call(
            id=ident if isinstance(ident, str) and ident else f"{prefix}{index}",
            name=name if isinstance(name, str) else "",
            arguments=arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments),
        )


def function_call(ident: str, name: str, arguments: Json) -> dict[str, Json]:
    """A call of an earlier turn; arguments that are an object are written as JSON."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": written}}


class PastCalls:
    """The calls of earlier turns in a form that has no ids: each gets one, and a result finds the call of its name."""

    def __init__(self) -> None:
        """Begin a conversation."""
        self._open: list[tuple[str, str]] = []
        self._count = 0

    def called(self, name: str, ident: str | None) -> str:
        """The id of a call: its own, else its number in the conversation."""
        self._count += 1
        ident = ident or f"call_{self._count}"
        self._open.append((name, ident))
        return ident

    def answered(self, name: str | None, ident: str | None = None) -> str:
        """The id of the call that a result answers: the first of that name without one, else the first of any."""
        if ident is None:
            named = (number for called, number in self._open if called == name)
            ident = next(named, self._open[0][1] if self._open else f"call_{name or self._count}")
        self._open = [(called, number) for called, number in self._open if number != ident]
        return ident


def turn_message(role: str, parts: list[Json], calls: list[Json], thoughts: str, joint: str = "\n") -> dict[str, Json]:
    """The message of an earlier turn: its words, its calls, and what was thought before them."""
    message: dict[str, Json] = {"role": role, "content": flat(parts, joint) if parts else None}
    if calls:
        message["tool_calls"] = calls
    if thoughts and role == "assistant":
        message["reasoning_content"] = thoughts
    return message


def function_tool(
    name: str, *, description: str | None = None, parameters: Json = None, strict: bool | None = None
) -> dict[str, Json]:
    """A tool; what is None is left out."""
    given = {"name": name, "description": description, "parameters": parameters, "strict": strict}
    return {"type": "function", "function": {key: value for key, value in given.items() if value is not None}}


def named_choice(name: str) -> dict[str, Json]:
    """The choice of one tool, which the model then must call."""
    return {"type": "function", "function": {"name": name}}


def openai_choice(given: Fields, chosen_by: Callable[[Fields], Json]) -> Json:
    """OpenAI's `tool_choice`: None, one of its words, or what `chosen_by` makes of an object."""
    choice = given.value("tool_choice")
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    if isinstance(choice, str):
        raise UnservedError(f"tool_choice must be auto, none, required or a tool, not {choice!r}")
    return chosen_by(Fields(choice, "tool_choice"))


def refuse_other_kinds(tool: Fields) -> None:
    """Refuse a tool, or a call of one, that is no function."""
    kind = tool.text("type") or "function"
    if kind != "function":
        raise UnservedError(f"{tool.place('type')}: a rung has no tools of the type {kind}")


def choice_fields(choice: Json, *, parallel: bool, has_tools: bool) -> dict[str, Json]:
    """`tool_choice` and `parallel_tool_calls` for `extra`, without what is the default anyway.

    So that the same question has the same recorded answer whether or not a client writes its defaults.
    """
    if not has_tools:
        if choice not in (None, "auto", "none"):
            raise UnservedError("tool_choice asks for a call, and there are no tools")
        return {}
    chosen = {} if choice in (None, "auto") else {"tool_choice": choice}
    return chosen | ({} if parallel else {"parallel_tool_calls": False})
