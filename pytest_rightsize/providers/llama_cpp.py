"""Local models in this process: a GGUF file, loaded by llama-cpp-python on the first request and freed by `close`.

One thread per loaded model answers many requests at once (see batching.py), greedily unless a temperature is given.
Nothing native is imported before the first request, nothing is printed, and no prompt is ever shortened.
"""

import contextlib
import functools
import glob
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pluggy

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError, TooLongError
from pytest_rightsize.providers import Problem, Provider, gguf, hub
from pytest_rightsize.providers.thoughts import thought_in
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung, Tokens

if TYPE_CHECKING:
    from pytest_rightsize.providers.batching import Batch, Completion, Prompt

__all__ = ["LlamaCpp"]

hookimpl = pluggy.HookimplMarker("pytest")

# A trained context of 128 thousand tokens can take more memory than the weights; tests rarely need it.
_MOST_CONTEXT = 8192
# What `llama_cpp.Llama` takes when nothing is said.
_BATCH_TOKENS = 512
# llama.cpp knows no more sequences in one context.
_MOST_PARALLEL = 256
_CLOSING_SECONDS = 10
# Part of what recorded answers stand under: count it up when the same request becomes other tokens or other draws.
_GENERATION = 1
_SPLIT = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
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
_NO_MEMORY = re.compile(r"out of memory|(unable|failed) to allocate|alloc\w* failed|cannot allocate", re.IGNORECASE)
_COMPLAINT = re.compile(r"error|fail|invalid|unable|cannot|not ", re.IGNORECASE)


class LlamaCpp:
    """A GGUF model in this process. `model` is a path, or `hf:org/repo[:QUANT]` for a file of the Hugging Face hub.

    `n_ctx` defaults to the context the model was trained for, at most 8,192 tokens; `n_gpu_layers` to all of them;
    `n_parallel`, the requests answered at once, to 16, or fewer where the context of so many takes too much memory.
    Sample k of a request draws with the request's seed plus k, so that samples differ and runs repeat.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "chat_format": str,
        "download": bool,
        "flash_attn": bool,
        "n_batch": int,
        "n_ctx": int,
        "n_gpu_layers": int,
        "n_parallel": int,
        "n_threads": int,
    }
    required: ClassVar[tuple[str, ...]] = ("model",)
    site = "process"

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; the file is not looked at yet."""
        for name in ("n_batch", "n_ctx", "n_parallel", "n_threads"):
            if rung.options.get(name, 1) < 1:
                raise ConfigError(
                    f"rung {rung.name!r}: {name} = {rung.options[name]} cannot be: give 1 or more, or leave it out"
                )
        if rung.options.get("n_parallel", 1) > _MOST_PARALLEL:
            raise ConfigError(
                f"rung {rung.name!r}: n_parallel = {rung.options['n_parallel']} cannot be: {_MOST_PARALLEL} is the most"
            )
        self._rung = rung
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    @property
    def in_flight(self) -> int:
        """Twice the slots, so that a slot that gets free finds a request waiting."""
        from pytest_rightsize.providers.batching import MOST_SLOTS

        return 2 * int(self._rung.options.get("n_parallel", MOST_SLOTS))

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

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """The content of the file, its quantisation and chat template; the context, the options and the engine."""
        path = self._file()
        try:
            header = gguf.read_header(path)
            hashes = [sha256(part) for part in _parts(path)]
        except (OSError, gguf.GgufError) as error:
            raise RungError(f"rung {self._rung.name!r}: {path} {error}", reason="missing", permanent=True) from None
        template = str(header.metadata.get("tokenizer.chat_template", ""))
        options = {name: value for name, value in self._rung.options.items() if name not in ("download", "n_ctx")}
        return Identity(
            content={
                "provider": "llama_cpp",
                "sha256": hashes,
                "quantisation": header.metadata.get("general.file_type"),
                "chat_template": hashlib.sha256(template.encode()).hexdigest(),
                "context_tokens": _context_tokens(path, self._rung),
                # Places on a device, threads and batches change the order of sums, and so once in a while a token.
                "options": options,
                "engine": f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
                "generation": _GENERATION,
            },
            greedy=True,
        )

    def _file(self) -> Path:
        """The model's file, fetched if it may be; RungError if it is not to be had."""
        problem = self.check()
        if problem is not None:
            raise RungError(
                f"rung {self._rung.name!r}: {problem.what}; {problem.remedy}", reason="missing", permanent=True
            )
        return hub.download(self._model) if hub.is_reference(self._model) else self._path

    def submit(self, request: Request) -> Future[Reply]:
        """Queue the request; the first one makes the model load."""
        with self._lock:
            if self._worker is None:
                self._worker = _Worker(self._load, self._rung.name)
            return self._worker.submit(request)

    def forget(self) -> None:
        """Before the next request: forget what earlier ones had decoded, so that it takes what a first one takes."""
        with self._lock:
            if self._worker is not None:
                self._worker.forget.set()

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

    def _load(self) -> "_LoadedModel":
        """Bring the model into memory; RungError if that cannot be."""
        native, batch = _load_native(self._file(), self._rung)
        return _LoadedModel(native, batch, self._rung.name)


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


