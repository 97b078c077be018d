"""Reads OpenAI's `/responses`, which keep no state here; pure.

https://platform.openai.com/docs/api-reference/responses. Items of the input become messages of the chat API.
"""

from collections.abc import Iterator

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.asked import NO_PROBABILITIES, NO_SHORTENING, NO_STATE, Asked, UnservedError
from pytest_rightsize.served.wires.chat_completions import openai_error, schema_and_form
from pytest_rightsize.served.wires.fields import Fields
from pytest_rightsize.served.wires.parts import (
    audio_part,
    file_part,
    flat,
    image_part,
    text_part,
    texts_and_others,
)
from pytest_rightsize.served.wires.response_events import response_events, response_of
from pytest_rightsize.served.wires.tools import (
    choice_fields,
    function_call,
    function_tool,
    named_choice,
    openai_choice,
)

__all__ = ["Responses"]

# They change no answer; without tools of the vendor, neither does a limit of their calls.
_IDLE = (
    *("user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"),
    *("stream_options", "max_tool_calls"),
)
_REFUSED = {
    "previous_response_id": NO_STATE,
    "conversation": NO_STATE,
    "background": "no state is kept between requests; ask without it",
    "prompt": NO_STATE,
    "top_logprobs": NO_PROBABILITIES,
    "context_management": NO_SHORTENING,
}


class Responses:
    """The wire of OpenAI's Responses."""

    content_type = "text/event-stream"

    def matches(self, path: str) -> bool:
        """Whether it is the path of Responses."""
        return path.endswith("/responses")

    def read(self, path: str, body: Json) -> Asked:  # noqa: ARG002  # the protocol has it
        """What is asked; raises UnservedError."""
        given = Fields(body)
        given.drop(*_IDLE)
        given.refuse_each(_REFUSED)
        _refuse_values(given)
        tools = tuple(_tool(tool) for tool in given.each("tools"))
        text = given.fields("text") or Fields({}, "text")
        schema, form = schema_and_form(text.fields("format"), "")
        extra = form | choice_fields(
            openai_choice(given, _chosen),
            parallel=given.flag("parallel_tool_calls", default=True),
            has_tools=bool(tools),
        )
        if verbosity := text.text("verbosity"):
            extra["verbosity"] = verbosity
        reasoning = given.fields("reasoning") or Fields({}, "reasoning")
        if effort := reasoning.text("effort"):
            extra["reasoning_effort"] = effort
        reasoning.drop("summary", "generate_summary")
        asked = Asked(
            messages=tuple(_messages(given)),
            model=given.text("model") or "",
            stream=given.flag("stream"),
            max_tokens=given.whole("max_output_tokens"),
            temperature=given.number("temperature"),
            top_p=given.number("top_p"),
            schema=schema,
            tools=tools or None,
            extra=extra,
            body=body,
        )
        for fields in (text, reasoning, given):
            fields.refuse_rest()
        return asked

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """A `response`."""
        return response_of(reply, asked)

    def events(self, reply: Reply, asked: Asked) -> Iterator[bytes]:
        """Its events."""
        return response_events(reply, asked)

    def error(self, status: int, text: str, code: str | None = None) -> Json:
        """An error as OpenAI sends it."""
        return openai_error(status, text, code)


def _refuse_values(given: Fields) -> None:
    """Refuse parameters that only some values make impossible."""
    if given.text("truncation") not in (None, "disabled"):
        raise UnservedError(f"truncation: {NO_SHORTENING}")
    if "message.output_text.logprobs" in given.texts("include"):
        raise UnservedError(f"include: {NO_PROBABILITIES}")


def _tool(tool: Fields) -> dict[str, Json]:
    kind = tool.needed_text("type")
    if kind != "function":
        raise UnservedError(f"{tool.place('type')}: a rung has no tools of the type {kind}")
    function = function_tool(
        tool.needed_text("name"),
        description=tool.text("description"),
        parameters=tool.mapping("parameters"),
        strict=tool.flag("strict") if "strict" in tool else None,
    )
    tool.refuse_rest()
    return function


