"""Write what a run showed into rightsize.lock, a small file to review and to compare later runs with.

Give it to --rightsize-baseline: a session then fails where a task needs a larger rung than before, or where its chosen
rung passes fewer cases than chance allows.
"""

import argparse
from pathlib import Path

from pytest_rightsize.commands._output import say, write_output
from pytest_rightsize.commands._runs import add_run_argument, read_summary
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.output_paths import refuse_other
from pytest_rightsize.results.lockfile import is_lock, lock_of, render_lock, why_none

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = ("rightsize lock last", "rightsize lock run.jsonl --output rightsize.lock")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize lock`."""
    add_run_argument(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("rightsize.lock"), metavar="FILE", help="default: rightsize.lock"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the lock; raises ConfigError for a run that was cut off, or a file that cannot be written."""
    results = read_summary(arguments.run_file)
    if results.interrupted:
        raise ConfigError(f"{arguments.run_file} was cut off: lock the results of a session that ran to its end")
    lock = lock_of(results, judge(results))
    refuse_other(arguments.output, "lock", is_own=is_lock)
    write_output(arguments.output, [render_lock(lock)])
    reasons = {name: why_none(lock, task) for name, task in lock.tasks.items() if task.smallest is None}
    unsolved = [name for name, reason in reasons.items() if reason == "no rung passes"]
    unknown = [name for name in reasons if name not in unsolved]
    parts = [
        f"{arguments.output}: {len(lock.tasks)} task{'s' if len(lock.tasks) != 1 else ''}",
        *([f"no rung passes {', '.join(unsolved)}"] if unsolved else []),
        *([f"the smallest rung is not known of {', '.join(unknown)}"] if unknown else []),
    ]
    say("; ".join(parts))
    return 0
