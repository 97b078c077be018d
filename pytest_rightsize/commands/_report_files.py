"""The reports that a command writes to files: their options, and the writing."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_rightsize.commands._output import complain
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.records import Run
from pytest_rightsize.reports import Report
from pytest_rightsize.reports.publishing import refuse_foreign, write_report
from pytest_rightsize.session.builtin import BuiltIn
from pytest_rightsize.verdict_records import Verdict

__all__ = ["add_report_arguments", "requested_reports", "write_reports"]

_HELP = {
    "html": "the page with everything, in one file",
    "markdown": "the summary for a pull request",
    "csv": "one row for each trial",
    "json": "everything as one document",
    "badge": "an SVG such as: right-sized 8/9",
}


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an option for the file of each report."""
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=text)


def requested_reports(arguments: argparse.Namespace) -> dict[str, str]:
    """The file of each report that is asked for; raises ConfigError for one that cannot be made or written there."""
    files = {name: getattr(arguments, name) for name in _HELP if getattr(arguments, name)}
    reports = BuiltIn().pytest_rightsize_reports()
    for name, file in files.items():
        report = reports[name]()
        if (problem := report.check()) is not None:
            raise ConfigError(f"the {name} report {file} cannot be made: {problem}")
        if file != "-":
            refuse_foreign(name, report, Path(file))
    return files


def write_reports(
    files: Mapping[str, str], run: Run, verdicts: Sequence[Verdict], *, html: Report | None = None
) -> None:
    """Write each report to its file, or for `-` to the standard output; raises ConfigError if that fails.

    `html` is the page where it is not the plain one.
    """
    reports = BuiltIn().pytest_rightsize_reports()
    private = any(policy.private for policy in run.policies.values())
    for name, file in files.items():
        report = html if html is not None and name == "html" else reports[name]()
        _write(file, report.render(run, verdicts), private=private)
        if file != "-":
            # Not on stdout, where another report may go.
            complain(f"wrote {file}")


def _write(file: str, text: str, *, private: bool) -> None:
    if file == "-":
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        return
    try:
        write_report(Path(file), text, private=private)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}. Give another file") from None
