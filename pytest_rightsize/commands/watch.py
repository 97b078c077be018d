"""Run the tests that a changed file touches, on recorded answers, each time a file is saved; Ctrl-C ends it.

What a change touches: a test file itself, the tests that import a Python file, and those that name a file of cases or a
prompt; the ladder file touches all. Questions that were never asked before have no recorded answer, and are errors that
say so: --ask has them asked.
"""

import argparse
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_rightsize.authoring.repository_scan import project_files, touched_tests
from pytest_rightsize.commands._output import say
from pytest_rightsize.errors import ConfigError

__all__ = ["EXAMPLES", "add_arguments", "changes", "run"]

EXAMPLES = (
    "rightsize watch -- --rightsize-ladder=1b,4b",
    "rightsize watch --ask -- --rightsize-ladder=1b,4b -k route",
)
_SUFFIXES = (".py", ".toml", ".ini", ".jsonl", ".ndjson", ".csv", ".tsv", ".yaml", ".yml", ".json", ".txt", ".md")
_PERIOD_S = 0.5
_NO_TESTS = 5

Snapshot = Mapping[str, tuple[int, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rightsize watch`."""
    parser.usage = "rightsize watch [--dir DIR] [--ask] -- PYTEST OPTIONS"
    parser.add_argument("--dir", type=Path, default=Path(), help="the folder to watch (default: this one)")
    parser.add_argument("--ask", action="store_true", help="ask models what has no recorded answer")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="PYTEST OPTIONS", help="for pytest, after --")


def run(arguments: argparse.Namespace) -> int:
    """Run the tests once, then at each change; returns 0 when the user ends it. Raises ConfigError for no folder."""
    if not arguments.dir.is_dir():
        raise ConfigError(f"--dir {arguments.dir} is no folder: give the folder of a project")
    options = arguments.options[1:] if arguments.options[:1] == ["--"] else arguments.options
    command = [
        *(sys.executable, "-m", "pytest", "--rightsize-runs=0"),
        *([] if arguments.ask else ["--rightsize-cache=replay"]),
        *options,
    ]
    waiting = threading.Event()
    try:
        _run(command, [], arguments.dir)
        say("watching: save a file to run its tests again, Ctrl-C to end")
        for changed in changes(lambda: _snapshot(arguments.dir), lambda: waiting.wait(_PERIOD_S)):
            tests = touched_tests(arguments.dir, changed)
            what = ", ".join(sorted(changed)[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
            if tests is not None and not tests:
                say(f"{what}: no test with a model depends on it")
                continue
            say(f"{what}: {'all tests' if tests is None else ', '.join(tests)}")
            _run(command, tests or [], arguments.dir)
    except KeyboardInterrupt:
        say()
    return 0


def _run(command: Sequence[str], tests: Sequence[str], folder: Path) -> None:
    subprocess.run([*command, *tests], cwd=folder, check=False)


def _snapshot(folder: Path) -> Snapshot:
    """When each file was last written, and its size: a look at every file, which takes a millisecond for a hundred."""
    seen = {}
    for path in project_files(folder, _SUFFIXES):
        try:
            about = path.stat()
        except OSError:  # it was removed just now
            continue
        seen[path.relative_to(folder).as_posix()] = (about.st_mtime_ns, about.st_size)
    return seen


def changes(snapshot: Callable[[], Snapshot], wait: Callable[[], object]) -> Iterator[set[str]]:
    """The files that were written, made or removed since the last look; several saved at once come together."""
    before = snapshot()
    while True:
        wait()
        now = snapshot()
        if now == before:
            continue
        while True:  # an editor that saves all its files is left to end
            wait()
            later = snapshot()
            if later == now:
                break
            now = later
        yield {name for name in {*before, *now} if before.get(name) != now.get(name)}
        # What was saved while the tests ran is a change too.
        before = now
