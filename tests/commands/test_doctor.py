"""`rightsize doctor`: every rung and meter is tried, and each fault is reported with its remedy."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.metered import measure_period
from tests.meters.attribution.test_sharing import FACTS, Reader
from tests.meters.simulated import Clock, FakeBoard, FakeNvml, Load, SimCounter, plant_powercap


class Endpoint:
    """An endpoint that lists its models to who has the key."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = self.headers.get("Authorization") == "Bearer right"
                self.send_response(200 if allowed and self.path == "/v1/models" else 401)
                self.end_headers()
                self.wfile.write(json.dumps({"data": [{"id": "qwen-30b"}, {"id": "qwen-4b"}]}).encode())

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=lambda: self.server.serve_forever(0.01), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    one = Endpoint()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a ladder, on a machine without counters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIGHTSIZE_POWERCAP_ROOT", str(tmp_path / "powercap"))
    monkeypatch.delenv("RIGHTSIZE_NVML", raising=False)
    monkeypatch.setattr("pytest_rightsize.meters.nvml._DRIVER_FILES", ())
    monkeypatch.setenv("KEY", "right")
    return tmp_path


def ladder(here: Path, text: str) -> None:
    (here / "rightsize.toml").write_text(text, encoding="utf-8")


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["doctor", *arguments])
    return status, capsys.readouterr().out


def remote(endpoint: Endpoint, model: str, **more: str) -> str:
    lines = [f'provider = "openai"\nbase_url = "{endpoint.url}"\nmodel = "{model}"\napi_key_env = "KEY"']
    return "[ladder.big]\n" + "\n".join([*lines, *(f"{key} = {value}" for key, value in more.items())])


def test_an_endpoint_that_has_the_model_and_takes_the_key_answers(
    here: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder(here, remote(endpoint, "qwen-30b", meter='"none"'))
    status, said = doctor(capsys)
    assert (status, "  answers: yes" in said) == (0, True)


def test_a_model_that_the_endpoint_does_not_have_is_told_with_those_that_it_has(
    here: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder(here, remote(endpoint, "qwen-30"))
    status, said = doctor(capsys)
    assert status == 1
    assert "lists no model 'qwen-30'. To get it: correct model: it has qwen-30b" in said
    assert doctor(capsys, "--offline")[0] == 0


def test_a_refused_key_is_told_and_never_shown(
    here: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "wrong-and-secret")
    ladder(here, remote(endpoint, "qwen-30b"))
    status, said = doctor(capsys)
    assert status == 1
    assert "refuses the key" in said
    assert "wrong-and-secret" not in said


def test_a_server_that_is_down_and_a_file_that_is_not_there_are_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder(
        here,
        '[ladder.small]\nprovider = "llama_cpp"\nmodel = "none.gguf"\n'
        '[ladder.big]\nprovider = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "x"',
    )
    status, said = doctor(capsys)
    assert status == 1
    assert "none.gguf is not there" in said
    assert "http://127.0.0.1:9/v1/models does not answer" in said
    assert "start the server, or correct base_url" in said


def test_a_counter_is_timed_and_its_reach_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board whose counter ticks every 5 ms: windows from 100 ms on are known to 5 %."""

    class Now(Clock):
        @property
        def now(self) -> float:
            return time.monotonic()

        @now.setter
        def now(self, value: float) -> None:
            """It moves by itself."""

    board = FakeBoard(uuid="GPU-7", counter=SimCounter(load=Load(80.0, []), clock=Now(), tick_s=0.005))
    module = ModuleType("doctors_nvml")
    module.make = lambda: FakeNvml([board])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "doctors_nvml", module)
    monkeypatch.setenv("RIGHTSIZE_NVML", "doctors_nvml:make")
    ladder(here, '[ladder.small]\nprovider = "llama_cpp"\nmodel = "none.gguf"\nmeter = "nvml"')
    _, said = doctor(capsys)
    assert "  meter:   nvml" in said
    assert "nvml:GPU-7: measured, gpu.board, truth is 0.95 to 1.05 of what it shows; ticks every " in said
    assert "not rapl" in said
    assert (
        "    idle power: the rung is left idle for 3 s before the session's first model is loaded, and after its first "
        "answer (idle_s = 0 in the meter's table leaves that out)\n"
    ) in said
    ladder(here, '[ladder.small]\nprovider = "llama_cpp"\nmodel = "none.gguf"\nmeter = { name = "nvml", idle_s = 0 }')
    assert "    idle power: not measured (idle_s = 0)\n" in doctor(capsys)[1]


def test_a_counter_that_may_not_be_read_is_told_with_the_command(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_powercap(here / "powercap", {"intel-rapl:0": {"name": "package-0", "energy_uj": 1, "max_energy_range_uj": 9}})

    def refuse(self: object) -> int:
        raise PermissionError

    monkeypatch.setattr("pytest_rightsize.meters.rapl._Zone.raw_uj", refuse)
    ladder(here, '[ladder.small]\nprovider = "llama_cpp"\nmodel = "none.gguf"\nmeter = "rapl"')
    status, said = doctor(capsys)
    assert status == 1
    assert f"run `sudo chmod a+r {here}/powercap/intel-rapl*/energy_uj`" in said


def test_without_a_ladder_file_the_built_in_rungs_are_looked_at(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    status, said = doctor(capsys, "--ladder=frontier")
    assert status == 1
    assert "the variable OPENAI_API_KEY with its key is not set" in said
    assert "not served_model: the number of its parameters is not known. To get it: set params_b of the rung" in said
    del here


def test_a_module_that_cannot_be_imported_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--plugin=no_such_module"]) == 2
    assert "--plugin no_such_module cannot be imported" in capsys.readouterr().err
    del here


def test_a_counters_period_is_the_median_gap_between_its_ticks() -> None:
    clock = Clock(100.0)

    class Moving(Reader):
        facts: Facts = FACTS

        def read(self) -> float:
            clock.now += 0.0004
            return super().read()

    counter = SimCounter(load=Load(100.0, []), clock=clock, tick_s=0.02, phase_s=0.007)
    period = measure_period(Moving(counter), clock=clock)
    assert period.tick_s == pytest.approx(0.02, abs=0.0005)
    assert period.ticks == 20
    assert period.watts == pytest.approx(100, rel=0.1)
    stuck = SimCounter(load=Load(100.0, []), clock=clock, tick_s=60.0)
    assert measure_period(Moving(stuck), clock=clock, longest_s=1.0).tick_s is None
