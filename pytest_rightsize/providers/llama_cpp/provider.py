"""Provider for local models: a GGUF file, loaded in this process on the first request and freed by `close`.

One thread per loaded model answers many requests at once (see batching.py), greedily unless a temperature is given.
Nothing native is imported before the first request, nothing is printed, and no prompt is ever shortened.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pluggy

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.providers.llama_cpp import gguf, hub
from pytest_rightsize.providers.llama_cpp.chat import LoadedModel
from pytest_rightsize.providers.llama_cpp.chat_template import ChatTemplate, TemplateRefusalError, templates_in
from pytest_rightsize.providers.llama_cpp.file_shape import file_shape
from pytest_rightsize.providers.llama_cpp.layout import MOST_SLOTS, identity_of_context
from pytest_rightsize.providers.llama_cpp.model_files import check_chat_format, file_problem, locate, parts_of
from pytest_rightsize.providers.llama_cpp.native import last_errors, native_log
from pytest_rightsize.providers.llama_cpp.projectors import find_projector, load_projector, projector_problem
from pytest_rightsize.providers.llama_cpp.pulling import HubModel, free_bytes, hub_model, pull_model
from pytest_rightsize.providers.llama_cpp.worker import Worker
from pytest_rightsize.providers.reasoning import marks_of
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung
from pytest_rightsize.versions import too_old

if TYPE_CHECKING:
    from pytest_rightsize.providers.llama_cpp.batching import Batch

__all__ = ["HubModel", "LlamaCpp", "file_shape", "free_bytes", "hub_model", "pull_model"]

hookimpl = pluggy.HookimplMarker("pytest")

# A trained context of 128 thousand tokens can take more memory than the weights; tests rarely need it.
_MOST_CONTEXT = 8192
# The default of `llama_cpp.Llama`.
_BATCH_TOKENS = 512
# llama.cpp's limit on the sequences of one context.
_MOST_PARALLEL = 256
# Part of the key of recorded answers: increase it when the same request gives other tokens or other draws.
_GENERATION = 3
# Options that change no answer, or that stand in a field of their own.
_NO_PART_OF_ANSWERS = ("download", "download_timeout_s", "mmproj", "n_ctx")
_NO_MEMORY = re.compile(r"out of memory|(unable|failed) to allocate|alloc\w* failed|cannot allocate", re.IGNORECASE)


class LlamaCpp:
    """A GGUF model in this process.

    `model` is a path, `hf:org/repo[:QUANT]` for a file of the Hugging Face hub, or `package:NAME/FILE` for one inside
    an installed package. `download_timeout_s` (60) ends a download of which nothing comes for so long. `n_ctx` defaults
    to the context the model was trained for, at most 8,192 tokens; `n_gpu_layers` to all of them; `n_parallel`, the
    requests answered at once, to 16, or fewer where the context of so many takes too much memory. Conversations are
    written by the template in the file, with the variables in `chat_template_kwargs`, unless a `chat_format` of
    llama-cpp-python is named. `mmproj` is the vision projector of a model that sees images, named as `model` is, or by
    its file in a repository of the hub (`hf:org/repo:mmproj-f16`). `reasoning` gives marks that are not known.
    `deterministic` answers one request at a time, so that no answer depends on others.
    Sample k of a request draws with the request's seed plus k, so that samples differ and runs repeat.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "chat_format": str,
        "chat_template_kwargs": dict,
        "deterministic": bool,
        "download": bool,
        "download_timeout_s": (int, float),
        "flash_attn": bool,
        "mmproj": str,
        "n_batch": int,
        "n_ctx": int,
        "n_gpu_layers": int,
        "n_parallel": int,
        "n_threads": int,
        "reasoning": (dict, bool),
    }
    required: ClassVar[tuple[str, ...]] = ("model",)
    site = "process"
    can_be_hosted = True
    takes_sound = False
    needs_for_images = "name the model's vision projector in mmproj of the ladder file"

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; the file is not looked at yet."""
        for name in ("n_batch", "n_ctx", "n_parallel", "n_threads"):
            if rung.options.get(name, 1) < 1:
                raise ConfigError(
                    f"rung {rung.name!r}: {name} = {rung.options[name]} cannot be: give 1 or more, or leave it out"
                )
        if rung.options.get("download_timeout_s", 1) <= 0:
            raise ConfigError(f"rung {rung.name!r}: download_timeout_s must be above 0: give seconds")
        if rung.options.get("n_parallel", 1) > _MOST_PARALLEL:
            raise ConfigError(
                f"rung {rung.name!r}: n_parallel = {rung.options['n_parallel']} cannot be: {_MOST_PARALLEL} is the most"
            )
        if self._is_deterministic(rung) and rung.options.get("n_parallel", 1) != 1:
            raise ConfigError(
                f"rung {rung.name!r}: deterministic = true answers one request at a time, so n_parallel = "
                f"{rung.options['n_parallel']} cannot be: leave one of them out"
            )
        if "chat_format" in rung.options and rung.options.get("chat_template_kwargs"):
            raise ConfigError(
                f"rung {rung.name!r}: chat_template_kwargs are for the model's own template, which chat_format "
                "replaces: leave one of them out"
            )
        if "mmproj" in rung.options and ("chat_format" in rung.options or rung.images is False):
            other = "chat_format, which knows no images" if "chat_format" in rung.options else "images = false"
            raise ConfigError(f"rung {rung.name!r}: mmproj and {other} cannot be together: leave one of them out")
        if rung.images and "mmproj" not in rung.options:
            raise ConfigError(
                f"rung {rung.name!r}: images = true needs the model's vision projector: name its file in mmproj"
            )
        marks_of(rung)
        self._rung = rung
        self.on_stall: Callable[[str], object] | None = None
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self.size_bytes: int | None = None

    @property
    def is_loading(self) -> bool:
        """Whether the first request has come and the model cannot answer yet."""
        worker = self._worker
        return worker is not None and worker.is_loading

    @staticmethod
    def _is_deterministic(rung: Rung) -> bool:
        return bool(rung.options.get("deterministic"))

    @property
    def in_flight(self) -> int:
        """Twice the slots, so that a request is waiting when a slot becomes free."""
        slots = 1 if self._is_deterministic(self._rung) else self._rung.options.get("n_parallel", MOST_SLOTS)
        return 2 * int(slots)

    @property
    def takes_images(self) -> bool:
        """Whether the rung has a vision projector."""
        return "mmproj" in self._rung.options

    @property
    def leaves_machine(self) -> bool:
        """Always False: the model runs in this process."""
        return False

    def check(self) -> Problem | None:
        """Report if llama-cpp-python or the file is missing, or the file broken, without loading it."""
        if importlib.util.find_spec("llama_cpp") is None:
            return Problem(
                what="llama-cpp-python is not installed",
                remedy='run `python -m pip install "pytest-rightsize[local]"` (it compiles for about 5 minutes)',
            )
        old = too_old("llama-cpp-python")
        if old is not None:
            return Problem(what=old.what, remedy=old.remedy)
        chat_format = self._rung.options.get("chat_format")
        problem = None if chat_format is None else check_chat_format(chat_format, "")
        if problem is not None:
            return problem
        path = self._find()
        if isinstance(path, Problem):
            is_coming = hub.is_reference(self._model) and self._rung.options.get("download")
            return None if is_coming else path
        return file_problem(path, self._rung.options) or self._projector_problem()

    def _projector_problem(self) -> Problem | None:
        """Report if the vision projector is missing or none, or the binding too old for it."""
        if self._projector is None:
            return None
        path = find_projector(self._projector, self._rung.base_dir)
        if isinstance(path, Problem):
            return None if hub.is_reference(self._projector) and self._rung.options.get("download") else path
        return projector_problem(path)

    def _find(self) -> Path | Problem:
        """The file on this machine, or what keeps it from being found."""
        if hub.is_reference(self._model):
            return hub.find(self._model)
        return locate(self._model, self._rung.base_dir)

    def weight_bytes(self) -> int | None:
        """The size of the model's files; None where they are not on this machine."""
        path = self._find()
        if isinstance(path, Problem) or not path.is_file():
            return None
        projector = None if self._projector is None else find_projector(self._projector, self._rung.base_dir)
        if isinstance(projector, Problem) or (projector is not None and not projector.is_file()):
            return None
        return self._size_bytes(path, projector)

    @staticmethod
    def _size_bytes(path: Path, projector: Path | None) -> int:
        files = [*parts_of(path), *([] if projector is None else [projector])]
        return sum(file.stat().st_size for file in files)

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """Identify the rung by the file's content, its quantisation and chat template, context, options and engine."""
        path = self._file()
        try:
            header = gguf.read_header(path)
            parts = parts_of(path)
            hashes = [sha256(part) for part in parts]
            projector = self._projector_file()
            seen_by = {} if projector is None else {"mmproj": sha256(projector)}
        except (OSError, gguf.GgufError) as error:
            raise RungError(f"rung {self._rung.name!r}: {path} {error}", reason="missing", permanent=True) from None
        if wrong := [part for part, found in zip(parts, hashes, strict=True) if hub.is_spoilt(part, found)]:
            raise RungError(
                f"rung {self._rung.name!r}: the content of {wrong[0]} has not the hash that the hub states: remove "
                f"{wrong[0].resolve()}, and get the model again",
                reason="missing",
                permanent=True,
            )
        templates = json.dumps(templates_in(header.metadata), sort_keys=True)
        options = {name: value for name, value in self._rung.options.items() if name not in _NO_PART_OF_ANSWERS}
        return Identity(
            content={
                "provider": "llama_cpp",
                "sha256": hashes,
                **seen_by,
                "quantisation": header.metadata.get("general.file_type"),
                "chat_template": hashlib.sha256(templates.encode()).hexdigest(),
                **identity_of_context(_context_tokens(path, self._rung)),
                # Layers on a GPU, threads and batches change the order of sums, and so once in a while a token.
                "options": options,
                # Beside others in a batch, a near tie between two tokens may fall the other way.
                "reading": "alone" if self.in_flight == 2 else "batched",
                "engine": f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
                "schemas": _version_of("llguidance"),
                "generation": _GENERATION,
            },
            greedy=True,
        )

    def _file(self) -> Path:
        """The model's file, downloaded if that is allowed; raises RungError if there is none."""
        problem = self.check()
        if problem is not None:
            raise RungError(
                f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
            )
        found = self._find()
        if not isinstance(found, Problem):
            return found
        return hub.download(self._model, timeout_s=self._rung.options.get("download_timeout_s", hub.DOWNLOAD_TIMEOUT_S))

    def submit(self, request: Request) -> Future[Reply]:
        """Queue the request; the first one starts loading the model."""
        with self._lock:
            if self._worker is None:
                self._worker = Worker(self._load, self._rung.name, self.on_stall)
            return self._worker.submit(request)

    def forget(self) -> None:
        """Drop what earlier requests decoded, so that the next one costs as much as a first one."""
        with self._lock:
            if self._worker is not None:
                self._worker.forget.set()

    def close(self) -> None:
        """Stop after the current token and free the model's memory."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    @property
    def _model(self) -> str:
        """The reference as the ladder file gives it."""
        return self._rung.model or ""

    def _load(self) -> LoadedModel:
        """Load the model; raises RungError if that fails."""
        path, projector = self._file(), self._projector_file()
        self.size_bytes = self._size_bytes(path, projector)
        native, batch = _load_native(path, self._rung)
        model = LoadedModel(native, batch, self._rung, self._template(native))
        if projector is not None:
            try:
                model.vision = load_projector(native, projector, self._rung)
            except RungError:
                model.close()
                raise
        return model

    @property
    def _projector(self) -> str | None:
        """The vision projector as the ladder file names it; None for a model of text alone."""
        reference: str | None = self._rung.options.get("mmproj")
        return reference

    def _projector_file(self) -> Path | None:
        """The file of the vision projector, downloaded if that is allowed; raises RungError if it is not there."""
        if self._projector is None:
            return None
        found = find_projector(self._projector, self._rung.base_dir)
        if isinstance(found, Problem):
            return hub.download(
                self._projector, timeout_s=self._rung.options.get("download_timeout_s", hub.DOWNLOAD_TIMEOUT_S)
            )
        return found

    def _template(self, native: Any) -> ChatTemplate | None:
        """The model's own template with the names of its special tokens; None where a chat format is named."""
        if "chat_format" in self._rung.options:
            return None
        try:
            return ChatTemplate(templates_in(native.metadata), _special_tokens(native))
        except TemplateRefusalError as error:
            raise RungError(
                f"rung {self._rung.name!r}: the chat template in the file is broken: {error}",
                reason="load",
                permanent=True,
            ) from None


