"""The files that a vLLM rung is served from: found once, for the server as for the rung's fingerprint.

They are the model's, and those of the adapter and the draft model beside it.

A path is one beside the ladder file. Any other name is a repository at the hub, of which one commit is served; it is
downloaded only where the user allowed that.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.vllm_options import FILES, REVISIONS, server_options
from pytest_rightsize.providers.vllm_parts import (
    ADAPTER,
    DRAFT,
    MODALITIES,
    Part,
    adapter_of,
    draft_of,
    modality_adapters_of,
)
from pytest_rightsize.records import Json, Rung

__all__ = ["ServedModel"]

# Values of options of files that are no names of files.
_WORDS: Mapping[str, tuple[str, ...]] = {"generation_config": ("auto", "vllm"), "hf_config_path": ()}
_COMMIT = re.compile(r"[0-9a-f]{40}")


class ServedModel:
    """The model of a rung, and the other files that its options name. Used from any thread."""

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; nothing is looked up."""
        self._rung = rung
        self._names: dict[str, Json] = {"model": str(rung.model), **server_options(rung)}
        self._snapshots: dict[str, Path] = {}
        self._lock = threading.Lock()

    @property
    def folder(self) -> str:
        """The folder that paths are below, also those that the server looks up itself."""
        base = Path(self._rung.base_dir).absolute()
        return str(base if base.is_dir() else base.anchor)  # in no other folder a repository's name may be a path

    @property
    def may_download(self) -> bool:
        """Whether the user allowed it."""
        return self._rung.options.get("download") is True

    @property
    def name(self) -> str:
        """The name to ask the server for: that of the adapter, where one answers."""
        adapter = adapter_of(self._rung)
        own = self._names.get("served_model_name", self._rung.model)
        return str(own if adapter is None else adapter.table["name"])

    def options(self) -> dict[str, Json]:
        """The server's options, with all models where they are, or at one commit; raises RungError."""
        self._check_sources()
        options = dict(self._names)
        for name in REVISIONS.keys() & options.keys():
            path = self._path(name)
            if path is None and self.may_download:
                options[REVISIONS[name]] = self._snapshot(name).name
            else:  # without a download vLLM would look into the usual cache alone
                options[name] = str(path or self._snapshot(name))
        if (adapter := adapter_of(self._rung)) is not None:
            # No option has the commit of an adapter: the server gets a folder.
            options |= {ADAPTER: {**adapter.table, "path": str(self._folder_of(adapter))}, "enable_lora": True}
        if adapters := modality_adapters_of(self._rung):
            options |= {MODALITIES: {name: str(self._folder_of(part)) for name, part in adapters.items()}}
        if (draft := draft_of(self._rung)) is not None:
            options[DRAFT] = {**draft.table, **self._draft_source(draft)}
        # A path is nothing to ask for: the model is called what the ladder file calls it.
        return {"served_model_name": str(self._rung.model)} | options

    def content(self, sha256: Callable[[Path], str]) -> dict[str, Any]:
        """`files` and `options` for the fingerprint: hashes of files, and commits; raises RungError and OSError."""
        self._check_sources()
        options: dict[str, Json] = {**self._names}
        options.pop("download_dir", None)
        for name in FILES:
            path = self._path(name)
            if path is not None:
                options[name] = _hashed(path, sha256)
            elif name in REVISIONS and name in options:
                options[name] = {"commit": self._snapshot(name).name} | (
                    {} if name == "model" else {"name": options[name]}
                )
        if (adapter := adapter_of(self._rung)) is not None:
            options[ADAPTER] = {**adapter.table, "path": self._pinned(adapter, sha256)}
        if adapters := modality_adapters_of(self._rung):
            options[MODALITIES] = {name: self._pinned(part, sha256) for name, part in adapters.items()}
        if (draft := draft_of(self._rung)) is not None:
            options[DRAFT] = {**draft.table, "model": self._pinned(draft, sha256)}
        return {"files": options.pop("model"), "options": options}

    # --- what stands beside the model ---------------------------------------------------------------------------------

    def _draft_source(self, draft: Part) -> dict[str, Json]:
        if self._found(draft.source) is None and self.may_download:
            return {"model": draft.source, "revision": self._snapshot_of(draft).name}
        return {"model": str(self._found(draft.source) or self._snapshot_of(draft))}

    def _folder_of(self, part: Part) -> Path:
        return self._found(part.source) or self._snapshot_of(part, whole=True)

    def _pinned(self, part: Part, sha256: Callable[[Path], str]) -> Json:
        """The hashes of its files, or its repository and commit."""
        path = self._found(part.source)
        if path is not None:
            return _hashed(path, sha256)
        return {"name": part.source, "commit": self._snapshot_of(part, whole=not part.key.startswith(DRAFT)).name}

    def _snapshot_of(self, part: Part, *, whole: bool = False) -> Path:
        with self._lock:
            if part.key not in self._snapshots:
                found = self._found_snapshot(part.source, part.revision, key=part.key, whole=whole)
                self._snapshots[part.key] = found
            return self._snapshots[part.key]

    def _check_sources(self) -> None:
        """Raise RungError for files and code that the server would fetch at no known commit."""
        for name, words in _WORDS.items():
            value = self._names.get(name)
            if value is not None and value not in words and self._path(name) is None:
                raise self._missing(
                    f"{name} = {value!r} is no folder below {self._rung.base_dir}: only a folder has a part in the "
                    f"fingerprint of recorded answers. Copy it there, or leave {name} out"
                )
        if self._names.get("trust_remote_code") is True and not _COMMIT.fullmatch(
            str(self._names.get("code_revision", ""))
        ):
            for repository in _code_elsewhere(self._path("model") or self._snapshot("model")):
                raise self._missing(
                    f"its code is in another repository, {repository}, which may change: give code_revision, the 40 "
                    f"digits of a commit there"
                )

    def _missing(self, words: str) -> RungError:
        return RungError(f"rung {self._rung.name!r}: {words}", reason="missing", permanent=True)

    # --- paths and repositories ---------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path | None:
        """The file or folder that an option names."""
        value = self._names.get(name)
        return self._found(value) if isinstance(value, str) and value else None

    def _found(self, source: str) -> Path | None:
        """The file or folder of that name beside the ladder file."""
        path = Path(self._rung.base_dir).absolute() / source
        try:
            return path if path.exists() else None
        except (OSError, ValueError):  # too long, or with a zero: a text
            return None

    def _snapshot(self, name: str) -> Path:
        """The folder of a repository's commit, asked for once: the hub's `main` may move while a session runs."""
        with self._lock:
            if name not in self._snapshots:
                found = self._found_snapshot(str(self._names[name]), self._names.get(REVISIONS[name]), key=name)
                self._snapshots[name] = found
            return self._snapshots[name]

    def _found_snapshot(self, repository: str, revision: Json, *, key: str, whole: bool = False) -> Path:
        """The folder; with `whole` all of its files are there, else that of its configuration alone."""
        from huggingface_hub import snapshot_download

        cache = self._names.get("download_dir")
        try:
            found = snapshot_download(
                repository,
                revision=None if revision is None else str(revision),
                cache_dir=None if cache is None else str(Path(self._rung.base_dir).absolute() / str(cache)),
                allow_patterns=None if whole else ["config.json"],
                local_files_only=not self.may_download,
            )
        except Exception as error:  # of the hub's client, which raises many kinds
            words = f"{repository} is neither a path below {self._rung.base_dir}"
            if self.may_download:
                words += f" nor a repository that the hub gives ({error_words(error)[:300]}): correct {key}"
            else:
                words += (
                    f" nor in the hub's cache of this machine: run with --rightsize-download, or run "
                    f"`hf download {repository}` there"
                )
            raise self._missing(words) from None
        return Path(found)


def _code_elsewhere(folder: Path) -> Iterator[str]:
    """Repositories whose code a model's configuration names: `org/code--modeling.Class`."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            config = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # what the server says of that is better
            continue
        places = config.get("auto_map") if isinstance(config, dict) else None
        for place in places.values() if isinstance(places, dict) else ():
            for each in place if isinstance(place, list) else [place]:
                if isinstance(each, str) and "--" in each:
                    yield each.partition("--")[0]


def _hashed(path: Path, sha256: Callable[[Path], str]) -> Json:
    """The hash of each file, also of those in folders below, but for hidden ones, which downloads make."""
    if path.is_file():
        return {path.name: sha256(path)}
    return {each.relative_to(path).as_posix(): sha256(each) for each in sorted(_files_below(path, frozenset()))}


def _files_below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link to a folder that it is in
        return
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir():
            if not entry.name.startswith("."):
                yield from _files_below(path, above | {real})
        elif entry.is_file():
            yield path
