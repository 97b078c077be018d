"""Runs the benchmarks: `tox run -e bench`, or `python -m tests.benchmarks [--json FOLDER] [NAMES]`.

Each measures ratios within one run (`coverage` and `energy`: how often bounds hold; `coverage` is `bounds`, `ratios`,
`sequential`, `evidence` and `judges`, `local` the local engine on three models) and writes them as JSON into the folder
(default: .bench). Speed has no limit; `fuzz` fails where a reader raises what is not an error of this project, `kills`
where a killed session loses an answer.
"""

import argparse
import subprocess
import sys
from pathlib import Path

__all__ = ["main"]

BENCHMARKS = {
    "sessions": ["bench_sessions"],
    "sessions-10000": ["bench_sessions", "--tests=10000", "--latency=0.02", "--in-flight=256", "--rounds=1"],
    "http-client": ["bench_http_client"],
    "guard": ["bench_guard"],
    "suspension": ["bench_suspension"],
    "served": ["bench_served"],
    "dormant": ["bench_dormant"],
    "scale": ["bench_scale"],
    "local-random": ["bench_local"],
    "local-smollm2": ["bench_local", "equal", "--model=smollm2"],
    "local-gemma": ["bench_local", "equal", "--model=gemma"],
    "bounds": ["bench_coverage"],
    "ratios": ["bench_ratios"],
    "sequential": ["bench_sequential"],
    "evidence": ["bench_evidence"],
    "judges": ["bench_judges"],
    "energy": ["bench_energy"],
    "served-meter": ["bench_served_meter"],
    "html": ["bench_html"],
    "results-file": ["bench_results_file"],
    "fuzz": ["bench_fuzz"],
    "kills": ["bench_kills"],
    "hosts": ["bench_hosts"],
    "merge": ["bench_merge"],
    "shards": ["bench_shards", "--trials=100000"],
}
# Names for several: everything that says how often the statistics are right, and the local engine on all models.
GROUPS = {
    "coverage": ["bounds", "ratios", "sequential", "evidence", "judges"],
    "local": ["local-random", "local-smollm2", "local-gemma"],
}


def main() -> int:
    """Run the named benchmarks, or all; the status is 1 if one could not be measured, or found a fault."""
    known = [*BENCHMARKS, *GROUPS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(known)} (default: all)")
    parser.add_argument("--json", type=Path, default=Path(".bench"), metavar="FOLDER", help="where the numbers go")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in known]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(known)}")
    names = [one for name in args.names for one in GROUPS.get(name, [name])]
    args.json.mkdir(parents=True, exist_ok=True)
    failed = [name for name in names or BENCHMARKS if not _measured(name, args.json)]
    for name in failed:
        print(f"{name} could not be measured, or found a fault", file=sys.stderr)
    return 1 if failed else 0


def _measured(name: str, folder: Path) -> bool:
    module, *options = BENCHMARKS[name]
    print(f"--- {name}", flush=True)
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *options, f"--json={folder / name}.json"]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
