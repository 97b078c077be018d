"""Images, sound and documents of a run's prompts: kept once, under their SHA-256, in a folder beside the results file.

Data comes in as prompts are written and goes out by its hash, for the page and for training sets. Data whose content is
not that of its name counts as missing.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pytest_rightsize import clocks
from pytest_rightsize.bounded_files import LONGEST_LINE_BYTES, numbered_lines, regular_file_bytes
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.output_paths import ignored_by_git, leads_elsewhere, replacing
from pytest_rightsize.part_data import PartData

__all__ = ["FOLDER", "KeptMedia", "copy_media", "media_beside", "remove_unused"]

FOLDER = "rightsize-media"
"""The name of the folder, beside the results files whose prompts need it."""
_NAMED = re.compile(rb";sha256=([0-9a-f]{64});bytes=")
_NAME = re.compile(r"[0-9a-f]{64}")
# A session writes data before the prompt that names it: what is younger may be needed in a moment.
_YOUNG_S = 86_400.0
# It came in a message, in base64; no line that long is read either.
_LARGEST_BYTES = LONGEST_LINE_BYTES


class KeptMedia:
    """The data in one folder, which is made when there is something to keep; only its owner may read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, data: PartData) -> None:
        """Keep the data, once; what stands in its place and is not the same is replaced. Raises OSError."""
        self._write(data.reference.sha256, data.data)

    def read(self, sha256: str) -> bytes | None:
        """The data of that hash; None where it is not here, or is not what its name says."""
        if not _NAME.fullmatch(sha256):
            return None
        try:
            data = regular_file_bytes(self.folder / sha256, largest_bytes=_LARGEST_BYTES)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def _write(self, sha256: str, data: bytes) -> None:
        if len(data) > _LARGEST_BYTES:
            raise OSError(errno.EFBIG, f"it has {len(data):,} bytes, and {_LARGEST_BYTES:,} is the most that is kept")
        path = self.folder / sha256
        with suppress(OSError):
            if regular_file_bytes(path, largest_bytes=len(data)) == data:
                os.utime(path)  # which makes no file
                return
        if (problem := leads_elsewhere(self.folder)) is not None:
            raise OSError(f"{self.folder}: {problem}")
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, exist_ok=True)  # another process may be faster
            ignored_by_git(self.folder)
        if path.exists() and not path.is_file():  # a pipe would take the data, and keep nothing
            path.unlink()
        with replacing(path, private=True) as file:
            file.write(data)


def media_beside(results: Path) -> KeptMedia:
    """The data that the prompts of a results file name."""
    return KeptMedia(results.parent / FOLDER)


def copy_media(results: Path, target: Path) -> None:
    """Keep what a results file names beside another one too; raises OSError."""
    source, kept = media_beside(results), media_beside(target)
    if source.folder == kept.folder or not source.folder.is_dir():
        return
    for sha256 in _named_in([results]):
        data = source.read(sha256)
        if data is not None:
            kept._write(sha256, data)


def remove_unused(folder: Path, files: Iterable[Path]) -> None:
    """Remove the data beside results files that none of them names any more; what is a day old or younger stays.

    Where one of them cannot be read, nobody knows what it names: everything stays.
    """
    kept = folder / FOLDER
    if not kept.is_dir():
        return
    try:
        named = _named_in(files)
    except OSError:
        return
    for path in [path for path in kept.iterdir() if _NAME.fullmatch(path.name) and path.name not in named]:
        with suppress(OSError):
            if clocks.now().timestamp() - path.stat().st_mtime > _YOUNG_S:
                path.unlink()


def _named_in(files: Iterable[Path]) -> set[str]:
    """The hashes that prompts of results files name; a file that is gone names none. Raises OSError."""
    named: set[str] = set()
    for path in files:
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                for _, line in numbered_lines(file, path):
                    if line.startswith(b'{"kind": "prompt"'):
                        named.update(found.decode() for found in _NAMED.findall(line))
            except ConfigError as error:
                raise OSError(errno.EFBIG, str(error)) from None
    return named
