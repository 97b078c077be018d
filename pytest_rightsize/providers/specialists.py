"""What providers of specialists share: the prompt of a request as text, and an answer of any type as a Reply.

A specialist is whatever solves a task and is no chat model: a classifier, a rule, a program. It takes one text and
gives one value.
"""

import dataclasses
import json
from collections.abc import Mapping

from pytest_rightsize.errors import NoAnswerError, RungError
from pytest_rightsize.records import Json, Reply, Request

__all__ = ["prompt_text", "reply_of"]


def prompt_text(request: Request) -> str:
    """The text of the last message of the user; raises NoAnswerError for one with an image or sound.

    A system message and earlier turns are for models that follow instructions.
    """
    content = next(
        (message.get("content") for message in reversed(request.messages) if message.get("role") == "user"), None
    )
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    if not parts or len(texts) < len(parts):
        raise NoAnswerError("it takes a prompt of text only", reason="format")
    return "\n".join(str(text) for text in texts)


def reply_of(value: object, *, seconds: float, where: str) -> Reply:
    """A value as the text of a reply: a text as it is, all else as JSON.

    A Reply stays what it is. Raises RungError for None and for what JSON does not have.
    """
    if isinstance(value, Reply):
        return value if value.seconds is not None else dataclasses.replace(value, seconds=seconds)
    if isinstance(value, str):
        return Reply(text=value, seconds=seconds, finish_reason="stop")
    if value is None:
        raise RungError(
            f"{where} returned None: return a text or a value, or raise pytest_rightsize.NoAnswerError if it has no "
            f"answer",
            reason="bad_reply",
            alone=True,
        )
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, type)
    plain: Json = dataclasses.asdict(value) if is_record else value  # type: ignore[call-overload]  # it is one
    try:
        return Reply(text=json.dumps(plain, allow_nan=False, ensure_ascii=False), seconds=seconds, finish_reason="stop")
    except (TypeError, ValueError) as error:
        raise RungError(
            f"{where} returned a {type(value).__name__} that is no JSON ({error}): return a text, a number, a list or "
            f"a dict",
            reason="bad_reply",
            alone=True,
        ) from None
