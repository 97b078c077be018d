"""Where a file that is written may stand: not behind a link that leads out of its folder. It reads the file system."""

import os
from pathlib import Path

__all__ = ["leads_elsewhere", "same_file"]

_SYSTEM = ("/dev", "/proc", "/sys")


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
