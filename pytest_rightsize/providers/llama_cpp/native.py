"""Loads llama.cpp so that it does no harm in this process.

It prints nothing, its waiting threads sleep soon, and code of it that would crash is not used.
"""

import contextlib
import functools
import importlib
import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_rightsize.providers.llama_cpp import amx
from pytest_rightsize.providers.llama_cpp.weight_layouts import remove_layout

__all__ = ["SPINS", "NativeLog", "last_errors", "load", "native_log"]

# GNU OpenMP's own choice where it knows of more threads than processors: a wait of about 0.05 ms.
SPINS = "1000"

_ERROR_WORDS = re.compile(r"error|fail|invalid|unable|cannot|not ", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class NativeLog:
    """The last lines that llama.cpp logged instead of printing; `callback` must live as long as the process."""

    lines: deque[str]
    callback: object


@functools.cache
def load() -> Any:
    """Import the module `llama_cpp` and set it up, once for the process."""
    with _short_spins():
        llama_cpp = importlib.import_module("llama_cpp")
    _leave_streams_alone()
    if b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info():
        low_level: Any = importlib.import_module("llama_cpp.llama_cpp")
        is_broken = not amx.works(Path(low_level._lib._name).parent)
        if is_broken and not remove_layout(low_level._lib, b"AMX"):
            _keep_plain_weights(low_level)
    return llama_cpp


@contextlib.contextmanager
def _short_spins() -> Iterator[None]:
    """Make GNU OpenMP put waiting threads to sleep soon; it reads its settings when it is loaded.

    By default a thread that waits for another spins for some 300,000 rounds, hundreds of times a token. Where another
    process has the processor of the thread it waits for, that burns whole time slices: with six busy neighbours on two
    processors, 16 short answers took 71 to 131 ms a token, and 26 to 30 ms with this setting, measured in turns. A
    variable that the user has set is kept.
    """
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def _keep_plain_weights(low_level: Any) -> None:
    """Load models without the weight layouts for special instructions, of which AMX's would crash.

    `llama_cpp.Llama` has no argument for this: it takes the default parameters.
    """
    defaults = low_level.llama_model_default_params

    def plain() -> Any:
        params = defaults()
        params.use_extra_bufts = False
        return params

    low_level.llama_model_default_params = plain


@functools.cache
def native_log() -> NativeLog:
    """Redirect llama.cpp's log to a NativeLog, once for the process."""
    llama_cpp = load()
    lines: deque[str] = deque(maxlen=40)

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # an attribute of a module imported late
    def keep(_level: int, text: bytes, _user_data: object) -> None:
        lines.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(keep, None)
    return NativeLog(lines=lines, callback=keep)


def _leave_streams_alone() -> None:
    """Keep llama-cpp-python from silencing the log in its own way.

    It points file descriptors 1 and 2 of the whole process, and sys.stdout, to the null device while a model loads and
    while a chat format makes a grammar. Done in a thread beside pytest's capturing, that loses other code's output. Our
    log callback is enough, and chat formats print nothing.
    """
    chat_formats: Any = importlib.import_module("llama_cpp.llama_chat_format")
    chat_formats.print = lambda *_, **__: None
    for name in ("llama_cpp.llama", "llama_cpp._internals", "llama_cpp.llama_chat_format"):
        module: Any = importlib.import_module(name)
        module.suppress_stdout_stderr = lambda disable=True: contextlib.nullcontext()  # noqa: ARG005  # its signature


def last_errors() -> str:
    """The last errors that llama.cpp logged, as the end of a sentence; empty if there are none."""
    lines = [line.strip() for line in "".join(native_log().lines).splitlines()]
    errors = [line for line in dict.fromkeys(lines) if _ERROR_WORDS.search(line)]
    return f": {'; '.join(errors[-3:])}" if errors else ""
