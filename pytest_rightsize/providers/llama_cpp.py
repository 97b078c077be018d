"""Local models in this process: a GGUF file, loaded by llama-cpp-python on the first request and freed by `close`.

One thread per loaded model answers the requests in the order they come, greedily unless a temperature is given.
Nothing native is imported before the first request, nothing is printed, and no prompt is ever shortened.
"""

import contextlib
import functools
import importlib
import importlib.util
import json
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers import Problem, Provider, gguf, hub
from pytest_rightsize.records import Json, Reply, Request, Rung, Tokens

__all__ = ["LlamaCpp"]

hookimpl = pluggy.HookimplMarker("pytest")

# A trained context of 128 thousand tokens can take more memory than the weights; tests rarely need it.
_MOST_CONTEXT = 8192
_CLOSING_SECONDS = 10
_EXTRA = frozenset(
    [
        "frequency_penalty",
        "logit_bias",
        "min_p",
        "mirostat_eta",
        "mirostat_mode",
        "mirostat_tau",
        "presence_penalty",
        "repeat_penalty",
        "response_format",
        "stop",
        "tool_choice",
        "top_k",
        "typical_p",
    ]
)
_TOO_LONG = re.compile(r"Requested tokens \((?P<prompt>\d+)\) exceed context window of (?P<context>\d+)")
_NO_MEMORY = re.compile(r"out of memory|(unable|failed) to allocate|alloc\w* failed|cannot allocate", re.IGNORECASE)
_COMPLAINT = re.compile(r"error|fail|invalid|unable|cannot|not ", re.IGNORECASE)
_THOUGHT = re.compile(r"(?:\A|.*?<think>)(?P<thought>.*?)</think>|.*?<think>(?P<open>.*)", re.DOTALL)


