"""Warnings for the user while a session runs: added from any thread, shown by the one that runs the tests.

They appear at once where there is a terminal; a worker of pytest-xdist warns through its controller.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from pytest_rightsize.errors import RightsizeWarning
from pytest_rightsize.session.terminal_lines import write_line

__all__ = ["Notices", "warn_of"]


class Notices:
    """Messages that wait to be shown; `pause` keeps the terminal free of other lines while one is written."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[str] = SimpleQueue()
        self.pause: Callable[[], AbstractContextManager[None]] = nullcontext

    def put(self, message: str) -> None:
        """Have the message shown soon; from any thread."""
        self._waiting.put(message)

    def show(self, config: pytest.Config) -> None:
        """Show the messages that wait; from the main thread."""
        while not self._waiting.empty():
            try:
                message = self._waiting.get_nowait()
            except Empty:
                return
            terminal = config.pluginmanager.get_plugin("terminalreporter")
            # A worker may have a terminal reporter too, but nobody reads it.
            if terminal is not None and not hasattr(config, "workerinput"):
                with self.pause():
                    terminal.ensure_newline()
                    if (writer := config.get_terminal_writer()).width_of_current_line:  # letters of workers' tests
                        writer.line()
                    write_line(terminal, f"rightsize: {message}", yellow=True)
            else:
                _warn(config.issue_config_time_warning, config.hook, message, nodeid="", when="config", stacklevel=2)


def warn_of(item: pytest.Item, message: str) -> None:
    """Warn of something that a test does."""
    place = (str(item.path), (item.location[1] or 0) + 1)
    _warn(item.warn, item.ihook, message, place=place, nodeid=item.nodeid, when="runtest")


def _warn(
    warn: Callable[..., object],
    hook: Any,
    message: str,
    *,
    place: tuple[str, int] = ("rightsize", 0),
    nodeid: str,
    when: str,
    **options: object,
) -> None:
    """Have pytest show a warning as its filters say, but for one that makes an error of it: it changes no result."""
    warning = RightsizeWarning(message)
    try:
        warn(warning, **options)
    except RightsizeWarning:
        shown = warnings.WarningMessage(warning, RightsizeWarning, *place)
        hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": shown, "nodeid": nodeid, "when": when, "location": None}
        )
