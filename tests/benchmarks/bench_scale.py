"""How the plugin's cost grows with a suite: `python -m tests.benchmarks.bench_scale [--part PART] [--scale 0.1]`.

Prints and writes as JSON, each as a ratio within one run or beside bare pytest: the CPU of wrong answers in a file of
800 functions, of 5,000 tasks of one case against 500 of ten, of each of 50,000 replayed trials with the peak memory,
the wall time of one process against `-n 2` where tests compute, and the CPU of starting a session of one endpoint test.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.processes import ProcessUsage, endpoint, run

__all__ = ["OPTIONS", "PAD", "bare_suite_of", "main", "session_of", "suite_of"]

OPTIONS = ("--rightsize-ladder=one", "--rightsize-cache=off", "--rightsize-gate=none")
PAD = " Please read the following customer message and answer with the one queue it belongs to, in one word." * 2
_TASK = """
@pytest.mark.rightsize(task="t{task}", pass_rate=0.8)
@pytest.mark.parametrize("i", range({first}, {end}))
def test_{task}(model, i):
    {work}
    assert model.ask(f"Ticket {{i}}:{{PAD}}") == "billing"
"""
# In place of the plugin: what the same tests take with pytest alone.
_BARE = """
import pytest

class Model:
    def ask(self, prompt):
        return "billing"

@pytest.fixture
def model():
    return Model()

def pytest_configure(config):
    config.addinivalue_line("markers", "rightsize(task, pass_rate)")
