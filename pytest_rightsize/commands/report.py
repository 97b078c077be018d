"""Make reports of a run: HTML, Markdown, CSV, JSON, a badge; or say what it has changed against an earlier one.

Without an option the summary of the session is printed. FILE may be - for the standard output. With --against the cases
that changed come first, each with both answers; the page then has a view of both runs.
"""

import argparse
import shutil
from contextlib import suppress
from pathlib import Path

from pytest_rightsize.commands._output import say
from pytest_rightsize.commands._parsing import count
from pytest_rightsize.commands._report_files import add_report_arguments, requested_reports, write_reports
from pytest_rightsize.commands._runs import add_run_argument, check_run, run_file
from pytest_rightsize.commands._trends import last_change, run_name, smallest_cell
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.run_changes import run_changes
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.reports.changes_text import change_lines, shown_keys
from pytest_rightsize.reports.html.report import Earlier, HtmlReport, PastRuns
from pytest_rightsize.reports.judge_words import judge_lines
from pytest_rightsize.reports.rung_faults import fault_lines
from pytest_rightsize.reports.terminal import TITLE, summary_lines, table_lines
from pytest_rightsize.results.kept_runs import kept_runs, number_of
from pytest_rightsize.results.results_file import no_trial, read_run
from pytest_rightsize.results.run_summaries import read_summary

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize report run.jsonl --markdown summary.md",
    "rightsize report 12 --against 11",
    "rightsize report last --against 11 --html changes.html",
)

# Some 600,000 trials with short texts, whose summary takes 0.7 GB. Packed they take a third of that, and the summary
# takes two to four times as long, as it goes through all of them a dozen times.
_LARGE_BYTES = 400_000_000
# Columns of the page's table of runs.
_MOST_PAST = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the results file, and an option for the file of each report."""
    add_run_argument(parser, "results")
    add_report_arguments(parser)
    parser.add_argument("--against", metavar="OLD", type=run_file, help="an earlier run to compare with")
    parser.add_argument(
        "--cases",
        type=count(0, 1_000_000),
        default=10,
        metavar="N",
        help="changed cases to show with their answers (default 10)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the reports, or print the summary; raises ConfigError for a file that cannot be read, made or written."""
    files = requested_reports(arguments)
    # Two runs are compared by what was asked, and so need the prompts' hashes.
    is_large = arguments.against is None and _is_large(arguments.results)
    results = read_run(arguments.results, texts_stay=True, is_large=is_large)
    check_run(results, arguments.results)
    verdicts = judge(results)
    earlier = _earlier(arguments.against) if files and arguments.against is not None else None
    if arguments.against is not None and not files:
        _say_changes(arguments)
    elif not files:
        lines = [*summary_lines(results, verdicts), *judge_lines(results, verdicts), *fault_lines(results.trials)]
        say("\n".join([TITLE, *table_lines(results, verdicts), *lines]))
    page = HtmlReport(against=earlier, past=_past(arguments.results) if "html" in files else None)
    write_reports(files, results, verdicts, html=page)
    return 0


def _is_large(file: Path) -> bool:
    """Whether the trials of a file are better packed; never for a pipe, which is read once, with its texts."""
    return file.is_file() and file.stat().st_size > _LARGE_BYTES


def _say_changes(arguments: argparse.Namespace) -> None:
    """Print what the run has changed; texts are read of those cases alone that are shown with them."""
    files = (arguments.against, arguments.results)
    runs = [read_run(file, words_of=no_trial) for file in files]
    check_run(runs[0], arguments.against)
    changes = run_changes(runs[1], judge(runs[1]), runs[0], judge(runs[0]))
    shown = shown_keys(changes, arguments.cases)
    earlier, now = (
        read_run(file, words_of=lambda key: (key.task, key.case, key.rung) in shown, with_prompts=True).trials
        for file in files
    )
    names = (_run_name(arguments.against), _run_name(arguments.results))
    width = max(40, shutil.get_terminal_size((100, 24)).columns)
    say("\n".join(change_lines(changes, now, earlier, names=names, most=arguments.cases, width=width)))


def _earlier(file: Path) -> Earlier:
    run = read_run(file, texts_stay=True)
    check_run(run, file)
    return Earlier(run=run, verdicts=judge(run), name=_run_name(file))


def _past(file: Path) -> PastRuns | None:
    """A kept run and the ones before it; None for any other file. One that cannot be read is left out."""
    number = number_of(file)
    if number is None:
        return None
    runs = []
    for path in kept_runs(file.parent):
        with suppress(ConfigError):
            if (number_of(path) or 0) <= number:
                runs.append(read_summary(path))
    shown = runs[-_MOST_PAST:]
    tasks = dict.fromkeys(task for each in shown for task in each.tasks)
    return PastRuns(
        names=[f"run {run_name(each)}" for each in shown],
        cells={task: [smallest_cell(each.tasks.get(task)) for each in shown] for task in tasks},
        changes={task: last_change(task, runs) for task in tasks},
    )


def _run_name(file: Path) -> str:
    number = number_of(file)
    return file.name if number is None else f"run {number}"
