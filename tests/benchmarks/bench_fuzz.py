"""Fuzzes every reader for errors that are not this project's: `python -m tests.benchmarks.bench_fuzz [READERS]`.

For so many seconds each, atheris feeds every reader of tests/hostile.py and tests/hostile_sources.py bytes, and its
sample with something odd in it.
Prints and writes as JSON the number of inputs, the branches they reached, and any other error; with one the exit status
is 1, and its input is in the JSON. Needs the dependency group `bench`.
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

from tests import hostile, hostile_sources
from tests.benchmarks.fuzz import WAYS

__all__ = ["fuzz", "main"]

SAMPLES = {**hostile.SAMPLES, **hostile_sources.SAMPLES}
READERS = [*hostile.TARGETS, *hostile_sources.TARGETS]
# An input that takes longer counts as a hang of its reader.
_HANG_S = 20
_MOST_MB = 2000
_MOST_BYTES = 4096
# libFuzzer begins with this corpus: bytes for hypothesis to draw from, enough that it seldom runs out of them.
_SEEDS = 20


def fuzz(name: str, way: str, seconds: int) -> dict[str, Any]:
    """Feed one reader in a process of its own; returns the counts, and the finding or None."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
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
        bad_input = next((path.read_bytes() for path in folder.glob("found-*")), None)
    output = done.stderr + done.stdout  # the traceback is on the latter
    branches = re.findall(r" cov: (\d+) ft: ", output)
    ran = re.search(r"^Done (\d+) runs in (\d+) second", output, re.MULTILINE)
    return {
        "reader": name,
        "fed": way,
        "inputs": int(ran[1]) if ran else max(map(int, re.findall(r"^#(\d+)\t", output, re.MULTILINE)), default=0),
        "branches": int(branches[-1]) if branches else 0,
        "finding": None
        if done.returncode == 0
        else {"says": output[-3000:], "input": None if bad_input is None else base64.b64encode(bad_input).decode()},
    }


def _write_corpus(folder: Path, name: str, way: str) -> None:
    folder.mkdir()
    if way == "bytes":
        (folder / "sample").write_bytes(SAMPLES[name])
        return
    source = random.Random(name)
    for number in range(_SEEDS):
        (folder / str(number)).write_bytes(source.randbytes(_MOST_BYTES))


def main() -> int:
    """Fuzz, print, write; 1 if anything was found, or nothing was fed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"some of {', '.join(READERS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (default 60)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    unknown = [name for name in args.readers if name not in READERS]
    if unknown:
        parser.error(f"unknown reader {unknown[0]!r}; known: {', '.join(READERS)}")
    if find_spec("atheris") is None:
        print("atheris is not installed: python -m pip install --group bench", file=sys.stderr)
        return 1
    results = []
    for name in args.readers or READERS:
        for way in WAYS:
            results.append(fuzz(name, way, max(1, args.seconds // len(WAYS))))
            print(json.dumps(results[-1], indent=2), flush=True)
    if args.json:
        text = json.dumps({"seconds": args.seconds, "readers": results}, indent=2) + "\n"
        args.json.write_text(text, encoding="utf-8")
    return 1 if any(result["finding"] or not result["inputs"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
