"""Runs the tests of rungs on several machines: `tox run -e ray`; arguments go to pytest.

Installs Ray first. Where Ray has no wheel for this Python or this machine, it says so, and the tests that need a
cluster are skipped with that sentence. An index that cannot be asked is no missing wheel: that ends with pip's status.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]

_ROOT = Path(__file__).parents[3]
# Hosts, shards and their merging stand beside the cluster: more than one process, and no Ray.
_TESTS = (
    "tests/hosting/ray",
    "tests/session/test_hosting.py",
    "tests/session/test_sharding.py",
    "tests/commands/test_merge.py",
)
# For these every version of Ray that we allow has a wheel.
_COMMON = ("--platform", "manylinux2014_x86_64", "--implementation", "cp", "--python-version", "3.12")


def main(arguments: Sequence[str]) -> int:
    """Install Ray and run the tests; their status."""
    status = _pip("install", "--quiet", "--group", "ray")
    if status != 0 and not is_without_wheel():
        return status
    wanted = "required"
    if status != 0:
        wanted = f"Ray has no wheel for {platform.python_implementation()} {platform.python_version()} on {_machine()}"
        sys.stdout.write(f"{wanted}: the tests on a cluster are skipped\n")
        sys.stdout.flush()
    command = [sys.executable, "-m", "pytest", *_TESTS, *arguments]
    return subprocess.run(command, cwd=_ROOT, env=os.environ | {"RIGHTSIZE_RAY": wanted}, check=False).returncode


def is_without_wheel() -> bool:
    """Whether the index has Ray, and nothing of it for this Python on this machine."""
    return _has_versions(*_COMMON) and not _has_versions()


def _has_versions(*where: str) -> bool:
    return _pip("index", "versions", *where, "ray", output=subprocess.DEVNULL) == 0


def _pip(*arguments: str, output: int | None = None) -> int:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, cwd=_ROOT, stdout=output, stderr=output, check=False).returncode


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
