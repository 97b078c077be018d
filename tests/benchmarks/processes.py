"""Runs a command as a whole process and measures its time and memory."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["ProcessUsage", "endpoint", "median_of", "run"]


@dataclass(frozen=True, kw_only=True)
class ProcessUsage:
    """Wall seconds, user CPU seconds with those of ended children, peak resident memory in MB, and output."""

    wall_s: float
    user_s: float
    peak_mb: float
    output: str


def run(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> ProcessUsage:
    """Run to the end; raises RuntimeError with the output if the exit status is not 0."""
    with (folder / "output.txt").open("w+", encoding="utf-8") as file:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(env or {})}, stdout=file, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        output = file.read()
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}: {output[-2000:]}")
    return ProcessUsage(wall_s=wall_s, user_s=usage.ru_utime, peak_mb=usage.ru_maxrss / 1024, output=output)


def median_of(usages: Sequence[ProcessUsage]) -> dict[str, float]:
    """The median times and the largest memory of several runs, rounded for people."""
    return {
        "wall_s": round(median(usage.wall_s for usage in usages), 3),
        "user_s": round(median(usage.user_s for usage in usages), 3),
        "peak_mb": round(max(usage.peak_mb for usage in usages), 1),
    }


@contextmanager
def endpoint(latency_s: float) -> Iterator[str]:
    """Run an endpoint in a process of its own that echoes prompts after `latency_s`; yields its URL."""
    command = [sys.executable, "-m", "tests.benchmarks.endpoint", "--latency", str(latency_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate("")
