"""Run an application, pass its model calls on to the real model, and write each distinct call as a case of a test.

As in `rightsize record -- python app.py`, or `rightsize record -- pytest tests/`. The command's SDKs are led past an
endpoint on this machine by their own variables (OPENAI_BASE_URL and the like). Written are cases.jsonl and
test_recorded.py, a draft to review: what was answered counts as right until you say otherwise.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_rightsize.authoring.exchanges import Task
from pytest_rightsize.authoring.grouping import grouped
from pytest_rightsize.authoring.heard_calls import HeardCalls
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.authoring.suite_files import SuiteFiles
from pytest_rightsize.commands._output import complain
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.served.forwarding import Forwarding, Passed
from pytest_rightsize.served.upstreams import detour, upstreams

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = (
    "rightsize record -- python app.py",
    "rightsize record --dir tests --upstream http://localhost:8000/v1 -- pytest tests/",
)

_NAMES = {"tests": "test_recorded.py", "cases": "cases.jsonl"}
_MOST_KINDS_SHOWN = 5
_TODO = (
    "Look through cases.jsonl for personal data: prompts and answers stand there as they were sent. Put made-up "
    "data in its place before you commit the file. `private=True` in a marker keeps a task on this machine.",
    "Read what is expected: it is what the recorded model answered, right or wrong. Correct it.",
    "Look at each assertion: it was proposed from the answers. Loosen or tighten it until it asks for what your "
    "application needs, and set pass_rate.",
    "Climb the ladder: pytest test_recorded.py --rightsize-ladder=1b,4b,30b",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, and the command to run."""
    parser.usage = "rightsize record [--dir DIR] [--force] [--upstream [VARIABLE=]URL] -- COMMAND ..."
    parser.add_argument("--dir", type=Path, default=Path(), help="where to write the files (default: this folder)")
    parser.add_argument("--force", action="store_true", help="write over files of an earlier recording")
    parser.add_argument(
        "--upstream",
        action="append",
        default=[],
        metavar="[VARIABLE=]URL",
        help="where calls go instead of the address in the environment, as in ANTHROPIC_BASE_URL=https://..; a URL "
        "alone is that of OPENAI_BASE_URL",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and write its calls; returns the command's exit status, 128 and more for a signal.

    Raises ConfigError before the command starts if there is none, or if the files cannot be written.
    """
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise ConfigError("no command was given: rightsize record -- python app.py")
    files = SuiteFiles(arguments.dir, **_NAMES, force=arguments.force)
    recording = _Recording()
    status = asyncio.run(_run(command, upstreams(os.environ, _given(arguments.upstream)), recording))
    for line in recording.written(files):
        complain(f"rightsize record: {line}")  # the command's own output is on stdout
    return status if status >= 0 else 128 - status


def _given(options: Sequence[str]) -> dict[str, str]:
    given = {}
    for option in options:
        name, is_named, url = option.partition("=")
        named = is_named and "/" not in name
        given[name if named else "OPENAI_BASE_URL"] = url if named else option
    return given


async def _run(command: Sequence[str], addresses: Mapping[str, str], recording: "_Recording") -> int:
    """The command's exit status; negative for the signal that ended it."""
    forwarding = Forwarding(addresses, recording.note)
    await forwarding.start()
    try:
        environment = os.environ | detour(forwarding.root, addresses, os.environ)
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            raise ConfigError(f"{command[0]} cannot be started ({error.strerror})") from None
        with _signals_passed_on(process):
            return await process.wait()
    finally:
        recording.keys = forwarding.keys
        await forwarding.close()


@contextmanager
def _signals_passed_on(process: asyncio.subprocess.Process) -> Iterator[None]:
    """The command decides what a signal means; what was recorded is written in any case.

    A terminal sends Ctrl-C to the command as well, and two would mean something else to it.
    """

    def pass_on(number: int, _: object) -> None:
        if process.returncode is None and not (number == signal.SIGINT and _is_in_foreground()):
            process.send_signal(number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(number, pass_on) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Whether a terminal tells this process of Ctrl-C; on Windows a console tells all of its processes."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class _Recording:
    """The calls so far, and what became of those that are no case."""

    def __init__(self) -> None:
        self.heard = HeardCalls()
        self.keys: set[str] = set()
        self._hosts: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()
        self._others: Counter[str] = Counter()

    def note(self, passed: Passed) -> None:
        """Keep a call that can be a case, and count any other."""
        if passed.asked is not None and passed.reply is not None:
            self.heard.add(passed.asked, passed.reply)
            self._hosts[passed.host] += 1
        elif passed.problem is not None:
            self._problems[f"{passed.call}: {passed.problem}"] += 1
        else:
            self._others[passed.call] += 1

    def written(self, files: SuiteFiles) -> list[str]:
        """Write the draft, if there is a case; returns what to tell the user."""
        exchanges = self.heard.exchanges()
        lines = [f"no case: {_times(count)} {what}" for what, count in _most(self._problems)]
        if self._others:
            shown = ", ".join(f"{call} ({count})" for call, count in _most(self._others))
            lines.append(f"passed on and not recorded, as they ask no model for text: {shown}")
        if not exchanges:
            return [*lines, self._nothing_heard()]
        tasks = [proposed(name, group) for name, group in grouped(exchanges).items()]
        calls = f"{self.heard.count} call{'s' if self.heard.count > 1 else ''} to {', '.join(self._hosts)}"
        cases = f"{len(exchanges)} case{'s' if len(exchanges) > 1 else ''}"
        title = f"{cases.capitalize()} that `rightsize record` made of {self.heard.count} calls: a draft to review."
        lines.append(f"{calls}: {cases} in {len(tasks)} task{'s' if len(tasks) > 1 else ''}")
        told = self._write(files, tasks, title)
        unsure = sum("also_answered" in exchange.about for exchange in exchanges)
        if unsure:
            told.append(f"asked again, {unsure} of the questions got another answer: see also_answered in the cases")
        cut_off = sum(exchange.cut_off for exchange in exchanges)
        if cut_off:
            told.append(f"{_answers(cut_off)} cut off at a limit, so nothing is expected there: raise max_tokens")
        if self.heard.left_out:
            names = ", ".join(sorted(self.heard.left_out))
            told.append(f"left out of the cases, as not every model takes them: {names}")
        return [*lines, *told]

    def _write(self, files: SuiteFiles, tasks: Sequence[Task], title: str) -> list[str]:
        try:
            return files.write(tasks, title=title, todo=_TODO, withheld=self.keys)
        except ConfigError as error:  # the calls were paid for
            elsewhere = SuiteFiles(Path(tempfile.mkdtemp(prefix="rightsize-")), **_NAMES, force=True)
            return [str(error), *elsewhere.write(tasks, title=title, todo=_TODO, withheld=self.keys)]

    def _nothing_heard(self) -> str:
        if self._problems:
            return "no file was written: no call can be a case"
        return (
            "no file was written: no call came by. The command made none, or its base_url is fixed in its code, where "
            "no variable counts, or a ladder file with `serve = true` answered them"
        )


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    return counts.most_common(_MOST_KINDS_SHOWN)


def _answers(count: int) -> str:
    return f"{count} answers were" if count > 1 else "1 answer was"


def _times(count: int) -> str:
    return f"{count} call{'s' if count > 1 else ''},"
