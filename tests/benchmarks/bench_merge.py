"""What it takes to merge a large run: `python -m tests.benchmarks.bench_merge [--trials 1000000] [--shards 16]`.

Writes the results files of the shards of a run with two rungs, whose trials are made up, merges them in a process of
its own, and prints and writes as JSON the peak memory, the processor and wall seconds, the size of the merged file, and
whether the verdicts of a tenth as many trials are those of one file that is judged at once.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Policy, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.results.results_file import ResultsFile, read_run
from pytest_rightsize.session.sharding import suite_plan
from pytest_rightsize.shards import Shard
from tests.benchmarks.processes import ProcessUsage, run

__all__ = ["main"]

_RUNGS = (Rung(name="small", provider="replay", params_b=1.0), Rung(name="big", provider="replay", params_b=8.0))
_CASES = 1000
_PROMPT = "Please read the following customer message and answer with the one queue it belongs to, in one word."
_MERGE = "import sys; from pytest_rightsize.commands.__main__ import main; sys.exit(main(sys.argv[1:]))"


def _policies(trials: int) -> dict[str, Policy]:
    tasks = max(1, trials // (_CASES * len(_RUNGS)))
    return {f"t{n}": Policy(task=f"t{n}", pass_rate=0.8, chosen="big") for n in range(tasks)}


def _trials(task: str) -> Iterator[Trial]:
    """The trials of a task: the small rung passes 70 to 100 % of them, the big one nearly all."""
    source = random.Random(task)
    rates = {"small": source.uniform(0.7, 1.0), "big": source.uniform(0.95, 1.0)}
    for case in range(_CASES):
        messages = ({"role": "user", "content": f"Ticket {task}-{case}: {_PROMPT}"},)
        for rung, rate in rates.items():
            answer = AnswerRecord(
                text="billing" if source.random() < rate else "shipping",
                messages=messages,
                tokens=Tokens(prompt=50, completion=source.randint(1, 30), source="reported"),
                seconds=round(source.uniform(0.1, 2.0), 3),
                cached=True,
            )
            key = TrialKey(task=task, case=f"test_suite.py::test_{task}[{case}]", rung=rung)
            has_passed = answer.text == "billing"
            yield Trial(key=key, outcome="passed" if has_passed else "failed", answers=(answer,), seconds=0.001)


def _write(folder: Path, policies: dict[str, Policy], shards: int) -> list[Path]:
    """The results file of each shard."""
    keys = [
        TrialKey(task=task, case=str(case), rung=rung.name)
        for task in policies
        for rung in _RUNGS
        for case in range(_CASES)
    ]
    plan = [*suite_plan(keys, policies)]
    paths = []
    for index in range(1, shards + 1):
        shard = Shard(index=index, count=shards)
        settings = {"strategy": "full", "objective": "size", "shard": shard.to_dict()}
        paths.append(folder / f"shard-{index}.jsonl")
        file = ResultsFile(paths[-1], rungs=_RUNGS, about={"started": "2026-01-01T00:00:00", "settings": settings})
        file.suite(plan)
        for task in policies:
            if shard.holds(TrialKey(task=task, case="", rung="small")):
                for trial in _trials(task):
                    file.trial(trial)
        file.end([], exitstatus=0, failed=[], totals={})
    return paths


def _merged(folder: Path, trials: int, shards: int) -> tuple[ProcessUsage, Path]:
    folder.mkdir()
    paths = _write(folder, _policies(trials), shards)
    merged = folder / "run.jsonl"
    command = [sys.executable, "-c", _MERGE, "merge", *map(str, paths), "-o", str(merged), "--gate=none"]
    return run(command, Path.cwd(), {}), merged


def _agrees(merged: Path) -> bool:
    """Whether the verdicts in a merged file are those of all of its trials judged at once."""
    verdicts = {verdict.task: verdict.to_dict() for verdict in judge(read_run(merged))}
    names = ("verdict", "smallest", "standing", "evidence")
    with merged.open(encoding="utf-8") as file:
        written = [json.loads(line) for line in file if line.startswith('{"kind": "verdict"')]
    return len(written) == len(verdicts) and all(
        [one[name] for name in names] == [verdicts[one["task"]][name] for name in names] for one in written
    )


def measure(*, trials: int, shards: int) -> dict[str, Any]:
    """Merge, and compare a tenth."""
    with tempfile.TemporaryDirectory() as name:
        usage, merged = _merged(Path(name) / "all", trials, shards)
        size_mb = merged.stat().st_size / 1e6
        _, tenth = _merged(Path(name) / "tenth", trials // 10, shards)
        return {
            "trials": trials,
            "shards": shards,
            "peak_mb": round(usage.peak_mb, 1),
            "user_s": round(usage.user_s, 1),
            "wall_s": round(usage.wall_s, 1),
            "merged_file_mb": round(size_mb, 1),
            "a_tenth_agrees": _agrees(tenth),
        }


def main() -> int:
    """Measure, print and write; 1 where the verdicts differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = measure(trials=args.trials, shards=args.shards)
    print(json.dumps(found, indent=2), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(not found["a_tenth_agrees"])


if __name__ == "__main__":
    sys.exit(main())
