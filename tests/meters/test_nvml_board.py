"""The benchmark of a real board, on a simulated one that lives in real time: it runs, and tells what it should."""

import datetime
import json
from typing import Any

import pytest

from pytest_rightsize.meters.nvml import Nvml
from pytest_rightsize.records import Rung
from tests.benchmarks.bench_nvml_board import is_within_bounds, main, measure
from tests.meters.attribution.test_metered import Sleeper, Ticking
from tests.meters.simulated import FakeBoard, FakeNvml

PROVIDER = Sleeper(0.06)


class LivingCounter:
    """What a board shows: idle power, and more while the provider is asked."""

    def __init__(self) -> None:
        self._ticking = Ticking(PROVIDER)

    def shown(self) -> float:
        return self._ticking.read()


class FakeNvmlWithDriver(FakeNvml):
    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802  # NVML's own name
        return "550.54.15"


def simulated_nvml() -> FakeNvml:
    """The factory that RIGHTSIZE_NVML names."""
    return NVML


_COUNTER: Any = LivingCounter()
NVML = FakeNvmlWithDriver([FakeBoard(uuid="GPU-0", counter=_COUNTER)])


@pytest.fixture(autouse=True)
def _board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHTSIZE_NVML", f"{__name__}:simulated_nvml")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_date_driver_board_tick_conservation_and_repeatability_are_told() -> None:
    """A second of real time, most of it asleep."""
    meter = Nvml(Rung(name="board", provider="x"), {}, "process")
    assert meter.check() is None
    figures = measure(
        PROVIDER,
        meter,
        sessions=2,
        answers=4,
        tokens=8,
        idle_s=0,
        lengths=(1, 2),
        today=lambda: datetime.date(2026, 11, 27),
    )
    assert (figures["date"], figures["driver"], figures["boards"]) == (
        "2026-11-27",
        "550.54.15",
        ["NVIDIA H100 80GB HBM3"],
    )
    assert figures["ticks"] > 0
    assert 0 < figures["tick_s"] < 1
    assert len(figures["sessions"]) == 2
    for session in figures["sessions"]:
        assert session["joules_per_answer"] > 0
        assert session["unknown_answers"] == 0
        # The ends of so short a session are a tick or two.
        assert session["gap"] < 0.5
    assert figures["largest_gap"] == max(session["gap"] for session in figures["sessions"])
    assert 0 <= figures["largest_deviation"] < 1
    assert figures["smallest_resolved"]["joules"] > 0
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.parametrize(
    ("gap", "deviation", "kept"),
    [(0.01, 0.03, True), (0.011, 0.0, False), (0.0, 0.031, False), (None, 0.0, False), (0.0, None, False)],
)
def test_what_is_not_known_keeps_no_bound(gap: float | None, deviation: float | None, kept: bool) -> None:
    assert is_within_bounds({"largest_gap": gap, "largest_deviation": deviation}) is kept


def test_without_a_board_it_says_why_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("sys.argv", ["bench_nvml_board", "--model", "m", "--base-url", "http://localhost:1/v1"])
    assert main() == 1
    assert "not measured: no NVIDIA board is visible: correct CUDA_VISIBLE_DEVICES" in capsys.readouterr().err
