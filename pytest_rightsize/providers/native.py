"""llama.cpp as a guest in this process: what it logs is kept and not printed, and the process's streams are its own."""

import contextlib
import functools
import importlib
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

__all__ = ["NativeLog", "last_words", "native_log"]

_COMPLAINT = re.compile(r"error|fail|invalid|unable|cannot|not ", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class NativeLog:
    """The last lines llama.cpp logged, in place of printing them; `callback` must live as long as the process."""

    lines: deque[str]
    callback: object


@functools.cache
def native_log() -> NativeLog:
    """Take over llama.cpp's log, once for the process."""
    llama_cpp = importlib.import_module("llama_cpp")
    lines: deque[str] = deque(maxlen=40)

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # an attribute of a module imported late
    def keep(_level: int, text: bytes, _user_data: object) -> None:
        lines.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(keep, None)
    _leave_streams_alone()
    return NativeLog(lines=lines, callback=keep)


def _leave_streams_alone() -> None:
    """Keep llama-cpp-python from silencing the log its own way.

    It points file descriptors 1 and 2 of the whole process, and sys.stdout, to the null device while a model loads.
    Done in a thread beside pytest's capturing that loses other code's output. Our log callback is enough.
    """
    for name in ("llama_cpp.llama", "llama_cpp._internals"):
        module: Any = importlib.import_module(name)
        module.suppress_stdout_stderr = lambda disable=True: contextlib.nullcontext()  # noqa: ARG005  # its signature


def last_words() -> str:
    """What llama.cpp complained of last, as the end of a sentence."""
    lines = [line.strip() for line in "".join(native_log().lines).splitlines()]
    complaints = [line for line in dict.fromkeys(lines) if _COMPLAINT.search(line)]
    return f": {'; '.join(complaints[-3:])}" if complaints else ""
