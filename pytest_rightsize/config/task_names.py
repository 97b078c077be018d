"""Finds `[tasks.NAME]` tables of the ladder file that belong to no test, and says which of them must end the session.

Known are the tasks of every test that was collected, before -k, -m, --lf and --deselect took any out. A table of
another name is nothing new where Python files that were not collected hold that name: it belongs to a test that this
session was not given. Else it is misspelt or left over, and a warning. It is an error where it says `private` or
`waive`, as a private task under another name would be sent to an endpoint, and a waiver of no task excuses nothing;
but only in a session that was given every test file, or where a collected task without a table has nearly that name:
what a session of some files does not know may be a name that another file puts together.
"""

import difflib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from pytest_rightsize.config.task_settings import TaskSettings

__all__ = ["Misnamed", "UncollectedFiles", "misnamed_tasks"]

# How alike two names are to be shown beside each other, and to be taken for one name misspelt.
_ALIKE, _ALMOST_THE_SAME = 0.5, 0.75
# A file without either of these words holds no test of this plugin.
_WORDS = re.compile("rightsize|model")


@dataclass(frozen=True, kw_only=True)
class Misnamed:
    """A table of the ladder file whose task no test has; `nearest` is the collected task with the nearest name."""

    task: str
    says: tuple[str, ...]
    nearest: str | None
    is_error: bool

    def message(self, table: str) -> str:
        """What is wrong, why it matters and what to do; `table` is the table as the file has it."""
        why = {
            "private": "A private task under another name is sent to endpoints like any other.",
            "waive": "A waiver of a task that is not there excuses nothing.",
        }
        hint = f": did you mean {self.nearest!r}?" if self.nearest else "."
        reasons = [why[key] for key in self.says] or ["Its settings do nothing."]
        return f"{table}: no test has this task{hint} {' '.join(reasons)} Correct the name, or remove the table."


class UncollectedFiles:
    """The project's Python files that a session did not collect; the disk is read when it is first asked."""

    def __init__(
        self,
        rootdir: Path,
        *,
        collected: Collection[str],
        patterns: Sequence[str],
        testpaths: Sequence[str],
        not_searched: Sequence[str],
    ) -> None:
        """`collected` are paths from `rootdir`; the rest are pytest's python_files, testpaths and norecursedirs."""
        self._rootdir = rootdir
        self._collected = frozenset(collected)
        self._patterns = patterns
        self._testpaths = testpaths
        self._not_searched = not_searched
        self._read: dict[str, str] | None = None

    def hold(self, task: str) -> bool:
        """Whether a file that was not collected has the task's name in quotes, or is the file of that test."""
        file, _, function = task.partition("::")
        if function and file in self._texts():
            return re.search(rf"def {re.escape(task.rpartition('::')[2])}\b", self._texts()[file]) is not None
        quoted = re.compile(rf"""(["']){re.escape(task)}\1""")
        return any(quoted.search(text) for text in self._texts().values())

    def are_all_collected(self) -> bool:
        """Whether no test file is left that may hold a test of this plugin."""
        return not any(self._is_test_file(path) and _WORDS.search(text) for path, text in self._texts().items())

    def _is_test_file(self, path: str) -> bool:
        within = not self._testpaths or any(
            path == folder or path.startswith(f"{folder.rstrip('/')}/") or fnmatch(path, f"{folder}/*")
            for folder in self._testpaths
        )
        name = path.rpartition("/")[2]
        return within and any(fnmatch(path if "/" in pattern else name, pattern) for pattern in self._patterns)

    def _texts(self) -> Mapping[str, str]:
        if self._read is None:
            paths = [path for path in self._python_files() if path not in self._collected]
            self._read = {path: text for path in paths if (text := self._text(path)) is not None}
        return self._read

    def _text(self, path: str) -> str | None:
        try:
            return (self._rootdir / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def _python_files(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self._rootdir):
            folders[:] = [name for name in folders if not self._is_skipped(Path(folder) / name)]
            yield from (
                (Path(folder) / name).relative_to(self._rootdir).as_posix() for name in files if name.endswith(".py")
            )

    def _is_skipped(self, folder: Path) -> bool:
        is_environment = (folder / "pyvenv.cfg").is_file()
        return is_environment or any(fnmatch(folder.name, pattern) for pattern in self._not_searched)


def misnamed_tasks(
    tables: Mapping[str, TaskSettings], known: Collection[str], files: UncollectedFiles
) -> list[Misnamed]:
    """The tables that belong to no test of the project, as far as a session knows whose tests have the `known` tasks.

    None for a session without a task: nothing of it can have been meant.
    """
    unknown = [task for task in tables if task not in known]
    if not known or not unknown:
        return []
    return [_misnamed(task, tables, known, files) for task in unknown if not files.hold(task)]


def _misnamed(
    task: str, tables: Mapping[str, TaskSettings], known: Collection[str], files: UncollectedFiles
) -> Misnamed:
    settings = tables[task]
    says = tuple(key for key in ("private", "waive") if getattr(settings, key))
    without_table = [name for name in known if name not in tables]
    is_near = bool(says) and _nearest(task, without_table, _ALMOST_THE_SAME) is not None
    return Misnamed(
        task=task,
        says=says,
        nearest=_nearest(task, without_table, _ALIKE) or _nearest(task, known, _ALIKE),
        is_error=bool(says) and (is_near or files.are_all_collected()),
    )


def _nearest(task: str, names: Iterable[str], cutoff: float) -> str | None:
    matches = difflib.get_close_matches(task, list(names), n=1, cutoff=cutoff)
    return matches[0] if matches else None
