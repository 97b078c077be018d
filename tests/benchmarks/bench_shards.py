"""A large run in shards: `python -m tests.benchmarks.bench_shards [--trials 1000000] [--shards 16] [--json FILE]`.

Runs a suite of replayed trials shard after shard, each in a process of its own that collects its own tests and has the
answers of its own tasks, as on a machine of its own, and merges them. Prints and writes as JSON the peak memory and the
processor seconds of each shard and of the merge, and whether a tenth of the suite has the same verdicts in shards as in
one session. With --shard it runs only the first.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_rightsize.records import TrialKey
from pytest_rightsize.shards import Shard
from tests.benchmarks.bench_scale import OPTIONS, PAD, session_of
from tests.benchmarks.processes import run

__all__ = ["main", "measure"]

_TASKS_A_SHARD = 50
_TASK = """
@pytest.mark.rightsize(task="{task}", pass_rate=0.8, chosen="one")
@pytest.mark.parametrize("i", range({first}, {end}))
def test_{task}(model, i):
    assert model.ask(f"Ticket {{i}}:{{PAD}}") == "billing"
"""
_MERGE = "import sys; from pytest_rightsize.commands.__main__ import main; sys.exit(main(sys.argv[1:]))"
# What two runs of the same trials must agree in.
_OF_A_VERDICT = ("task", "verdict", "smallest", "standing", "evidence")


class _Suite:
    """A suite whose shards have as many tasks each."""

    def __init__(self, folder: Path, *, trials: int, shards: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._count = shards
        self._cases = trials // (shards * _TASKS_A_SHARD)
        self._tasks = _tasks(shards)
        tests = [
            _TASK.format(task=task, first=first, end=first + self._cases) for task, first in self._numbered(self._tasks)
        ]
        (folder / "test_suite.py").write_text(f"import pytest\nPAD = {PAD!r}\n" + "".join(tests), encoding="utf-8")
        (folder / "rightsize.toml").write_text('[ladder.one]\nprovider = "replay"\nfile = "answers.jsonl"\n')
        (folder / "pytest.ini").write_text("[pytest]\n")

    def _numbered(self, tasks: Mapping[str, int]) -> list[tuple[str, int]]:
        """Each task with the number of its first ticket."""
        return [(task, place * self._cases) for place, task in enumerate(tasks)]

    def _write_answers(self, index: int | None) -> None:
        """The answers to the tasks of one shard, or to all."""
        with (self._folder / "answers.jsonl").open("w", encoding="utf-8") as file:
            for place, (task, first) in enumerate(self._numbered(self._tasks)):
                if index not in (None, self._tasks[task]):
                    continue
                # From 72 to 100 % of a task's cases are right.
                right = 0.72 + (place % 15) * 0.02
                for number in range(first, first + self._cases):
                    is_right = (number * 0.618034) % 1 < right
                    line = {
                        "prompt": f"Ticket {number}:{PAD}",
                        "text": "billing" if is_right else "shipping",
                        "seconds": 0.2,
                        "tokens": {"prompt": 50, "completion": 12},
                    }
                    file.write(json.dumps(line) + "\n")

    def run_shard(self, index: int) -> dict[str, float]:
        """One shard's session."""
        self._write_answers(index)
        options = (f"--rightsize-shard={index}/{self._count}",)
        return self._session(self.file(index).name, *options)

    def run_whole(self) -> dict[str, float]:
        """All in one session."""
        self._write_answers(None)
        return self._session("whole.jsonl")

    def _session(self, results: str, *options: str) -> dict[str, float]:
        usage = session_of(self._folder, *OPTIONS, f"--rightsize-results={results}", *options)
        trials = sum(line.startswith('{"kind": "trial"') for line in (self._folder / results).open(encoding="utf-8"))
        return {
            "trials": trials,
            "peak_mb": round(usage.peak_mb, 1),
            "user_s": round(usage.user_s, 1),
            "wall_s": round(usage.wall_s, 1),
        }

    def merge(self) -> dict[str, float]:
        """All shards, into run.jsonl."""
        files = [str(self.file(index)) for index in range(1, self._count + 1)]
        merged = self._folder / "run.jsonl"
        command = [sys.executable, "-c", _MERGE, "merge", *files, "-o", str(merged), "--gate=none"]
        usage = run(command, Path.cwd(), {})
        return {
            "peak_mb": round(usage.peak_mb, 1),
            "user_s": round(usage.user_s, 1),
            "merged_file_mb": round(merged.stat().st_size / 1e6, 1),
        }

    def file(self, index: int) -> Path:
        """The results file of a shard."""
        return self._folder / f"shard-{index}.jsonl"

    def verdicts(self, name: str) -> list[Any]:
        """What a results file says of each task."""
        with (self._folder / name).open(encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.startswith('{"kind": "verdict"')]
        return sorted(json.dumps([line.get(part) for part in _OF_A_VERDICT]) for line in lines)


def _tasks(shards: int) -> dict[str, int]:
    """Names of tasks, and the shard of each: as many of each shard, in no order of shards."""
    wanted: dict[int, int] = defaultdict(lambda: _TASKS_A_SHARD)
    tasks: dict[str, int] = {}
    number = 0
    while len(tasks) < shards * _TASKS_A_SHARD:
        task = f"t{number}"
        number += 1
        key = TrialKey(task=task, case="", rung="one")
        index = next(one for one in range(1, shards + 1) if Shard(index=one, count=shards).holds(key))
        if wanted[index]:
            wanted[index] -= 1
            tasks[task] = index
    return tasks


def measure(folder: Path, *, trials: int, shards: int, only_first: bool = False) -> dict[str, Any]:
    """Run the shards one after the other and merge them; then a tenth, in shards and in one session."""
    suite = _Suite(folder / "all", trials=trials, shards=shards)
    found: dict[str, Any] = {"trials": trials, "shards": []}
    for index in range(1, 2 if only_first else shards + 1):
        found["shards"].append(suite.run_shard(index))
        print(json.dumps({"shard": index, **found["shards"][-1]}), flush=True)
    found["largest_peak_mb"] = max(one["peak_mb"] for one in found["shards"])
    if only_first:
        return found
    found["merge"] = suite.merge()
    print(json.dumps({"merge": found["merge"]}), flush=True)
    tenth = _Suite(folder / "tenth", trials=trials // 10, shards=shards)
    for index in range(1, shards + 1):
        tenth.run_shard(index)
    tenth.merge()
    found["a_tenth_in_one_session"] = tenth.run_whole()
    found["a_tenth_agrees"] = tenth.verdicts("run.jsonl") == tenth.verdicts("whole.jsonl") != []
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 where the verdicts differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--shard", action="store_true", help="the first shard only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), trials=args.trials, shards=args.shards, only_first=args.shard)
    print(json.dumps(found, indent=2), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if args.shard else int(not found["a_tenth_agrees"])


if __name__ == "__main__":
    sys.exit(main())
