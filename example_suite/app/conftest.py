"""Starts the server of the example's models, as the ladder file beside it needs it."""

from __future__ import annotations

import pytest

from example_suite.model_server import ModelServer


def pytest_configure(config: pytest.Config) -> None:
    asks_nobody = config.option.collectonly or config.option.help or config.getoption("--rightsize-cache") == "replay"
    if hasattr(config, "workerinput") or asks_nobody:
        return
    server = ModelServer(["25k", "60k", "160k", "frontier"])
    config.add_cleanup(server.stop)
    server.wait_until_ready()