def _parts(path: Path) -> list[Path]:
    """The file, or all files of a model that comes in several."""
    split = _SPLIT.fullmatch(path.name)
    if split is None:
        return [path]
    return sorted(path.parent.glob(f"{glob.escape(split['stem'])}-?????-of-{split['count']}.gguf"))


def _nearby(path: Path) -> str:
    """Name the models that do lie in the folder of a missing file, nearest name first."""
    import difflib

    names = sorted(file.name for file in path.parent.glob("*.gguf"))
    if not names:
        return "put the GGUF file there, or correct `model` in the ladder file"
    names.sort(key=lambda name: -difflib.SequenceMatcher(None, name, path.name).ratio())
    return f"correct `model` in the ladder file; that folder has {', '.join(names[:5])}"


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A request, whoever waits for its reply, and the completions that were written for it so far."""

    request: Request
    future: Future[Reply] = field(default_factory=Future)
    heard: list["Completion"] = field(default_factory=list)

    def is_cancelled(self) -> bool:
        """Whether nobody wants the reply any more; whoever waits for the Future among others is told so."""
        return self.future.cancelled() and not self.future.set_running_or_notify_cancel()


class _Worker:
    """A daemon thread that loads one model, answers requests with it as many at a time as it has slots, and frees it.

    A daemon and not an executor's thread: Python waits for those at its exit, and a model may write for minutes.
    """

    def __init__(self, load: Callable[[], "_LoadedModel"], name: str) -> None:
        self._load = load
        self._name = name
        self._stop = threading.Event()
        self.forget = threading.Event()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"rightsize {name}", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Reply]:
        """Put the request at the end of the queue."""
        job = _Job(request=request)
        self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """End the thread; whoever still waits gets a RungError."""
        self._stop.set()
        self._jobs.put(None)
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        """Load, answer, free."""
        try:
            model = self._load()
        except Exception as error:
            fault = self._as_fault(error)
            while (job := self._jobs.get()) is not None:
                self._settle(job, _StoppedError() if self._stop.is_set() else _copy_of(fault))
            return
        try:
            self._serve(model)
        finally:
            model.close()

    def _serve(self, model: "_LoadedModel") -> None:
        """Answer what is queued, until the end is queued."""
        waiting: deque[_Job] = deque()
        writing: dict[int, _Job] = {}
        while self._fetch(waiting, may_wait=not (waiting or writing)):
            for ticket in [ticket for ticket, job in writing.items() if job.is_cancelled()]:
                model.batch.cancel(ticket)
                del writing[ticket]
            if waiting and self.forget.is_set():
                self.forget.clear()
                model.batch.forget()
            while waiting and model.batch.has_room:
                self._go_on(model, waiting.popleft(), writing)
            for ticket, end in self._step(model, writing):
                job = writing.pop(ticket)
                if isinstance(end, Exception):
                    self._settle(job, end)
                else:
                    job.heard.append(end)
                    self._go_on(model, job, writing)
        for job in (*writing.values(), *waiting):
            self._settle(job, _StoppedError())

    def _fetch(self, waiting: deque["_Job"], *, may_wait: bool) -> bool:
        """Move what was submitted to those who wait; False if it is the end."""
        try:
            while (job := self._jobs.get(block=may_wait)) is not None:
                waiting.append(job)
                may_wait = False
        except queue.Empty:
            return not self._stop.is_set()
        return False

    def _step(self, model: "_LoadedModel", writing: Mapping[int, "_Job"]) -> list[tuple[int, "Completion | Exception"]]:
        """One step of all that write; if llama.cpp fails, it has failed for each of them."""
        try:
            return model.batch.step()
        except Exception as error:
            fault = self._as_fault(error)
            for ticket in writing:
                model.batch.cancel(ticket)
            return [(ticket, _copy_of(fault)) for ticket in writing]

    def _go_on(self, model: "_LoadedModel", job: "_Job", writing: dict[int, "_Job"]) -> None:
        """Have the next completion of a request written, or settle it if there is none to come."""
        if job.is_cancelled():
            return
        try:
            turn = model.next_turn(job.request, job.heard)
            if isinstance(turn, Reply):
                self._settle(job, turn)
            else:
                writing[model.start(turn)] = job
        except Exception as error:
            self._settle(job, error)

    def _settle(self, job: "_Job", end: Reply | Exception) -> None:
        """Give the caller what became of the request.

        Only now does the Future count as running: until then it can be cancelled.
        """
        if not job.future.set_running_or_notify_cancel():
            return
        if isinstance(end, Reply):
            job.future.set_result(end)
        else:
            job.future.set_exception(self._as_fault(end))

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


def _copy_of(fault: RightsizeError) -> RightsizeError:
    """A new copy: one exception raised from several threads would gather all their tracebacks."""
    if isinstance(fault, RungError):
        return RungError(str(fault), reason=fault.reason, permanent=fault.permanent)
    return type(fault)(*fault.args)


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


def _load_native(path: Path, rung: Rung) -> tuple[Any, "Batch"]:
    """Make the `llama_cpp.Llama` and its slots."""
    from pytest_rightsize.providers.batching import open_batch

    log = _native_log()
    log.lines.clear()
    llama_cpp = importlib.import_module("llama_cpp")
    try:
        # Its own context is only a stand-in: the smallest there is.
        native = llama_cpp.Llama(str(path), verbose=False, n_ctx=1, n_batch=1, **_settings(rung))
        return native, open_batch(
            native,
            context_tokens=_context_tokens(path, rung),
            batch_tokens=rung.options.get("n_batch", _BATCH_TOKENS),
            slots=rung.options.get("n_parallel"),
        )
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


def _settings(rung: Rung) -> dict[str, Json]:
    """The keyword arguments of `llama_cpp.Llama` that the rung asks for, but those of its context's size."""
    ours = {"download", "n_batch", "n_ctx", "n_parallel"}
    given = {name: value for name, value in rung.options.items() if name not in ours}
    if "n_threads" in given:
        given["n_threads_batch"] = given["n_threads"]
    return {"n_gpu_layers": -1} | given


