"""Walks docs/tutorial/real-model.md by the clock: an empty folder, a wheel, a real model, from nothing to its verdict.

    python -m tests.package.first_verdict WHEEL [--llama-cpp WHEEL]

Installs what the page installs, writes the files that it shows, runs its commands, and compares what they print with
the page. The time of each step is printed, that of llama-cpp-python's compiler apart; pip's own copy of it, or the one
given, is used where there is one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.pages import blocks_of, commands_in, shows

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "real-model.md"


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long it took."""
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:6.1f} s  {name}", flush=True)


def run(command: str, *, scripts: Path, folder: Path) -> str:
    """What a command of the page prints; a session that ends with a failed gate has status 1, as the page says."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment | {"PATH": path, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"$ {command}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main() -> None:
    """Walk; SystemExit where something printed is not as the page shows it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the wheel of pytest-rightsize")
    parser.add_argument("--llama-cpp", type=Path, help="a wheel of llama-cpp-python, where pip has none")
    options = parser.parse_args()
    compiled = [str(options.llama_cpp.resolve())] if options.llama_cpp else ["llama-cpp-python"]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, place = Path(name) / "project", Path(name) / "environment"
        folder.mkdir()
        with step("a new environment"):
            venv.create(place, with_pip=True)
        scripts = place / "bin"
        with step("llama-cpp-python (compiled where pip has no copy)"):
            print(run(f"python -m pip install --quiet {' '.join(compiled)}", scripts=scripts, folder=folder), end="")
        compiled_s = time.monotonic() - begun
        for block in blocks_of(PAGE):
            if block.file is not None:
                (folder / block.file).write_text(block.text, encoding="utf-8")
            for command in commands_in(block) if block.language == "console" else ():
                words = command.words.replace('"pytest-rightsize[local]"', f'"{options.wheel.resolve()}[local]"')
                with step(words):
                    said = run(words, scripts=scripts, folder=folder)
                if not shows(said, command.output, folder):
                    raise SystemExit(f"line {block.line} of the page shows something else than\n$ {words}\n{said}")
        took = time.monotonic() - begun
        print(f"{took:6.1f} s  in all, {took - compiled_s:.1f} s without the first two lines", file=sys.stdout)


if __name__ == "__main__":
    main()
