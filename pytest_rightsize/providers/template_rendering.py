"""Runs a template of the sandbox in a thread of its own, and leaves one that does not come to an end.

Whatever a template raises is a TemplateRefusalError in printable words.
"""

import ctypes
import math
import threading
from collections.abc import Mapping
from typing import Any

from pytest_rightsize import clocks
from pytest_rightsize.records import Json

__all__ = ["TemplateRefusalError", "printable", "rendered", "words_of"]

_SECONDS = 2.0
# With a busy machine, a template gets more wall time for its 2 s of processor time, but not for ever.
_MOST_SECONDS = 60.0
_MOST_WORDS = 300


class TemplateRefusalError(Exception):
    """The template cannot write this conversation; the text is a clause for people."""


class _LeftError(BaseException):
    """Ends the thread of a template that has been left."""


def rendered(template: Any, names: Mapping[str, Json]) -> str:
    """The text of a template of the sandbox, which may take 2 s; raises TemplateRefusalError."""
    return _Rendering(template, names).result()


class _Rendering:
    """One run of a template in a thread of its own, which can be left."""

    def __init__(self, template: Any, names: Mapping[str, Json]) -> None:
        self._template = template
        self._names = names
        self._text: str | None = None
        self._error: Exception | None = None
        self._clock: int | None = None
        self._thread = threading.Thread(target=self._run, name="rightsize chat template", daemon=True)

    def result(self) -> str:
        started = clocks.perf_counter()
        self._thread.start()
        self._thread.join(_SECONDS)
        while self._thread.is_alive():
            if self._processor_s() >= _SECONDS or clocks.perf_counter() - started >= _MOST_SECONDS:
                self._leave()
                raise TemplateRefusalError(f"it was stopped after {_SECONDS:g} s: does it loop without end?")
            self._thread.join(0.1)
        if self._text is None:
            error = self._error or RuntimeError("it ended without a word")
            raise TemplateRefusalError(words_of(error)) from None
        return self._text

    def _run(self) -> None:
        from pytest_rightsize.providers.template_sandbox import MOST_CHARACTERS, EndlessTemplateError

        try:
            self._clock = clocks.own_thread_clock()
            pieces, size = [], 0
            for piece in self._template.generate(**self._names):
                pieces.append(piece)
                size += len(piece)
                if size > MOST_CHARACTERS:
                    raise EndlessTemplateError(f"it writes more than {MOST_CHARACTERS:,} characters")
            self._text = "".join(pieces)
        except Exception as error:
            self._error = error
        except _LeftError:
            return

    def _processor_s(self) -> float:
        """Processor seconds of the thread so far; endless where the system does not tell."""
        try:
            return math.inf if self._clock is None else clocks.processor_time(self._clock)
        except OSError:  # it has ended
            return 0.0

    def _leave(self) -> None:
        """Have the thread end at its next line of Python."""
        identity = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(_LeftError))


def words_of(error: Exception) -> str:
    """What an error of the template says; its kind where that is no word of the template's own."""
    import jinja2

    text = printable(str(error))
    is_own = type(error) is jinja2.TemplateError or type(error).__name__ == "EndlessTemplateError"
    return text if is_own and text else f"{type(error).__name__}: {text}" if text else type(error).__name__


def printable(text: str) -> str:
    """One line that any terminal shows as it is, of at most 300 characters."""
    line = " ".join(text.split())
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in line[: _MOST_WORDS + 1]
    )
    return shown if len(shown) <= _MOST_WORDS else f"{shown[: _MOST_WORDS - 3]}..."