def _chosen(chosen: Fields) -> Json:
    """The choice of a tool, in the spelling of the chat API."""
    kind = chosen.text("type")
    if kind == "function":
        return named_choice(chosen.needed_text("name"))
    if kind == "allowed_tools":
        tools = [named_choice(tool.needed_text("name")) for tool in chosen.each("tools")]
        return {"type": kind, "allowed_tools": {"mode": chosen.text("mode") or "auto", "tools": tools}}
    raise UnservedError(f"tool_choice.type: a rung has no tools of the type {kind}")


def _messages(given: Fields) -> list[dict[str, Json]]:
    """The input as messages; a call belongs to the assistant's words before it, as in the chat API."""
    messages: list[dict[str, Json]] = []
    if instructions := given.text("instructions"):
        messages.append({"role": "system", "content": instructions})
    if isinstance(given.value("input"), str):
        return [*messages, {"role": "user", "content": given.value("input")}]
    items = given.each("input")
    if not items:
        raise UnservedError("input: there is none")
    reasoning = ""
    shown: list[Json] = []
    for item in items:
        kind = item.text("type") or "message"
        if shown and kind != "function_call_output":
            messages.append({"role": "user", "content": shown})
            shown = []
        if kind == "reasoning":
            reasoning = _reasoning(item)
            continue
        if kind == "message":
            messages.append(_message(item))
        elif kind == "function_call":
            call = function_call(item.needed_text("call_id"), item.needed_text("name"), item.needed_text("arguments"))
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            result, others = _result(item)
            messages.append(result)
            shown = [*shown, *others]
        elif kind == "item_reference":
            raise UnservedError(f"{item.where}: {NO_STATE}")
        else:
            raise UnservedError(f"{item.place('type')}: items of the type {kind} cannot be sent to a rung")
        if reasoning and messages[-1]["role"] == "assistant":
            messages[-1]["reasoning_content"] = reasoning
        reasoning = ""
    return [*messages, {"role": "user", "content": shown}] if shown else messages


def _reasoning(item: Fields) -> str:
    """The words of an earlier turn's reasoning; what is encrypted has none."""
    parts = [*item.each("summary"), *item.each("content")]
    return "\n".join(part.needed_text("text") for part in parts)


def _message(item: Fields) -> dict[str, Json]:
    role = item.needed_text("role")
    if role not in ("system", "developer", "user", "assistant"):
        raise UnservedError(f"{item.place('role')}: there is no role {role!r}")
    return {"role": "system" if role == "developer" else role, "content": _content(item, "content")}


def _content(item: Fields, name: str) -> Json:
    value = item.value(name)
    if isinstance(value, str):
        return value
    if value is None:
        raise UnservedError(f"{item.place(name)} is missing")
    return flat([_part(part) for part in item.each(name)])


def _result(item: Fields) -> tuple[dict[str, Json], list[Json]]:
    """The message of a result, and its images, which follow the last result as the user's: a tool's is text alone."""
    content = _content(item, "output")
    parts = [text_part(content)] if isinstance(content, str) else content
    texts, others = texts_and_others(parts)
    return {"role": "tool", "tool_call_id": item.needed_text("call_id"), "content": flat(texts)}, others


def _part(part: Fields) -> dict[str, Json]:
    """A part of a message in the spelling of the chat API."""
    kind = part.needed_text("type")
    if kind in ("input_text", "output_text", "text"):
        return text_part(part.needed_text("text"))
    if kind == "refusal":
        return text_part(part.needed_text("refusal"))
    if kind not in ("input_image", "input_audio", "input_file"):
        raise UnservedError(f"{part.place('type')}: parts of the type {kind} cannot be sent to a rung")
    part.refuse("file_id", "a file that the vendor keeps; send its data")
    if kind == "input_image":
        return image_part(part.needed_text("image_url"), part.text("detail"))
    if kind == "input_audio":
        sound = part.needed_fields("input_audio")
        return audio_part(sound.needed_text("data"), sound.needed_text("format"))
    part.refuse("file_url", "a file elsewhere; send its data")
    return file_part(part.needed_text("file_data"), part.text("filename"))
