"""Make reports of a results file: HTML, Markdown, CSV, JSON, a badge.

Without an option the summary of the session is printed. FILE may be - for the standard output.
"""

import argparse
import sys
from pathlib import Path

from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._runs import add_run_argument
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports.publishing import refuse_foreign, write_report
from pytest_rightsize.reports.rung_faults import fault_lines
from pytest_rightsize.reports.terminal import TITLE, summary_lines, table_lines
from pytest_rightsize.results.results_file import no_trial, read_run
from pytest_rightsize.session.builtin import BuiltIn

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize report run.jsonl", "rightsize report run.jsonl --html report.html --markdown summary.md")

_HELP = {
    "html": "the page with everything, in one file",
    "markdown": "the summary for a pull request",
    "csv": "one row for each trial",
    "json": "everything as one document",
    "badge": "an SVG such as: right-sized 8/9",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the results file, and an option for the file of each report."""
    add_run_argument(parser, "results")
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Write the reports, or print the summary; raises ConfigError for a file that cannot be read, made or written."""
    files = {name: getattr(arguments, name) for name in _HELP if getattr(arguments, name)}
    # The summary shows no prompt or answer; a report may.
    results = read_run(arguments.results, words_of=None if files else no_trial)
    verdicts = judge(results)
    if not files:
        lines = [*table_lines(results, verdicts), *summary_lines(results, verdicts), *fault_lines(results.trials)]
        say("\n".join([TITLE, *lines]))
    reports = BuiltIn().pytest_rightsize_reports()
    for name, file in files.items():
        report = reports[name]()
        if (problem := report.check()) is not None:
            raise ConfigError(f"the {name} report {file} cannot be made: {problem}")
        private = any(policy.private for policy in results.policies.values())
        if file != "-":
            refuse_foreign(name, report, Path(file))
        _write(file, report.render(results, verdicts), private=private)
    return 0


def _write(file: str, text: str, *, private: bool) -> None:
    if file == "-":
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        return
    try:
        write_report(Path(file), text, private=private)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}. Give another file") from None
