"""llama.cpp as a guest in this process: it prints nothing, spins not for long, and leaves alone what would crash."""

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

__all__ = ["NativeLog", "last_words", "load", "native_log"]

# What GNU OpenMP takes by itself where it knows of more threads than processors: a wait of about 0.05 ms.
_SPINS = "1000"

_COMPLAINT = re.compile(r"error|fail|invalid|unable|cannot|not ", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class NativeLog:
    """The last lines llama.cpp logged, in place of printing them; `callback` must live as long as the process."""

    lines: deque[str]
    callback: object


@functools.cache
def load() -> Any:
    """The module `llama_cpp`, imported and made a good guest, once for the process."""
    with _short_spins():
        llama_cpp = importlib.import_module("llama_cpp")
    _leave_streams_alone()
    if b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info():
        low_level: Any = importlib.import_module("llama_cpp.llama_cpp")
        if not amx.works(Path(low_level._lib._name).parent):
            _keep_plain_weights(low_level)
    return llama_cpp


@contextlib.contextmanager
def _short_spins() -> Iterator[None]:
    """Have GNU OpenMP, which reads its settings when it is loaded, put threads to sleep that wait for others.

    Its default is to spin for some 300,000 rounds, each time that one thread of a model waits for another one, hundreds
    of times a token. Where another process has that other one's processor, whole time slices are burnt: with six busy
    neighbours on two processors, 16 short answers took 71 to 131 ms a token, and 26 to 30 ms with this, in turns.
    Whoever has set one of the variables keeps it.
    """
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def _keep_plain_weights(low_level: Any) -> None:
    """Have models loaded without the layouts for special instructions, of which AMX's would crash.

    `llama_cpp.Llama` has no argument for it: it takes what the defaults say.
    """
    defaults = low_level.llama_model_default_params

    def plain() -> Any:
        params = defaults()
        params.use_extra_bufts = False
        return params

    low_level.llama_model_default_params = plain


@functools.cache
def native_log() -> NativeLog:
    """Take over llama.cpp's log, once for the process."""
    llama_cpp = load()
    lines: deque[str] = deque(maxlen=40)

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # an attribute of a module imported late
    def keep(_level: int, text: bytes, _user_data: object) -> None:
        lines.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(keep, None)
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
