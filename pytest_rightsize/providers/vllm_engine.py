"""The engine `vllm` of a replica: a vLLM server that this process starts for itself, asked over its OpenAI API.

In go a rung whose options are those of `vllm serve`, out come replies of the provider `openai`. The server listens on
this machine alone, asks for a key that only this process has, and ends with it.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, ClassVar

from pytest_rightsize.errors import ConfigError, RightsizeError, RungError
from pytest_rightsize.providers import Problem
from pytest_rightsize.providers.broken_providers import submitted
from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.providers.futures import pass_cancellation
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.own_threads import own_this_thread
from pytest_rightsize.providers.plain_http import FetchError, fetch
from pytest_rightsize.providers.secret_texts import Secret
from pytest_rightsize.records import Identity, Json, Reply, Request, Rung

__all__ = ["Vllm", "arguments_of"]

_KEY = "RIGHTSIZE_VLLM_KEY"
_MODULE = "vllm.entrypoints.openai.api_server"
_IN_FLIGHT = 256
_LOOKS_EVERY_S = 0.5
_LAST_LINES = 30
_LONGEST = 300
_ENDS_WITHIN_S = 10.0
# That a server has ended, and its last words, are seen so soon.
_KNOWN_WITHIN_S = 3.0
# Options of a request, which the provider `openai` takes and no server.
_OF_REQUESTS = ("chat_template_kwargs", "reasoning", "reasoning_effort", "timeout_s")
_TIMEOUT_S = 600.0


class Vllm:
    """A rung of vLLM. Its options are those of `vllm serve`, with `_` for `-`; `model` is a repository or a folder.

    `chat_template_kwargs`, `reasoning`, `reasoning_effort` and `timeout_s` (default 600) are those of the provider
    `openai`. The first request starts the server.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ("model",)
    leaves_machine = False
    # The model is in another process of this machine: its boards and its processor are read, not our own threads.
    site = "machine"

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError for an option that is no option of a command."""
        if not rung.model:
            raise ConfigError(f"rung {rung.name!r} has no model, which the engine vllm needs: add model = ...")
        self._rung = rung
        self._arguments = arguments_of(rung)
        self._lock = threading.Lock()
        self._server: Future[OpenAI] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._is_heard = threading.Event()  # all that it said

    @property
    def in_flight(self) -> int:
        """As many sequences as the server decodes at once."""
        return int(self._rung.max_in_flight or self._rung.options.get("max_num_seqs", _IN_FLIGHT))

    @property
    def is_loading(self) -> bool:
        """Whether the server was started and does not answer yet."""
        server = self._server
        return server is not None and not server.done()

    def check(self) -> Problem | None:
        """Report a vLLM that is missing here."""
        try:
            version("vllm")
        except PackageNotFoundError:
            return Problem(what="vllm is not installed", remedy="run `python -m pip install vllm` on the node")
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity:
        """Identify the model by its files or its commit, beside vLLM's version and the options.

        Raises RungError for a repository of which no commit is known, here or at the hub.
        """
        options = {name: value for name, value in self._rung.options.items() if name != "timeout_s"}
        return Identity(
            content={
                "provider": "vllm",
                "model": self._rung.model,
                "files": self._files(sha256),
                "options": options,
                "engine": f"vllm {version('vllm')}",
            }
        )

    def _files(self, sha256: Callable[[Path], str]) -> Json:
        """The hashes of a folder's files; of a repository its commit."""
        folder = Path(self._rung.base_dir) / str(self._rung.model)
        if folder.is_dir():
            return {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
        from huggingface_hub import snapshot_download

        try:
            found = snapshot_download(
                str(self._rung.model), revision=self._rung.options.get("revision"), allow_patterns=["config.json"]
            )
        except Exception as error:  # of the hub's client, which raises many kinds
            words = f"rung {self._rung.name!r}: {self._rung.model} is not at the hub, nor here ({type(error).__name__})"
            raise RungError(words, reason="missing", permanent=True) from None
        return {"commit": Path(found).name}

    def submit(self, request: Request) -> Future[Reply]:
        """Send the request as soon as the server answers."""
        with self._lock:
            if self._server is None:
                self._server = Future()
                threading.Thread(target=self._start, args=(self._server,), name="vllm starts", daemon=True).start()
            server = self._server
        outer: Future[Reply] = Future()
        server.add_done_callback(partial(self._ask, request, outer))
        return outer

    def _ask(self, request: Request, outer: Future[Reply], server: Future[OpenAI]) -> None:
        error = server.exception()
        if error is not None:
            if outer.set_running_or_notify_cancel():
                outer.set_exception(error)
            return
        try:
            inner = submitted(server.result(), self._rung.name, request)
        except RightsizeError as refused:
            if outer.set_running_or_notify_cancel():
                outer.set_exception(refused)
            return
        pass_cancellation(outer, inner)
        inner.add_done_callback(partial(self._answer, outer))

    def _answer(self, outer: Future[Reply], inner: Future[Reply]) -> None:
        if inner.cancelled() or not outer.set_running_or_notify_cancel():
            return
        error = inner.exception()
        if error is None:
            outer.set_result(inner.result())
        elif isinstance(error, RungError) and error.reason == "transport":
            # Whether the server has ended is known a moment later: not in the thread that its answers come in.
            threading.Thread(target=self._explain, args=(outer, error), name="vllm explains", daemon=True).start()
        else:
            outer.set_exception(error)

    def _explain(self, outer: Future[Reply], error: RungError) -> None:
        """Fail with what the server said at its end, or with the error where it goes on."""
        process = self._process
        try:
            if process is not None:
                process.wait(_KNOWN_WITHIN_S)
                self._is_heard.wait(_KNOWN_WITHIN_S)
                words = f"rung {self._rung.name!r}: its vLLM server has ended{self._said()}"
                error = RungError(words, reason="crash", permanent=True)
        except subprocess.TimeoutExpired:
            pass  # the server goes on: the error stays as it was
        outer.set_exception(error)

    def close(self) -> None:
        """End the server, which frees its boards."""
        with self._lock:
            server, self._server = self._server, None
            process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS_WITHIN_S)
            process.kill()
            process.wait()
        if server is not None and server.done() and server.exception() is None:
            server.result().close()

    # --- the server ---------------------------------------------------------------------------------------------------

    def command(self, port: int) -> list[str]:
        """The command that starts the server."""
        return [sys.executable, "-m", _MODULE, "--host", "127.0.0.1", "--port", str(port), *self._arguments]

    def _start(self, server: Future[OpenAI]) -> None:
        own_this_thread()
        try:
            server.set_result(self._started(server))
        except RightsizeError as error:
            server.set_exception(error)
        except Exception as error:
            words = f"rung {self._rung.name!r}: its vLLM server could not be started ({type(error).__name__}: {error})"
            server.set_exception(RungError(words, reason="load", permanent=True))

    def _started(self, server: Future[OpenAI]) -> OpenAI:
        """The provider that asks the server, once that answers; raises RungError if it ends before."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        os.environ.setdefault(_KEY, secrets.token_hex(32))
        process = subprocess.Popen(
            self.command(port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "VLLM_API_KEY": os.environ[_KEY], "VLLM_NO_USAGE_STATS": "1"},
        )
        with self._lock:
            if self._server is server:
                self._process = process
        assert process.stderr is not None  # it is a pipe
        threading.Thread(target=self._listen, args=(process.stderr,), name="vllm listens", daemon=True).start()
        url, pause = f"http://127.0.0.1:{port}", threading.Event()
        while not _answers(f"{url}/health"):
            if process.poll() is not None:
                self._is_heard.wait(_KNOWN_WITHIN_S)
                words = f"rung {self._rung.name!r}: its vLLM server ended with status {process.returncode}"
                raise RungError(f"{words}{self._said()}", reason="load", permanent=True)
            if self._server is not server:
                process.kill()
                raise RungError(f"rung {self._rung.name!r}: closed before it had answered", reason="crash")
            pause.wait(_LOOKS_EVERY_S)
        of_requests = {name: self._rung.options[name] for name in _OF_REQUESTS if name in self._rung.options}
        options = {"base_url": f"{url}/v1", "api_key_env": _KEY, "timeout_s": _TIMEOUT_S, "retries": 0}
        options |= of_requests
        model = self._rung.options.get("served_model_name", self._rung.model)
        rung = replace(self._rung, provider="openai", model=model, options=options, max_in_flight=self.in_flight)
        return OpenAI(rung)

    def _listen(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            for line in stream:
                self._last_lines.append(line[-1000:].decode("utf-8", "replace"))
        self._is_heard.set()

    def _said(self) -> str:
        """The last error that the server wrote for people."""
        lines = [line.strip() for line in self._last_lines if "Error" in line] or [*self._last_lines][-1:]
        said = known_secrets().words(" ".join(lines[-1].split())) if lines else ""
        return f": {said[-_LONGEST:]}" if said else ""


def arguments_of(rung: Rung) -> Sequence[str]:
    """The arguments of `vllm serve` for the options of a rung; raises ConfigError for what cannot be one.

    >>> arguments_of(Rung(name="4b", provider="vllm", model="Qwen/Qwen3-4B", options={"max_model_len": 8192}))
    ['--model', 'Qwen/Qwen3-4B', '--max-model-len', '8192']
    """
    arguments = ["--model", str(rung.model)]
    for name, value in rung.options.items():
        if name in _OF_REQUESTS:
            continue
        if not name.isidentifier() or name in ("model", "host", "port", "api_key"):
            raise ConfigError(f"rung {rung.name!r}: engine_options.{name} cannot be: it is set for each replica")
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, dict | list):
            arguments += [flag, json.dumps(value)]
        else:
            arguments += [flag, str(value)]
    return arguments


def _answers(url: str) -> bool:
    try:
        fetch(Secret(url), local_only=True, timeout_s=5)
    except FetchError:
        return False
    return True
