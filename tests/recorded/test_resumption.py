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

from pytest_rightsize.recorded.cache import AnswerCache
from pytest_rightsize.results.results_file import read_run
from tests import forked
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.recorded.test_recorder import rungs

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


def command(path: Path, strategy: str) -> list[str]:
    plugin = ["-p", "pytest_rightsize.plugin", "-p", "no:cacheprovider"]
    options = ["--rightsize-ladder=small,big", "--rightsize-concurrency=4", f"--rightsize-results={path}"]
    options.append("--rightsize-gate=provisional")
    options.append(f"--rightsize-strategy={strategy}")
    return [sys.executable, "-m", "pytest", "-q", *plugin, *options]


def lines(path: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in found if line["kind"] == kind]


def concluded(path: Path, strategy: str) -> tuple[list[Any], list[Any]]:
    """The verdicts, and what became of each trial; a climb settles early what its first answers settle."""
    if strategy == "climb":
        return [[line[name] for name in ("task", "verdict", "smallest")] for line in lines(path, "verdict")], []
    trials = [[line[name] for name in ("case", "rung", "sample", "outcome", "reason")] for line in lines(path, "trial")]
    return lines(path, "verdict"), sorted(trials)


# `python -m tests.benchmarks kills` kills fifty and counts.
@pytest.mark.parametrize(("strategy", "kills"), [("full", 6), ("climb", 2)])
def test_a_run_killed_at_random_moments_repeats_nothing_recorded_and_concludes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, kills: int
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    chance = random.Random(20261124)
    asked: list[tuple[str, str]] = []
    killing: subprocess.Popen[bytes] | None = None
    deadline = 0
    answering = 0
    changed = threading.Condition()

    def script(request: dict[str, Any]) -> Answering:
        nonlocal answering, killing
        with changed:
            answering += 1
            asked.append((request["model"], request["messages"][-1]["content"]))
            victim, killing = (killing, None) if len(asked) >= deadline else (None, killing)
        # A moment after the request; answers before it may be on their way to the disk.
        time.sleep(0.01 if victim is None else chance.uniform(0, 0.08))
        if victim is not None:
            os.kill(victim.pid, signal.SIGKILL)
        with changed:
            answering -= 1
            changed.notify()
        return answer(request)

    def start(folder: Path) -> subprocess.Popen[bytes]:
        return forked.start(command(folder / "run.jsonl", strategy), cwd=folder, stdout=subprocess.DEVNULL)

    def project(name: str, url: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test_suite.py").write_text(SUITE, encoding="utf-8")
        (folder / "rightsize.toml").write_text(rungs(url), encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        return folder

    with serve(script) as endpoint:
        undisturbed = project("undisturbed", endpoint.url)
        assert start(undisturbed).wait() == pytest.ExitCode.TESTS_FAILED  # `big` is over-sized for one of the tasks
        whole = len(asked)
        assert max(Counter(asked).values()) == 1

        def finish(killed: Path) -> None:
            recorded = everything_recorded(killed)
            asked.clear()
            assert start(killed).wait() == pytest.ExitCode.TESTS_FAILED
            assert not recorded & set(asked)
            assert max(Counter(asked).values(), default=0) <= 1
            assert concluded(killed / "run.jsonl", strategy) == concluded(undisturbed / "run.jsonl", strategy)

        killed = project("killed", endpoint.url)
        for kill in range(20):
            recorded = everything_recorded(killed)
            # All may come before the first tenth of a second, when nothing is on the disk yet.
            if kill >= kills and (recorded or strategy == "climb"):
                break
            if len(recorded) >= whole - 4:
                finish(killed)
                killed, recorded = project(f"killed{kill}", endpoint.url), set()
            asked.clear()
            with changed:
                deadline = chance.randint(1, min(whole // (3 if strategy == "full" else 8), whole - len(recorded)))
                killing = process = start(killed)
            assert process.wait() == -signal.SIGKILL
            with changed:
                changed.wait_for(lambda: not answering)
            assert not recorded & set(asked)
            assert recorded <= everything_recorded(killed)
            assert read_run(killed / "run.jsonl").interrupted
        assert everything_recorded(killed) or strategy == "climb"
        finish(killed)


def everything_recorded(folder: Path) -> set[tuple[str, str]]:
    """Rung and prompt of all recorded answers."""
    if not (folder / ".rightsize").is_dir():
        return set()
    cache = AnswerCache(folder / ".rightsize")
    found = {(one.rung, one.request["messages"][-1]["content"]) for one in cache.entries() if one.request}
    cache.close()
    return found


CRASHING = """
import os, signal
from concurrent.futures import Future
from pytest_rightsize.records import Identity, Reply

class Native:
    options = {}
    required = ()
    leaves_machine = False

    def __init__(self, rung):
        pass

    def check(self):
        return None

    def identity(self, sha256):
        return Identity(content={"library": 1})

    def submit(self, request):
        prompt = request.messages[-1]["content"]
        with open("asked.txt", "a") as file:
            print(prompt, file=file)
        if prompt == "30" and not os.path.exists("mended"):
            os.kill(os.getpid(), signal.SIGSEGV)
        future = Future()
        future.set_result(Reply(text=prompt))
        return future

    def close(self):
        pass

def pytest_rightsize_providers():
    return {"native": Native}
"""


def crashing(pytester: pytest.Pytester) -> None:
    """A suite of 40 tests, at the 31st of which the library of the model crashes."""
    pytester.makeconftest(CRASHING)
    pytester.makefile(".toml", rightsize='[ladder.native]\nprovider = "native"\n')
    pytester.makepyfile(
        """
        import pytest, time

        @pytest.mark.parametrize("number", range(40))
        def test_it(model, number):
            if number == 30:
                time.sleep(0.6)  # answers are written four times a second
            assert model.ask(str(number)) == str(number)
        """
    )


def test_after_a_crash_of_a_native_library_the_next_session_goes_on_and_says_so(pytester: pytest.Pytester) -> None:
    crashing(pytester)
    crash = pytester.runpytest_subprocess("--rightsize-ladder=native")
    assert crash.ret == -signal.SIGSEGV
    asked = (pytester.path / "asked.txt").read_text(encoding="utf-8").split()
    assert asked == [str(number) for number in range(31)]
    (pytester.path / "mended").touch()
    result = pytester.runpytest_subprocess("--rightsize-ladder=native")
    result.stdout.fnmatch_lines(
        ["rightsize: an earlier process died while it asked native; what it was answered is recorded, *-n 1*"]
    )
    result.assert_outcomes(passed=40)
    assert (pytester.path / "asked.txt").read_text(encoding="utf-8").split()[31:] == [str(n) for n in range(30, 40)]
    assert "died" not in str(pytester.runpytest_subprocess("--rightsize-ladder=native").stdout)


def test_in_a_worker_a_crash_of_a_native_library_costs_a_trial_and_not_the_session(pytester: pytest.Pytester) -> None:
    crashing(pytester)
    result = pytester.runpytest_subprocess("--rightsize-ladder=native", "-n1", "--rightsize-results=run.jsonl")
    outcomes = Counter((line["outcome"], line["reason"]) for line in lines(pytester.path / "run.jsonl", "trial"))
    assert outcomes == {("passed", None): 39, ("error", "crash"): 1}
    assert [line["verdict"] for line in lines(pytester.path / "run.jsonl", "verdict")] == ["undecided"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED
