"""Ollama's `/api/chat` and `/api/generate`; pure.

https://docs.ollama.com/api. Calls have no ids there, so that a result belongs to the call of its name before it.
"""

import json
from collections.abc import Iterator

from pytest_rightsize.records import Json, Reply
from pytest_rightsize.served.wires.answering import Counts, end_of
from pytest_rightsize.served.wires.asked import NO_PROBABILITIES, Asked, UnservedError
from pytest_rightsize.served.wires.chat_completions import stop_field
from pytest_rightsize.served.wires.effort import effort_of_level
from pytest_rightsize.served.wires.fields import Fields
from pytest_rightsize.served.wires.parts import data_part, text_part
from pytest_rightsize.served.wires.tools import PastCalls, calls_of, function_call, function_tool, refuse_other_kinds

__all__ = ["Ollama"]

# They change no answer: how long a model stays loaded, and what becomes of a prompt that is too long for it.
_IDLE = ("keep_alive", "truncate", "shift")
_REFUSED = {"logprobs": NO_PROBABILITIES, "top_logprobs": NO_PROBABILITIES}
# How a model is loaded, which is the rung's own; and the length of its context, which is the rung's too.
_LOADING = (
    *("numa", "num_ctx", "num_batch", "num_gpu", "main_gpu", "low_vram", "f16_kv", "logits_all", "vocab_only"),
    *("use_mmap", "use_mlock", "embedding_only", "num_thread", "num_keep"),
)
_CARRIED = (
    *("top_k", "min_p", "typical_p", "tfs_z", "repeat_penalty", "repeat_last_n", "presence_penalty"),
    *("frequency_penalty", "mirostat_tau", "mirostat_eta"),
)
_OWN_TEMPLATE = "rungs write the prompt by their own template"
_REFUSED_PROMPT = {
    "raw": _OWN_TEMPLATE,
    "template": _OWN_TEMPLATE,
    "context": _OWN_TEMPLATE,
    "suffix": "rungs do not fill in the middle",
}
# The first letters of images in base64.
_IMAGES = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
_ENDED = "1970-01-01T00:00:00Z"


class Ollama:
    """The wire of Ollama's own API."""

    content_type = "application/x-ndjson"

    def matches(self, path: str) -> bool:
        """Whether it is one of its two paths."""
        return path.endswith(("/api/chat", "/api/generate"))

    def read(self, path: str, body: Json) -> Asked:
        """What is asked; raises UnservedError."""
        given = Fields(body)
        given.drop(*_IDLE)
        given.refuse_each(_REFUSED)
        options = given.fields("options") or Fields({}, "options")
        options.drop(*_LOADING)
        tools = tuple(_tool(tool) for tool in given.each("tools"))
        schema, extra = _form(given)
        extra |= _sampling(options) | _effort(given)
        limit = options.whole("num_predict")
        messages = _prompt(given) if path.endswith("/api/generate") else _messages(given)
        asked = Asked(
            messages=tuple(messages),
            model=given.text("model") or "",
            stream=given.flag("stream", default=True),
            max_tokens=None if limit is None or limit < 0 else limit,  # -1: no limit, -2: what the context holds
            temperature=options.number("temperature"),
            top_p=options.number("top_p"),
            seed=options.whole("seed"),
            schema=schema,
            tools=tools or None,
            extra=extra,
            body=body,
        )
        options.refuse_rest()
        given.refuse_rest()
        return asked

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """The answer, with its counts; durations are in nanoseconds."""
        counts, nanoseconds = Counts(reply), int((reply.seconds or 0) * 1e9)
        return {
            **_piece(asked, _said(reply, asked)),
            "done": True,
            "done_reason": "length" if end_of(reply) == "length" else "stop",
            "total_duration": nanoseconds,
            "load_duration": 0,
            "prompt_eval_count": counts.prompt,
            "prompt_eval_duration": 0,
            "eval_count": counts.completion,
            "eval_duration": nanoseconds,
        }

    def events(self, reply: Reply, asked: Asked) -> Iterator[bytes]:
        """Lines: reasoning, words, calls, and an empty piece with the counts."""
        said = _said(reply, asked)
        for name in ("thinking", "content", "tool_calls"):
            if said.get(name):
                yield _line({**_piece(asked, {"content": "", name: said[name]}), "done": False})
        yield _line({**self.whole(reply, asked), **_piece(asked, {"content": ""})})

    def error(self, status: int, text: str, code: str | None = None) -> Json:  # noqa: ARG002  # it has no codes
        """An error as Ollama sends it."""
        return {"error": text}


