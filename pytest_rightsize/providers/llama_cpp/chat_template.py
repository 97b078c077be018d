"""Writes conversations as the chat template in a model's file says, as transformers does; no format is ever guessed.

Messages come in, the prompt as text goes out. Whatever a template raises is a TemplateRefusalError in printable words,
and one that does not come to an end is left behind.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_rightsize.providers.template_rendering import TemplateRefusalError, printable, rendered, words_of
from pytest_rightsize.records import Json

__all__ = ["ChatTemplate", "TemplateRefusalError", "printable", "templates_in"]

_KEY = "tokenizer.chat_template"
# One message's reasoning has several names; the first is the one that templates read.
_REASONING_NAMES = ("reasoning_content", "thinking", "reasoning")


def templates_in(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The templates of a file by name: `default`, and others such as `tool_use`."""
    named = {key.removeprefix(f"{_KEY}."): str(text) for key, text in metadata.items() if key.startswith(f"{_KEY}.")}
    return named | ({"default": str(metadata[_KEY])} if _KEY in metadata else {})


class ChatTemplate:
    """The compiled templates of one file, and the names of its special tokens (`bos_token` and the like)."""

    def __init__(self, texts: Mapping[str, str], special_tokens: Mapping[str, str] | None = None) -> None:
        """Compile them; raises TemplateRefusalError for a syntax error."""
        import jinja2

        from pytest_rightsize.providers.template_sandbox import Sandbox

        self._tokens = dict(special_tokens or {})
        self._templates: dict[str, jinja2.Template] = {}
        self.text = "\n".join(texts.values())
        for name, text in texts.items():
            try:
                self._templates[name] = Sandbox().from_string(text)
            except jinja2.TemplateSyntaxError as error:
                raise TemplateRefusalError(f"line {error.lineno} is no valid Jinja: {printable(str(error))}") from None
            except Exception as error:
                raise TemplateRefusalError(f"it cannot be compiled: {words_of(error)}") from None

    def render(
        self,
        messages: Sequence[Mapping[str, Json]],
        *,
        tools: Sequence[Mapping[str, Json]] | None = None,
        kwargs: Mapping[str, Json] | None = None,
    ) -> str:
        """The prompt, up to where the model's answer begins; raises TemplateRefusalError.

        Contents in parts are given as they are to a template that reads parts, and to any other as one text.
        """
        plain = [_message(message) for message in messages]
        joined = [_with_one_text(message) for message in plain]
        if joined == plain:
            return self._render(plain, tools, kwargs)
        try:
            text = self._render(plain, tools, kwargs)
        except TemplateRefusalError:
            return self._render(joined, tools, kwargs)
        return text if all(_reads_parts(message, text) for message in plain) else self._render(joined, tools, kwargs)

    def _render(
        self,
        messages: Sequence[Mapping[str, Json]],
        tools: Sequence[Mapping[str, Json]] | None,
        kwargs: Mapping[str, Json] | None,
    ) -> str:
        chosen = "tool_use" if tools is not None and "tool_use" in self._templates else "default"
        template = self._templates.get(chosen) or next(iter(self._templates.values()))
        names = {
            **self._tokens,
            "add_generation_prompt": True,
            **(kwargs or {}),
            "messages": messages,
            "tools": None if tools is None else _plain(list(tools)),
            "documents": (kwargs or {}).get("documents"),
        }
        return rendered(template, names)

    def takes_tools(self, messages: Sequence[Mapping[str, Json]], tools: Sequence[Mapping[str, Json]]) -> bool:
        """Whether the tools change the prompt at all. Raises TemplateRefusalError where tools are refused."""
        with_tools = self.render(messages, tools=tools)
        try:
            return with_tools != self.render(messages)
        except TemplateRefusalError:  # some templates want tools
            return True


def _message(message: Mapping[str, Json]) -> dict[str, Json]:
    """A message as templates expect it: plain data, nothing that is None, and calls with objects as arguments."""
    plain: dict[str, Json] = {name: _plain(value) for name, value in message.items() if value is not None}
    reasoning = next((plain[name] for name in _REASONING_NAMES if name in plain), None)
    if reasoning is not None:
        plain = {"thinking": reasoning, **plain, "reasoning_content": reasoning}
    if isinstance(plain.get("tool_calls"), list):
        plain["tool_calls"] = [_call(call) for call in plain["tool_calls"]]
    return plain


def _texts_of(message: Mapping[str, Json]) -> list[str] | None:
    """The texts of a content in parts; None where it is no such content, or has more than texts."""
    parts = message.get("content")
    if not isinstance(parts, list) or not parts:
        return None
    texts = [part["text"] for part in parts if isinstance(part, dict) and part.get("type") == "text" and "text" in part]
    return texts if len(texts) == len(parts) and all(isinstance(text, str) for text in texts) else None


def _with_one_text(message: dict[str, Json]) -> dict[str, Json]:
    """The message with its texts as one, a line each, as llama-server and vLLM give them to such templates."""
    texts = _texts_of(message)
    return message if texts is None else {**message, "content": "\n".join(texts)}


def _reads_parts(message: Mapping[str, Json], prompt: str) -> bool:
    """Whether a template has written the texts of the parts, and not them as data; past answers it may drop."""
    texts = _texts_of(message)
    if texts is None:
        return True
    is_written = message.get("role") == "assistant" or all(text.strip() in prompt for text in texts)
    content = message["content"]
    as_data = (str(content), json.dumps(content), json.dumps(content, ensure_ascii=False))
    return is_written and not any(data in prompt for data in as_data)


def _call(call: Json) -> Json:
    """A past tool call; the OpenAI API gives its arguments as JSON text, and templates want the object."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else call


def _plain(value: Json) -> Json:
    """JSON data anew: a template gets no object that has methods of its own."""
    if isinstance(value, Mapping):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or type(value) in (bool, str, int, float):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    return f"<{type(value).__name__}>"
