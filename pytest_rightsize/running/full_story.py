"""Whether a session was asked for the full story of answers that are too small, as `-rt`, `-rA` or `--tb=long` ask.

Only then is it worth rendering a traceback of a test whose failure is data, and keeping it.
"""

from collections.abc import Sequence

import pytest

from pytest_rightsize.running.outcomes import without_colours

__all__ = ["NOT_RUN_CHAR", "TOO_SMALL_CHAR", "attach_traceback", "is_asked_for", "lists", "traceback_of"]

TOO_SMALL_CHAR = "t"
"""What `-r` calls answers that are too small."""
NOT_RUN_CHAR = "n"
"""What `-r` calls trials that were not run, or could not be answered."""


def is_asked_for(config: pytest.Config) -> bool:
    """Whether everything is to be shown of each trial that is too small."""
    return lists(config, TOO_SMALL_CHAR) or config.getoption("tbstyle", "auto") == "long"


def lists(config: pytest.Config, char: str) -> bool:
    """Whether `-r` asks for a line for each outcome of this kind; `-rA` asks for all."""
    chars = str(config.getoption("reportchars", ""))
    return char in chars or "A" in chars


def attach_traceback(report: pytest.TestReport, config: pytest.Config, subtests: Sequence[str] = ()) -> None:
    """Keep what pytest shows of a failure, before the report becomes data; also on its way to another process.

    `subtests` are the tracebacks of those that failed. What the test wrote stands behind a mark, so that no CI system
    takes a line of it for a command.
    """
    shown = str(config.getoption("showcapture", "all"))
    wanted = [] if shown == "no" else [one for one in report.sections if shown in ("all", *one[0].split())]
    parts = [*subtests, report.longreprtext]
    parts += ["\n".join([f"{title}:", *(f"    | {line}" for line in text.splitlines())]) for title, text in wanted]
    report.rightsize_traceback = without_colours("\n".join(filter(None, parts)))  # type: ignore[attr-defined]  # reports carry plugins' data


def traceback_of(report: pytest.TestReport) -> str | None:
    """What `attach_traceback` kept."""
    return getattr(report, "rightsize_traceback", None)
