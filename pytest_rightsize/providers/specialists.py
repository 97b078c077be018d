"""What providers of specialists share: the prompt of a request as text, and an answer of any type as a Reply.

A specialist is whatever solves a task and is no chat model: a classifier, a rule, a program. It takes one text and
gives one value.
"""

import dataclasses
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pytest_rightsize.content_parts import texts_of
from pytest_rightsize.errors import RungError
from pytest_rightsize.records import Json, Reply, Request, Rung

__all__ = ["Threads", "program_file", "prompt_text", "reply_of"]


class Threads:
    """The threads of one rung, as many as answer side by side; they begin with the first request.

    The meter of processor time counts threads of their name as the model's.
    """

    def __init__(self, rung: Rung) -> None:
        self.count = rung.max_in_flight or 1
        self._name = f"rightsize {rung.name}"
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, answer: Callable[[Request], Reply], request: Request) -> Future[Reply]:
        """Call `answer` in one of them."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.count, thread_name_prefix=self._name)
            return self._pool.submit(answer, request)

    def close(self) -> None:
        """End them as soon as their calls have ended; a later request begins others."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def program_file(rung: Rung, name: str) -> Path | None:
    """The file of a program: by its path from the ladder file's folder, or of that name on the PATH."""
    beside = Path(rung.base_dir) / name
    found = shutil.which(str(beside)) if "/" in name or "\\" in name else shutil.which(name)
    return None if found is None else Path(found)


def prompt_text(request: Request, *, rung: str) -> str:
    """The text of the last message of the user; raises RungError for one with an image or sound, which no text is.

    A system message and earlier turns are for models that follow instructions.
    """
    text, others = texts_of(request)
    if others:
        kinds = " and ".join(str(part.get("type")) for part in others)
        raise RungError(
            f"rung {rung!r}: it reads text alone, and this message has {kinds}: give this case to rungs that take it",
            reason="request",
            alone=True,
        )
    return text


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
