"""Fetches the models of `hf:` references before a session: what is there, how large the rest is, and the download.

In come models as a ladder file names them. What fails is a RungError, whose text says what to do.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.llama_cpp import hub
from pytest_rightsize.providers.llama_cpp.hub_download import DownloadError, Progress, within

__all__ = ["HubModel", "free_bytes", "hub_model", "pull_model"]


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """A model of the hub: its file on this machine, if it is there, and the bytes of its files, if they are known.

    `have_bytes` of them came with a download that did not end.
    """

    path: Path | None
    size_bytes: int | None
    have_bytes: int = 0

    @property
    def missing_bytes(self) -> int | None:
        """What is still to come; None where the size is not known."""
        if self.path is not None:
            return 0
        return None if self.size_bytes is None else max(0, self.size_bytes - self.have_bytes)


def hub_model(model: str, *, timeout_s: float = hub.DOWNLOAD_TIMEOUT_S) -> HubModel | None:
    """What there is of a model; None for what is no reference to the hub. Asks the hub only for what is not here.

    Raises RungError where the hub does not know it, or cannot be asked.
    """
    if not hub.is_reference(model):
        return None
    found = hub.find(model)
    if isinstance(found, Path):
        return HubModel(path=found, size_bytes=found.stat().st_size)
    return _asked(model, timeout_s, found)


def _asked(model: str, timeout_s: float, problem: Problem) -> HubModel:
    """Ask the hub for the sizes of a model's files."""
    try:
        return within(timeout_s, lambda progress: _listed(model, progress))
    except DownloadError as error:
        why, reason = error.why, "missing"
    except ImportError:
        raise RungError(f"{problem.what}. To get it: {problem.remedy}", reason="missing", permanent=True) from None
    except Exception as error:  # the hub's client raises errors of several libraries
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        reason = "transport" if "Connect" in why or "Timeout" in why else "missing"
    raise RungError(
        f"{model} is not on this machine, and the hub does not tell its size ({why}); check name, connection, "
        f"HF_ENDPOINT, and HF_TOKEN if it is gated",
        reason=reason,
        permanent=True,
    )


def _listed(model: str, progress: Progress) -> HubModel:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    reference = hub.parse(model)
    sizes = {}
    for entry in HfApi().list_repo_tree(reference.repo, recursive=True):
        if (size := getattr(entry, "size", None)) is not None:
            sizes[entry.path] = int(size)
    progress.moved()
    try:
        parts = hub.choose([*sizes], reference)
    except hub.SeveralFitError as several:
        raise DownloadError(f"{several}; name one of them") from None
    if not parts:
        raise DownloadError("the repository has no such file")
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=reference.repo, repo_type="model") / "blobs"
    have = sum(part.stat().st_size for part in blobs.glob("*.incomplete")) if blobs.is_dir() else 0
    return HubModel(path=None, size_bytes=sum(sizes.get(part, 0) for part in parts), have_bytes=have)


def pull_model(model: str) -> Path:
    """The model's file, fetched with a progress bar and resumed where it was interrupted; raises RungError."""
    return hub.download(model)


def free_bytes() -> tuple[Path, int]:
    """The hub's cache, and how much room there is; raises ImportError without huggingface_hub."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    there = next(place for place in (cache, *cache.parents) if place.exists())
    return cache, shutil.disk_usage(there).free
