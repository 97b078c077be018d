"""Shows the result of a session: reports as files, JUnit properties, annotations, the summary on the terminal.

In comes a finished `SessionResult`; verdicts, gates and the exit status are settled before it is called.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.config.settings import Settings
from pytest_rightsize.escaping import visible
from pytest_rightsize.judging.conclusions import idle_note
from pytest_rightsize.reports.escalation_words import escalation_lines
from pytest_rightsize.reports.facts import intervals
from pytest_rightsize.reports.github import annotations
from pytest_rightsize.reports.judge_words import judge_lines
from pytest_rightsize.reports.junit import suite_properties
from pytest_rightsize.reports.publishing import Publisher, write_step_summary
from pytest_rightsize.reports.sureness import corrected_rates, partial_rungs
from pytest_rightsize.reports.terminal import (
    TITLE,
    gate_lines,
    styled,
    summary_lines,
    table_lines,
    waiver_lines,
    warning_lines,
    wrapped,
)
from pytest_rightsize.reports.usage_tables import usage_lines
from pytest_rightsize.session.explaining import Explaining
from pytest_rightsize.session.result import SessionResult
from pytest_rightsize.session.terminal_lines import write_coloured_line, write_command, write_line, write_title
from pytest_rightsize.verdict_records import Verdict

__all__ = ["Presenter"]

_QUIET = -1


class Presenter:
    """Shows one session's end; made at its start, so that what cannot be written is known before any test."""

    def __init__(self, config: pytest.Config, settings: Settings, explaining: Explaining) -> None:
        """Raises ConfigError for a report that is unknown or cannot be made."""
        self._config = config
        self._explaining = explaining
        self._settings = settings
        self._publisher = Publisher(settings.reports, config.hook.pytest_rightsize_reports())
        self.reads_texts = self._publisher.reads_texts
        self._result: SessionResult | None = None
        self._published: list[tuple[bool, str]] = []

    def present(self, result: SessionResult) -> bool:
        """Write every report; False where one could not be written."""
        self._result = result
        self._add_junit_properties(result.verdicts)
        self._published = [*self._publisher.publish(result.run, result.verdicts)]
        try:
            write_step_summary(result.run, result.verdicts)
        except OSError as error:
            self._published.append((False, f"the summary of the job was not written: {error}"))
        return all(written for written, _ in self._published)

    def _add_junit_properties(self, verdicts: Sequence[Verdict]) -> None:
        """Give the verdicts to pytest's JUnit XML, if one is written; its plugin has no public name."""
        for plugin in self._config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)
            if callable(add):
                for name, value in suite_properties(verdicts):
                    add(name, value)

    def summarise(self, terminalreporter: Any, kept: Sequence[str] = ()) -> None:
        """Print why answers are too small, the table, for each failed gate what to change, and where reports are."""
        result = self._result
        if result is None:
            return
        width = self._config.get_terminal_writer().fullwidth if terminalreporter.isatty else None
        self._explaining.write_reasons(terminalreporter, width)
        # As pytest's own sections begin; what is written after `section` alone may be broken by a late end of a line.
        write_title(terminalreporter, "=", TITLE)
        for line in table_lines(result.run, result.verdicts, width=width):
            write_coloured_line(terminalreporter, styled(visible(line)))
        for line, colours in self._lines(result, width):
            for part in wrapped(visible(line), width):
                write_line(terminalreporter, part, **colours)
        for line in kept if self._config.get_verbosity() >= _QUIET else ():
            write_line(terminalreporter, f"rightsize: {line}")
        for command in self._annotations(result):
            write_command(terminalreporter, command)

    def _lines(self, result: SessionResult, width: int | None) -> Iterator[tuple[str, dict[str, bool]]]:
        """What follows the table, each line with its colour."""
        shown = intervals(result.run, result.verdicts)
        usage = usage_lines(
            result.run_usage,
            result.conclusions,
            intervals=shown,
            partial=partial_rungs(result.verdicts),
            corrected=corrected_rates(result.verdicts),
            width=width,
            note=idle_note(result.run, result.run_usage),
        )
        # Twice quiet: what was found and what fails, and nothing of what it took.
        usage = [] if self._config.get_verbosity() < _QUIET else usage
        verbose = self._config.get_verbosity() > 0
        for line in summary_lines(result.run, result.verdicts, verbose=verbose):
            yield line, {}
        for line in self._explaining.fault_lines():
            yield f"rightsize: {line}", {"red": True}
        for line in usage:
            yield line, {}
        for line in escalation_lines(result.run, result.verdicts) if usage else ():
            yield line, {}
        for line in judge_lines(result.run, result.verdicts):
            yield line, {}
        for line in _at_scale(result) if usage else ():
            yield line, {}
        for line in result.notes:
            yield f"rightsize: {line}", {}
        for line in waiver_lines(result.waivers, result.unmet):
            yield line, {"yellow": True}
        for line in warning_lines(result.warned, result.run):
            yield line, {"yellow": True}
        for line in gate_lines(result.failed, result.run):
            yield line, {"red": True}
        if self._settings.results is not None:
            yield f"rightsize: results in {self._settings.results}", {}
        for written, line in self._published:
            yield f"rightsize: {line}", {"red": not written}

    def _annotations(self, result: SessionResult) -> Iterator[str]:
        """Commands for GitHub Actions, in a job of it only."""
        if os.environ.get("GITHUB_ACTIONS") != "true":
            return
        workspace, rootdir = Path(os.environ.get("GITHUB_WORKSPACE", ".")), self._settings.rootdir
        inside = rootdir.is_relative_to(workspace)
        prefix = rootdir.relative_to(workspace).as_posix() if inside else ""
        yield from annotations(result.run, result.failed, warned=result.warned, prefix=prefix)


def _at_scale(result: SessionResult) -> Iterator[str]:
    """What a choice means at scale, where the ladder file asks for it: a large session is not added up for nothing."""
    run = result.run
    if any(rung.gco2_per_kwh is not None for rung in run.rungs) or any(
        policy.requests_per_month is not None for policy in run.policies.values()
    ):
        from pytest_rightsize.judging.fleet import fleet
        from pytest_rightsize.reports.fleet_words import fleet_lines

        conclusions = {conclusion.task: conclusion for conclusion in result.conclusions}
        yield from fleet_lines(fleet(run, result.verdicts, conclusions))
