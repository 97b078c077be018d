"""What a fixture wider than a function writes where it is set up: it is set up once, and that start may be dropped.

Its output and log records then belong to the reports of the next start, as they would one at a time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["Section", "WideOutput", "add_sections"]

Section = tuple[str, str, str]
"""The phase of the test, which stream, and the text: as pytest keeps them with an item."""

_STREAMS = ("stdout", "stderr", "log")


class WideOutput:
    """Hears what is captured while such a fixture is set up, and leaves it captured."""

    def __init__(self, config: pytest.Config) -> None:
        """With another way of capturing there is nothing to hear, or it would be shown twice."""
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._is_captured = self._capture is not None and config.getoption("capture", "no") in ("fd", "sys")
        self._logs: Any = getattr(config.pluginmanager.get_plugin("logging-plugin"), "report_handler", None)
        self._is_within = False

    @contextmanager
    def heard(self, sections: list[Section]) -> Iterator[None]:
        """Add what is written meanwhile; a fixture that is set up by another is part of that one."""
        if self._is_within:
            yield
            return
        self._is_within = True
        before, logged = self._read(), len(self._log())
        try:
            yield
        finally:
            self._is_within = False
            written = self._read()
            for file, *texts in zip(self._files(), before, written, strict=True):
                if any(texts):
                    file.write("".join(texts))
            phase = "call" if os.environ.get("PYTEST_CURRENT_TEST", "").endswith("(call)") else "setup"
            found = (*written, self._log()[logged:].strip())
            sections += [(phase, name, text) for name, text in zip(_STREAMS, found, strict=True) if text]

    def _files(self) -> tuple[Any, Any]:
        """Where pytest itself keeps what it captures, also while a test has a stream of its own."""
        captured = self._capture._global_capturing if self._is_captured else None
        return getattr(captured and captured.out, "tmpfile", None), getattr(captured and captured.err, "tmpfile", None)

    def _read(self) -> tuple[str, str]:
        """Take out what was captured since it was read."""
        if None in self._files():
            return "", ""
        out, err = self._capture.read_global_capture()
        return out, err

    def _log(self) -> str:
        return "" if self._logs is None else self._logs.stream.getvalue()


def add_sections(item: pytest.Item, earlier: list[Section], phase: str) -> None:
    """Put what was written in earlier starts before what the item itself has of the phase."""
    mine = {stream: text for of, stream, text in item._report_sections if of == phase}
    others = [section for section in item._report_sections if section[0] != phase]
    for stream in _STREAMS:
        texts = [text for of, name, text in earlier if (of, name) == (phase, stream)]
        if stream in mine:
            texts.append(mine.pop(stream))
        if texts:
            others.append((phase, stream, ("\n" if stream == "log" else "").join(texts)))
    item._report_sections[:] = [*others, *((phase, stream, text) for stream, text in mine.items())]
