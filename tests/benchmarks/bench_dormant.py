"""Cost of the plugin for a suite that does not use it: `python -m tests.benchmarks.bench_dormant`.

Prints and writes as JSON the milliseconds that importing it adds to a pytest that is already loaded, and the CPU of
whole sessions of plain tests with and without it, in turns. A difference per test within the spread of the rounds is
not measurable.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median, stdev
from typing import Any

from tests.benchmarks.processes import run

__all__ = ["main"]

_TEST = """
import pytest
@pytest.fixture
def number():
    return 1
@pytest.mark.parametrize("n", range({tests}))
def test_plain(number, n):
    assert number + n > n
"""
_IMPORT = """
import time, pytest
started = time.perf_counter()
import pytest_rightsize.plugin
print((time.perf_counter() - started) * 1000)
"""


def measure(*, tests: int, rounds: int) -> dict[str, Any]:
    """Sessions with and without the plugin in turns."""
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": os.getcwd()}
    user_s: dict[str, list[float]] = {"without": [], "with": []}
    imports: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_plain.py").write_text(_TEST.format(tests=tests), encoding="utf-8")
        session = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_plain.py"]
        for _ in range(rounds + 1):
            imports.append(float(run([sys.executable, "-c", _IMPORT], folder, env).output))
            user_s["without"].append(run(session, folder, env).user_s)
            user_s["with"].append(run([*session, "-p", "pytest_rightsize.plugin"], folder, env).user_s)
    del imports[0], user_s["without"][0], user_s["with"][0]  # these wrote the bytecode
    differences = [with_s - without_s for with_s, without_s in zip(user_s["with"], user_s["without"], strict=True)]
    return {
        "tests": tests,
        "import_ms": round(median(imports), 2),
        "user_s_without": round(median(user_s["without"]), 3),
        "user_s_with": round(median(user_s["with"]), 3),
        "added_us_per_test": round(median(differences) / tests * 1e6, 1),
        "spread_us_per_test": round(stdev(differences) / tests * 1e6, 1),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-dormant.json"), help="where the numbers go")
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = vars(parser.parse_args())
    target = options.pop("json")
    text = json.dumps(measure(**options), indent=2) + "\n"
    target.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
