"""Time and memory to read a large results file: `python -m tests.benchmarks.bench_results_file [--megabytes=1000]`.

Writes two files, one of long answers and one of many short ones, and reads each in a process of its own: with all its
texts, as for a report, and as `rightsize lock` and `rightsize compare` do. Prints and writes as JSON the seconds and
the peak memory of each process, and that memory as a share of the file's size.
"""

import argparse
import json
import random
import shutil
import string
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_rightsize.records import AnswerRecord, Policy, Rung, Tokens, Trial, TrialKey
from pytest_rightsize.results.results_file import ResultsFile
from tests.benchmarks.processes import run

__all__ = ["main", "write_file"]

_RUNGS = ("small", "big")
_LONG_CHARS, _SHORT_CHARS = 200_000, 40
_READ = (
    "import sys; from pathlib import Path; from pytest_rightsize.results.results_file import read_run; "
    "read_run(Path(sys.argv[1]))"
)
_NOTHING = "import pytest_rightsize.results.results_file, pytest_rightsize.judging.verdict"
_RIGHTSIZE = "import sys; from pytest_rightsize.commands.__main__ import main; sys.exit(main(sys.argv[1:]))"
_COMMANDS: Mapping[str, list[str]] = {
    "nothing read": ["-c", _NOTHING],
    "all words": ["-c", _READ, "run.jsonl"],
    "lock": ["-c", _RIGHTSIZE, "lock", "run.jsonl"],
    "compare": ["-c", _RIGHTSIZE, "compare", "run.jsonl", "--rungs", ",".join(_RUNGS)],
}


def write_file(path: Path, *, size_bytes: int, chars: int) -> int:
    """Write a complete results file of about that size, with answers of `chars` characters; returns its trials' number.

    Each prompt is half as long as its answer, and `small` fails one case of ten.
    """
    policy = Policy(task="t", pass_rate=0.8)
    file = ResultsFile(path, rungs=[Rung(name=name, provider="openai") for name in _RUNGS], about={"settings": {}})
    file.plan([policy], {("t", name): 0 for name in _RUNGS})
    count = 0
    for trial in _trials(chars):
        if count % len(_RUNGS) == 0 and path.stat().st_size >= size_bytes:
            break
        file.trial(trial)
        count += 1
    file.end([], exitstatus=0, failed=[], totals={})
    return count


def _trials(chars: int) -> Iterator[Trial]:
    block = "".join(random.Random(chars).choices(string.ascii_letters + ' \n"', k=chars))
    number = 0
    while True:
        messages = ({"role": "user", "content": f"{number} {block[: chars // 2]}"},)
        for rung in _RUNGS:
            passed = rung == "big" or number % 10 > 0
            answer = AnswerRecord(
                text=f"{number} {rung} {block}",
                messages=messages,
                tokens=Tokens(prompt=10, completion=10, characters=chars, source="reported"),
                seconds=0.5,
                finish_reason="stop",
            )
            yield Trial(
                key=TrialKey(task="t", case=f"tests/test_suite.py::test_t[{number}]", rung=rung),
                outcome="passed" if passed else "failed",
                reason=None if passed else "wrong",
                detail=None if passed else f"assert {block[:40]!r}",
                answers=(answer,),
                seconds=0.5,
            )
        number += 1


def measure(*, size_bytes: int, chars: int) -> dict[str, Any]:
    """Write one file, and read it with each command."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trials = write_file(folder / "run.jsonl", size_bytes=size_bytes, chars=chars)
        size_mb = (folder / "run.jsonl").stat().st_size / 1e6
        env = {"PYTHONPATH": str(Path(__file__).parents[2])}
        usages = {name: run([sys.executable, *command], folder, env) for name, command in _COMMANDS.items()}
    return {
        "answer_chars": chars,
        "trials": trials,
        "size_mb": round(size_mb),
        **{
            name: {
                "wall_s": round(usage.wall_s, 2),
                "peak_mb": round(usage.peak_mb),
                "of_the_file": round((usage.peak_mb - usages["nothing read"].peak_mb) * 1.048576 / size_mb, 3),
            }
            for name, usage in usages.items()
        },
    }


def main() -> int:
    """Measure, print, write; returns 1 where the disk has no room for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--short-megabytes", type=int, default=200, help="of the file of many short answers")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if shutil.disk_usage(tempfile.gettempdir()).free < 1.2e6 * max(args.megabytes, args.short_megabytes):
        print(f"no room for a file of {args.megabytes} MB in {tempfile.gettempdir()}", file=sys.stderr)
        return 1
    numbers = {
        "long answers": measure(size_bytes=args.megabytes * 10**6, chars=_LONG_CHARS),
        "short answers": measure(size_bytes=args.short_megabytes * 10**6, chars=_SHORT_CHARS),
    }
    print(json.dumps(numbers, indent=2))
    if args.json:
        args.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