def _special_tokens(native: Any) -> dict[str, str]:
    """The names of the special tokens that the model has, as transformers gives them to templates."""
    keys = {"unk_token": "unknown", "sep_token": "seperator", "pad_token": "padding", "mask_token": "mask"}
    tokens = {"bos_token": native.token_bos(), "eos_token": native.token_eos()}
    for name, key in keys.items():
        tokens[name] = int(native.metadata.get(f"tokenizer.ggml.{key}_token_id", -1))
    return {
        name: native._model.token_get_text(token) for name, token in tokens.items() if 0 <= token < native.n_vocab()
    }


def _version_of(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _load_native(path: Path, rung: Rung) -> tuple[Any, "Batch"]:
    """Load the `llama_cpp.Llama` and open its slots."""
    from pytest_rightsize.providers.llama_cpp.batching import open_batch

    log = native_log()
    log.lines.clear()
    llama_cpp = importlib.import_module("llama_cpp")
    try:
        # Its own context is replaced at once: it is the smallest there is.
        native = llama_cpp.Llama(str(path), verbose=False, n_ctx=1, n_batch=1, **_settings(rung))
        return native, open_batch(
            native,
            context_tokens=_context_tokens(path, rung),
            batch_tokens=rung.options.get("n_batch", _BATCH_TOKENS),
            slots=rung.options.get("n_parallel"),
            deterministic=bool(rung.options.get("deterministic")),
            has_vision="mmproj" in rung.options,
        )
    except Exception as error:
        detail = last_errors() or f": {error}"
        is_out_of_memory = isinstance(error, MemoryError) or _NO_MEMORY.search(detail) is not None
        remedy = (
            "a smaller n_ctx, n_gpu_layers or quantisation needs less"
            if is_out_of_memory
            else "get it again or name another"
        )
        raise RungError(
            f"rung {rung.name!r}: llama.cpp could not load {path}{detail}; {remedy}",
            reason="memory" if is_out_of_memory else "load",
            permanent=True,
        ) from None


def _settings(rung: Rung) -> dict[str, Json]:
    """The keyword arguments of `llama_cpp.Llama` that the rung sets, except those for the size of its context."""
    not_arguments = {
        *("chat_template_kwargs", "deterministic", "n_batch", "n_parallel", "reasoning", *_NO_PART_OF_ANSWERS),
    }
    arguments = {name: value for name, value in rung.options.items() if name not in not_arguments}
    if "n_threads" in arguments:
        arguments["n_threads_batch"] = arguments["n_threads"]
    return {"n_gpu_layers": -1} | arguments


def _context_tokens(path: Path, rung: Rung) -> int:
    """The number of tokens that a prompt and its answer may have together."""
    trained = gguf.read_header(path).context_length or _MOST_CONTEXT
    return int(rung.options.get("n_ctx", min(trained, _MOST_CONTEXT)))


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `llama_cpp`."""
    return {"llama_cpp": LlamaCpp}