"""
_BURN = "sum(number * number for number in range(300_000))"
_ENV = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": os.getcwd()}


def suite_of(folder: Path, *, tasks: int, cases: int, wrong: float = 0.1, work: str = "pass") -> Path:
    """A suite of so many tasks and cases in all, whose one rung answers from a file, a share of it wrongly."""
    folder.mkdir()
    lines = [
        {
            "prompt": f"Ticket {number}:{PAD}",
            "text": "shipping" if (number * wrong) % 1 + wrong >= 1 else "billing",
            "seconds": 0.2,
            "tokens": {"prompt": 50, "completion": 12},
        }
        for number in range(cases)
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    each = cases // tasks
    tests = [_TASK.format(task=task, first=task * each, end=(task + 1) * each, work=work) for task in range(tasks)]
    (folder / "test_suite.py").write_text(f"import pytest\nPAD = {PAD!r}\n" + "".join(tests), encoding="utf-8")
    (folder / "rightsize.toml").write_text('[ladder.one]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def bare_suite_of(folder: Path, cases: int) -> Path:
    """As many tests of one function that ask no model."""
    folder.mkdir()
    (folder / "test_bare.py").write_text(
        f"import pytest\n@pytest.mark.parametrize('i', range({cases}))\ndef test_bare(i):\n    assert i >= 0\n"
    )
    return folder


def session_of(folder: Path, *options: str, plugin: bool = True, within: Sequence[str] = ()) -> ProcessUsage:
    """A session of pytest in the folder; Python runs it `within` another module, such as a profiler."""
    ours = ("-p", "pytest_rightsize.plugin") if plugin else ()
    return run(
        [sys.executable, *within, "-m", "pytest", "-q", "-q", "-p", "no:cacheprovider", *ours, *options], folder, _ENV
    )


def wrong_answers(folder: Path, scale: float) -> dict[str, float]:
    """User CPU of 800 functions with half of the answers wrong, by that with all right."""
    functions = max(2, round(800 * scale))
    right, wrong = (
        session_of(
            suite_of(folder / f"wrong-{share}", tasks=functions, cases=functions, wrong=share),
            *OPTIONS,
            "--rightsize-strategy=full",
        ).user_s
        for share in (0.0, 0.5)
    )
    return {"functions": functions, "right_user_s": right, "half_wrong_user_s": wrong, "ratio": wrong / right}


def tasks(folder: Path, scale: float) -> dict[str, float]:
    """User CPU of 5,000 tasks of one case each, by that of 500 tasks of ten, with a results file."""
    cases = max(10, round(5_000 * scale))
    suites = [suite_of(folder / f"tasks-{number}", tasks=number, cases=cases) for number in (cases // 10, cases)]
    for suite in suites:
        (suite / "bare_model.py").write_text(_BARE, encoding="utf-8")
        session_of(suite, "--collect-only", *OPTIONS)  # writes the bytecode, which takes longer for more functions
    few, many = (session_of(suite, *OPTIONS, "--rightsize-results=run.jsonl").user_s for suite in suites)
    bare_few, bare_many = (session_of(suite, "-p", "bare_model", plugin=False).user_s for suite in suites)
    return {
        "cases": cases,
        "ten_a_task_user_s": few,
        "one_a_task_user_s": many,
        "ratio": many / few,
        "bare_pytest_ratio": bare_many / bare_few,
    }


def replayed(folder: Path, scale: float) -> dict[str, float]:
    """CPU and peak memory of 50,000 replayed trials in 50 tasks, beside bare pytest with as many tests."""
    cases = max(50, round(50_000 * scale))
    suite = suite_of(folder / "replayed", tasks=min(50, cases), cases=cases)
    seen = session_of(suite, *OPTIONS, "--rightsize-results=run.jsonl")
    bare = session_of(bare_suite_of(folder / "bare", cases), plugin=False)
    return {
        "trials": cases,
        "peak_mb": seen.peak_mb,
        "user_ms_a_trial": seen.user_s / cases * 1e3,
        "bare_pytest_peak_mb": bare.peak_mb,
        "bare_pytest_user_ms_a_test": bare.user_s / cases * 1e3,
    }


def workers(folder: Path, scale: float) -> dict[str, float]:
    """Wall time of a suite whose tests compute, in one process by two."""
    cases = max(16, round(1_600 * scale))
    suite = suite_of(folder / "workers", tasks=16, cases=cases, work=_BURN)
    one = session_of(suite, *OPTIONS).wall_s
    two = session_of(suite, *OPTIONS, "-p", "xdist", "-n2").wall_s
    return {"tests": cases, "one_process_s": one, "two_workers_s": two, "ratio": one / two}


def start(folder: Path, scale: float) -> dict[str, float]:
    """User CPU of a session of one endpoint test, beside that of bare pytest; medians of five, in turns."""
    suite = suite_of(folder / "start", tasks=1, cases=1)
    (folder / "bare-start").mkdir()
    (folder / "bare-start" / "test_bare.py").write_text("def test_bare():\n    assert True\n")
    with endpoint(0.0) as url:
        (suite / "rightsize.toml").write_text(
            f'[ladder.one]\nprovider = "openai"\nbase_url = "{url}"\nmodel = "m"\n', encoding="utf-8"
        )
        both = [
            (session_of(folder / "bare-start", plugin=False).user_s, session_of(suite, *OPTIONS).user_s)
            for _ in range(6)
        ]
    bare, ours = (median(column) for column in zip(*both[1:], strict=True))  # the first wrote the bytecode
    return {"bare_user_s": bare, "user_s": ours, "added_s": ours - bare, "ratio": ours / bare}


PARTS: dict[str, Callable[[Path, float], dict[str, float]]] = {
    "wrong-answers": wrong_answers,
    "tasks": tasks,
    "replayed": replayed,
    "workers": workers,
    "start": start,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the named part, or all, print each and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=list(PARTS), help="one of them (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="this part of the numbers of tests")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    numbers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for part in [args.part] if args.part else PARTS:
            found = PARTS[part](Path(name), args.scale)
            numbers[part] = {key: round(value, 3) for key, value in found.items()}
            print(json.dumps({part: numbers[part]}), flush=True)
    if args.json:
        args.json.write_text(json.dumps(numbers, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
