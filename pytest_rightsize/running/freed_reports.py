"""Frees reports that pytest's terminal keeps to the end of the session and never reads again.

It keeps three for each test. Those of a setup and a teardown that passed have nothing to show but what was captured,
and how long they took (`--durations`). Beside them pytest notes of each test how many of its subtests failed.
"""

from typing import Any

import pytest

try:
    from _pytest.subtests import failed_subtests_key as _failed_subtests
except ImportError:  # before pytest 9
    _failed_subtests = pytest.StashKey()

__all__ = ["free_unread"]

# Where the terminal keeps reports that are no outcome of a test.
_NO_OUTCOME = ""


def free_unread(config: pytest.Config, report: pytest.TestReport) -> None:
    """Free the report that the terminal has just taken, if nothing of it will be shown; and a note of no failure."""
    _free_note(config.stash.get(_failed_subtests, None), report)
    if report.when == "call" or not report.passed or report.sections or config.getoption("durations", None) is not None:
        return
    kept = getattr(config.pluginmanager.get_plugin("terminalreporter"), "stats", {}).get(_NO_OUTCOME)
    if kept and kept[-1] is report:
        kept.pop()


def _free_note(failed_subtests: dict[Any, int] | None, report: pytest.TestReport) -> None:
    """Pytest writes 0 where it only looks, and takes 0 for what is not there."""
    name = getattr(report, "id", report.nodeid)
    if failed_subtests and failed_subtests.get(name) == 0:
        del failed_subtests[name]
