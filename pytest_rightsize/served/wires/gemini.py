"""Reads Google's `models/MODEL:generateContent` and `:streamGenerateContent`; pure.

https://ai.google.dev/api/generate-content. Names may be written as `topP` or `top_p`. Parts become messages of the chat
API.
"""

import json
import re
from collections.abc import Iterator

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.asked import (
    CONTEXT_EXCEEDED,
    NO_PROBABILITIES,
    NO_SPEECH,
    NO_STATE,
    Asked,
    UnservedError,
)
from pytest_rightsize.served.wires.effort import effort_of_budget, effort_of_level
from pytest_rightsize.served.wires.fields import Fields
from pytest_rightsize.served.wires.gemini_answers import content_events, content_of
from pytest_rightsize.served.wires.gemini_schemas import camel, json_schema
from pytest_rightsize.served.wires.parts import data_part, flat, image_part, text_part, texts_and_others
from pytest_rightsize.served.wires.tools import (
    PastCalls,
    choice_fields,
    function_call,
    function_tool,
    named_choice,
    turn_message,
)

__all__ = ["Gemini"]

_PATH = re.compile(r"/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)$")
# They change no answer: filters are the vendor's, and a model's name stands in the path.
_IDLE = ("safetySettings", "labels", "model", "serviceTier", "store")
_REFUSED = {"cachedContent": NO_STATE}
_IDLE_CONFIG = ("enableEnhancedCivicAnswers", "audioTimestamp")
_REFUSED_CONFIG = {
    "responseLogprobs": NO_PROBABILITIES,
    "logprobs": NO_PROBABILITIES,
    "speechConfig": NO_SPEECH,
    "imageConfig": "rungs draw no images",
}
_STATUSES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


class Gemini:
    """The wire of Google's Gemini API, and of Vertex AI."""

    content_type = "text/event-stream"

    def matches(self, path: str) -> bool:
        """Whether it is one of its two paths."""
        return _PATH.search(path) is not None

    def read(self, path: str, body: Json) -> Asked:
        """What is asked; raises UnservedError."""
        found = _PATH.search(path)
        if found is None:
            raise UnservedError(f"{path} names no model", 404)
        given = Fields(camel(body))
        given.drop(*_IDLE)
        given.refuse_each(_REFUSED)
        config = given.fields("generationConfig") or Fields({}, "generationConfig")
        config.drop(*_IDLE_CONFIG)
        config.refuse_each(_REFUSED_CONFIG)
        _refuse_other_answers(config)
        tools = tuple(function for tool in given.each("tools") for function in _functions(tool))
        schema, extra = _form(config)
        extra |= _choice(given, has_tools=bool(tools)) | _sampling(config) | _effort(config)
        asked = Asked(
            messages=tuple(_messages(given)),
            model=found["model"],
            stream=found["verb"] == "streamGenerateContent",
            max_tokens=config.whole("maxOutputTokens"),
            temperature=config.number("temperature"),
            top_p=config.number("topP"),
            seed=config.whole("seed"),
            schema=schema,
            tools=tools or None,
            extra=extra,
            body=body,
        )
        config.refuse_rest()
        given.refuse_rest()
        return asked

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """A `GenerateContentResponse`."""
        return content_of(reply, asked)

    def events(self, reply: Reply, asked: Asked) -> Iterator[bytes]:
        """The same in pieces."""
        return content_events(reply, asked)

    def error(self, status: int, text: str, code: str | None = None) -> Json:
        """An error as Google sends it; clients tell a prompt that is too long by its words."""
        name = _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        too_long = "The input token count exceeds the maximum number of tokens allowed"
        message = f"{too_long}: {text}" if code == CONTEXT_EXCEEDED else text
        return {"error": {"code": status, "message": message, "status": name}}


def _refuse_other_answers(config: Fields) -> None:
    """Refuse to give more than one answer, or another than text."""
    if config.whole("candidateCount") not in (None, 1):
        raise UnservedError("generationConfig.candidateCount: each answer is a question of its own here; ask anew")
    if set(config.texts("responseModalities")) - {"TEXT", "MODALITY_UNSPECIFIED"}:
        raise UnservedError("generationConfig.responseModalities: rungs answer with text alone")


def _functions(tool: Fields) -> Iterator[dict[str, Json]]:
    """The functions of a tool; what else a tool may be is the vendor's own."""
    for function in tool.each("functionDeclarations"):
        parameters = function.mapping("parametersJsonSchema")
        if parameters is None and "parameters" in function:
            parameters = json_schema(function.mapping("parameters"))
        function.drop("behavior")  # whether the model waits for it, of live sessions only
        yield function_tool(
            function.needed_text("name"),
            description=_description(function),
            parameters=parameters if parameters is not None else {"type": "object", "properties": {}},
        )
        function.refuse_rest()
    if others := ", ".join(tool.rest()):
        raise UnservedError(f"{tool.where}: a rung has no tool {others}")


def _description(function: Fields) -> str | None:
    """What a function does, with what it gives, for which the chat API has no place."""
    description = function.text("description")
    given = function.mapping("responseJsonSchema")
    if given is None and "response" in function:
        given = json_schema(function.mapping("response"))
    function.drop("response")
    return description if given is None else f"{description or ''}\nReturns: {json.dumps(given)}".strip()


def _form(config: Fields) -> tuple[dict[str, Json] | None, dict[str, Json]]:
    """The JSON schema of the answer, and a `response_format` for `extra`."""
    kind = config.text("responseMimeType") or "text/plain"
    schema = config.mapping("responseJsonSchema")
    if schema is None and "responseSchema" in config:
        schema = json_schema(config.mapping("responseSchema"))
    config.drop("responseSchema")
    if kind not in ("text/plain", "application/json"):
        raise UnservedError(f"generationConfig.responseMimeType: a rung has no answers of the type {kind}")
    if schema is None and kind == "application/json":
        return None, {"response_format": {"type": "json_object"}}
    return schema, {}


