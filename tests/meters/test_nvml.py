"""NVIDIA boards that are simulated: which are read, by what, and who else computes on them."""

import os
import sys
from types import ModuleType
from typing import Any

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import CounterError
from pytest_rightsize.meters.nvml import Nvml
from pytest_rightsize.records import Rung
from tests.meters.simulated import Clock, FakeBoard, FakeNvml, Load, SimCounter

RUNG = Rung(name="1b", provider="llama_cpp")


def board(number: int, **more: Any) -> FakeBoard:
    return FakeBoard(
        uuid=f"GPU-{number}", counter=SimCounter(load=Load(60.0, []), clock=Clock(1000.0 + number)), **more
    )


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> list[FakeBoard]:
    """Two boards, one of them cut into slices, and the module that shows them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = [board(0), board(1)]
    module = ModuleType("fake_nvml")
    module.make = lambda: FakeNvml(found, {"MIG-a": "GPU-1", "MIG-b": "GPU-1"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_nvml", module)
    monkeypatch.setenv("RIGHTSIZE_NVML", "fake_nvml:make")
    return found


def meter(**options: Any) -> Nvml:
    return Nvml(RUNG, options, "process")


def devices(**options: Any) -> list[str]:
    return [counter.facts.device for counter in meter(**options).counters()]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["nvml:GPU-0", "nvml:GPU-1"]),
        ("1", ["nvml:GPU-1"]),
        ("1,0", ["nvml:GPU-1", "nvml:GPU-0"]),
        ("GPU-0", ["nvml:GPU-0"]),
        ("0,-1,1", ["nvml:GPU-0"]),
        ("MIG-a,MIG-b", ["nvml:GPU-1"]),
    ],
)
@pytest.mark.usefixtures("boards")
def test_the_boards_that_cuda_sees_are_read_each_once(
    visible: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices() == expected


@pytest.mark.usefixtures("boards")
def test_a_slice_is_measured_by_its_whole_board_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a")
    (counter,) = meter().counters()
    assert (counter.facts.flags, counter.facts.whole_device) == (("mig",), True)


@pytest.mark.usefixtures("boards")
def test_boards_may_be_named_in_the_ladder_file() -> None:
    assert devices(devices=["GPU-1"]) == ["nvml:GPU-1"]


def test_the_counter_is_in_joules_and_its_error_that_of_the_board(boards: list[FakeBoard]) -> None:
    boards[1].name = "NVIDIA GeForce RTX 3090"
    counters = meter().counters()
    assert counters[0].read() == pytest.approx(60.0 * 1000.0, abs=6.1)
    assert [one.facts.systematic for one in counters] == [0.05, 0.11]


def test_the_counter_of_a_module_holds_the_processor_and_says_so(boards: list[FakeBoard]) -> None:
    boards[0].name = "NVIDIA GH200 480GB"
    assert meter().counters()[0].facts.boundary == "gpu.module"


def test_a_board_without_a_counter_is_read_by_its_power(boards: list[FakeBoard]) -> None:
    boards[0].has_counter = False
    boards[0].watts = 250.0
    clock = Clock(10.0)
    counter: Any = meter().counters()[0]
    assert counter.facts.flags == ("power_integrated",)
    counter._clock, counter._before, counter._sum = clock, None, 0.0
    counter.read()
    for _ in range(20):
        clock.now += 0.05
        total = counter.read()
    assert total == pytest.approx(250.0)
    clock.now += 5.0
    with pytest.raises(CounterError, match=r"was not read for 5\.0 s"):
        counter.read()


def test_a_board_that_shows_neither_is_a_problem_with_a_remedy(boards: list[FakeBoard], monkeypatch: Any) -> None:
    monkeypatch.setattr(FakeNvml, "nvmlDeviceGetTotalEnergyConsumption", _not_supported)
    monkeypatch.setattr(FakeNvml, "nvmlDeviceGetFieldValues", _not_supported)
    problem = meter().check()
    assert problem is not None
    assert "Not Supported" in problem.what
    assert "use another meter" in problem.remedy
    del boards


def _not_supported(*_: Any) -> Any:
    raise FakeNvml.NVMLError("Not Supported")


def test_a_driver_that_is_loaded_again_breaks_the_counter(boards: list[FakeBoard]) -> None:
    counter = meter().counters()[0]
    counter.read()
    boards[0].counter.clock.now = 10.0
    with pytest.raises(CounterError, match="began anew") as told:
        counter.read()
    assert told.value.flag == "counter_reset"


def test_other_processes_on_the_board_are_seen(boards: list[FakeBoard]) -> None:
    boards[0].pids = [os.getpid()]
    counter = meter().counters()[0]
    assert counter.others() is None
    boards[0].pids.append(4242)
    assert counter.others() == "other processes compute on the board (pid 4242)"


def test_how_warm_a_board_is(boards: list[FakeBoard]) -> None:
    counter: Any = meter().counters()[0]
    boards[0].celsius = 61.0
    assert counter.celsius() == 61.0
    boards[0].celsius = None
    assert counter.celsius() is None


def test_a_server_on_this_machine_may_be_the_one_process_on_its_board(boards: list[FakeBoard]) -> None:
    boards[0].pids = [4242]
    counter = Nvml(RUNG, {}, "machine").counters()[0]
    assert counter.others() is None
    boards[0].pids.append(4243)
    assert counter.others() is not None


def test_without_a_driver_the_library_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIGHTSIZE_NVML", raising=False)
    monkeypatch.setattr("pytest_rightsize.meters.nvml._DRIVER_FILES", ())
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    problem = Nvml(Rung(name="far", provider="openai"), {}, "machine").check()
    assert problem is not None
    assert problem.what == "there is no NVIDIA driver on this machine"
    assert "pynvml" not in sys.modules


def test_a_library_without_cuda_leaves_the_boards_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIGHTSIZE_NVML", raising=False)
    monkeypatch.setattr("pytest_rightsize.meters.nvml._DRIVER_FILES", ("/dev/null",))
    monkeypatch.setattr("pytest_rightsize.meters.nvml._llama_cpp_has_cuda", lambda: False)
    problem = meter().check()
    assert problem is not None
    assert "has no CUDA" in problem.what


def test_a_wrong_factory_is_a_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHTSIZE_NVML", "no_such_module:make")
    with pytest.raises(ConfigError, match="correct or unset it"):
        meter().counters()
