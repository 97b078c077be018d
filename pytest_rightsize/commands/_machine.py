"""The memory of this machine and of its NVIDIA boards, as the system tells it; None where it does not."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

__all__ = ["Memory", "memory_of_this_machine"]

# What the system and the tests themselves need is left free.
_USABLE = 0.9


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of memory: all, free now, and of each GPU."""

    total: int | None
    free: int | None
    gpus: Sequence[int] = ()

    @property
    def for_models(self) -> int | None:
        """What a model may take: nine tenths of the largest board, else of the machine's memory; None if unknown."""
        most = max(self.gpus, default=None) or self.total
        return None if most is None else int(most * _USABLE)

    def words(self) -> str:
        """The memory in a line."""
        total = "an unknown amount" if self.total is None else f"{self.total / 1e9:.1f} GB"
        free = "" if self.free is None else f", {self.free / 1e9:.1f} GB of it free now"
        boards = "".join(f"; a GPU of {each / 1e9:.1f} GB" for each in self.gpus)
        return f"{total} of memory{free}{boards or '; no NVIDIA GPU'}"


def memory_of_this_machine() -> Memory:
    """Ask the system, and NVIDIA's driver where there is one."""
    return Memory(total=_total(), free=_free(), gpus=tuple(_gpus()))


def _total() -> int | None:
    if sys.platform == "win32":
        return _windows_total()
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _windows_total() -> int | None:
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    kernel = getattr(ctypes, "windll", None)
    if kernel is None or not kernel.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return None
    return kilobytes.value * 1024


def _free() -> int | None:
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _gpus() -> list[int]:
    """The memory of each board; none where there is no driver."""
    try:
        pynvml = import_module("pynvml")
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()
