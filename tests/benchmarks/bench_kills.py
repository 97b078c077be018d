"""Kills sessions at random moments and counts what is asked again: `python -m tests.benchmarks.bench_kills`.

Each round starts a session, ends it by SIGKILL, SIGTERM or SIGHUP at a random moment after its first answer, starts it
again until it is whole, and counts at the endpoint: questions of trials that stood in the results file and were asked
again (which fails the benchmark), and questions that had been answered for a while and were asked again.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.providers.openai.endpoint import Answering, completion, serve

__all__ = ["main"]

_CASES, _IN_FLIGHT, _LATENCY_S = 200, 32, 0.05
_SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP")
# An answer that the endpoint has sent for so long was read, unless the session could not run.
_LONG_AGO_S = 0.2
_SUITE = f"""
import pytest

@pytest.mark.parametrize("n", range({_CASES}))
def test_it(model, n):
    assert model.ask(f"question {{n}}") == "yes"
"""
_PYTEST = (
    "import signal, sys, pytest; signal.signal(signal.SIGHUP, signal.SIG_DFL); sys.exit(pytest.main(sys.argv[1:]))"
)


class _Endpoint:
    """Answers after a while, and keeps when it answered each question first, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answered_at: dict[str, float] = {}
        self.first = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, body: Mapping[str, Any]) -> Answering:
        question = f"{body['model']} {body['messages'][0]['content']}"
        with self._lock:
            self.asked[question] += 1
        time.sleep(_LATENCY_S)
        with self._lock:
            self.answered_at.setdefault(question, time.monotonic())
        self.first.set()
        return Answering(body=completion("yes"))


def _start(folder: Path) -> subprocess.Popen[str]:
    options = ["--rightsize-ladder=small,big", "--rightsize-strategy=full", "--rightsize-results=run.jsonl"]
    return subprocess.Popen(
        [sys.executable, "-c", _PYTEST, "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_ADDOPTS": ""},
    )


def _round(number: int, source: random.Random) -> dict[str, Any]:
    """One kill, and the session after it."""
    endpoint = _Endpoint()
    name = _SIGNALS[number % len(_SIGNALS)]
    with tempfile.TemporaryDirectory() as temporary, serve(endpoint) as server:
        folder = Path(temporary)
        (folder / "test_it.py").write_text(_SUITE)
        rungs = (
            f'[ladder.{rung}]\nprovider = "openai"\nmodel = "{rung}"\nbase_url = "{server.url}"\n'
            f"max_in_flight = {_IN_FLIGHT}\n"
            for rung in ("small", "big")
        )
        (folder / "rightsize.toml").write_text("".join(rungs))
        session = _start(folder)
        endpoint.first.wait(60)
        time.sleep(source.random() * 2 * _CASES * _LATENCY_S / _IN_FLIGHT * 1.5)
        killed_at = time.monotonic()
        session.send_signal(getattr(signal, name))
        session.communicate(timeout=60)
        in_file = _trials(folder / "run.jsonl")
        before, answered_at = endpoint.asked.copy(), dict(endpoint.answered_at)
        again = _start(folder)
        output, _ = again.communicate(timeout=120)
        asked_again = {question for question, count in endpoint.asked.items() if count > before[question] > 0}
        answered_again = {question for question in asked_again if answered_at.get(question, killed_at) < killed_at}
        return {
            "signal": name,
            "answered": sum(at < killed_at for at in answered_at.values()),
            "in_file": len(in_file),
            "in_file_asked_again": len(asked_again & in_file),
            "answered_asked_again": len(answered_again),
            "long_ago_asked_again": sum(answered_at[question] < killed_at - _LONG_AGO_S for question in answered_again),
            "is_whole_again": again.returncode == 0 and f"{2 * _CASES} passed" in output,
        }


def _trials(path: Path) -> set[str]:
    """The questions of the trials in a results file, whose last line may be cut off."""
    if not path.exists():
        return set()
    lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {
        f"{line['rung']} question {line['case'].rpartition('[')[2].removesuffix(']')}"
        for line in lines
        if line["kind"] == "trial" and line["outcome"] in ("passed", "failed")
    }


def main() -> int:
    """Kill, print, write; 1 if anything in a results file was asked again, or a session was not whole after that."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    source = random.Random(args.seed)
    rounds = []
    for number in range(args.kills):
        rounds.append(_round(number, source))
        print(f"{number + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    again = sorted(each["answered_asked_again"] for each in rounds)
    result = {
        "kills": args.kills,
        "seed": args.seed,
        "answered_before_the_kill": sum(each["answered"] for each in rounds),
        "in_file_before_the_kill": sum(each["in_file"] for each in rounds),
        "in_file_asked_again": sum(each["in_file_asked_again"] for each in rounds),
        "answered_asked_again": {"sum": sum(again), "median": again[len(again) // 2], "most": again[-1]},
        "answered_long_ago_asked_again": sum(each["long_ago_asked_again"] for each in rounds),
        "long_ago_s": _LONG_AGO_S,
        "not_whole_again": sum(not each["is_whole_again"] for each in rounds),
    }
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps({**result, "rounds": rounds}, indent=2) + "\n", encoding="utf-8")
    return 1 if result["in_file_asked_again"] or result["not_whole_again"] else 0


if __name__ == "__main__":
    sys.exit(main())
