"""Fixtures for sessions in pytester: a small suite on recorded answers, and an environment that is alike everywhere."""

import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# Sessions in this process forget what they imported, and numpy and yaml cannot be loaded twice: so they are loaded
# before. So is what many of them use: it takes up to half a second each time.
import aiohttp  # noqa: F401  # see above
import jinja2  # noqa: F401
import pytest
import pytest_asyncio.plugin  # noqa: F401
import scipy.optimize
import scipy.special  # noqa: F401
import xdist.dsession
import xdist.workermanage  # noqa: F401
import yaml  # noqa: F401
from hypothesis import settings

import pytest_rightsize.providers.openai.provider
import pytest_rightsize.recorded.recorder
import pytest_rightsize.reports.html.report
import pytest_rightsize.served.serving
import pytest_rightsize.session.hooks
from tests import forked
from tests.outside import outside  # noqa: F401  # a fixture

if not sys.dont_write_bytecode:  # without it, as with mutants, each of them would be compiled for a single test
    for _module in pkgutil.walk_packages(pytest_rightsize.__path__, "pytest_rightsize."):
        if not _module.name.endswith("__main__"):
            importlib.import_module(_module.name)

# Thousands of tests and all these modules are no garbage: with Python's 700 they are looked at again and again.
gc.set_threshold(20_000, 20, 10)

# Tests import onnxruntime themselves, which tells Microsoft so, a while later: tests of what is sent would hear it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# No property has a deadline: the first example loads scipy, and on a busy machine any example may take long.
settings.register_profile("rightsize", deadline=None)
settings.load_profile("rightsize")

# What sessions load: the rest of what is installed costs each process of them a quarter of a second, and each session
# in this process a fifth of its time. Those that are about a plugin name it.
# By a variable: for each `-p` pytest reads the metadata of every package that is installed. `-p no:` comes before it.
_LOADED = ("pytest_rightsize.plugin", "xdist.plugin", "pytest_asyncio.plugin")
# pytest-asyncio 0.24 to 1.x warns each session that has no configuration of its own.
UNSET = 'ignore:The configuration option "asyncio_default_fixture_loop_scope" is unset'
# Four cases are little evidence: with this, what they say fails a session all the same.
STRICT = "--rightsize-gate=provisional"
SUITE = """
    import pytest

    @pytest.mark.rightsize(task="upper", pass_rate=0.75, chosen="big")
    @pytest.mark.parametrize("word", ["a", "b", "c", "d"])
    def test_upper(model, word):
        assert model.ask(word) == word.upper()
"""
LADDER = """
    default = "big"
    [ladder.tiny]
    provider = "replay"
    complete = false
    file = "tiny.jsonl"
    [ladder.small]
    provider = "replay"
    complete = false
    file = "small.jsonl"
    model = "vendor/small-1"
    [ladder.big]
    provider = "replay"
    complete = false
    file = "big.jsonl"
"""


def record(path: Path, answers: dict[str, str]) -> None:
    """Write a replay file; each answer took three tokens to ask and one to give."""
    lines = [
        {"prompt": prompt, "text": text, "tokens": {"prompt": 3, "completion": 1}} for prompt, text in answers.items()
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture(autouse=True)
def _alike_everywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions in tests do not know where they run: under CI pytest shortens nothing, and this plugin annotates.

    They load nothing of what else is installed but xdist and pytest-asyncio. None keeps its run, but those that say so.
    """
    for name in ("BUILD_NUMBER", "CI", "FORCE_COLOR", "NO_COLOR", "PYTEST_ADDOPTS", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # which takes the variable away
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setattr(pytest.Pytester, "popen", forked.in_pytester)
        monkeypatch.setattr("execnet.gateway_io.Popen2IOMaster", forked.WorkerIO)
        monkeypatch.setenv("PYTEST_PLUGINS", ",".join(_LOADED))
        monkeypatch.setenv("PYTEST_ADDOPTS", f"-W '{UNSET}' -o rightsize_runs=0")


@pytest.fixture
def fresh_processes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing imported in the processes that a test starts, as is usual."""
    monkeypatch.setattr(forked, "start", subprocess.Popen)


@pytest.fixture
def load(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the sessions of a test load other plugins too."""

    def have_loaded(*plugins: str) -> None:
        monkeypatch.setenv("PYTEST_PLUGINS", ",".join([*plugins, os.environ["PYTEST_PLUGINS"]]))

    return have_loaded


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Four cases of one task: `tiny` passes one, `small` three, `big` all."""
    pytester.makepyfile(test_suite=SUITE)
    pytester.makefile(".toml", rightsize=LADDER)
    record(pytester.path / "tiny.jsonl", dict(zip("abcd", "Abcd", strict=True)))
    record(pytester.path / "small.jsonl", dict(zip("abcd", "ABCd", strict=True)))
    record(pytester.path / "big.jsonl", dict(zip("abcd", "ABCD", strict=True)))
    return pytester