def _choice(given: Fields, *, has_tools: bool) -> dict[str, Json]:
    """`tool_choice`; several functions of which one must be called are the chat API's `allowed_tools`."""
    config = given.fields("toolConfig") or Fields({}, "toolConfig")
    calling = config.fields("functionCallingConfig") or Fields({}, "toolConfig.functionCallingConfig")
    config.drop("includeServerSideToolInvocations")
    config.refuse_rest()
    mode = (calling.text("mode") or "AUTO").upper()
    names = calling.texts("allowedFunctionNames")
    calling.drop("streamFunctionCallArguments")
    calling.refuse_rest()
    modes = {"AUTO": "auto", "MODE_UNSPECIFIED": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
    if mode not in modes:
        raise UnservedError(f"{calling.place('mode')} must be AUTO, ANY, NONE or VALIDATED, not {mode!r}")
    choice: Json = modes[mode]
    if names and choice != "none":
        tools = [named_choice(name) for name in names]
        several = {"type": "allowed_tools", "allowed_tools": {"mode": choice, "tools": tools}}
        choice = tools[0] if len(tools) == 1 and choice == "required" else several
    return choice_fields(choice, parallel=True, has_tools=has_tools)


def _sampling(config: Fields) -> dict[str, Json]:
    extra: dict[str, Json] = {}
    for name, as_chat in (("frequencyPenalty", "frequency_penalty"), ("presencePenalty", "presence_penalty")):
        if (value := config.number(name)) is not None:
            extra[as_chat] = value
    if (top_k := config.whole("topK")) is not None:
        extra["top_k"] = top_k
    if stops := config.texts("stopSequences"):
        extra["stop"] = stops
    return extra


def _effort(config: Fields) -> dict[str, Json]:
    """`reasoning_effort`, from a level or a budget of tokens."""
    thinking = config.fields("thinkingConfig") or Fields({}, "generationConfig.thinkingConfig")
    level, budget = thinking.text("thinkingLevel"), thinking.whole("thinkingBudget")
    thinking.flag("includeThoughts")
    thinking.refuse_rest()
    if level and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        return {"reasoning_effort": effort_of_level(level)}
    effort = None if budget is None else effort_of_budget(budget)
    return {"reasoning_effort": effort} if effort else {}


def _messages(given: Fields) -> list[dict[str, Json]]:
    messages: list[dict[str, Json]] = []
    if (system := given.fields("systemInstruction")) is not None:
        parts = [_part(part) for part in system.each("parts")]
        messages += [{"role": "system", "content": flat(parts, "")}] if parts else []
    contents = given.each("contents")
    if not contents:
        raise UnservedError("contents: there is none")
    past = PastCalls()
    for content in contents:
        messages += _turn(content, past)
    return messages


def _turn(content: Fields, past: PastCalls) -> Iterator[dict[str, Json]]:
    """The messages of one content: results of functions each have one, before the words beside them."""
    role = content.text("role") or "user"
    if role not in ("user", "model", "function", "tool"):
        raise UnservedError(f"{content.place('role')}: there is no role {role!r}")
    calls: list[Json] = []
    parts: list[Json] = []
    thoughts: list[str] = []
    for part in content.each("parts"):
        if part.flag("thought"):
            thoughts.append(part.text("text") or "")
            continue
        if "functionCall" in part:
            call = part.needed_fields("functionCall")
            name = call.needed_text("name")
            calls.append(function_call(past.called(name, call.text("id")), name, call.mapping("args") or {}))
        elif "functionResponse" in part:
            result, others = _result(part.needed_fields("functionResponse"), past)
            yield result
            parts += others
        else:
            parts.append(_part(part))
    as_chat = "assistant" if role == "model" else "user"
    if parts or calls:
        yield turn_message(as_chat, parts, calls, "".join(thoughts), joint="")


def _result(result: Fields, past: PastCalls) -> tuple[dict[str, Json], list[Json]]:
    """The message of a result, and its images, which follow as the user's: a tool's message is text alone."""
    name = result.needed_text("name")
    _, others = texts_and_others([_part(part) for part in result.each("parts")])
    message = {
        "role": "tool",
        "tool_call_id": past.answered(name, result.text("id")),
        "content": json.dumps(result.mapping("response") or {}, ensure_ascii=False),
    }
    return message, others


def _part(part: Fields) -> dict[str, Json]:
    """A part of text, an image, sound or a document."""
    part.drop("thought", "thoughtSignature", "partMetadata")
    if "text" in part:
        content = text_part(part.needed_text("text"))
    elif "inlineData" in part:
        data = part.needed_fields("inlineData")
        name = data.text("displayName")
        content = data_part(data.needed_text("mimeType"), data.needed_text("data"), data.where, name)
    elif "fileData" in part:
        content = _image_elsewhere(part.needed_fields("fileData"))
    else:
        raise UnservedError(f"{part.where}: parts with {', '.join(part.rest()) or 'nothing'} cannot be sent to a rung")
    part.refuse_rest()  # what a part has beside its content may change how the model sees it
    return content


def _image_elsewhere(file: Fields) -> dict[str, Json]:
    url, kind = file.needed_text("fileUri"), file.text("mimeType") or ""
    is_vendors_own = "googleapis.com" in url or not url.startswith(("http://", "https://"))
    if is_vendors_own or not kind.startswith("image/"):
        raise UnservedError(f"{file.place('fileUri')}: a rung cannot read this file; send it in inlineData")
    return image_part(url)
