"""`python -m llama_cpp.server` on a free loopback port, with the example's models and a key of its own.

Rungs find it by the variables RIGHTSIZE_EXAMPLE_URL and RIGHTSIZE_EXAMPLE_KEY. It holds one model at a time.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["ModelServer"]

MODELS = Path(__file__).with_name("models")
START_TIMEOUT_S = 60.0


class ModelServer:
    """The server from its start on; the model `NAME.gguf` answers to the name `rightsize-NAME`."""

    def __init__(self, names: Sequence[str]) -> None:
        port, key = _free_port(), secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{port}/v1"
        os.environ["RIGHTSIZE_EXAMPLE_URL"] = self.url
        os.environ["RIGHTSIZE_EXAMPLE_KEY"] = key
        models = [
            {
                "model": str(MODELS / f"{name}.gguf"),
                "model_alias": f"rightsize-{name}",
                "n_threads": 1,
                "n_threads_batch": 1,
                "n_ctx": 512,
                "verbose": False,
            }
            for name in names
        ]
        # A file that only its owner reads: the key would show among the arguments.
        self._folder = tempfile.TemporaryDirectory()
        config = Path(self._folder.name) / "server.json"
        config.write_text(json.dumps({"host": "127.0.0.1", "port": port, "api_key": key, "models": models}))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the server
        self._process = subprocess.Popen(
            [sys.executable, "-m", "llama_cpp.server", "--config_file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self._request = urllib.request.Request(f"{self.url}/models", headers={"Authorization": f"Bearer {key}"})

    def wait_until_ready(self) -> None:
        """Return when it answers; raises UsageError with its last words if it does not."""
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
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
