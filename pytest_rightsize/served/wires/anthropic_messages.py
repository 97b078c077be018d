"""Anthropic's `/v1/messages`; pure.

https://platform.claude.com/docs/en/api/messages. Blocks become messages of the chat API, and a reply blocks again.
"""

from collections.abc import Iterator
from typing import Any

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.anthropic_events import message_events, message_of
from pytest_rightsize.served.wires.asked import CONTEXT_EXCEEDED, NO_SHORTENING, NO_STATE, Asked, UnservedError
from pytest_rightsize.served.wires.effort import effort_of_budget, effort_of_level
from pytest_rightsize.served.wires.fields import Fields
from pytest_rightsize.served.wires.parts import data_part, flat, image_part, text_part, texts_and_others
from pytest_rightsize.served.wires.tools import choice_fields, function_call, function_tool, named_choice, turn_message

__all__ = ["AnthropicMessages"]

# They change no answer: whose question it is, where and how fast it is answered, and what the vendor keeps.
_IDLE = (
    *("metadata", "service_tier", "inference_geo", "speed", "cache_control", "user_profile_id", "workspace_id"),
    *("diagnostics", "billing_policy", "fallback_credit_token", "fallbacks"),
)
_REFUSED = {
    "container": "a rung has no container",
    "mcp_servers": "a rung calls no servers",
    "context_management": NO_SHORTENING,
    "compaction": NO_SHORTENING,
    "thread": NO_STATE,
}
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class AnthropicMessages:
    """The wire of Anthropic's messages."""

    content_type = "text/event-stream"

    def matches(self, path: str) -> bool:
        """Whether it is the path of messages."""
        return path.endswith("/v1/messages")

    def read(self, path: str, body: Json) -> Asked:  # noqa: ARG002  # the protocol has it
        """What is asked; raises UnservedError."""
        given = Fields(body)
        given.drop(*_IDLE)
        given.refuse_each(_REFUSED)
        tools = tuple(_tool(tool) for tool in given.each("tools"))
        output = given.fields("output_config") or Fields({}, "output_config")
        form = output.fields("format") or given.fields("output_format")
        extra = _choice(given, has_tools=bool(tools)) | _effort(given, output)
        if stops := given.texts("stop_sequences"):
            extra["stop"] = stops
        if (top_k := given.whole("top_k")) is not None:
            extra["top_k"] = top_k
        asked = Asked(
            messages=tuple(_messages(given)),
            model=given.text("model") or "",
            stream=given.flag("stream"),
            max_tokens=given.whole("max_tokens"),
            temperature=given.number("temperature"),
            top_p=given.number("top_p"),
            schema=_schema(form),
            tools=tools or None,
            extra=extra,
            body=body,
        )
        output.refuse_rest()
        given.refuse_rest()
        return asked

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """A `message`."""
        return message_of(reply, asked)

    def events(self, reply: Reply, asked: Asked) -> Iterator[bytes]:
        """Its events."""
        return message_events(reply, asked)

    def error(self, status: int, text: str, code: str | None = None) -> Json:
        """An error as Anthropic sends it; clients tell a prompt that is too long by its words."""
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        message = f"prompt is too long: {text}" if code == CONTEXT_EXCEEDED else text
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


def _schema(form: Fields | None) -> dict[str, Json] | None:
    if form is None:
        return None
    if form.text("type") != "json_schema":
        raise UnservedError(f"{form.place('type')}: a rung has no output format but json_schema")
    schema = form.mapping("schema")
    if schema is None:
        raise UnservedError(f"{form.place('schema')} is missing")
    return schema


def _tool(tool: Fields) -> dict[str, Json]:
    kind = tool.text("type") or "custom"
    if kind != "custom" or "input_schema" not in tool:
        raise UnservedError(f"{tool.where}: a rung has no tools of the type {kind}")
    tool.drop("cache_control", "eager_input_streaming")
    tool.refuse("defer_loading", "rungs see all tools")
    tool.refuse("input_examples", "the chat API has no place for them; write them into the description")
    if set(tool.texts("allowed_callers")) - {"direct"}:
        raise UnservedError(f"{tool.place('allowed_callers')}: a rung runs no code that could call it")
    function = function_tool(
        tool.needed_text("name"),
        description=tool.text("description"),
        parameters=tool.mapping("input_schema"),
        strict=tool.flag("strict") if "strict" in tool else None,
    )
    tool.refuse_rest()
    return function


def _choice(given: Fields, *, has_tools: bool) -> dict[str, Json]:
    choice = given.fields("tool_choice")
    if choice is None:
        return {}
    kind = choice.needed_text("type")
    if kind not in ("auto", "any", "tool", "none"):
        raise UnservedError(f"{choice.place('type')} must be auto, any, tool or none, not {kind!r}")
    chosen: Any = named_choice(choice.needed_text("name")) if kind == "tool" else {"any": "required"}.get(kind, kind)
    return choice_fields(chosen, parallel=not choice.flag("disable_parallel_tool_use"), has_tools=has_tools)


