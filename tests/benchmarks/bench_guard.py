"""Cost of the guard of an offline session, and of masking: `python -m tests.benchmarks.bench_guard`.

The provider sends the same requests with and without the guard, in alternating processes, as Python forgets no audit
hook. Prints JSON: user CPU of a request, the ratio, and microseconds to mask the report of one failed test.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.served.guard import Guard
from tests.benchmarks.bench_http_client import measure, provider
from tests.benchmarks.processes import endpoint

_REPORT = "    def test_it(model):\n>       assert model.ask('x') == 'y'\nE       AssertionError: assert 'z' == 'y'\n"
_CALLS = 2000


def _one_round(url: str, requests: int, *, offline: bool) -> None:
    """Print the milliseconds of user CPU of a request in this process."""
    provider(url, 10, 10)  # imports are no part of the cost
    if offline:
        Guard(offline="a benchmark").open()
    print(measure(provider, url, requests, 16)[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-guard.json"), help="where the numbers go")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--round", nargs=2, metavar=("URL", "VARIANT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.round is not None:
        _one_round(args.round[0], args.requests, offline=args.round[1] == "offline")
        return
    costs: dict[str, list[float]] = {"without": [], "offline": []}
    with endpoint(0.0) as url:
        for _ in range(args.rounds):
            for name, each in costs.items():
                command = [sys.executable, "-m", "tests.benchmarks.bench_guard", "--round", url, name]
                command += ["--requests", str(args.requests)]
                each.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    median = {name: statistics.median(each) for name, each in costs.items()}
    os.environ["SOME_API_KEY"] = "sk-only-for-this-benchmark-1"
    report = _REPORT * 20
    started = time.perf_counter()
    for _ in range(_CALLS):
        known_secrets()(report)
    figures = {
        "requests": args.requests,
        "rounds": args.rounds,
        "ms_user_per_request": {name: round(value, 4) for name, value in median.items()},
        "ratio_offline": round(median["offline"] / median["without"], 3),
        "us_to_mask_a_report": round((time.perf_counter() - started) / _CALLS * 1e6, 1),
        "report_bytes": len(report),
    }
    args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
