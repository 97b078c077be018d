"""What a user is told of single trials: why answers were too small, which rungs could not answer, and `-r`'s lines.

In come the reports of tests, in the order in which pytest shows them; out go lines on the terminal. Nothing is judged.
"""

from collections.abc import Generator
from typing import Any

import pytest

from pytest_rightsize.reports.reasons import Reasons
from pytest_rightsize.reports.rung_faults import Faults
from pytest_rightsize.reports.terminal import wrapped
from pytest_rightsize.results.kept_runs import number_of
from pytest_rightsize.running.full_story import NOT_RUN_CHAR, TOO_SMALL_CHAR, is_asked_for, lists, traceback_of
from pytest_rightsize.running.outcomes import attached
from pytest_rightsize.session.state import SessionState
from pytest_rightsize.session.terminal_lines import write_line, write_title

__all__ = ["Explaining"]

# The letters of `-r` for which pytest itself writes lines, with the outcomes they stand for.
_PYTESTS_OWN = {"f": "failed", "E": "error", "s": "skipped", "x": "xfailed", "X": "xpassed", "p": "passed"}


class Explaining:
    """The hooks that collect what is told at the end. Reads the state's settings and policies; writes nothing of it."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._config = state.config
        self._reasons = Reasons(
            [rung.name for rung in state.resources.rungs],
            keeps_all=is_asked_for(state.config),
        )
        self._faults = Faults()
        self._told: set[str] = set()
        # Tests that were not run or not answered, where -r asks for them.
        self._not_run: list[str] = []

    def pytest_report_header(self) -> None:
        """Know that the header, which names the rungs that are missing, was shown."""
        self._told = {str(fault) for fault in self._state.resources.missing.values()}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in the trial that came with a report."""
        trial = attached(report)
        if trial is None or str(report.outcome) == "rerun":
            return
        self._faults.add(trial)
        policy = self._state.policies.get(trial.key.task)
        self._reasons.add(
            trial,
            test=report.nodeid,
            traceback=traceback_of(report),
            private=policy is not None and policy.private,
        )
        if (trial.is_fault or trial.outcome == "not_run") and lists(self._config, NOT_RUN_CHAR):
            word = "NO ANSWER" if trial.is_fault else "NOT RUN"
            text = trial.reason if trial.is_fault else (trial.detail or "").partition("\n")[0]
            self._not_run.append(f"{word} {report.nodeid} - {text}")

    def fault_lines(self) -> list[str]:
        """One line for each kind of fault that the header did not tell of."""
        return self._faults.lines(told=self._told)

    def write_reasons(self, terminalreporter: Any, width: int | None) -> None:
        """The section `why`: the first reasons of each task, or all of them in full."""
        style = str(self._config.getoption("tbstyle", "auto"))
        asked = self._reasons.keeps_all
        if not self._reasons.all or not (asked or (style != "no" and self._config.get_verbosity() > -2)):
            return
        write_title(terminalreporter, "=", "why answers are too small")
        if not asked:
            lines = self._reasons.lines(width=width, one_line=style == "line", more=self._where_more())
            for part in (part for line in lines for part in wrapped(line, width)):
                write_line(terminalreporter, part)
            return
        for reason in self._reasons.all:
            write_title(terminalreporter, "_", reason.test, yellow=True, bold=True)
            for line in (reason.story or "").splitlines():
                write_line(terminalreporter, line)

    def _where_more(self) -> str:
        results = self._state.settings.results
        kept = self._state.keeping.path
        if results is None and kept is not None:
            return f"-rt shows all, `rightsize show {number_of(kept)} --task TASK` any case on all rungs side by side"
        if results is None:
            return "-rt shows all; with --rightsize-results=run.jsonl, `rightsize show run.jsonl` shows any case"
        folder = self._config.invocation_params.dir
        path = results.relative_to(folder) if results.is_relative_to(folder) else results
        return f"-rt shows all, `rightsize show {path} --task TASK` any case on all rungs side by side"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """Add lines for our outcomes to pytest's short summary, which is what it has written last."""
        result = yield
        width = self._config.get_terminal_writer().fullwidth if terminalreporter.isatty else None
        lines = self._reasons.short_summary(width) if lists(self._config, TOO_SMALL_CHAR) else []
        lines += self._not_run
        if lines:
            own = (terminalreporter.stats.get(_PYTESTS_OWN.get(char)) for char in terminalreporter.reportchars)
            if not any(own):
                write_title(terminalreporter, "=", "short test summary info", cyan=True, bold=True)
            for line in lines:
                write_line(terminalreporter, line)
        return result