def _context_tokens(path: Path, rung: Rung) -> int:
    """How many tokens a prompt and its answer may have together."""
    trained = gguf.read_header(path).context_length or _MOST_CONTEXT
    return int(rung.options.get("n_ctx", min(trained, _MOST_CONTEXT)))


class _AskedError(Exception):
    """A chat format wants a completion that is not written yet; carries the arguments it asks with."""

    def __init__(self, arguments: Mapping[str, Json]) -> None:
        super().__init__()
        self.arguments = arguments


class _Stage:
    """A `llama_cpp.Llama` to the chat formats, which gives them completions that were written before.

    They call `create_completion`, most once and some several times, as if it returned at once. It cannot: so they are
    run from their beginning each time another completion is there, and asking for one that is not ends the run.
    """

    def __init__(self, native: Any, heard: Iterable["Completion"]) -> None:
        self._native = native
        self._heard = iter(heard)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def create_completion(self, **arguments: Json) -> Json:
        """The next completion, in llama-cpp-python's form."""
        completion = next(self._heard, None)
        if completion is None:
            raise _AskedError(arguments)
        choice = {"text": completion.text, "index": 0, "logprobs": None, "finish_reason": completion.finish_reason}
        usage = {"prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens}
        return {"id": "cmpl", "object": "text_completion", "created": 0, "model": "", "choices": [choice]} | {
            "usage": usage | {"total_tokens": sum(usage.values())}
        }


class _LoadedModel:
    """One `llama_cpp.Llama` and its slots, used by one thread only."""

    def __init__(self, native: Any, batch: "Batch", name: str) -> None:
        self.batch = batch
        self._native = native
        self._name = name

    def next_turn(self, request: Request, heard: Sequence["Completion"]) -> "Prompt | Reply":
        """What is to be written next for the request, or its reply if everything is written."""
        arguments = self._arguments(request)
        stage = _Stage(self._native, heard)
        try:
            response = type(self._native).create_chat_completion(stage, **arguments)
        except _AskedError as asked:
            return self._prompt(**asked.arguments)
        except ValueError as error:
            raise RungError(
                f"rung {self._name!r}: the model's chat template or llama.cpp refused the request ({error}); "
                "change the messages, or set chat_format in the ladder file",
                reason="request",
            ) from None
        return self._reply(response, heard)

    def start(self, prompt: "Prompt") -> int:
        """Have the prompt written in a free slot; the ticket that its end is told with."""
        try:
            return self.batch.start(prompt)
        except ValueError as error:
            raise RungError(f"rung {self._name!r}: {error}{_last_words()}", reason="request") from None

    def close(self) -> None:
        """Free the memory."""
        self.batch.close()
        self._native.close()

    def _prompt(
        self,
        *,
        prompt: str | list[int],
        max_tokens: int | None = 16,
        stop: str | list[str] | None = None,
        stopping_criteria: Callable[[Any, Any], bool] | None = None,
        logit_bias: Mapping[str, float] | None = None,
        **arguments: Json,
    ) -> "Prompt":
        """The arguments of a `create_completion`, as the batch takes them."""
        from pytest_rightsize.providers.batching import Prompt, Sampling

        del stopping_criteria  # the chat formats only say with it that the answer ends at the end token
        tokens = self._tokens(prompt)
        room = self.batch.context_tokens - len(tokens)
        if room <= 0:
            raise self._too_long(len(tokens))
        stops = [stop] if isinstance(stop, str) else stop or []
        known = {each.name for each in fields(Sampling)}
        given = {name: value for name, value in arguments.items() if name in known and value is not None}
        bias = {int(token): float(added) for token, added in (logit_bias or {}).items()}
        return Prompt(
            tokens=tokens,
            max_tokens=min(max_tokens, room) if max_tokens is not None and max_tokens > 0 else room,
            stop=[text.encode() for text in stops],
            sampling=Sampling(**given, logit_bias=bias),
        )

    def _tokens(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, list):
            return prompt
        begin = [self._native.token_bos()] if self._native._model.add_bos_token() else []
        return begin + list(self._native.tokenize(prompt.encode(), add_bos=False, special=True))

    def _too_long(self, prompt_tokens: int) -> TooLongError:
        return TooLongError(
            f"rung {self._name!r}: the prompt is {prompt_tokens} tokens and the context holds "
            f"{self.batch.context_tokens}, the answer included; shorten the prompt or set a larger n_ctx in the ladder "
            "file"
        )

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

    def _reply(self, response: Mapping[str, Json], heard: Sequence["Completion"]) -> Reply:
        """What the chat format made of the completions, in our words."""
        choice = response["choices"][0]
        text = choice["message"].get("content") or ""
        return Reply(
            text=text,
            seconds=sum(completion.seconds for completion in heard),
            tokens=Tokens(
                prompt=response["usage"]["prompt_tokens"],
                cached=heard[-1].cached_tokens,
                completion=response["usage"]["completion_tokens"],
                reasoning=self._reasoning_tokens(text),
                source="counted",
            ),
            finish_reason=choice["finish_reason"],
            tool_calls=tuple(choice["message"].get("tool_calls") or ()),
        )

    def _reasoning_tokens(self, text: str) -> int:
        """Tokens between `<think>` and `</think>`."""
        thought = thought_in(text)
        return len(self._native.tokenize(thought.encode(), add_bos=False, special=False)) if thought else 0


@hookimpl
def pytest_rightsize_providers() -> dict[str, type[Provider]]:
    """The provider `llama_cpp`."""
    return {"llama_cpp": LlamaCpp}
