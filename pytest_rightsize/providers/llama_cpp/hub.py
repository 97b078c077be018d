"""Resolves `hf:org/repo[:QUANT]` references to GGUF files on this machine.

`find` looks in the local cache only and never uses the network; `download` fetches what is missing. Both go through
huggingface_hub, so HF_HOME, HF_ENDPOINT and HF_TOKEN work as usual.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.llama_cpp.hub_download import DownloadError, Progress, fetch, stated_hash, within

__all__ = [
    "DOWNLOAD_TIMEOUT_S",
    "Reference",
    "SeveralFitError",
    "choose",
    "download",
    "find",
    "is_reference",
    "is_spoilt",
    "parse",
]

DEFAULT_QUANT = "Q4_K_M"
DOWNLOAD_TIMEOUT_S = 60.0

_PREFIX = "hf:"
_FORM = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<quant>[\w.-]+))?", re.ASCII)
# Files beside a model that are none, by a word in their names.
_NO_MODEL = re.compile(
    r"(?i)(?<![a-z0-9])(mmproj|projector|imatrix|lora|adapter|draft|mtp|eagle\d*|medusa|vocab|vae)(?![a-z0-9])"
)
# Addresses of files end in a signature.
_QUERY = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]*")
_PART = re.compile(r"-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf$")


class SeveralFitError(Portable, ValueError):
    """Several files of a repository fit a reference; `names` are those."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"several files fit: {', '.join(names)}")
        self.names = names


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model of the hub; `quant` is None where the reference names no quantisation."""

    repo: str
    quant: str | None = None


def is_reference(model: str) -> bool:
    """Whether `model` of a ladder file is a reference to the hub rather than a path."""
    return model.startswith(_PREFIX)


def parse(model: str) -> Reference:
    """Parse `hf:org/repo[:QUANT]`; raises ConfigError if it has another form."""
    match = _FORM.fullmatch(model)
    if match is None:
        raise ConfigError(
            f"{model!r} is no reference to a model of the hub: write hf:org/repo or hf:org/repo:QUANT, "
            "such as hf:ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"
        )
    return Reference(repo=match["repo"], quant=match["quant"])


def find(model: str) -> Path | Problem:
    """The file of `model` in the local cache, or a Problem that says how to get it. Never uses the network."""
    reference = parse(model)
    try:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError:
        return Problem(
            what="huggingface_hub is not installed, which finds hf: models",
            remedy='run `python -m pip install "pytest-rightsize[local]"`',
        )
    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_id == reference.repo]
    except CacheNotFound:
        repos = []
    revisions = sorted(
        (revision for repo in repos for revision in repo.revisions), key=lambda revision: -revision.last_modified
    )
    for revision in revisions:
        paths: dict[str, Path] = {
            str(file.file_path.relative_to(revision.snapshot_path)): file.file_path for file in revision.files
        }
        try:
            parts = choose(list(paths), reference)
        except SeveralFitError as several:
            return Problem(what=f"{model} may be any of {', '.join(several.names)}", remedy=_naming(reference, several))
        if parts and all(part in paths for part in parts):
            return paths[parts[0]]
    return Problem(
        what=f"{model} is not on this machine",
        remedy=f"add --rightsize-download, or run `hf download {reference.repo} --include "
        f'"*{(reference.quant or DEFAULT_QUANT).removesuffix(".gguf")}*.gguf"`',
    )


def download(model: str, *, timeout_s: float = DOWNLOAD_TIMEOUT_S) -> Path:
    """The file of `model`, downloaded if it is not in the cache; raises RungError if that fails.

    A hub that sends nothing for `timeout_s` seconds is given up.
    """
    cached = find(model)
    if isinstance(cached, Path):
        return cached
    try:
        return within(timeout_s, lambda progress: _fetched(model, progress, timeout_s))
    except RungError:
        raise
    except DownloadError as error:
        raise _fault(model, error.why) from None
    except Exception as error:  # the hub's client raises errors of several libraries
        raise _fault(model, _QUERY.sub(r"\1", error_words(error))[:340]) from None


def is_spoilt(path: Path, sha256: str) -> bool:
    """Whether a file in the hub's cache with this SHA-256 is not what the hub states, whoever downloaded it."""
    stated = stated_hash(path)
    return stated is not None and len(stated) == len(sha256) and stated != sha256


def _fetched(model: str, progress: Progress, timeout_s: float) -> Path:
    from huggingface_hub import HfApi

    reference = parse(model)
    names = HfApi().list_repo_files(reference.repo)
    progress.moved()
    try:
        parts = choose(names, reference)
    except SeveralFitError as several:
        raise _fault(model, f"{several}: {_naming(reference, several)}") from None
    if not parts:
        raise _fault(model, f"the repository has no such file; it has {', '.join(_models(names)) or 'no GGUF at all'}")
    paths = [fetch(reference.repo, part, progress=progress, timeout_s=timeout_s) for part in parts]
    return paths[0]


def _naming(reference: Reference, several: SeveralFitError) -> str:
    return f"name one of them, as in {_PREFIX}{reference.repo}:{PurePosixPath(several.names[0]).name}"


def _fault(model: str, why: str) -> RungError:
    return RungError(
        f"{model} could not be fetched ({why}); check name, connection, HF_ENDPOINT, and HF_TOKEN if it is gated",
        reason="missing",
        permanent=True,
    )


def _models(names: list[str]) -> list[str]:
    """The GGUF files of a repository that hold a language model, by their names, sorted."""
    return sorted(name for name in names if name.endswith(".gguf") and not _NO_MODEL.search(PurePosixPath(name).name))


def choose(names: list[str], reference: Reference) -> list[str]:
    """The file that is meant, or all its parts in order; empty if there is none.

    What follows the colon is a quantisation, or as much of a file's name as tells it from the others. Raises
    SeveralFitError where several files fit.
    """
    quant = reference.quant or DEFAULT_QUANT
    exact = [name for name in names if PurePosixPath(name).name.removesuffix(".gguf") == quant.removesuffix(".gguf")]
    if exact:
        return _with_parts(min(exact, key=len))
    models = _models(names)
    matching = [name for name in models if re.search(rf"(?i)(?<![a-z0-9]){re.escape(quant)}(?![a-z0-9_])", name)]
    if not matching and reference.quant is None:
        matching = models if len({_whole(name) for name in models}) == 1 else []
    wholes = sorted({_whole(name) for name in matching})
    if len(wholes) > 1:
        raise SeveralFitError(wholes)
    return _with_parts(matching[0]) if matching else []


def _whole(name: str) -> str:
    """The name of a model without the number of a part."""
    part = _PART.search(name)
    return name if part is None else f"{name[: part.start()]}.gguf"


def _with_parts(name: str) -> list[str]:
    part = _PART.search(name)
    if part is None:
        return [name]
    stem, count = name[: part.start()], int(part["count"])
    return [f"{stem}-{index:05d}-of-{count:05d}.gguf" for index in range(1, count + 1)]
