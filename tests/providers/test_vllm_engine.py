"""The engine `vllm`: its command, and a server that is played, as vLLM itself needs a GPU that no test has."""

import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pytest_rightsize.errors import ConfigError, RungError
from pytest_rightsize.providers.vllm_engine import Vllm
from pytest_rightsize.records import Request, Rung

SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != "Bearer " + os.environ["VLLM_API_KEY"]:
            return self.send_error(401)
        if asked["messages"][-1]["content"] == "die":
            sys.stderr.write("RuntimeError: CUDA error\\n")
            sys.stderr.flush()
            os._exit(3)
        message = {"role": "assistant", "content": asked["model"] + ": " + asked["messages"][-1]["content"]}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        self.answer({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def rung(**options: Any) -> Rung:
    return Rung(name="4b", provider="vllm", model="Qwen/Qwen3-4B", options=options)


class Played(Vllm):
    """The engine, with a program of the test in place of vLLM."""

    program = SERVER

    def command(self, port: int) -> list[str]:
        return [sys.executable, "-c", self.program, str(port)]


def asked(text: str) -> Request:
    return Request(messages=({"role": "user", "content": text},))


def test_a_rung_without_a_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no model, which the engine vllm needs"):
        Vllm(Rung(name="4b", provider="vllm"))


def test_how_many_it_is_given_at_once() -> None:
    assert [Vllm(rung()).in_flight, Vllm(rung(max_num_seqs=32)).in_flight] == [256, 32]


def test_the_server_is_started_asked_with_a_key_and_ended() -> None:
    engine = Played(rung(served_model_name="mine", max_num_seqs=4))
    replies = [engine.submit(asked(str(n))) for n in range(3)]
    assert [reply.result(60).text for reply in replies] == ["mine: 0", "mine: 1", "mine: 2"]
    assert replies[0].result().tokens.completion == 2
    process = engine._process
    assert process is not None
    fault = engine.submit(asked("die")).exception(60)
    assert isinstance(fault, RungError)
    assert (fault.reason, fault.permanent) == ("crash", True)
    assert "its vLLM server has ended: RuntimeError: CUDA error" in str(fault)
    engine.close()
    engine.close()
    assert process.poll() is not None


def test_the_server_is_asked_for_the_adapter_and_not_for_the_model_without_it() -> None:
    engine = Played(rung(lora_modules="sql=adapters/sql"))
    assert engine.submit(asked("a")).result(60).text == "sql: a"
    engine.close()


def test_a_server_that_cannot_start_says_why() -> None:
    class Broken(Played):
        program = "import sys; sys.exit('ValueError: no GPU is there')"

    fault = Broken(rung()).submit(asked("a")).exception(60)
    assert isinstance(fault, RungError)
    assert (fault.reason, fault.permanent) == ("load", True)
    assert str(fault) == "rung '4b': its vLLM server ended with status 1: ValueError: no GPU is there"


def test_the_server_is_given_what_the_fingerprint_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever folder the process of the replica is in."""
    monkeypatch.setattr("pytest_rightsize.providers.vllm_engine.version", lambda _: "0.11")
    (tmp_path / "elsewhere" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "ladder" / "model").mkdir(parents=True)
    (tmp_path / "ladder" / "model" / "config.json").write_text("{}")
    options = {"timeout_s": 9, "max_model_len": 8192, "reasoning": True}
    local = Rung(name="4b", provider="vllm", model="model", base_dir=str(tmp_path / "ladder"), options=options)
    engine = Vllm(local)
    assert engine.identity(lambda path: f"hash of {path}").content == {
        "provider": "vllm",
        "model": "model",
        "files": {"config.json": f"hash of {tmp_path / 'ladder' / 'model' / 'config.json'}"},
        "options": {"max_model_len": 8192, "reasoning": True},
        "engine": "vllm 0.11",
    }
    assert engine.command(1234) == [
        *(sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server"),
        *("--served-model-name", "model", "--model", str(tmp_path / "ladder" / "model"), "--max-model-len", "8192"),
        *("--host", "127.0.0.1", "--port", "1234"),
    ]


@pytest.mark.parametrize("download", [False, True])
def test_a_server_downloads_nothing_unless_that_is_allowed(tmp_path: Path, download: bool) -> None:
    class Telling(Played):
        program = "import os, sys; sys.exit(f'Error: {os.environ.get(\"HF_HUB_OFFLINE\")} in {os.getcwd()}')"

    asking = Rung(name="4b", provider="vllm", model="m", base_dir=str(tmp_path), options={"download": download})
    fault = Telling(asking).submit(asked("a")).exception(60)
    assert str(fault).endswith(f"Error: {None if download else 1} in {tmp_path}")


def test_a_request_that_the_servers_provider_cannot_send_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for ever."""

    def broken(*_: object) -> NoReturn:
        raise LookupError("no such package")

    monkeypatch.setattr("pytest_rightsize.providers.vllm_engine.OpenAI.submit", broken)
    engine = Played(rung(served_model_name="mine"))
    fault = engine.submit(asked("1")).exception(60)
    engine.close()
    assert "LookupError: no such package" in str(fault)
