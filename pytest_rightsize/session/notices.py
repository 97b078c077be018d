"""Warnings for the user while a session runs: added from any thread, shown by the one that runs the tests.

They appear at once where there is a terminal; a worker of pytest-xdist warns through its controller.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue

import pytest

from pytest_rightsize.errors import RightsizeWarning
from pytest_rightsize.session.terminal_lines import write_line

__all__ = ["Notices"]


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
                config.issue_config_time_warning(RightsizeWarning(message), stacklevel=2)