class LlamaCpp:
    """A GGUF model in this process. `model` is a path, or `hf:org/repo[:QUANT]` for a file of the Hugging Face hub.

    `n_ctx` defaults to the context the model was trained for, at most 8,192 tokens; `n_gpu_layers` to all of them.
    Sample k of a request draws with the request's seed plus k, so that samples differ and runs repeat.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "chat_format": str,
        "download": bool,
        "flash_attn": bool,
        "n_batch": int,
        "n_ctx": int,
        "n_gpu_layers": int,
        "n_threads": int,
    }
    required: ClassVar[tuple[str, ...]] = ("model",)

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; the file is not looked at yet."""
        for name in ("n_batch", "n_ctx", "n_threads"):
            if rung.options.get(name, 1) < 1:
                raise ConfigError(
                    f"rung {rung.name!r}: {name} = {rung.options[name]} cannot be: give 1 or more, or leave it out"
                )
        self._rung = rung
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    @property
    def leaves_machine(self) -> bool:
        """Never: the model runs in this process."""
        return False

    def check(self) -> Problem | None:
        """Say if llama-cpp-python or the file is missing, or the file broken, without loading it."""
        if importlib.util.find_spec("llama_cpp") is None:
            return Problem(
                what="llama-cpp-python is not installed",
                remedy='run `python -m pip install "pytest-rightsize[local]"` (it compiles for about 5 minutes)',
            )
        if not hub.is_reference(self._model):
            return _file_problem(self._path, self._rung)
        found = hub.find(self._model)
        if isinstance(found, Problem):
            return None if self._rung.options.get("download") else found
        return _file_problem(found, self._rung)

    def submit(self, request: Request) -> Future[Reply]:
        """Queue the request; the first one makes the model load."""
        with self._lock:
            if self._worker is None:
                self._worker = _Worker(self._load, self._rung.name)
            return self._worker.submit(request)

    def close(self) -> None:
        """Stop after the token being made and free the model's memory."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    @property
    def _model(self) -> str:
        """The reference as the ladder file gives it."""
        return self._rung.model or ""

    @property
    def _path(self) -> Path:
        """The file that a reference without `hf:` means."""
        return Path(self._rung.base_dir) / Path(self._model).expanduser()

    def _load(self, stop: threading.Event) -> "_LoadedModel":
        """Bring the model into memory; RungError if that cannot be."""
        problem = self.check()
        if problem is not None:
            raise RungError(
                f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
            )
        path = hub.download(self._model) if hub.is_reference(self._model) else self._path
        return _LoadedModel(_load_native(path, self._rung, stop), self._rung.name)


def _file_problem(path: Path, rung: Rung) -> Problem | None:
    """What is wrong with the file, as far as its header tells."""
    if not path.is_file():
        return Problem(what=f"{path} is not there", remedy=_nearby(path))
    try:
        header = gguf.read_header(path)
    except gguf.GgufError as error:
        return Problem(what=f"{path} {error}", remedy="get the file again, or name another in `model`")
    except OSError as error:
        return Problem(what=f"{path} cannot be read ({error.strerror})", remedy="make the file readable")
    if not header.has_chat_template and "chat_format" not in rung.options:
        # llama-cpp-python would quietly take the Llama 2 format, and a good model would look like a bad one.
        return Problem(
            what=f"{path} does not say how a conversation is written for it (no chat template)",
            remedy='set chat_format in the ladder file to the format it was trained with, such as "chatml"',
        )
    return None


def _nearby(path: Path) -> str:
    """Name the models that do lie in the folder of a missing file, nearest name first."""
    import difflib

    names = sorted(file.name for file in path.parent.glob("*.gguf"))
    if not names:
        return "put the GGUF file there, or correct `model` in the ladder file"
    names.sort(key=lambda name: -difflib.SequenceMatcher(None, name, path.name).ratio())
    return f"correct `model` in the ladder file; that folder has {', '.join(names[:5])}"


class _Worker:
    """A daemon thread that loads one model, answers requests with it in order, and frees it.

    A daemon and not an executor's thread: Python waits for those at its exit, and a model may write for minutes.
    """

    def __init__(self, load: Callable[[threading.Event], "_LoadedModel"], name: str) -> None:
        self._load = load
        self._name = name
        self._stop = threading.Event()
        self._jobs: queue.SimpleQueue[tuple[Request, Future[Reply]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"rightsize {name}", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Reply]:
        """Put the request at the end of the queue."""
        future: Future[Reply] = Future()
        self._jobs.put((request, future))
        return future

    def close(self) -> None:
        """End the thread; whoever still waits gets a RungError."""
        self._stop.set()
        self._jobs.put(None)
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        """Load, answer, free."""
        try:
            model = self._load(self._stop)
        except Exception as error:
            failure = self._as_fault(error)
            self._serve(lambda _: _raise_again(failure))
        else:
            try:
                self._serve(model.answer)
            finally:
                model.close()

    def _serve(self, answer: Callable[[Request], Reply]) -> None:
        """Answer what is queued until the end is queued."""
        while (job := self._jobs.get()) is not None:
            request, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                if self._stop.is_set():
                    raise _StoppedError
                future.set_result(answer(request))
            except Exception as error:
                future.set_exception(self._as_fault(error))

    def _as_fault(self, error: Exception) -> RightsizeError:
        """The error a caller may get for whatever happened here."""
        if isinstance(error, RungError | TooLongError):
            return error
        if isinstance(error, _StoppedError):
            return RungError(f"rung {self._name!r}: closed before it had answered", reason="crash")
        if isinstance(error, MemoryError):
            return RungError(f"rung {self._name!r}: out of memory", reason="memory")
        return RungError(
            f"rung {self._name!r}: llama.cpp failed ({type(error).__name__}: {error}){_last_words()}", reason="crash"
        )


class _StoppedError(Exception):
    """The model was closed while it wrote an answer."""


def _raise_again(fault: RightsizeError) -> Reply:
    """Raise a new copy of the fault: one raised from several threads would gather all their tracebacks."""
    if isinstance(fault, RungError):
        raise RungError(str(fault), reason=fault.reason, permanent=fault.permanent)
    raise fault


@dataclass(frozen=True, kw_only=True)
class _NativeLog:
    """The last lines llama.cpp logged, in place of printing them; `callback` must live as long as the process."""

    lines: deque[str]
    callback: object


@functools.cache
def _native_log() -> _NativeLog:
    """Take over llama.cpp's log, once for the process."""
    llama_cpp = importlib.import_module("llama_cpp")
    lines: deque[str] = deque(maxlen=40)

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # an attribute of a module imported late
    def keep(_level: int, text: bytes, _user_data: object) -> None:
        lines.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(keep, None)
    _leave_streams_alone()
    return _NativeLog(lines=lines, callback=keep)


def _leave_streams_alone() -> None:
    """Keep llama-cpp-python from silencing the log its own way.

    It points file descriptors 1 and 2 of the whole process, and sys.stdout, to the null device while a model loads.
    Done in a thread beside pytest's capturing that loses other code's output. Our log callback is enough.
    """
    for name in ("llama_cpp.llama", "llama_cpp._internals"):
        module: Any = importlib.import_module(name)
        module.suppress_stdout_stderr = lambda disable=True: contextlib.nullcontext()  # noqa: ARG005  # its signature


def _last_words() -> str:
    """What llama.cpp complained of last, as the end of a sentence."""
    lines = [line.strip() for line in "".join(_native_log().lines).splitlines()]
    complaints = [line for line in dict.fromkeys(lines) if _COMPLAINT.search(line)]
    return f": {'; '.join(complaints[-3:])}" if complaints else ""


def _load_native(path: Path, rung: Rung, stop: threading.Event) -> Any:
    """Make the `llama_cpp.Llama`."""
    log = _native_log()
    log.lines.clear()
    llama_cpp = importlib.import_module("llama_cpp")
    try:
        native = llama_cpp.Llama(str(path), verbose=False, **_settings(path, rung))
    except Exception as error:
        words = _last_words() or f": {error}"
        memory = isinstance(error, MemoryError) or _NO_MEMORY.search(words) is not None
        remedy = (
            "a smaller n_ctx, n_gpu_layers or quantisation needs less" if memory else "get it again or name another"
        )
        raise RungError(
            f"rung {rung.name!r}: llama.cpp could not load {path}{words}; {remedy}",
            reason="memory" if memory else "load",
            permanent=True,
        ) from None
    native.eval = _interruptible(native.eval, stop)
    return native


