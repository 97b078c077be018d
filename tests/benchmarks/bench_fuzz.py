"""Whether any reader lets out what is not an error of this project: `python -m tests.benchmarks.bench_fuzz [READERS]`.

For so many seconds each, atheris feeds every reader of tests/hostile.py bytes, and its sample with something odd in it.
Prints and writes as JSON the inputs each was fed, the branches they reached, and what came out that must not; the exit
status is then 1, and the input stands in the JSON. Needs the dependency group `bench`.
"""

import argparse
import base64
import json
import random
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.fuzz import WAYS
from tests.hostile import SAMPLES, TARGETS

__all__ = ["fuzz", "main"]

# An input that takes longer hangs its reader.
_HANG_S = 20
_MOST_MB = 2000
_MOST_BYTES = 4096
# libFuzzer begins with what there is: bytes for hypothesis to draw from, so many that it seldom runs out of them.
_SEEDS = 20


def fuzz(name: str, way: str, seconds: int) -> dict[str, Any]:
    """Feed one reader in a process of its own; what was done, and the finding or None."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        _write_corpus(folder / "corpus", name, way)
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={_HANG_S}",
            f"-rss_limit_mb={_MOST_MB}",
            f"-max_len={_MOST_BYTES}",
            f"-artifact_prefix={folder}/found-",
            *(["-len_control=0"] if way == "odd" else []),
        ]
        command = [sys.executable, "-m", "tests.benchmarks.fuzz", name, way, *options, str(folder / "corpus")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        found = next((path.read_bytes() for path in folder.glob("found-*")), None)
    said = done.stderr + done.stdout  # the traceback is on the latter
    branches = re.findall(r" cov: (\d+) ft: ", said)
    ran = re.search(r"^Done (\d+) runs in (\d+) second", said, re.MULTILINE)
    return {
        "reader": name,
        "fed": way,
        "inputs": int(ran[1]) if ran else max(map(int, re.findall(r"^#(\d+)\t", said, re.MULTILINE)), default=0),
        "branches": int(branches[-1]) if branches else 0,
        "finding": None
        if done.returncode == 0
        else {"says": said[-3000:], "input": None if found is None else base64.b64encode(found).decode()},
    }


def _write_corpus(folder: Path, name: str, way: str) -> None:
    folder.mkdir()
    if way == "bytes":
        (folder / "sample").write_bytes(SAMPLES[name])
        return
    drawn = random.Random(name)
    for number in range(_SEEDS):
        (folder / str(number)).write_bytes(drawn.randbytes(_MOST_BYTES))


def main() -> int:
    """Fuzz, print, write; 1 if anything was found, or nothing was fed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"some of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (default 60)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    unknown = [name for name in args.readers if name not in TARGETS]
    if unknown:
        parser.error(f"unknown reader {unknown[0]!r}; known: {', '.join(TARGETS)}")
    if find_spec("atheris") is None:
        print("atheris is not installed: python -m pip install --group bench", file=sys.stderr)
        return 1
    done = []
    for name in args.readers or TARGETS:
        for way in WAYS:
            done.append(fuzz(name, way, max(1, args.seconds // len(WAYS))))
            print(json.dumps(done[-1], indent=2), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"seconds": args.seconds, "readers": done}, indent=2) + "\n", encoding="utf-8")
    return 1 if any(one["finding"] or not one["inputs"] for one in done) else 0


if __name__ == "__main__":
    sys.exit(main())
