"""The files that a vLLM rung is served from: found once, for the server as for the rung's fingerprint.

A path is one beside the ladder file. Any other name is a repository at the hub, of which one commit is served; it is
downloaded only where the user allowed that.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.environment import error_words
from pytest_rightsize.providers.vllm_options import server_options
from pytest_rightsize.records import Json, Rung

__all__ = ["ServedModel"]

# Options that name a repository or a path, each with the option of its commit.
_REVISIONS = {"model": "revision", "tokenizer": "tokenizer_revision"}
# Those that may name a file or a folder, of which answers depend.
_OF_FILES = (
    *_REVISIONS,
    *("chat_template", "generation_config", "hf_config_path", "reasoning_parser_plugin", "tool_parser_plugin"),
)


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

    def options(self) -> dict[str, Json]:
        """The server's options, with the model where it is, or at one commit; raises RungError."""
        options = dict(self._names)
        for name in _REVISIONS.keys() & options.keys():
            path = self._path(name)
            if path is None and self.may_download:
                options[_REVISIONS[name]] = self._snapshot(name).name
            else:  # without a download vLLM would look into the usual cache alone
                options[name] = str(path or self._snapshot(name))
        # A path is nothing to ask for: the model is called what the ladder file calls it.
        return {"served_model_name": str(self._rung.model)} | options

    def content(self, sha256: Callable[[Path], str]) -> dict[str, Any]:
        """`files` and `options` for the fingerprint: hashes of files, and commits; raises RungError and OSError."""
        options: dict[str, Json] = {**self._names}
        options.pop("download_dir", None)
        for name in _OF_FILES:
            path = self._path(name)
            if path is not None:
                options[name] = _hashed(path, sha256)
            elif name in _REVISIONS and name in options:
                options[name] = {"commit": self._snapshot(name).name} | (
                    {} if name == "model" else {"name": options[name]}
                )
        return {"files": options.pop("model"), "options": options}

    def _path(self, name: str) -> Path | None:
        """The file or folder that an option names."""
        value = self._names.get(name)
        if not isinstance(value, str) or not value:
            return None
        path = Path(self._rung.base_dir).absolute() / value
        try:
            return path if path.exists() else None
        except (OSError, ValueError):  # too long, or with a zero: a text
            return None

    def _snapshot(self, name: str) -> Path:
        """The folder of a repository's commit, asked for once: the hub's `main` may move while a session runs."""
        with self._lock:
            if name not in self._snapshots:
                found = self._found_snapshot(str(self._names[name]), self._names.get(_REVISIONS[name]))
                self._snapshots[name] = found
            return self._snapshots[name]

    def _found_snapshot(self, repository: str, revision: Json) -> Path:
        from huggingface_hub import snapshot_download

        cache = self._names.get("download_dir")
        try:
            found = snapshot_download(
                repository,
                revision=None if revision is None else str(revision),
                cache_dir=None if cache is None else str(Path(self._rung.base_dir).absolute() / str(cache)),
                allow_patterns=["config.json"],
                local_files_only=not self.may_download,
            )
        except Exception as error:  # of the hub's client, which raises many kinds
            words = f"rung {self._rung.name!r}: {repository} is neither a path below {self._rung.base_dir}"
            if self.may_download:
                words += f" nor a repository that the hub gives ({error_words(error)[:300]}): correct model"
            else:
                words += (
                    f" nor in the hub's cache of this machine: run with --rightsize-download, or run "
                    f"`hf download {repository}` there"
                )
            raise RungError(words, reason="missing", permanent=True) from None
        return Path(found)


def _hashed(path: Path, sha256: Callable[[Path], str]) -> Json:
    """The hash of each file."""
    files = [path] if path.is_file() else [each for each in sorted(path.iterdir()) if each.is_file()]
    return {each.name: sha256(each) for each in files}
