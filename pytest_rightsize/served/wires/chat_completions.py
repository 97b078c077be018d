"""OpenAI's `/chat/completions`, and Azure's; also what litellm, langchain, instructor and others send; pure.

https://platform.openai.com/docs/api-reference/chat. A parameter that is not known here goes on to the rung.
"""

import re
from collections.abc import Iterator, Mapping

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.answering import Counts, end_of, ident, sse
from pytest_rightsize.served.wires.asked import (
    CONTEXT_EXCEEDED,
    FILTERED,
    NO_PROBABILITIES,
    NO_SPEECH,
    Asked,
    UnservedError,
)
from pytest_rightsize.served.wires.fields import Fields
from pytest_rightsize.served.wires.parts import audio_part, flat, image_part, text_part
from pytest_rightsize.served.wires.tools import (
    calls_of,
    choice_fields,
    function_call,
    named_choice,
    openai_choice,
    refuse_other_kinds,
)

__all__ = ["ChatCompletions", "openai_error", "schema_and_form", "stop_field"]

# They change no answer: whose question it is, where the vendor keeps it, and how fast and in what pieces it answers.
_IDLE = (
    *("user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"),
    *("prediction", "stream_options"),
)
_NOT_HERE = "no parameter of chat completions; a JSON schema goes into response_format"
_REFUSED = {
    "logprobs": NO_PROBABILITIES,
    "top_logprobs": NO_PROBABILITIES,
    "audio": NO_SPEECH,
    "web_search_options": "a rung has no web search",
    "functions": "the form before 2024; use tools",
    "function_call": "the form before 2024; use tool_choice",
    # Names of ours, which no endpoint has.
    "schema": _NOT_HERE,
    "self": _NOT_HERE,
}
# What an answer has beside its words, which clients send back with it.
_OF_ANSWERS = ("annotations", "reasoning_details")
# The reasoning of an earlier answer goes to the rung by the first name: templates read it while tools are called.
_REASONING = ("reasoning_content", "reasoning", "thinking")
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class ChatCompletions:
    """The wire of OpenAI's chat completions."""

    content_type = "text/event-stream"

    def matches(self, path: str) -> bool:
        """Whether it is a path of chat completions."""
        return path.endswith("/chat/completions")

    def read(self, path: str, body: Json) -> Asked:
        """What is asked; raises UnservedError."""
        given = Fields(body)
        given.drop(*_IDLE)
        given.refuse_each(_REFUSED)
        _refuse_other_answers(given)
        tools = tuple(_tool(tool) for tool in given.each("tools"))
        limit, newer_limit = given.whole("max_tokens"), given.whole("max_completion_tokens")
        schema, form = schema_and_form(given.fields("response_format"), "json_schema")
        choice = choice_fields(
            openai_choice(given, _chosen),
            parallel=given.flag("parallel_tool_calls", default=True),
            has_tools=bool(tools),
        )
        deployment = _DEPLOYMENT.search(path)
        return Asked(
            messages=tuple(_messages(given)),
            model=given.text("model") or (deployment[1] if deployment else ""),
            stream=given.flag("stream"),
            max_tokens=limit if newer_limit is None else newer_limit,
            temperature=given.number("temperature"),
            top_p=given.number("top_p"),
            seed=given.whole("seed"),
            schema=schema,
            tools=tools or None,
            extra={**form, **choice, **stop_field(given, "stop"), **given.rest()},
            body=body,
        )

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """A `chat.completion`."""
        number = ident(asked, reply)
        calls = _calls(reply, number)
        message: dict[str, Json] = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
        if calls:
            message |= {"content": reply.text or None, "tool_calls": calls}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": end_of(reply)}
        return {**_frame(number, asked, "chat.completion"), "choices": [choice], "usage": _usage(reply)}

    def events(self, reply: Reply, asked: Asked) -> Iterator[bytes]:
        """Chunks: the role, the words, each call and its arguments, the end, the counts if asked for, and `[DONE]`."""
        number = ident(asked, reply)
        options = asked.body.get("stream_options")
        counts = isinstance(options, Mapping) and options.get("include_usage") is True
        frame = {**_frame(number, asked, "chat.completion.chunk"), **({"usage": None} if counts else {})}

        def chunk(delta: Json, end: str | None = None) -> bytes:
            return sse({**frame, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]})

        calls = _calls(reply, number)
        opening = {"role": "assistant", "content": None if calls and not reply.text else "", "refusal": None}
        yield chunk(opening)
        if reply.reasoning:
            yield chunk({"reasoning_content": reply.reasoning})
        if reply.text:
            yield chunk({"content": reply.text})
        for index, call in enumerate(calls):
            begun = {**call, "function": {**call["function"], "arguments": ""}}
            yield chunk({"tool_calls": [{"index": index, **begun}]})
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": call["function"]["arguments"]}}]})
        yield chunk({}, end_of(reply))
        if counts:
            yield sse({**frame, "choices": [], "usage": _usage(reply)})
        yield b"data: [DONE]\n\n"

    def error(self, status: int, text: str, code: str | None = None) -> Json:
        """An error as OpenAI sends it."""
        return openai_error(status, text, code)


def openai_error(status: int, text: str, code: str | None = None) -> Json:
    """An error of OpenAI's; clients tell a prompt that is too long by its code."""
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    param = {CONTEXT_EXCEEDED: "messages", FILTERED: "prompt"}.get(code or "")
    return {"error": {"message": text, "type": kind, "param": param, "code": code or "rightsize"}}