def _settings(path: Path, rung: Rung) -> dict[str, Json]:
    """The keyword arguments of `llama_cpp.Llama` that the rung asks for."""
    given = {name: value for name, value in rung.options.items() if name != "download"}
    if "n_threads" in given:
        given["n_threads_batch"] = given["n_threads"]
    trained = gguf.read_header(path).context_length or _MOST_CONTEXT
    return {"n_ctx": min(trained, _MOST_CONTEXT), "n_gpu_layers": -1} | given


def _interruptible(evaluate: Callable[[Any], None], stop: threading.Event) -> Callable[[Any], None]:
    """Make the step that runs once per token end the answer when the model is being closed."""

    def evaluate_unless_stopped(tokens: Any) -> None:
        if stop.is_set():
            raise _StoppedError
        evaluate(tokens)

    return evaluate_unless_stopped


class _LoadedModel:
    """One `llama_cpp.Llama`, used by one thread only."""

    def __init__(self, native: Any, name: str) -> None:
        self._native = native
        self._name = name

    def answer(self, request: Request) -> Reply:
        """Write the answer to one request."""
        arguments = self._arguments(request)
        # Reusing a prefix changes the batches and with them the last bits of the logits: no request may feel another.
        self._native.reset()
        started = time.perf_counter()
        try:
            response = self._native.create_chat_completion(**arguments)
        except ValueError as error:
            raise self._refusal(error) from None
        return self._reply(response, time.perf_counter() - started)

    def close(self) -> None:
        """Free the memory."""
        self._native.close()

    def _arguments(self, request: Request) -> dict[str, Json]:
        """The keyword arguments of `create_chat_completion`."""
        unknown = sorted(set(request.extra) - _EXTRA)
        if unknown:
            raise RungError(
                f"rung {self._name!r}: a llama_cpp rung does not know {', '.join(unknown)}; it takes "
                f"{', '.join(sorted(_EXTRA))}",
                reason="request",
            )
        arguments = dict(request.extra) | {
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0.0 if request.temperature is None else request.temperature,
            "seed": ((request.seed or 0) + request.sample) % 2**31,
        }
        if request.top_p is not None:
            arguments["top_p"] = request.top_p
        if request.tools is not None:
            arguments["tools"] = [dict(tool) for tool in request.tools]
        if request.schema is not None:
            arguments["grammar"] = self._grammar(request.schema)
        return arguments

    def _grammar(self, schema: Mapping[str, Json]) -> Any:
        """The grammar that lets only JSON by the schema through."""
        llama_cpp = importlib.import_module("llama_cpp")
        try:
            text = llama_cpp.llama_grammar.json_schema_to_gbnf(json.dumps(schema))
            # llama-cpp-python hands a grammar that llama.cpp cannot parse on as a null pointer, which crashes.
            sampler = llama_cpp.llama_sampler_init_grammar(self._native._model.vocab, text.encode(), b"root")
            if not sampler:
                raise ValueError(_last_words().removeprefix(": ") or "llama.cpp cannot parse the grammar made of it")
            llama_cpp.llama_sampler_free(sampler)
        except Exception as error:
            raise RungError(
                f"rung {self._name!r}: no grammar can be made of the schema ({type(error).__name__}: {error}); "
                "simplify the schema, or ask without it and check the answer with answer.json(schema)",
                reason="request",
            ) from None
        return llama_cpp.LlamaGrammar.from_string(text, verbose=False)

    def _refusal(self, error: ValueError) -> RightsizeError:
        """Why a request was refused before a token was made."""
        found = _TOO_LONG.search(str(error))
        if found is None:
            return RungError(
                f"rung {self._name!r}: the model's chat template or llama.cpp refused the request ({error}); "
                "change the messages, or set chat_format in the ladder file",
                reason="request",
            )
        return TooLongError(
            f"rung {self._name!r}: the prompt is {found['prompt']} tokens and the context holds {found['context']}, "
            "the answer included; shorten the prompt or set a larger n_ctx in the ladder file"
        )

    def _reply(self, response: Mapping[str, Json], seconds: float) -> Reply:
        """What llama-cpp-python answered, in our words."""
        choice = response["choices"][0]
        text = choice["message"].get("content") or ""
        return Reply(
            text=text,
            seconds=seconds,
            tokens=Tokens(
                prompt=response["usage"]["prompt_tokens"],
                completion=response["usage"]["completion_tokens"],
                reasoning=self._reasoning_tokens(text),
                source="counted",
            ),
            finish_reason=choice["finish_reason"],
            tool_calls=tuple(choice["message"].get("tool_calls") or ()),
        )

    def _reasoning_tokens(self, text: str) -> int:
        """Tokens between `<think>` and `</think>`; a chat template may have written the first one already."""
        found = _THOUGHT.match(text)
        if found is None:
            return 0
        thought: str = found["open"] if found["thought"] is None else found["thought"]
        return len(self._native.tokenize(thought.encode(), add_bos=False, special=False))


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `llama_cpp`."""
    return {"llama_cpp": LlamaCpp}
