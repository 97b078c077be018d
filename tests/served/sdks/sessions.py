"""Runs the suite of an SDK up a ladder of two rungs, in a process of its own, and reads what became of each test."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.served.sdks.rungs import RUNGS, two_rungs
from tests.served.sdks.table import Suite

__all__ = ["Ran", "run_suite"]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a session left: its trials, how often each test started on each rung, what was refused, and its output."""

    trials: list[dict[str, Any]]
    starts: Counter[str]
    refused: str
    output: str

    def of(self, function: str) -> list[dict[str, Any]]:
        """The trials of a test."""
        return [trial for trial in self.trials if trial["task"].endswith(f"::{function}")]

    def starts_of(self, function: str) -> list[int]:
        """How often the test started, for each of its cases and rungs."""
        return [count for node, count in self.starts.items() if re.search(rf"::{function}(\[|$)", node)]


def run_suite(suite: Suite, folder: Path) -> Ran:
    """Run it on both rungs, whatever it passes."""
    shutil.copy(suite.file.parent / "conftest.py", folder / "conftest.py")
    shutil.copy(suite.file, folder / f"test_{suite.name}.py")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8")
    with two_rungs() as ladder:
        (folder / "rightsize.toml").write_text(ladder, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider"),
            *("-p", "pytest_rightsize.plugin", "-p", "pytest_asyncio.plugin"),
            *(f"--rightsize-ladder={','.join(RUNGS)}", "--rightsize-strategy=full", "--rightsize-cache=off"),
            *("--rightsize-gate=none", "--rightsize-results=run.jsonl"),
        ]
        ran = subprocess.run(
            command,
            check=False,
            cwd=folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    lines = _text(folder / "run.jsonl").splitlines()
    return Ran(
        trials=[line for line in map(json.loads, lines) if line["kind"] == "trial"],
        starts=Counter(_text(folder / "starts.txt").splitlines()),
        refused=_text(folder / "refused.txt"),
        output=ran.stdout,
    )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _environment() -> dict[str, str]:
    """This process's variables, without keys and addresses of vendors, and with no answer from their own networks."""
    left_out = re.compile(r"_API_KEY$|_BASE_URL$|_API_BASE$|_ENDPOINT$|^PYTEST_|^RIGHTSIZE_|^CI$|^GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not left_out.search(name)}
    # litellm fetches its list of prices when it is imported, and langsmith sends traces where it is told to.
    kept |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": os.pathsep.join(sys.path)}
