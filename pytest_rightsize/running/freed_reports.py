"""Frees reports that pytest's terminal keeps to the end of the session and never reads again.

It keeps three for each test. Those of a setup and a teardown that passed have nothing to show but what was captured,
and how long they took (`--durations`).
"""

import pytest

__all__ = ["free_unread"]

# Where the terminal keeps reports that are no outcome of a test.
_NO_OUTCOME = ""


def free_unread(config: pytest.Config, report: pytest.TestReport) -> None:
    """Free the report that the terminal has just taken, if nothing of it will be shown."""
    if report.when == "call" or not report.passed or report.sections or config.getoption("durations", None) is not None:
        return
    kept = getattr(config.pluginmanager.get_plugin("terminalreporter"), "stats", {}).get(_NO_OUTCOME)
    if kept and kept[-1] is report:
        kept.pop()
