"""Files that are written: never behind a link out of their folder, never in place of another kind, whole or not at all.

The one place that replaces a file; what grows line by line is `results/append_only.py`.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pytest_rightsize.errors import ConfigError

__all__ = ["ignored_by_git", "leads_elsewhere", "refuse_other", "replacing", "same_file", "write_whole"]

_SYSTEM = ("/dev", "/proc", "/sys")
# Of a file that exists, so much is read to see what it is.
_HEAD_BYTES = 16_000


def leads_elsewhere(path: Path) -> str | None:
    """Why nothing is written to `path`, if it is a link out of its folder; None for others, and for devices."""
    if not path.is_symlink():
        return None
    target, folder = Path(os.path.realpath(path)), Path(os.path.realpath(path.parent))
    if target.is_relative_to(folder) or any(target.is_relative_to(system) for system in _SYSTEM):
        return None
    if target.exists() and not (target.is_file() or target.is_dir()):
        return None
    return f"it is a symbolic link to {target}, out of its folder: give the place itself"


def same_file(path: Path, other: Path) -> bool:
    """Whether both are one file, by whatever names; it need not exist."""
    if os.path.normcase(os.path.realpath(path)) == os.path.normcase(os.path.realpath(other)):
        return True
    try:
        return path.samefile(other)
    except OSError:
        return False


def refuse_other(path: Path, kind: str, *, is_own: Callable[[str], bool]) -> None:
    """Raise ConfigError where `path` holds anything but a file of this kind, or leads out of its folder.

    `kind` is what people call it, such as "lock"; `is_own` sees the first 4,000 characters or more of a file.
    """
    if (problem := leads_elsewhere(path)) is not None:
        raise ConfigError(f"the {kind} cannot be written to {path}: {problem}")
    if path.is_dir() or path.parent.is_file():
        raise ConfigError(f"the {kind} cannot be written to {path}, which is no file: give a file")
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode(errors="replace")
    except OSError:  # it is told when it cannot be written either
        return
    if head.strip() and not is_own(head):
        raise ConfigError(f"the {kind} would replace {path}, which is no {kind}: give another file, or remove it first")


def write_whole(path: Path, pieces: Iterable[str], *, private: bool = False) -> None:
    """Write a text file whole or not at all; see `replacing`. What UTF-8 cannot hold is written as an escape."""
    with replacing(path, private=private) as file:
        for piece in pieces:
            file.write(piece.encode("utf-8", "backslashreplace"))


def ignored_by_git(folder: Path) -> None:
    """Give a folder of ours a .gitignore of its own, unless it has one; a link there is not followed."""
    with suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
        file.write("*\n")


@contextmanager
def replacing(path: Path, *, private: bool = False, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` once it is whole: a reader never sees half of one.

    Only the owner may read a `private` file; another gets `mode`, or keeps the permissions that it had. Raises OSError,
    also where a link leads out of the folder; then `path` is as it was, and nothing is left beside it.
    """
    if (problem := leads_elsewhere(path)) is not None:
        raise OSError(errno.ELOOP, problem, str(path))
    if path.exists() and not path.is_file():  # a pipe, or a device; /dev/stdout leads to one that has no name
        with path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # a link within the folder stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    if mode is None and path.exists():
        mode = path.stat().st_mode & 0o777
    try:
        with open(os.open(part, _NEW, 0o600 if private else 0o666), "wb") as file:
            if private or mode is not None:
                part.chmod(0o600 if private else mode or 0)
            yield file
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


# No link is followed, and nothing that is there is opened.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


def _remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed have left of this file."""
    if os.name != "posix":  # elsewhere signal 0 ends a process
        return
    before, after = f".{path.name}.", ".part"
    for name in os.listdir(path.parent):
        number = name[len(before) : -len(after)]
        if name.startswith(before) and name.endswith(after) and number.isdecimal():
            try:
                os.kill(int(number), 0)
            except (ProcessLookupError, OverflowError):
                with suppress(OSError):
                    path.with_name(name).unlink()
            except OSError:
                continue
