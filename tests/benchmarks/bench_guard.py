"""Cost of the guard of an offline session, and of masking: `python -m tests.benchmarks.bench_guard`.

The provider sends the same requests with and without the guard, in alternating rounds of one run; each pays for a
connection of its own now and then, and for Python's other audit events. Prints JSON: user CPU of a request, the ratio,
and microseconds to mask the report of one failed test.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.served.guard import Guard
from tests.benchmarks.bench_http_client import measure, provider
from tests.benchmarks.processes import endpoint

_REPORT = (
    "    def test_it(model):\n>       assert model.ask('x') == 'y'\nE       AssertionError: assert 'z' == 'y'\n" * 20
)
_CALLS = 2000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("bench-guard.json"), help="where the numbers go")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    os.environ["SOME_API_KEY"] = "sk-only-for-this-benchmark-1"
    guard = Guard(offline="a benchmark")
    costs: dict[str, list[float]] = {"without": [], "offline": []}
    with endpoint(0.0) as url:
        provider(url, 10, 10)  # imports are no part of the cost
        for _ in range(args.rounds):
            for name, each in costs.items():
                if name == "offline":
                    guard.open()
                each.append(measure(provider, url, args.requests, 16)[1])
                guard.close()
    median = {name: statistics.median(each) for name, each in costs.items()}
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
