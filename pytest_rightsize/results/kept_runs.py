"""The last runs of a project, kept as numbered results files: `.rightsize/runs/0001.jsonl` and so on.

A folder comes in, the file of a run goes out: the next one to write, or one that was written before, by its number.
"""

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import ignored_by_git, leads_elsewhere, replacing
from pytest_rightsize.results.append_only import for_the_owner
from pytest_rightsize.results.kept_media import copy_media, remove_unused

__all__ = ["FOLDER", "copy_run", "kept_runs", "named_run", "next_run", "number_of", "remove_oldest"]

FOLDER = Path(".rightsize") / "runs"
"""Where runs are kept, from the rootdir, unless answers are recorded in another folder."""
_NAME = re.compile(r"(\d{4,})\.jsonl")
_LAST = "last"


def number_of(path: Path) -> int | None:
    """The number of a kept run; None for any other file."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else int(match[1])


def kept_runs(folder: Path) -> Sequence[Path]:
    """The files of the runs that are kept, oldest first."""
    try:
        found = [path for path in folder.iterdir() if number_of(path) is not None]
    except OSError:
        return []
    return sorted(found, key=lambda path: number_of(path) or 0)


def next_run(folder: Path) -> Path:
    """An empty file for the next run, which no other session takes; raises OSError where none can be made."""
    for place in (folder.parent, folder):
        if (problem := leads_elsewhere(place)) is not None:
            raise OSError(f"{place}: {problem}")
    for place in (folder.parent, folder):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignored_by_git(folder)
    number = max((number_of(path) or 0 for path in kept_runs(folder)), default=0)
    while True:
        number += 1
        path = folder / f"{number:04}.jsonl"
        try:
            with open(path, "x", opener=for_the_owner, encoding="utf-8"):
                return path
        except FileExistsError:  # another session was faster
            continue


def copy_run(results: Path, folder: Path) -> Path:
    """Keep a copy of a results file, which its owner alone may read; raises OSError."""
    path = next_run(folder)
    with results.open("rb") as source, replacing(path, private=True) as target:
        shutil.copyfileobj(source, target)
    copy_media(results, path)
    return path


def remove_oldest(folder: Path, keep: int) -> None:
    """Keep so many runs, the last ones, and what their prompts hold beside text."""
    for path in kept_runs(folder)[:-keep]:
        with suppress(OSError):
            path.unlink()
    remove_unused(folder, kept_runs(folder))


def named_run(text: str, folder: Path | None = None) -> Path:
    """The results file that `text` names: a path, the number of a kept run, or `last`.

    Without `folder` the kept runs are those of the current folder, else of the nearest one above it that has any.
    Raises ConfigError for a number that is not there; a path is not looked at.
    """
    path = Path(text)
    if not (text.isdecimal() or text == _LAST) or path.exists():
        return path
    runs = kept_runs(folder or _nearest_folder())
    by_number = {number_of(run): run for run in runs}
    if text == _LAST and runs:
        return runs[-1]
    if text != _LAST and int(text) in by_number:
        return by_number[int(text)]
    kept = f"kept are {', '.join(str(number) for number in by_number)}" if runs else "no run is kept here"
    raise ConfigError(
        f"there is no run {text}: {kept}. `rightsize history` lists them; each session that climbs a ladder keeps its "
        f"run in {FOLDER.as_posix()}"
    )


def _nearest_folder() -> Path:
    here = Path.cwd()
    return next((place / FOLDER for place in (here, *here.parents) if (place / FOLDER).is_dir()), FOLDER)