def _effort(given: Fields, output: Fields) -> dict[str, Json]:
    """`reasoning_effort`; to disable thinking is the default, and asks for nothing."""
    thinking = given.fields("thinking")
    kind = thinking.needed_text("type") if thinking else "disabled"
    if kind not in ("enabled", "adaptive", "disabled"):
        raise UnservedError(f"thinking.type must be enabled, adaptive or disabled, not {kind!r}")
    budget = thinking.whole("budget_tokens") if thinking else None
    level = output.text("effort")
    if level:
        return {"reasoning_effort": effort_of_level(level)}
    effort = effort_of_budget(budget) if budget is not None and kind == "enabled" else None
    return {"reasoning_effort": effort} if effort else {}


def _messages(given: Fields) -> list[dict[str, Json]]:
    messages: list[dict[str, Json]] = []
    system = given.value("system")
    if isinstance(system, str):
        messages += [{"role": "system", "content": system}] if system else []
    elif parts := [_part(block) for block in given.each("system")]:
        messages.append({"role": "system", "content": flat(parts)})
    turns = given.each("messages")
    if not turns:
        raise UnservedError("messages: there is none")
    for message in (message for turn in turns for message in _turn(turn)):
        if messages and message["role"] == messages[-1]["role"] == "user":
            # The vendor takes turns of one role as one turn; many chat templates refuse two in a row.
            messages[-1] = {"role": "user", "content": _joined(messages[-1]["content"], message["content"])}
        else:
            messages.append(message)
    return messages


def _joined(first: Json, second: Json) -> Json:
    """The contents of two turns as that of one."""
    parts = [[text_part(content)] if isinstance(content, str) else content for content in (first, second)]
    return flat([*parts[0], *parts[1]])


def _turn(turn: Fields) -> Iterator[dict[str, Json]]:
    """The messages of a turn: results of tools each have one, before the user's words, as the chat API wants them."""
    role = turn.needed_text("role")
    if role not in ("user", "assistant", "system"):
        raise UnservedError(f"{turn.place('role')}: there is no role {role!r}")
    content = turn.value("content")
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    if content is None:
        raise UnservedError(f"{turn.place('content')} is missing")
    calls: list[Json] = []
    parts: list[Json] = []
    shown: list[Json] = []
    thoughts: list[str] = []
    for block in turn.each("content"):
        kind = block.needed_text("type")
        if kind == "tool_use":
            calls.append(_past_call(block))
        elif kind == "tool_result":
            result, others = _result(block)
            yield result
            shown += others
        elif kind == "thinking":
            thoughts.append(block.needed_text("thinking"))
        elif kind != "redacted_thinking":
            parts.append(_part(block))
    if shown or parts or calls:
        yield turn_message(role, shown + parts, calls, "\n".join(thoughts))


def _past_call(block: Fields) -> dict[str, Json]:
    return function_call(block.needed_text("id"), block.needed_text("name"), block.mapping("input") or {})


def _result(block: Fields) -> tuple[dict[str, Json], list[Json]]:
    """The message of a result, and its images, which follow as the user's: a tool's message is text alone.

    The chat API has no mark for a failure, so that it is said in words.
    """
    content = block.value("content")
    parts = [text_part(content)] if isinstance(content, str) else [_part(part) for part in block.each("content")]
    texts, others = texts_and_others(parts)
    text = flat(texts)
    if block.flag("is_error") and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": block.needed_text("tool_use_id"), "content": text}, others


def _part(block: Fields) -> dict[str, Json]:
    """A block of text, an image or a document as a part of the chat API."""
    kind = block.needed_text("type")
    if kind == "text":
        return text_part(block.needed_text("text"))
    if kind not in ("image", "document"):
        raise UnservedError(f"{block.place('type')}: blocks of the type {kind} cannot be sent to a rung")
    source = block.needed_fields("source")
    form = source.needed_text("type")
    title, context = block.text("title"), block.text("context")
    if (block.fields("citations") or Fields({})).flag("enabled"):
        raise UnservedError(f"{block.place('citations')}: rungs do not cite")
    if form == "text":
        return text_part("\n".join(text for text in (title, context, source.needed_text("data")) if text))
    if context:
        raise UnservedError(f"{block.place('context')}: the chat API has no place for it; write it into a text")
    if form == "base64":
        return data_part(source.needed_text("media_type"), source.needed_text("data"), source.where, title)
    if form == "url" and kind == "image":
        return image_part(source.needed_text("url"))
    raise UnservedError(f"{source.place('type')}: a rung cannot read {kind}s from {form}; send the data")
