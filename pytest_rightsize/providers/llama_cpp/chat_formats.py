"""Turns requests into prompts by a chat format of llama-cpp-python, where `chat_format` in the ladder file asks for it.

It runs the format's own code, and never decodes a token itself.
"""

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.llama_cpp.completions import Completion
from pytest_rightsize.records import Json

__all__ = ["CompletionNeededError", "format_names", "requiring_call", "response_of"]

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


# How `chatml-function-calling` has the model choose between its tools and words.
_TOOL_OR_WORDS = re.compile(r'^(root\s*::=\s*functions)\s*\|\s*"message:"', re.MULTILINE)


def requiring_call(grammar: Any) -> Any:
    """The grammar of a format's choice between tools and words, without the words; any other grammar as it is."""
    text, found = _TOOL_OR_WORDS.subn(r"\1", grammar._grammar) if grammar is not None else ("", 0)
    return type(grammar).from_string(text, verbose=False) if found else grammar


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
