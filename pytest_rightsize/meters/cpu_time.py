"""Processor seconds of the model's threads, times the processor's rated power per thread, for want of a counter.

A model of the energy and never called a measurement: E = TDP / threads x seconds. Against counters of four processors
it lay between 0.34 and 2.3 of the truth, which is the interval of every figure.
"""

import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pluggy

from pytest_rightsize import clocks
from pytest_rightsize.energy import Energy, unknown_energy
from pytest_rightsize.errors import ConfigError
from pytest_rightsize.meters import Counter, Facts, Meter, MeterProblem, Site
from pytest_rightsize.records import Json, Reply, Rung

__all__ = ["CpuTime", "engine_seconds", "joules_of", "watts_per_thread"]

hookimpl = pluggy.HookimplMarker("pytest")

_FACTORS = (0.34, 2.3)
# Clocks of threads are read one after the other: again, where the process took longer than this meanwhile.
_READINGS = 16
_AT_ONCE_S = 0.0005
# A processor that is not in the table: 1.5 to 10 W a thread, and at best what most others take.
_UNKNOWN_W, _UNKNOWN_FACTORS = 4.0, (1.5 / 4.0, 10.0 / 4.0)
# Model, rated watts and threads of the socket; for others there are the options.
_RATED: tuple[tuple[str, float, int], ...] = (
    (r"EPYC 7763\b", 280, 128),
    (r"EPYC 7742\b", 225, 128),
    (r"EPYC 9654\b", 360, 192),
    (r"Xeon.* 8370C\b", 205, 64),
    (r"Xeon.* 8380\b", 270, 80),
    (r"Ryzen 9 7950X\b", 170, 32),
    (r"Ryzen 9 5950X\b", 105, 32),
    (r"i7-1185G7\b", 28, 8),
    (r"i9-13900K\b", 125, 32),
    (r"Apple M1\b", 15, 8),
    (r"Apple M2\b", 22, 8),
)


class CpuTime:
    """Processor seconds of a model in this process, times watts.

    The watts are `watts_per_thread`, or `tdp_w` by `threads` of the socket, or those of a table of processors.
    """

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "watts_per_thread": (int, float),
        "tdp_w": (int, float),
        "threads": int,
    }

    def __init__(self, rung: Rung, options: Mapping[str, Json], site: Site) -> None:
        """Take the power; raises ConfigError if half of it is missing, or it is not above 0."""
        self._site = site
        where = f"rung {rung.name!r}: the meter cpu_time"
        if ("tdp_w" in options) != ("threads" in options):
            raise ConfigError(f"{where} needs both tdp_w and threads (of the whole socket), or watts_per_thread")
        if any(value <= 0 for value in options.values()):
            raise ConfigError(f"{where}: {dict(options)} cannot be: give numbers above 0")
        self._options = options

    def check(self) -> MeterProblem | None:
        """It needs a model in this process."""
        if self._site == "process":
            return None
        return MeterProblem(
            what="the model runs in another process, whose processor time is not seen from here",
            remedy='use a meter of its machine, or { name = "declared", ... }',
        )

    def counters(self) -> Sequence[Counter]:
        """One, for all threads of the model together."""
        watts = self._options.get("watts_per_thread")
        if watts is None and "tdp_w" in self._options:
            watts = self._options["tdp_w"] / self._options["threads"]
        return [_Threads(*((watts, True) if watts is not None else watts_per_thread(processor_name())))]

    def of_answer(self, reply: Reply) -> Energy:  # noqa: ARG002  # the protocol has it
        """Unknown here: the counter tells."""
        return unknown_energy("the counter tells", meter="cpu_time")


class _Threads:
    """Joules of the language model's threads, at `watts` each; with `is_rated` those are known for this processor."""

    def __init__(self, watts: float, is_rated: bool) -> None:
        self._watts = watts
        low, high = _FACTORS if is_rated else (_FACTORS[0] * _UNKNOWN_FACTORS[0], _FACTORS[1] * _UNKNOWN_FACTORS[1])
        self._other_seconds: dict[int, float] = {}
        self._last = 0.0
        self.facts = Facts(
            device="cpu_time:process",
            boundary="cpu.package",
            meter="cpu_time",
            provenance="modelled",
            factors=(low, high),
            exact=True,
            only_this_process=True,
            resolution=0.01 * watts,
            poll_s=0.25,
            hurry_s=0.25,
            flags=(() if is_rated else ("tdp_unknown",)) + (() if _can_tell_threads() else ("whole_process",)),
        )

    def read(self) -> float:
        """See `Counter`."""
        # The clocks are read one after the other, so that what is left of the whole may fall back by microseconds.
        self._last = max(self._last, joules_of(engine_seconds(self._other_seconds), self._watts))
        return self._last

    def others(self) -> str | None:
        """Nobody: only this process's time is counted."""
        return None


def joules_of(seconds: float, watts: float) -> float:
    """The joules of `seconds` of one thread at `watts` a thread."""
    return seconds * watts


def watts_per_thread(processor: str) -> tuple[float, bool]:
    """Rated watts of one thread of a processor, and whether the table knows it."""
    for pattern, watts, threads in _RATED:
        if re.search(pattern, processor):
            return watts / threads, True
    return _UNKNOWN_W, False


def processor_name() -> str:
    """The system's name for the processor; empty where it has none."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor()


def _can_tell_threads() -> bool:
    return sys.platform.startswith("linux") and _thread_seconds(threading.get_native_id()) > 0


def engine_seconds(other_seconds: dict[int, float]) -> float:
    """Processor seconds of the models: those of this process and its children, less those of all other Python threads.

    What is left are the threads `rightsize NAME` and those that llama.cpp starts, which Python does not know.
    `other_seconds` keeps the other threads' seconds over calls, by native thread identity: those of a thread that has
    ended are still left out.
    """
    for _ in range(_READINGS):
        before = clocks.process_time()
        for thread in threading.enumerate():
            if thread.native_id is not None and not _is_engine(thread.name):
                seconds = _thread_seconds(thread.native_id)
                # An identity that is used again starts at 0; which thread had the seconds does not matter.
                other_seconds[thread.native_id] = max(seconds, other_seconds.get(thread.native_id, 0.0))
        whole = clocks.process_time()
        if whole - before < _AT_ONCE_S:  # else threads ran between one clock and the next, and count as the models'
            break
    times = os.times()
    return max(0.0, whole + times.children_user + times.children_system - sum(other_seconds.values()))


def _thread_seconds(native: int) -> float:
    """Processor seconds of one thread of this process, on Linux; 0 elsewhere, or if the thread has ended."""
    # The clock that pthread_getcpuclockid gives, which crashes for a thread that has just ended. What stands in /proc
    # is milliseconds late: what was left of the whole fell back, and answers meanwhile seemed to take nothing.
    clock = ~native << 3 | 6  # of one thread (4), as the scheduler counts (2): linux/posix-timers.h
    try:
        return clocks.processor_time(clock)
    except (OSError, AttributeError):
        return 0.0


def _is_engine(name: str) -> bool:
    return name.startswith("rightsize ") and name not in ("rightsize event loop", "rightsize meter")


@hookimpl
def pytest_rightsize_meters() -> dict[str, type[Meter]]:
    """The meter `cpu_time`."""
    return {"cpu_time": CpuTime}
