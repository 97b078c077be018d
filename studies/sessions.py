"""Starts a pytest session of a study's suite in a process of its own; returns its results file."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["FOLDER", "make_page", "run_session"]

FOLDER = Path(__file__).parent


def run_session(suite: Path, results: Path, *options: str) -> Path:
    """Replay the suite with these options; raises RuntimeError with the session's output if it does not end well."""
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_rightsize.plugin", str(suite)),
        *("-o", "rightsize_runs=0", "--rightsize-gate=none", f"--rightsize-results={results.resolve()}", *options),
    ]
    # Whatever else is installed for other tests costs as much for each trial as the trial does.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the session of {suite} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return results


def make_page(results: Path, page: Path) -> None:
    """Write the HTML page of a results file."""
    command = [sys.executable, "-m", "pytest_rightsize.commands", "report", str(results), "--html", str(page)]
    subprocess.run(command, check=True)
