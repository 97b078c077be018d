"""Reads the texts of a single trial from a results file whose trials were read without them.

In come the places of lines while the file is read; out goes one whole trial at a time. So what a report needs in memory
does not grow with the length of all answers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from pytest_rightsize.records import Json, Trial, TrialKey
from pytest_rightsize.results.stored_texts import Place, parts_of

__all__ = ["TextsInFile"]

ReadLine = Callable[[bytes], dict[str, Json]]
ReadTrial = Callable[[dict[str, Json], Mapping[str, tuple[Mapping[str, Json], ...]]], Trial]


class TextsInFile:
    """The places of the trials and prompts of one file; `read_line` and `read_trial` make a trial of a line."""

    def __init__(self, path: Path, read_line: ReadLine, read_trial: ReadTrial) -> None:
        self._path = path
        self._read_line = read_line
        self._read_trial = read_trial
        self._trials: dict[TrialKey, Place] = {}
        self._prompts: dict[str, Place] = {}

    def add_trial(self, key: TrialKey, place: Place) -> None:
        """Note where a trial's line is; of one that was written twice the last line counts."""
        self._trials[key] = place

    def add_prompt(self, name: str, place: Place) -> None:
        """Note where a prompt's line is."""
        self._prompts[name] = place

    def whole(self, trial: Trial) -> Trial:
        """The trial with its texts. Raises OSError where the file cannot be read, or has changed since it was."""
        place = self._trials.get(trial.key)
        if place is None:
            return trial
        with self._path.open("rb") as file:
            try:
                line = self._line(file, place)
                names = {answer.get("prompt") or "" for answer in line["answers"]} & self._prompts.keys()
                prompts = {name: tuple(self._line(file, self._prompts[name])["messages"]) for name in names}
                whole = self._read_trial(line, prompts)
            except (KeyError, TypeError, AttributeError, ValueError):
                raise OSError(f"{self._path} has changed since it was read: try again") from None
        if whole.key != trial.key:
            raise OSError(f"{self._path} has changed since it was read: try again")
        return whole

    def _line(self, file: IO[bytes], place: Place) -> dict[str, Json]:
        start, length = parts_of(place)
        file.seek(start)
        return self._read_line(file.read(length))
