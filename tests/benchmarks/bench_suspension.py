"""Cost of suspending a test: `python -m tests.benchmarks.bench_suspension`.

The same tests on a rung in this process that answers either at once, or a hundred requests together, so that every test
is suspended once. Prints and writes as JSON the user CPU of a test in both sessions, and in one of plain tests.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.processes import run

__all__ = ["main"]

_TEST = """
import pytest
@pytest.mark.rightsize(task="many")
@pytest.mark.parametrize("n", range({tests}))
def test_many(model, n):
    assert str(n) in model.ask(f"question number {{n}}")
"""
_PLAIN_TEST = """
import pytest
@pytest.fixture
def model():
    return str
@pytest.mark.parametrize("n", range({tests}))
def test_many(model, n):
    assert str(n) in model(f"question number {{n}}")
"""
_PROVIDER = """
import os
from concurrent.futures import Future
from pytest_rightsize.records import Reply

TOGETHER = int(os.environ["TOGETHER"])

class Near:
    options, required, leaves_machine, in_flight = {}, (), False, 200
    def __init__(self, rung):
        self.waiting = []
        self.asked = 0
    def check(self):
        return None
    def submit(self, request):
        future = Future()
        self.waiting.append((future, request.messages[-1]["content"]))
        self.asked += 1
        if len(self.waiting) >= TOGETHER or self.asked >= int(os.environ["TESTS"]):
            for waiting, text in self.waiting:
                waiting.set_result(Reply(text=text, seconds=0.0))
            self.waiting.clear()
        return future
    def close(self):
        pass

def pytest_rightsize_providers():
    return {"near": Near}
"""


def measure(*, tests: int, rounds: int) -> dict[str, Any]:
    """Run the three sessions in turn; returns the medians of their user CPU, less that of the session with one test."""
    user_s: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "near_provider.py").write_text(_PROVIDER, encoding="utf-8")
        (folder / "rightsize.toml").write_text('[ladder.near]\nprovider = "near"\n', encoding="utf-8")
        env = {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPATH": f"{folder}{os.pathsep}{os.getcwd()}",
        }
        session = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_many.py"]
        climbing = [*session, "-p", "near_provider", "-p", "pytest_rightsize.plugin", "--rightsize-ladder=near"]
        # Other strategies keep no more trials in flight than are likely to settle a task, so never a hundred at once.
        climbing += ["--rightsize-strategy=full", "--rightsize-cache=off"]
        kinds = {
            "plain": (session, _PLAIN_TEST, 1),
            "at_once": (climbing, _TEST, 1),
            "suspended": (climbing, _TEST, 100),
        }
        for _ in range(rounds):
            for kind, (command, text, together) in kinds.items():
                for count in (1, tests):
                    (folder / "test_many.py").write_text(text.format(tests=count), encoding="utf-8")
                    usage = run(command, folder, {**env, "TOGETHER": str(together), "TESTS": str(count)})
                    user_s.setdefault(f"{kind}_{count}", []).append(usage.user_s)
    per_test = {
        kind: (median(user_s[f"{kind}_{tests}"]) - median(user_s[f"{kind}_1"])) / (tests - 1) * 1000 for kind in kinds
    }
    return {
        "tests": tests,
        "user_ms_per_test": {kind: round(value, 3) for kind, value in per_test.items()},
        "suspension_ms": round(per_test["suspended"] - per_test["at_once"], 3),
        "suspended_to_plain": round(per_test["suspended"] / per_test["plain"], 2),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-suspension.json"), help="where the numbers go")
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = vars(parser.parse_args())
    target = options.pop("json")
    text = json.dumps(measure(**options), indent=2) + "\n"
    target.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