def schema_and_form(form: Fields | None, inner: str) -> tuple[dict[str, Json] | None, dict[str, Json]]:
    """The JSON schema that a `response_format` asks for, and what of it goes to `extra`.

    The schema stands in the member `inner` of it, or in itself where that is empty. Its description becomes that of
    the schema, where a model sees it; its name and `strict` say nothing to a model, and each rung has its own rule.
    """
    kind = form.needed_text("type") if form else "text"
    if form is None or kind == "text":
        return None, {}
    if kind != "json_schema":
        return None, {"response_format": {"type": kind, **form.rest()}}
    holder = form.needed_fields(inner) if inner else form
    schema, description = holder.mapping("schema"), holder.text("description")
    if schema is None:
        raise UnservedError(f"{holder.place('schema')} is missing")
    return (schema | {"description": description} if description and "description" not in schema else schema), {}


def stop_field(given: Fields, name: str) -> dict[str, Json]:
    """The texts that end an answer, for `extra`; one alone is a list too, so that it is one question."""
    stops = [given.text(name)] if isinstance(given.value(name), str) else given.texts(name)
    return {"stop": stops} if stops else {}


def _refuse_other_answers(given: Fields) -> None:
    """Refuse to give more than one answer, or another than text."""
    if given.whole("n") not in (None, 1):
        raise UnservedError("n: each answer is a question of its own here; ask n times, or set samples")
    if set(given.texts("modalities")) - {"text"}:
        raise UnservedError("modalities: rungs answer with text alone")


def _tool(tool: Fields) -> dict[str, Json]:
    refuse_other_kinds(tool)
    function = tool.needed_fields("function")
    function.needed_text("name")
    function.text("description")
    function.mapping("parameters")
    return {"type": "function", "function": dict(tool.mapping("function") or {})}


def _chosen(chosen: Fields) -> Json:
    """The choice of a tool, checked."""
    if chosen.text("type") == "allowed_tools":
        chosen.needed_fields("allowed_tools")
        return chosen.plain()
    if chosen.text("type") not in (None, "function"):
        raise UnservedError(f"tool_choice.type: a rung has no tools of the type {chosen.text('type')}")
    return named_choice(chosen.needed_fields("function").needed_text("name"))


def _messages(given: Fields) -> Iterator[dict[str, Json]]:
    messages = given.each("messages")
    if not messages:
        raise UnservedError("messages: there is none")
    return map(_message, messages)


def _message(message: Fields) -> dict[str, Json]:
    """A message for the rung: without null, and without what only an answer has."""
    role = message.needed_text("role")
    if role == "function":
        raise UnservedError(f"{message.place('role')}: the form before 2024; answer a call with the role tool")
    if role not in ("system", "developer", "user", "assistant", "tool"):
        raise UnservedError(f"{message.place('role')}: there is no role {role!r}")
    refusal = message.text("refusal")
    reasoning = [value for name in _REASONING if isinstance(value := message.value(name), str)]
    message.drop(*_OF_ANSWERS)
    message.refuse("audio", NO_SPEECH)
    if not message.value("tool_calls"):  # some servers write both
        message.refuse("function_call", "the form before 2024; use tool_calls")
    message.drop("function_call")
    content = _content(message)
    plain: dict[str, Json] = {
        "role": "system" if role == "developer" else role,
        "content": refusal if content is None and refusal else content,
    }
    calls = [_past_call(call) for call in message.each("tool_calls")]
    if calls:
        plain["tool_calls"] = calls
    if reasoning and reasoning[0]:
        plain["reasoning_content"] = reasoning[0]
    if role == "tool":
        plain["tool_call_id"] = message.needed_text("tool_call_id")
    if plain["content"] is None and not calls:
        raise UnservedError(f"{message.place('content')} is missing")
    return plain | message.rest()


def _content(message: Fields) -> Json:
    content = message.value("content")
    if content is None or isinstance(content, str):
        return content
    return flat([_part(part) for part in message.each("content")])


def _part(part: Fields) -> Json:
    """A part of a message: text and what an assistant refused with as text, any other as it is."""
    kind = part.needed_text("type")
    if kind == "text":
        return text_part(part.needed_text("text"))
    if kind == "refusal":
        return text_part(part.needed_text("refusal"))
    if kind == "image_url":
        image = part.needed_fields("image_url")
        return image_part(image.needed_text("url"), image.text("detail"))
    if kind == "input_audio":
        sound = part.needed_fields("input_audio")
        return audio_part(sound.needed_text("data"), sound.needed_text("format"))
    if kind == "file":
        part.needed_fields("file").refuse("file_id", "a file that the vendor keeps; send it in file_data")
    return {"type": kind, **part.plain()}


def _past_call(call: Fields) -> dict[str, Json]:
    """A call of an earlier answer."""
    refuse_other_kinds(call)
    function = call.needed_fields("function")
    return function_call(call.needed_text("id"), function.needed_text("name"), function.needed_text("arguments"))


def _calls(reply: Reply, number: str) -> list[dict[str, Json]]:
    return [function_call(call.id, call.name, call.arguments) for call in calls_of(reply, f"call_{number}")]


def _frame(number: str, asked: Asked, kind: str) -> dict[str, Json]:
    """What an answer and each chunk of it begin with."""
    return {
        "id": f"chatcmpl-{number}",
        "object": kind,
        "created": 0,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _usage(reply: Reply) -> Json:
    counts = Counts(reply)
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.total,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
