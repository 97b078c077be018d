"""The folder of the recorded answers, the connection to the file in it, and a file for what has no room there."""

import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pytest_rightsize.output_paths import ignored_by_git

__all__ = ["connect", "make_folder", "saved_elsewhere"]

# Workers of one session, and sessions beside each other, write to one file in turns.
_BUSY_S = 30


def connect(path: Path, query: str) -> sqlite3.Connection:
    """Open the file; `query` is that of its URI. Raises OSError."""
    uri = path.resolve().as_uri() + query
    try:
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as error:
        raise OSError(f"{path}: {error}") from None


def saved_elsewhere(lines: Iterable[str]) -> str:
    """The name of a new file with the lines, which its owner alone may read. May raise OSError."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="rightsize-answers-", suffix=".jsonl", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(lines)
    return file.name


def make_folder(folder: Path) -> None:
    """Make the folder, with a .gitignore of its own: answers are committed by an export, not by accident."""
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700)
    ignored_by_git(folder)
