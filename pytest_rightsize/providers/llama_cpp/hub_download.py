"""Downloads one file of the Hugging Face hub into the hub's own cache: resumed, watched, and compared with its hash.

huggingface_hub asks, redirects and retries; since its version 1 it begins a file anew after each interruption and
compares no hash, so the unfinished file and the comparison are ours. A hub that sends nothing is given up.
"""

import ctypes
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from pytest_rightsize import clocks
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["DownloadError", "Progress", "fetch", "stated_hash", "within"]

T = TypeVar("T")

_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
# The hub's client hands over a file in pieces of this size, and so this often it is known to be still coming.
_PIECE_BYTES = 256 * 1024
_BLOCK_BYTES = 1 << 20
_NOT_SATISFIABLE = 416
_LONGER_S = 30.0


class DownloadError(Portable, Exception):
    """The file could not be fetched; the text is a clause that says why."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _LeftError(BaseException):
    """Ends the thread of a download that was given up."""


class Progress:
    """When something last came, and whether anybody still waits for it."""

    def __init__(self) -> None:
        """Begin now."""
        self.at = clocks.monotonic()
        self.is_left = False

    def moved(self) -> None:
        """Something came; raises DownloadError where nobody waits for it any more."""
        self.at = clocks.monotonic()
        if self.is_left:
            raise DownloadError("it was given up")


def within(timeout_s: float, work: Callable[[Progress], T]) -> T:
    """The result of `work`, done in another thread; raises DownloadError once nothing has come for `timeout_s` seconds.

    The hub's client has limits of its own, and tries again after each: what counts is how long the user waits.
    """
    progress = Progress()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        own_this_thread()
        try:
            results.append(work(progress))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="rightsize download", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            left_s = progress.at + timeout_s - clocks.monotonic()
            if left_s <= 0:
                _leave(thread)
                raise DownloadError(f"nothing has come for {timeout_s:g} s: raise download_timeout_s to wait longer")
            thread.join(left_s)
    finally:
        progress.is_left = True
    if errors:
        raise errors[0]
    return results[0]


def _leave(thread: threading.Thread) -> None:
    """Have the thread end at its next line of Python: its client would try again, and close connections of others."""
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(_LeftError))


def fetch(repo: str, name: str, *, progress: Progress, timeout_s: float) -> Path:
    """The file `name` of a repository in the hub's cache, whose content has the hash that the hub states.

    Raises DownloadError, or an error of huggingface_hub.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    url = hf_hub_url(repo, name)
    longer_s = timeout_s + _LONGER_S  # `within` ends it before, and says so
    about = get_hf_file_metadata(url, timeout=longer_s)
    progress.moved()
    cache, folder = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=repo, repo_type="model")
    compared = None
    if about.etag is not None and _is_hash(about.etag) and not _is_for_its_own_client(about.size):
        blob = cache / folder / "blobs" / about.etag
        with _only_one(cache / ".locks" / folder / f"{about.etag}.rightsize.lock", progress):
            if not blob.exists():
                _fetch_blob(blob, about.location, url, about.size, progress)
                compared = about.etag
    path = Path(hf_hub_download(repo, name, etag_timeout=longer_s))
    progress.moved()
    if (stated := stated_hash(path)) not in (None, compared):
        _compare(path, stated, progress)
    return path


def _is_for_its_own_client(size: int | None) -> bool:
    """Whether the hub hands out a file of this size to its own client only."""
    from huggingface_hub import constants

    most = getattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", None)
    return size is not None and most is not None and size > most


@contextmanager
def _only_one(lock_file: Path, progress: Progress) -> Iterator[None]:
    """Keep other sessions that want the same file waiting, as long as it takes."""
    from filelock import FileLock, Timeout  # huggingface_hub needs it

    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file)
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=1)
            break
        progress.moved()  # the session that holds it has its own limit
    try:
        yield
    finally:
        lock.release()


def _fetch_blob(blob: Path, location: str, url: str, size: int | None, progress: Progress) -> None:
    """Fetch what is missing of the unfinished file, and give it its name once its content is right."""
    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{blob.name}.incomplete")
    try:
        _fetch_rest(part, location, _headers(location, url), size, progress)
    except Exception as error:
        if getattr(getattr(error, "response", None), "status_code", None) != _NOT_SATISFIABLE:
            if size is not None and part.exists() and part.stat().st_size > size:
                part.unlink()
            raise
        part.unlink(missing_ok=True)  # longer than the file, or of another one
        _fetch_rest(part, location, _headers(location, url), size, progress)
    _compare(part, blob.name, progress)
    part.replace(blob)


def _headers(location: str, url: str) -> dict[str, str]:
    """Headers of the hub's client; the token is for the hub alone, and for no other host that holds the file."""
    from huggingface_hub.utils import build_hf_headers

    headers: dict[str, str] = build_hf_headers()
    if urlsplit(location)[:2] == urlsplit(url)[:2]:
        return headers
    return {name: value for name, value in headers.items() if name.lower() != "authorization"}


def _fetch_rest(part: Path, location: str, headers: Mapping[str, str], size: int | None, progress: Progress) -> None:
    from huggingface_hub.file_download import http_get

    have = part.stat().st_size if part.exists() else 0
    if size is not None and have > size:
        part.unlink()
        have = 0
    free = shutil.disk_usage(part.parent).free
    if size is not None and size - have > free:
        raise DownloadError(f"it needs {(size - have) / 1e9:.1f} GB in {part.parent}, where {free / 1e9:.1f} are free")
    with part.open("r+b" if have else "wb") as file, _small_pieces():
        file.seek(0, os.SEEK_END)
        http_get(location, _Watched(file, progress), resume_size=have, headers=dict(headers), expected_size=size)


@contextmanager
def _small_pieces() -> Iterator[None]:
    """Have the hub's client hand over what came in small pieces: else it loses up to 10 MB at each interruption."""
    from huggingface_hub import constants

    before = constants.DOWNLOAD_CHUNK_SIZE
    constants.DOWNLOAD_CHUNK_SIZE = min(before, _PIECE_BYTES)
    try:
        yield
    finally:
        constants.DOWNLOAD_CHUNK_SIZE = before


class _Watched:
    """A file that tells of each piece that is written to it."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def write(self, piece: bytes) -> int:
        self._progress.moved()
        return self._file.write(piece)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def stated_hash(path: Path) -> str | None:
    """The hash that the hub states of a file in its cache, which is the name of the blob that the path leads to."""
    blob = Path(os.path.realpath(path))
    return blob.name if blob.parent.name == "blobs" and _is_hash(blob.name) else None


def _is_hash(etag: str) -> bool:
    return _SHA256.fullmatch(etag) is not None or _GIT.fullmatch(etag) is not None


def _compare(path: Path, stated: str, progress: Progress) -> None:
    """Remove a file whose content is not the one the hub has; raises DownloadError then."""
    is_git = len(stated) == 40
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode()) if is_git else hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            progress.moved()
    if digest.hexdigest() == stated:
        return
    Path(os.path.realpath(path)).unlink()
    path.unlink(missing_ok=True)
    raise DownloadError(
        f"its content has the hash {digest.hexdigest()[:12]}.., and the hub states {stated[:12]}..: it was removed; "
        f"try again, and use another mirror if it stays so"
    )
