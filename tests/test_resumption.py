"""A session that is killed, and started again with the same command, goes on where it was."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pytest_rightsize.cache import AnswerCache
from pytest_rightsize.store import read_run
from tests.providers.endpoint import Answering, completion, serve
from tests.test_recording import rungs

KILLS = 20
WORDS = 40
SUITE = f"""
import pytest

@pytest.mark.rightsize(task="shout", pass_rate=0.9, chosen="big")
@pytest.mark.parametrize("word", range({WORDS}))
def test_shout(model, word):
    assert model.ask(f"shout {{word}}") == "yes"

@pytest.mark.rightsize(task="twice", pass_rate=0.6, chosen="big")
@pytest.mark.parametrize("word", range({WORDS}))
def test_twice(model, word):
    first = model.ask(f"first {{word}}")
    assert model.ask(f"then {{word}} {{first}}") == "yes"
"""


def answer(asked: dict[str, Any]) -> Answering:
    """`small` passes three of four trials, `big` all."""
    number = int(asked["messages"][-1]["content"].split()[1])
    return Answering(body=completion("yes" if asked["model"] == "big" or number % 4 else "no"))


def command(path: Path) -> list[str]:
    plugin = ["-p", "pytest_rightsize.plugin", "-p", "no:cacheprovider"]
    options = ["--rightsize-ladder=small,big", "--rightsize-concurrency=4", f"--rightsize-results={path}"]
    return [sys.executable, "-m", "pytest", "-q", *plugin, *options]


def lines(path: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in found if line["kind"] == kind]


def concluded(path: Path) -> tuple[list[Any], list[Any]]:
    """The verdicts, and what became of each trial."""
    trials = [[line[name] for name in ("case", "rung", "sample", "outcome", "reason")] for line in lines(path, "trial")]
    return lines(path, "verdict"), sorted(trials)


def test_a_run_killed_at_twenty_moments_repeats_nothing_recorded_and_concludes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    chance = random.Random(20261124)
    process: subprocess.Popen[bytes] | None = None
    asked: list[tuple[str, str]] = []
    deadline: int | None = None
    lock = threading.Lock()

    def script(request: dict[str, Any]) -> Answering:
        with lock:
            asked.append((request["model"], request["messages"][-1]["content"]))
            last = deadline is not None and len(asked) >= deadline
        if last:
            time.sleep(chance.uniform(0, 0.08))  # a moment after the request; answers before it may be on their way
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
        else:
            time.sleep(0.002)
        return answer(request)

    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command(folder / "run.jsonl"), cwd=folder, stdout=subprocess.DEVNULL)

    def project(name: str, url: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test_suite.py").write_text(SUITE, encoding="utf-8")
        (folder / "rightsize.toml").write_text(rungs(url), encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        return folder

    with serve(script) as endpoint:
        undisturbed = project("undisturbed", endpoint.url)
        process = start(undisturbed)
        assert process.wait() == pytest.ExitCode.TESTS_FAILED  # `big` is over-sized for one of the tasks
        whole = len(asked)
        assert max(Counter(asked).values()) == 1

        killed = project("killed", endpoint.url)
        for kill in range(KILLS):
            recorded = everything_recorded(killed)
            asked.clear()
            rest = whole - len(recorded)
            deadline = max(1, chance.randint(0, 2 * rest // (KILLS - kill + 1)))
            process = start(killed)
            assert process.wait() == -signal.SIGKILL
            assert not recorded & set(asked)
            assert recorded <= everything_recorded(killed)
            assert read_run(killed / "run.jsonl").interrupted
        deadline = None
        recorded = everything_recorded(killed)
        assert len(recorded) > whole // 2
        asked.clear()
        process = start(killed)
        assert process.wait() == pytest.ExitCode.TESTS_FAILED
        assert set(asked).isdisjoint(recorded)
        assert max(Counter(asked).values(), default=0) <= 1
    assert concluded(killed / "run.jsonl") == concluded(undisturbed / "run.jsonl")


def everything_recorded(folder: Path) -> set[tuple[str, str]]:
    """Rung and prompt of all recorded answers."""
    if not (folder / ".rightsize").is_dir():
        return set()
    cache = AnswerCache(folder / ".rightsize")
    found = {(one.rung, one.request["messages"][-1]["content"]) for one in cache.entries() if one.request}
    cache.close()
    return found
