"""Runs a command as a whole process and tells what it took."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["Took", "endpoint", "median_of", "run"]


@dataclass(frozen=True, kw_only=True)
class Took:
    """Wall seconds, user CPU seconds with those of ended children, the peak resident memory in MB, and its output."""

    wall_s: float
    user_s: float
    peak_mb: float
    said: str


def run(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Took:
    """Run to the end; raises RuntimeError with the output if the exit status is not 0."""
    with (folder / "output.txt").open("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}: {said[-2000:]}")
    return Took(wall_s=wall_s, user_s=usage.ru_utime, peak_mb=usage.ru_maxrss / 1024, said=said)


def median_of(took: Sequence[Took]) -> dict[str, float]:
    """The medians of several runs, rounded for people."""
    return {
        "wall_s": round(median(one.wall_s for one in took), 3),
        "user_s": round(median(one.user_s for one in took), 3),
        "peak_mb": round(max(one.peak_mb for one in took), 1),
    }


@contextmanager
def endpoint(latency_s: float) -> Iterator[str]:
    """An endpoint in a process of its own that echoes after `latency_s`; its URL."""
    command = [sys.executable, "-m", "tests.benchmarks.endpoint", "--latency", str(latency_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate("")