def _said(reply: Reply, asked: Asked) -> dict[str, Json]:
    """What a reply says; a call whose arguments are no JSON object stays among the words, as with Ollama's parsers."""
    calls = list(calls_of(reply, "call_"))
    broken = [f"{call.name} {call.arguments}" for call in calls if call.values is None]
    said: dict[str, Json] = {"content": "\n".join([*([reply.text] if reply.text else []), *broken])}
    if reply.reasoning and asked.body.get("think") is not False:
        said["thinking"] = reply.reasoning
    whole = [call for call in calls if call.values is not None]
    if whole:
        said["tool_calls"] = [
            {"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.values}}
            for index, call in enumerate(whole)
        ]
    return said


def _piece(asked: Asked, said: dict[str, Json]) -> dict[str, Json]:
    """A piece of an answer in the form of its path: `response`, or a message."""
    about = {"model": asked.model, "created_at": _ENDED}
    if "messages" in asked.body:
        return {**about, "message": {"role": "assistant", **said}}
    thinking = {"thinking": said["thinking"]} if "thinking" in said else {}
    return {**about, "response": said["content"], **thinking}


def _line(data: Json) -> bytes:
    return json.dumps(data).encode() + b"\n"


def _form(given: Fields) -> tuple[dict[str, Json] | None, dict[str, Json]]:
    """The JSON schema of the answer, and a `response_format` for `extra`."""
    form = given.value("format")
    if form in (None, ""):
        return None, {}
    if form == "json":
        return None, {"response_format": {"type": "json_object"}}
    if isinstance(form, str):
        raise UnservedError(f"format must be json or a JSON schema, not {form!r}")
    return given.mapping("format"), {}


def _sampling(options: Fields) -> dict[str, Json]:
    extra: dict[str, Json] = {name: options.number(name) for name in _CARRIED if name in options}
    if mirostat := options.whole("mirostat"):
        extra["mirostat_mode"] = mirostat
    if options.value("penalize_newline") is not None:
        extra["penalize_nl"] = options.flag("penalize_newline")
    return extra | stop_field(options, "stop")


def _effort(given: Fields) -> dict[str, Json]:
    """`reasoning_effort`, as Ollama's own OpenAI endpoint has it: `none` is `think: false`."""
    think = given.value("think")
    if think is None:
        return {}
    if isinstance(think, str):
        return {"reasoning_effort": effort_of_level(think)}
    return {"reasoning_effort": "medium" if given.flag("think") else "none"}


def _tool(tool: Fields) -> dict[str, Json]:
    refuse_other_kinds(tool)
    function = tool.needed_fields("function")
    return function_tool(
        function.needed_text("name"),
        description=function.text("description"),
        parameters=function.mapping("parameters"),
    )


def _prompt(given: Fields) -> Iterator[dict[str, Json]]:
    """The messages of `/api/generate`."""
    given.refuse_each(_REFUSED_PROMPT)
    if system := given.text("system"):
        yield {"role": "system", "content": system}
    yield {"role": "user", "content": _with_images(given, given.text("prompt") or "")}


def _messages(given: Fields) -> Iterator[dict[str, Json]]:
    messages = given.each("messages")
    if not messages:
        raise UnservedError("messages: there is none")
    past = PastCalls()
    for message in messages:
        role = message.needed_text("role")
        if role not in ("system", "user", "assistant", "tool"):
            raise UnservedError(f"{message.place('role')}: there is no role {role!r}")
        if role == "tool":
            message.refuse("images", "a tool's message is text alone; send the image in a message of the user")
        plain: dict[str, Json] = {"role": role, "content": _with_images(message, message.text("content") or "")}
        calls = [_past_call(call, past) for call in message.each("tool_calls")]
        if calls:
            plain |= {"content": plain["content"] or None, "tool_calls": calls}
        if thinking := message.text("thinking"):
            plain["reasoning_content"] = thinking
        if role == "tool":
            name = message.text("tool_name") or message.text("name")
            plain["tool_call_id"] = past.answered(name, message.text("tool_call_id"))
        yield plain


def _past_call(call: Fields, past: PastCalls) -> dict[str, Json]:
    function = call.needed_fields("function")
    name = function.needed_text("name")
    return function_call(past.called(name, call.text("id")), name, function.mapping("arguments") or {})


def _with_images(message: Fields, text: str) -> Json:
    """The text, with the images that stand beside it."""
    images = message.texts("images")
    if not images:
        return text
    return [*([text_part(text)] if text else []), *(_image(data, message.place("images")) for data in images)]


def _image(data: str, where: str) -> dict[str, Json]:
    kind = next((kind for start, kind in _IMAGES.items() if data.startswith(start)), None)
    if kind is None:
        raise UnservedError(f"{where}: an image must be PNG, JPEG, GIF or WebP in base64")
    return data_part(kind, data, where)
