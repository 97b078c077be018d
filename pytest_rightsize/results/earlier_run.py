"""The run that a results file held before: it is set aside while a new one is written, until that one is whole.

So a session that is killed, or that the user stops, never costs the results of the one before.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import replacing

__all__ = ["EarlierRun"]

_HEAD_BYTES = 4_000
_END = b'{"kind": "end"'
_PIECE_BYTES = 1 << 16


class EarlierRun:
    """What stands at `path`, and the place to which it is set aside."""

    def __init__(self, path: Path, *, private: bool, asked_by: str = "--rightsize-results") -> None:
        self._asked_by = asked_by
        self._path = path
        self._private = private
        self.kept_in = path.with_name(f"{path.stem}.earlier{path.suffix}")
        self._is_ours = False

    def set_aside(self) -> None:
        """Copy it, before the file is emptied; raises ConfigError where it is no results file, and OSError."""
        if not self._path.is_file() or not self._path.stat().st_size:
            return
        with self._path.open("rb") as file:
            if b'"kind": "run"' not in file.read(_HEAD_BYTES).replace(b'":"', b'": "'):
                raise ConfigError(
                    f"{self._asked_by} would replace {self._path}, which is no results file: give another file, or "
                    f"remove it first"
                )
        # One that was cut off is no better than the whole one before it.
        if self.kept_in.exists() and not _is_whole(self._path):
            self._is_ours = True
            return
        mode = self._path.stat().st_mode & 0o777
        with self._path.open("rb") as source, replacing(self.kept_in, private=self._private, mode=mode) as target:
            shutil.copyfileobj(source, target)
        self._is_ours = True

    def drop(self) -> None:
        """The new run is whole."""
        if self._is_ours:
            with suppress(OSError):
                self.kept_in.unlink(missing_ok=True)

    @property
    def is_kept(self) -> bool:
        """Whether there is one that the new run has not replaced yet."""
        return self._is_ours and self.kept_in.exists()


def _is_whole(path: Path) -> bool:
    """Whether the last line is that of a run's end; it is looked for from behind, a piece at a time."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - 1  # without the newline of the last line
        while end > 0:
            start = max(0, end - _PIECE_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.seek(start + newline + 1)
                return file.read(len(_END)) == _END
            end = start
    return False
