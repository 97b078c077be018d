"""NVIDIA boards, by NVML: the energy counter where the board has one, else its power reading, integrated.

A board's joules are those of all processes that compute on it; others are looked for and flagged, never subtracted.
RIGHTSIZE_NVML=module:factory names a function that returns something like the module `pynvml`, for tests without a
board.
"""

import functools
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import Counter, CounterError, Facts, Meter, MeterProblem, Site
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["Nvml"]

hookimpl = pluggy.HookimplMarker("pytest")

# NVML_FI_DEV_POWER_INSTANT: `nvmlDeviceGetPowerUsage` is the mean of a second on most boards.
_POWER_INSTANT = 186
# NVML_TEMPERATURE_GPU.
_CORE = 0
# Independent tests of boards: a few per cent for those of data centres, up to 11 % for the others.
_DATACENTRE = re.compile(
    r"\b(A2|A10|A16|A30|A40|A100|H100|H200|H800|H20|B100|B200|GB200|GH200|L4|L40|L40S|T4|V100|P100)\b"
)
_ERROR_DATACENTRE, _ERROR_OTHER = 0.05, 0.11
# How long a power reading takes to follow the load.
_RISE_S = 0.3
# The longest time between two readings of power over which it is still integrated.
_LONGEST_GAP_S = 1.0


class Nvml:
    """The boards that the rung's backend uses: those of CUDA_VISIBLE_DEVICES, else all; `devices` names others."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"devices": list}

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:
        """Keep where the model runs; NVML is loaded by `check`. Raises ConfigError for a rung that runs elsewhere."""
        if site == "remote" and rung.meter is not None and "nvml" in str(rung.meter):
            raise ConfigError(
                f"rung {rung.name!r}: the meter nvml reads this machine's boards, and the rung runs elsewhere: "
                'use { name = "prometheus", url = ... } for its machine, or "auto"'
            )
        self._rung = rung
        self._site = site
        self._devices = options.get("devices")

    def check(self) -> MeterProblem | None:
        """Load NVML and read each board once."""
        try:
            _nvml()
            if self._site == "process" and (problem := _unused_by_llama_cpp(self._rung)):
                return problem
            for counter in self.counters():
                counter.read()
        except CounterError as error:
            return MeterProblem(what=str(error), remedy=_REMEDIES.get(error.flag, "look at `nvidia-smi`"))
        return None

    def counters(self) -> Sequence[Counter]:
        """One for each board, however many of its slices are used."""
        nvml = _nvml()
        try:
            nvml.nvmlInit()
            boards = dict(self._boards(nvml))
        except nvml.NVMLError as error:
            raise CounterError(f"NVML cannot be used ({error})", flag="no_driver") from None
        if not boards:
            raise CounterError("no NVIDIA board is visible", flag="no_board")
        return [_counter(nvml, handle, uuid, self._site, mig=mig) for uuid, (handle, mig) in boards.items()]

    def of_answer(self, reply: Reply) -> Energy:  # noqa: ARG002  # the protocol has it
        """Unknown here: the counters tell."""
        return unknown_energy("the counters tell", meter="nvml")

    def _boards(self, nvml: Any) -> Iterator[tuple[str, tuple[Any, bool]]]:
        """The UUID of each board, with its handle and whether only a slice (MIG) of it is used."""
        for name in self._names(nvml):
            if name.isdecimal():
                handle = nvml.nvmlDeviceGetHandleByIndex(int(name))
            else:
                handle = nvml.nvmlDeviceGetHandleByUUID(name)
            is_slice = name.startswith("MIG-")
            if is_slice:
                handle = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
            yield _text(nvml.nvmlDeviceGetUUID(handle)), (handle, is_slice)

    def _names(self, nvml: Any) -> list[str]:
        """The boards' names: indices, or UUIDs of boards or of slices (MIG)."""
        if self._devices:
            return [str(name) for name in self._devices]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None:
            # As CUDA reads it: the first name that is none ends the list.
            names = [name.strip() for name in visible.split(",")]
            end = next((place for place, name in enumerate(names) if not name or name == "-1"), len(names))
            return names[:end]
        return [str(index) for index in range(int(nvml.nvmlDeviceGetCount()))]


# The driver's own device, and that of a Linux within Windows.
_DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg")
_REMEDIES: Mapping[str, str] = {
    "no_driver": "install NVIDIA's driver, or run where the boards are",
    "no_board": "correct CUDA_VISIBLE_DEVICES, or name `devices` by their UUID",
    "not_supported": "use another meter: this board shows neither energy nor power",
}


def _nvml() -> Any:
    """The module `pynvml`, or its replacement by RIGHTSIZE_NVML; raises CounterError without a driver."""
    replacement = os.environ.get("RIGHTSIZE_NVML")
    if not replacement:
        if sys.platform == "linux" and not any(map(os.path.exists, _DRIVER_FILES)):
            # Found out without the library, whose import takes longer than all else that a session does at its start.
            raise CounterError("there is no NVIDIA driver on this machine", flag="no_driver")
        return importlib.import_module("pynvml")
    module, _, factory = replacement.partition(":")
    try:
        return getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"RIGHTSIZE_NVML={replacement!r} is no module:factory ({error}): correct or unset it"
        ) from None


