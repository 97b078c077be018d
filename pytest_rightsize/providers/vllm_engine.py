"""The engine `vllm` of a replica: a vLLM server that this process starts for itself, asked over its OpenAI API.

In go a rung whose options are those of `vllm serve`, out come replies of the provider `openai`. The server listens on
this machine alone, asks for a key that only this process has, and ends with it. It is given what the fingerprint is
made of: `vllm_model.py` finds both.
"""

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
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
from pytest_rightsize.providers.kept_program import kept, kill_group
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.own_threads import own_this_thread
from pytest_rightsize.providers.plain_http import FetchError, fetch
from pytest_rightsize.providers.secret_texts import Secret
from pytest_rightsize.providers.vllm_model import ServedModel
from pytest_rightsize.providers.vllm_options import OF_REQUESTS, arguments_of, check_options
from pytest_rightsize.records import Identity, Reply, Request, Rung

__all__ = ["Vllm"]

_KEY = "RIGHTSIZE_VLLM_KEY"
_MODULE = "vllm.entrypoints.openai.api_server"
_IN_FLIGHT = 256
_LOOKS_EVERY_S = 0.5
_LAST_LINES = 30
_LONGEST = 300
# Who runs it gives it 10 s, and kills it then.
_ENDS_WITHIN_S = 15.0
# That a server has ended, and its last words, are seen so soon.
_KNOWN_WITHIN_S = 10.0
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
    loads_model = True

    def __init__(self, rung: Rung) -> None:
        """Keep the rung; raises ConfigError for an option that is no option of a command."""
        if not rung.model:
            raise ConfigError(f"rung {rung.name!r} has no model, which the engine vllm needs: add model = ...")
        self._rung = rung
        check_options(rung)
        self._model = ServedModel(rung)
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
        of_requests = {name: self._rung.options[name] for name in OF_REQUESTS if name in self._rung.options}
        of_requests.pop("timeout_s", None)
        content = self._model.content(sha256)
        return Identity(
            content={
                "provider": "vllm",
                "model": self._rung.model,
                **content,
                "options": content["options"] | of_requests,
                "engine": f"vllm {version('vllm')}",
            }
        )

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
            kill_group(process)
        if server is not None and server.done() and server.exception() is None:
            server.result().close()

    # --- the server ---------------------------------------------------------------------------------------------------

    def command(self, port: int) -> list[str]:
        """The command that starts the server; raises RungError where the model is not there."""
        # Without the folder that it is started in, whose files may be named as modules of Python are.
        place = ["--host", "127.0.0.1", "--port", str(port)]
        return [sys.executable, "-P", "-m", _MODULE, *arguments_of(self._model.options()), *place]

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
        # A server that was closed before may still say its last words.
        self._last_lines, self._is_heard = deque(maxlen=_LAST_LINES), threading.Event()
        process = subprocess.Popen(
            kept(self.command(port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._model.folder,
            env=self._environment(),
            start_new_session=True,
        )
        with self._lock:
            if self._server is server:
                self._process = process
        assert process.stderr is not None  # it is a pipe
        threading.Thread(
            target=self._listen,
            args=(process.stderr, self._last_lines, self._is_heard),
            name="vllm listens",
            daemon=True,
        ).start()
        url, pause = f"http://127.0.0.1:{port}", threading.Event()
        while not _answers(f"{url}/health"):
            if process.poll() is not None:
                self._is_heard.wait(_KNOWN_WITHIN_S)
                words = f"rung {self._rung.name!r}: its vLLM server ended with status {process.returncode}"
                raise RungError(f"{words}{self._said()}", reason="load", permanent=True)
            if self._server is not server:
                process.terminate()
                raise RungError(f"rung {self._rung.name!r}: closed before it had answered", reason="crash")
            pause.wait(_LOOKS_EVERY_S)
        of_requests = {name: self._rung.options[name] for name in OF_REQUESTS if name in self._rung.options}
        options = {"base_url": f"{url}/v1", "api_key_env": _KEY, "timeout_s": _TIMEOUT_S, "retries": 0}
        options |= of_requests
        rung = replace(
            self._rung, provider="openai", model=self._model.name, options=options, max_in_flight=self.in_flight
        )
        return OpenAI(rung)

    def _environment(self) -> dict[str, str]:
        """The server's variables: it downloads nothing, unless that is allowed, and takes models of one hub alone."""
        own = {"VLLM_API_KEY": os.environ[_KEY], "VLLM_NO_USAGE_STATS": "1", "VLLM_USE_MODELSCOPE": "False"}
        if not self._model.may_download:
            own |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        redirects = "VLLM_MODEL_REDIRECT_PATH"  # to other models than the fingerprint's
        return {**{name: value for name, value in os.environ.items() if name != redirects}, **own}

    @staticmethod
    def _listen(stream: IO[bytes], lines: deque[str], is_heard: threading.Event) -> None:
        with suppress(OSError, ValueError):
            for line in stream:
                lines.append(line[-1000:].decode("utf-8", "replace"))
        is_heard.set()

    def _said(self) -> str:
        """The last error that the server wrote for people."""
        lines = [line.strip() for line in self._last_lines if "Error" in line] or [*self._last_lines][-1:]
        said = known_secrets().words(" ".join(lines[-1].split())) if lines else ""
        return f": {said[-_LONGEST:]}" if said else ""


def _answers(url: str) -> bool:
    try:
        fetch(Secret(url), local_only=True, timeout_s=5)
    except FetchError:
        return False
    return True
