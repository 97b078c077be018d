"""Turns requests into prompts by a chat format of llama-cpp-python, where `chat_format` in the ladder file asks for it.

It runs the format's own code, and never decodes a token itself.
"""

import importlib
import importlib.util
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.llama_cpp.completions import Completion
from pytest_rightsize.records import Json

__all__ = [
    "CallChoice",
    "CompletionNeededError",
    "call_choice",
    "format_names",
    "named_tool",
    "response_of",
    "shows_tools",
]

_REGISTERED = re.compile(r"""@register_chat_(?:format|completion_handler)\(\s*["']([^"']+)["']""")


@cache
def format_names() -> tuple[str, ...]:
    """The chat formats that llama-cpp-python knows, read from its source: importing it loads native code."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        return ()
    source = Path(spec.submodule_search_locations[0]) / "llama_chat_format.py"
    try:
        return tuple(_REGISTERED.findall(source.read_text(encoding="utf-8")))
    except OSError:
        return ()


def response_of(native: Any, arguments: Mapping[str, Json], completions: Sequence[Completion]) -> Mapping[str, Json]:
    """The chat completion that the format makes of the completions written so far.

    Raises CompletionNeededError if it needs one more, ValueError and others if it refuses the arguments.
    """
    response: Mapping[str, Json] = type(native).create_chat_completion(_LlamaStandIn(native, completions), **arguments)
    return response


@dataclass(frozen=True, kw_only=True)
class CallChoice:
    """The completion by which a model chooses a tool: what it is asked with, and what each tool's name has it write."""

    arguments: Mapping[str, Json]
    rests: Mapping[str, str]

    def chosen(self, text: str) -> str:
        """The tool of a completion; of one that was cut off, the first that it may have become."""
        return next(name for name, rest in self.rests.items() if rest.startswith(text))


def call_choice(native: Any, arguments: Mapping[str, Json], names: Sequence[str]) -> CallChoice:
    """How the format has a model choose between its tools; raises as `response_of`.

    Formats know no `tool_choice="required"`, but each begins the answer for a tool that is named. Of those prompts the
    model reads the common start, and it must write one of the rests.
    """
    needed = [_needed(native, {**arguments, "tool_choice": named_tool(name)}) for name in names]
    prompts = [each["prompt"] for each in needed]
    # Names may begin alike, and none is cut in two.
    prompt = _common_start(prompts).removesuffix(_common_start(names))
    rests = {name: text.removeprefix(prompt) for name, text in zip(names, prompts, strict=True)}
    alternatives = " | ".join(json.dumps(rest, ensure_ascii=False) for rest in rests.values())
    grammar = importlib.import_module("llama_cpp").LlamaGrammar.from_string(f"root ::= {alternatives}", verbose=False)
    # The choice is whole, however short the answer may be.
    arguments = {**needed[0], "prompt": prompt, "grammar": grammar, "max_tokens": None, "stop": None}
    return CallChoice(arguments=arguments, rests=rests)


def shows_tools(native: Any, arguments: Mapping[str, Json]) -> bool:
    """Whether the model is told what the tools are: chatml-function-calling writes them after a system message only."""
    tools = arguments["tools"]
    renamed = [{**tool, "function": {**tool["function"], "name": f"{tool['function']['name']}_"}} for tool in tools]
    first, second = (_needed(native, {**arguments, "tools": each, "tool_choice": "auto"}) for each in (tools, renamed))
    return bool(first["prompt"] != second["prompt"])


def named_tool(name: str) -> Json:
    """The value of `tool_choice` that names a tool."""
    return {"type": "function", "function": {"name": name}}


def _common_start(texts: Sequence[str]) -> str:
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)


def _needed(native: Any, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
    """What the format asks its first completion with."""
    try:
        response_of(native, arguments, ())
    except CompletionNeededError as needed:
        return needed.arguments
    raise ValueError("it answers without the model")


class CompletionNeededError(Portable, Exception):
    """A chat format needs a completion that is not written yet; carries the arguments it asks with."""

    def __init__(self, arguments: Mapping[str, Json]) -> None:
        super().__init__()
        self.arguments = arguments


class _LlamaStandIn:
    """Stands in for a `llama_cpp.Llama` in the chat formats, and returns completions that were written before.

    The formats call `create_completion`, most of them once and some several times, as if it returned at once. It
    cannot, so a format runs from its beginning each time another completion is ready, and asking for one that is not
    ends the run.
    """

    def __init__(self, native: Any, completions: Iterable[Completion]) -> None:
        self._native = native
        self._completions = iter(completions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def create_completion(self, **arguments: Json) -> Json:
        """Return the next completion in llama-cpp-python's form."""
        completion = next(self._completions, None)
        if completion is None:
            raise CompletionNeededError(arguments)
        choice = {"text": completion.text, "index": 0, "logprobs": None, "finish_reason": completion.finish_reason}
        usage = {"prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens}
        return {"id": "cmpl", "object": "text_completion", "created": 0, "model": "", "choices": [choice]} | {
            "usage": usage | {"total_tokens": sum(usage.values())}
        }
