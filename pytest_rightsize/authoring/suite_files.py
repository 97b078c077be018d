"""Puts a draft on disk: `cases.jsonl`, readable by its owner only, and the test file beside it.

A file that is there is never written over unless the user says so; that is checked before anything costs time.
"""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from pytest_rightsize.authoring.exchanges import Case, Task
from pytest_rightsize.authoring.personal_data import hints
from pytest_rightsize.authoring.rendering import rendered
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import leads_elsewhere, write_whole
from pytest_rightsize.providers.secret_texts import Mask, Secret

__all__ = ["SuiteFiles"]

_MOST_LINES_SHOWN = 8


class SuiteFiles:
    """Where a draft goes: two files of one folder."""

    def __init__(self, folder: Path, *, tests: str, cases: str, force: bool) -> None:
        """Raise ConfigError if the folder cannot be used, or a file is there that `force` does not give up."""
        self.test_file = folder / tests
        self.cases_file = folder / cases
        there = [path for path in (self.cases_file, self.test_file) if os.path.lexists(path)]
        if there and not force:
            raise ConfigError(
                f"{there[0]} is there already: name another folder with --dir, or write over it with --force"
            )
        for path in there:
            if (problem := leads_elsewhere(path)) is not None:
                raise ConfigError(f"{path} cannot be written: {problem}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be used ({error.strerror}): name another folder with --dir") from None
        if not os.access(folder, os.W_OK):
            raise ConfigError(f"{folder} cannot be written to: name another folder with --dir")

    def write(
        self, tasks: Sequence[Task], *, title: str, todo: Sequence[str], withheld: Collection[str] = ()
    ) -> list[str]:
        """Write both files without the texts that are `withheld`; returns what to tell the user about them.

        Raises ConfigError if they cannot be written.
        """
        suite = rendered(tasks, title=title, todo=todo, cases_file=self.cases_file.name)
        lines = [_without(line, withheld) for line in suite.lines]
        try:
            write_whole(self.cases_file, lines, private=True)
            write_whole(self.test_file, [_without(suite.test_file, withheld)])
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be written ({error.strerror}): name another folder") from None
        return [
            *_table(tasks),
            f"written: {self.cases_file} and {self.test_file}",
            *self._hints(lines),
            f"Then: pytest {self.test_file} --rightsize-ladder=1b,4b,30b",
        ]

    def _hints(self, lines: Sequence[str]) -> list[str]:
        found = [f"{kind} (line{_numbers(numbers)})" for kind, numbers in hints(lines).items()]
        look = f"Look through {self.cases_file.name} for personal data before you commit or share it"
        return [f"{look}. It seems to have {', '.join(found)}." if found else f"{look}."]


def _without(text: str, withheld: Collection[str]) -> str:
    return Mask(map(Secret, withheld), shown="[withheld]")(text)


def _table(tasks: Sequence[Task]) -> list[str]:
    """A line for each task: how many cases it has, and how they are checked."""
    width = max((len(task.name) for task in tasks), default=0)
    lines = []
    for task in tasks:
        kinds = Counter(map(_kind, task.cases))
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        lines.append(f"  {task.name:{width}}  {told}")
    return lines


def _kind(case: Case) -> str:
    if not case.checks:
        return "without a check (skipped)"
    return " + ".join(case.checks) + (" with a todo (skipped)" if case.open_checks else "")


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_LINES_SHOWN]))
    more = len(numbers) - _MOST_LINES_SHOWN
    return f"{'s' if len(numbers) > 1 else ''} {shown}{f' and {more} more' if more > 0 else ''}"
