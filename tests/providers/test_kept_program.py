"""A program that ends with the process that started it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_rightsize.providers.kept_program import has_gone, kept, kill_group

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no groups of processes")

# Starts a child of its own, as the server of a model does, and tells the number of both.
PROGRAM = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".part", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""
OWNER = """
import subprocess, sys, time
from pytest_rightsize.providers.kept_program import kept
subprocess.Popen(kept([sys.executable, "-S", "-c", sys.argv[1], sys.argv[2]]), start_new_session=True).wait()
"""


def is_alive(pid: str) -> bool:
    """Whether it runs, and is not only the entry of one that has ended."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for it, for as long as a very busy machine may need."""
    pause = threading.Event()
    for _ in range(2400):
        if holds():
            return
        pause.wait(0.05)
    pytest.fail("it has not come about in two minutes")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_a_killed_owner_takes_its_program_along(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, PROGRAM, str(numbers)])
    wait_until(numbers.exists)
    pids = numbers.read_text().split()
    assert [is_alive(pid) for pid in pids] == [True, True]
    owner.kill()
    owner.wait()
    wait_until(lambda: not any(map(is_alive, pids)))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_who_kills_the_keeper_itself_takes_its_program_along(tmp_path: Path) -> None:
    """As Ray does with the children of a worker that ends."""
    numbers = tmp_path / "numbers"
    keeper = subprocess.Popen(kept([sys.executable, "-S", "-c", PROGRAM, str(numbers)]), start_new_session=True)
    wait_until(numbers.exists)
    pids = numbers.read_text().split()
    assert [is_alive(pid) for pid in pids] == [True, True]
    kill_group(keeper)
    assert keeper.returncode == -signal.SIGKILL
    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_program_that_is_asked_to_end_takes_its_children_along(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    process = subprocess.Popen(kept([sys.executable, "-S", "-c", PROGRAM, str(numbers)]))
    wait_until(numbers.exists)
    process.terminate()
    assert process.wait(120) == 128 + signal.SIGTERM
    wait_until(lambda: not any(map(is_alive, numbers.read_text().split())))


def test_the_status_is_that_of_the_program() -> None:
    assert subprocess.run(kept([sys.executable, "-S", "-c", "raise SystemExit(7)"]), check=False).returncode == 7


def test_who_has_no_parent_any_more_knows_it() -> None:
    assert not has_gone(os.getppid())
    assert has_gone(os.getpid())