@functools.cache
def _llama_cpp_has_cuda() -> bool:
    """Whether the installed llama-cpp-python can use a board at all, without loading it."""
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return False
    return any(Path(spec.origin).parent.glob("lib/*cuda*"))


def _unused_by_llama_cpp(rung: Rung) -> MeterProblem | None:
    """Why a llama.cpp model in this process leaves the boards idle, or None if it does not."""
    if rung.provider != "llama_cpp" or "RIGHTSIZE_NVML" in os.environ:
        return None
    if rung.options.get("n_gpu_layers", -1) == 0:
        return MeterProblem(
            what="the rung has n_gpu_layers = 0 and uses no board", remedy="use the meter rapl or cpu_time"
        )
    if not _llama_cpp_has_cuda():
        return MeterProblem(
            what="the installed llama-cpp-python has no CUDA, so the boards stay idle",
            remedy="run `CMAKE_ARGS=-DGGML_CUDA=on python -m pip install --force-reinstall llama-cpp-python`",
        )
    return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _counter(nvml: Any, handle: Any, uuid: str, site: Site, *, mig: bool) -> Counter:
    """The board's energy counter, else its power; raises if it shows neither."""
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:
        pass
    else:
        return _Board(nvml, handle, uuid, site, mig=mig)
    board = _PowerBoard(nvml, handle, uuid, site, mig=mig)
    board.read()
    return board


class _Board:
    """The energy counter of one board, in mJ since the driver was loaded."""

    def __init__(self, nvml: Any, handle: Any, uuid: str, site: Site, *, mig: bool) -> None:
        self._nvml = nvml
        self._handle = handle
        self._site = site
        self._last: float | None = None
        name = _text(nvml.nvmlDeviceGetName(handle))
        error = _ERROR_DATACENTRE if _DATACENTRE.search(name) else _ERROR_OTHER
        self.facts = Facts(
            device=f"nvml:{uuid}",
            # The counter of a Grace Hopper is that of the whole module, its processor included.
            boundary="gpu.module" if "GH200" in name else "gpu.board",
            meter="nvml",
            factors=(1 - error, 1 + error),
            systematic=error,
            resolution=1e-3,
            whole_device=mig,
            flags=("mig",) if mig else (),
        )

    def read(self) -> float:
        """See `Counter`."""
        try:
            joules = self._joules()
        except self._nvml.NVMLError as error:
            self._last = None
            raise CounterError(f"the board cannot be read any more ({error})", flag=self._flag(error)) from None
        last, self._last = self._last, joules
        if last is not None and joules < last:
            raise CounterError("the board's counter began anew (was the driver loaded again?)", flag="counter_reset")
        return joules

    def _joules(self) -> float:
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3

    @staticmethod
    def _flag(error: Exception) -> str:
        words = str(error).lower().replace(" ", "")
        return (
            "not_supported"
            if "notsupported" in words
            else "permission_lost"
            if "permission" in words
            else "counter_lost"
        )

    def others(self) -> str | None:
        """Processes on the board beside this one, or beside the one server that answers."""
        try:
            pids = {int(process.pid) for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)}
        except self._nvml.NVMLError:
            return None
        foreign = pids - {os.getpid()} if self._site == "process" else pids
        allowed = 0 if self._site == "process" else 1
        if len(foreign) <= allowed:
            return None
        return f"other processes compute on the board (pid {', '.join(map(str, sorted(foreign)))})"

    def celsius(self) -> float | None:
        """The temperature of the board's processor, where it tells."""
        try:
            return float(self._nvml.nvmlDeviceGetTemperature(self._handle, _CORE))
        except self._nvml.NVMLError:
            return None


class _PowerBoard(_Board):
    """The power of a board that has no energy counter, integrated by the trapezoid rule."""

    def __init__(
        self,
        nvml: Any,
        handle: Any,
        uuid: str,
        site: Site,
        *,
        mig: bool,
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        self._sum = 0.0
        self._before: tuple[float, float] | None = None
        self._clock = clock
        super().__init__(nvml, handle, uuid, site, mig=mig)
        flags = (*self.facts.flags, "power_integrated")
        self.facts = replace(self.facts, exact=True, lag_s=_RISE_S, poll_s=0.025, hurry_s=0.025, flags=flags)

    def read(self) -> float:
        """See `Counter`."""
        try:
            return super().read()
        except CounterError:
            self._before = None
            raise

    def _joules(self) -> float:
        moment, watts = self._clock(), self._watts()
        if self._before is not None:
            gap = moment - self._before[0]
            if gap > _LONGEST_GAP_S:
                self._before = (moment, watts)
                raise CounterError(f"the board's power was not read for {gap:.1f} s", flag="gap")
            self._sum += gap * (watts + self._before[1]) / 2
        self._before = (moment, watts)
        return self._sum

    def _watts(self) -> float:
        field = self._nvml.nvmlDeviceGetFieldValues(self._handle, [_POWER_INSTANT])[0]
        if field.nvmlReturn == 0 and field.value.uiVal:
            return float(field.value.uiVal) / 1e3
        return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1e3


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `nvml`."""
    return {"nvml": Nvml}
