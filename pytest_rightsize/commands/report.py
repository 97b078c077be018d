"""Make reports of a results file: HTML, Markdown, CSV, JSON, a badge.

Without an option the summary of the session is printed. FILE may be - for the standard output.
"""

import argparse
import sys
from pathlib import Path

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports import load_reports
from pytest_rightsize.reports.publishing import write_report
from pytest_rightsize.reports.terminal import TITLE, summary_lines, table_lines
from pytest_rightsize.results.results_file import no_trial, read_run
from pytest_rightsize.session.builtin import builtin_plugins

__all__ = ["add_arguments", "run"]

_HELP = {
    "html": "the page with everything, in one file",
    "markdown": "the summary for a pull request",
    "csv": "one row for each trial",
    "json": "everything as one document",
    "badge": "an SVG such as: right-sized 8/9",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The results file, and where each report goes."""
    parser.add_argument("results", metavar="RUN.jsonl", type=Path, help="a file that --rightsize-results wrote")
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Write what was asked for; raises ConfigError for what cannot be read, made or written."""
    wanted = [(name, getattr(arguments, name)) for name in _HELP if getattr(arguments, name)]
    # The summary shows no words; a report may.
    found = read_run(arguments.results, words_of=None if wanted else no_trial)
    verdicts = judge(found)
    modules = builtin_plugins().values()
    known = load_reports(one.pytest_rightsize_reports() for one in modules if hasattr(one, "pytest_rightsize_reports"))
    if not wanted:
        sys.stdout.write("\n".join([TITLE, *table_lines(found, verdicts), *summary_lines(found, verdicts)]) + "\n")
    for name, file in wanted:
        report = known[name]()
        if (problem := report.check()) is not None:
            raise ConfigError(f"the {name} report {file} cannot be made: {problem}")
        private = any(policy.private for policy in found.policies.values())
        _write(file, report.render(found, verdicts), private=private)
    return 0


def _write(file: str, text: str, *, private: bool) -> None:
    if file == "-":
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        return
    try:
        write_report(Path(file), text, private=private)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}. Give another file") from None
