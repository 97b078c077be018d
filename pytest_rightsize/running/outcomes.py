"""Translates between pytest's reports and trials: how a test ended, and how pytest shows the outcome of its trial."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.escaping import printable
from pytest_rightsize.records import Trial, TrialKey
from pytest_rightsize.running.grading import Ending
from pytest_rightsize.running.own_bugs import is_plainly_own, raised_at

__all__ = [
    "as_plain",
    "attach",
    "attached",
    "ending",
    "has_passed",
    "report_subtest",
    "shape",
    "show_fault",
    "status",
    "trial_of",
    "without_colours",
]

_COLOURS = re.compile(r"\x1b\[[\d;]*m")
# What pytest says of a test that passed although its marker xfail(strict=True) says that it cannot.
_STRICT_XPASS = "[XPASS(strict)]"
# What of a report holds objects that tests give to pytest.
_GIVEN = ("user_properties", "longrepr", "wasxfail", "_subtest.context")


def attach(report: Any, trial: Trial) -> None:
    """Send the trial along with its report."""
    report.rightsize = trial


def as_plain(data: dict[str, Any]) -> dict[str, Any]:
    """A report that goes to another process, or into a file, has its trial and its keywords as plain data.

    So are answers that a test gave to pytest, as by `record_property` or `pytest.skip`: execnet sends no kinds of text.
    """
    trial = data.get("rightsize")
    plain = {"rightsize": trial.to_dict()} if isinstance(trial, Trial) else {}
    plain |= {name: _plain(data[name]) for name in _GIVEN if data.get(name)}
    return data | plain | ({"keywords": dict(data["keywords"])} if "keywords" in data else {})


def _plain(value: Any) -> Any:
    """The same with texts of no kind but `str`."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def trial_of(report: Any, known: Mapping[str, Mapping[TrialKey, Trial]]) -> Trial | None:
    """The trial that came with a report, unless it is known; a run that is to be repeated is not the trial yet."""
    trial = attached(report)
    if trial is None or str(report.outcome) == "rerun":
        return None
    return None if trial.key in known.get(trial.key.task, ()) else trial


def attached(report: Any) -> Trial | None:
    """The report's trial; one from another process is read once."""
    trial = getattr(report, "rightsize", None)
    if isinstance(trial, dict):
        trial = report.rightsize = Trial.from_dict(trial)
    return trial


def has_passed(report: Any) -> bool:
    """Whether a trial came with the report, and has passed."""
    trial = attached(report)
    return trial is not None and trial.outcome == "passed"


def status(report: Any) -> tuple[str, str, Any] | None:
    """The category, letter and word of a report that pytest has no status for.

    A fault of a rung on the ladder fails its report, and has a category of its own: it is told once, at the end, and
    not under ERRORS for each test that ran into it.
    """
    trial = attached(report)
    if trial is None and getattr(report, "rightsize_fault", False):
        return "error", "E", ("ERROR", {"red": True})
    if trial is None or getattr(report, "outcome", None) == "rerun":
        return None
    if trial.is_fault:
        return "unanswered", "E", ("NO ANSWER", {"red": True})
    if trial.outcome == "failed":
        return "too small", "t", ("TOO SMALL", {"yellow": True})
    if trial.outcome == "not_run" and trial.reason not in ("skipped", "xfail"):
        return "not run", "", ("NOT RUN", {"light": True})
    return None


def ending(call: pytest.CallInfo[None], report: pytest.TestReport, root: Path) -> Ending:
    """How a test of the project at `root` ended, in the words of grading."""
    exception = call.excinfo.value if call.excinfo is not None else None
    is_strict_xpass = report.failed and exception is None and str(report.longrepr).startswith(_STRICT_XPASS)
    excused = hasattr(report, "wasxfail") or is_strict_xpass
    # Without an exception a plugin or a conftest.py has judged: it collects failed checks, say.
    judged = exception is None or isinstance(exception, AssertionError | pytest.fail.Exception)
    accident = exception if report.failed and not judged else None
    return Ending(
        kind="xfailed" if excused else report.outcome,
        in_setup=report.when == "setup",
        judged=judged,
        exception=exception,
        is_own_bug=accident is not None and is_plainly_own(accident),
        raised_at=None if accident is None else raised_at(accident, root),
        detail=_detail(report),
    )


def without_colours(text: str) -> str:
    """The text without the colours that pytest gives to a comparison where it writes to a terminal."""
    return _COLOURS.sub("", text)


def _detail(report: pytest.TestReport) -> str | None:
    """Pytest's text of a failure or a skip, shortened for a line of the results file."""
    if report.passed or report.longrepr is None:
        return None
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return without_colours(str(report.longrepr if crash is None else crash.message))[:2000]


def shape(report: pytest.TestReport, trial: Trial) -> None:
    """Change the report so that pytest treats the trial's outcome as the session must."""
    if trial.outcome == "failed":
        path, line, _ = report.location
        report.outcome = "skipped"
        first = (trial.detail or "").partition("\n")[0]
        report.longrepr = (path, line or 0, printable(f"too small ({trial.reason}): {first}"))
    elif trial.reason in ("settled", "down") and report.outcome != "skipped":
        # It was started for a recorded answer and did not get that far, or its rung went down meanwhile.
        path, line, _ = report.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, printable(f"Skipped: {trial.detail}"))
    elif trial.is_fault:
        show_fault(report, trial.detail or "")
    elif trial.outcome == "error" and report.outcome != "failed":
        # The test saw nothing wrong, and says nothing of its rung.
        report.outcome = "failed"
        report.longrepr = trial.detail


def report_subtest(report: pytest.TestReport) -> None:
    """Show a subtest that failed as data: the trial of the whole test says what that means."""
    path, line, _ = report.location
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr if crash is None else crash.message).partition("\n")[0]
    report.outcome = "skipped"
    report.longrepr = (path, line or 0, printable(f"too small: {text}"))


def show_fault(report: pytest.TestReport, text: str) -> None:
    """Show an infrastructure fault as an error of the session, in its own words and without a traceback."""
    report.outcome = "failed"
    report.longrepr = printable(text)
    report.rightsize_fault = True  # type: ignore[attr-defined]  # reports carry plugins' data
