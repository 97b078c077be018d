"""Keeps the run of a session under `.rightsize/runs`, numbered, for `rightsize history` and `rightsize report`.

A run that cannot be kept is a warning, and ends nothing.
"""

from collections.abc import Callable
from pathlib import Path

from pytest_rightsize.config.settings import Settings
from pytest_rightsize.results.kept_runs import copy_run, kept_runs, next_run, number_of, remove_oldest

__all__ = ["Keeping"]


class Keeping:
    """The run of one session. `path` is its file; None until there is one, and where none is kept."""

    def __init__(self, settings: Settings, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._warn = warn
        self._folder = settings.cache_dir / "runs"
        self.path: Path | None = None

    def begin(self) -> Path | None:
        """The file to write the run into; None where it has one of its own, or none is kept."""
        if not self._settings.runs or self._settings.results is not None:
            return None
        return self._made(lambda: next_run(self._folder))

    def end(self) -> None:
        """The run is written: keep a copy of a results file that the user named, and remove the oldest runs."""
        results = self._settings.results
        if self._settings.runs and results is not None and results.is_file():
            self._made(lambda: copy_run(results, self._folder))
        if self.path is not None:
            remove_oldest(self._folder, self._settings.runs)

    def _made(self, make: Callable[[], Path]) -> Path | None:
        try:
            self.path = make()
        except OSError as error:
            self._warn(f"this run is not kept in {self._folder} ({error}): rightsize history will not list it")
        return self.path

    def lines(self) -> list[str]:
        """Where the run is, and how to compare it with the one before."""
        if self.path is None:
            return []
        number = number_of(self.path)
        earlier = [number_of(path) for path in kept_runs(self._folder) if (number_of(path) or 0) < (number or 0)]
        against = f"; what changed: rightsize report {number} --against {earlier[-1]}" if earlier else ""
        return [f"run {number} is kept (rightsize history){against}"]
