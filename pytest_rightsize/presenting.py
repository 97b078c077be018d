"""What a session shows when it has ended: reports as files, JUnit properties, annotations, the summary on the terminal.

It decides nothing: the run, the verdicts and the failed gates are settled before it is called.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.publishing import Publisher, write_step_summary
from pytest_rightsize.records import Run, Verdict
from pytest_rightsize.reports.github import annotations
from pytest_rightsize.reports.junit import suite_properties
from pytest_rightsize.reports.terminal import TITLE, gate_lines, summary_lines
from pytest_rightsize.settings import Settings

__all__ = ["Presenter"]


class Presenter:
    """Shows one session's end; made at its start, so that what cannot be written is known before any test."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        """Raises ConfigError for a report that is unknown or cannot be made."""
        self._config = config
        self._settings = settings
        self._publisher = Publisher(settings.reports, config.hook.pytest_rightsize_reports())
        self._run: Run | None = None
        self._verdicts: Sequence[Verdict] = ()
        self._failed: Sequence[tuple[str, Verdict]] = ()
        self._published: list[tuple[bool, str]] = []

    def present(self, run: Run, verdicts: Sequence[Verdict], failed: Sequence[tuple[str, Verdict]]) -> bool:
        """Write every report; False where one could not be written."""
        self._run, self._verdicts, self._failed = run, verdicts, failed
        self._tell_junit(verdicts)
        self._published = [*self._publisher.publish(run, verdicts)]
        try:
            write_step_summary(run, verdicts)
        except OSError as error:
            self._published.append((False, f"the summary of the job was not written: {error}"))
        return all(written for written, _ in self._published)

    def _tell_junit(self, verdicts: Sequence[Verdict]) -> None:
        """Give the verdicts to pytest's JUnit XML, if one is written; its plugin has no public name."""
        for plugin in self._config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)
            if callable(add):
                for name, value in suite_properties(verdicts):
                    add(name, value)

    def summarise(self, terminalreporter: Any, deselected: int) -> None:
        """Print the table, and for each failed gate what to change."""
        if self._run is None:
            return
        terminalreporter.section(TITLE)
        for line in summary_lines(self._run, self._verdicts):
            terminalreporter.write_line(line)
        if deselected:
            terminalreporter.write_line(f"rightsize: {deselected} trials were deselected; the verdicts leave them out")
        for line in gate_lines(self._failed):
            terminalreporter.write_line(line, red=True)
        if self._settings.results is not None:
            terminalreporter.write_line(f"rightsize: results in {self._settings.results}")
        for written, line in self._published:
            terminalreporter.write_line(f"rightsize: {line}", red=not written)
        for line in self._annotations(self._run):
            terminalreporter.write_line(line)

    def _annotations(self, run: Run) -> Iterator[str]:
        """Commands for GitHub Actions, in a job of it only."""
        if os.environ.get("GITHUB_ACTIONS") != "true":
            return
        workspace, rootdir = Path(os.environ.get("GITHUB_WORKSPACE", ".")), self._settings.rootdir
        inside = rootdir.is_relative_to(workspace)
        prefix = rootdir.relative_to(workspace).as_posix() if inside else ""
        yield from annotations(run, self._failed, prefix=prefix)
