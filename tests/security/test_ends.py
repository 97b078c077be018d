"""A session that is told to end, or killed, loses nothing it was answered: it asks for nothing again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.providers.openai.endpoint import Answering, completion, serve

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
CASES = 40
# Whoever runs the tests may ignore SIGHUP, as nohup does, and processes inherit that.
_PYTEST = (
    "import signal, sys, pytest; signal.signal(signal.SIGHUP, signal.SIG_DFL); sys.exit(pytest.main(sys.argv[1:]))"
)
SUITE = f"""
import pytest

@pytest.mark.parametrize("n", range({CASES}))
def test_it(model, n):
    assert model.ask(f"question {{n}}") == "yes"
"""


class Answers:
    """Counts the questions; once there were so many, they are answered when the signal was sent."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.act_at = 0
        self.reached = threading.Event()
        self.wait = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Answering:
        question = body["messages"][0]["content"]
        with self._lock:
            self.asked[question] += 1
            if sum(self.asked.values()) == self.act_at:
                self.reached.set()
        if self.reached.is_set():
            self.wait.wait(60)  # so that the signal finds the session at work
        return Answering(body=completion("yes"))


DESTRUCTOR = """
import os
import signal

class Told:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

def test_first():
    told = Told()
    del told

def test_second():
    raise AssertionError("it began")
"""


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[tuple[Path, Answers]]:
    answers = Answers()
    with serve(answers) as endpoint:
        (tmp_path / "test_it.py").write_text(SUITE)
        (tmp_path / "rightsize.toml").write_text(
            f'[ladder.a]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\nmax_in_flight = 4\n'
        )
        yield tmp_path, answers


def start(folder: Path) -> subprocess.Popen[str]:
    options = [
        "--rightsize-ladder=a",
        "--rightsize-strategy=full",
        "--rightsize-results=run.jsonl",
        "--rightsize-html=r.html",
    ]
    plugin = ["-p", "pytest_rightsize.plugin", "-p", "no:cacheprovider"]
    alone = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return forked.start(
        [sys.executable, "-c", _PYTEST, "-q", *plugin, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **alone},
    )


def ended_by(folder: Path, answers: Answers, *signals: int, after: int) -> tuple[int, str]:
    answers.act_at, answers.reached = after, threading.Event()
    answers.wait.clear()
    process = start(folder)
    assert answers.reached.wait(120)
    for number in signals:
        process.send_signal(number)
    answers.wait.set()
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def kinds(folder: Path, name: str = "run.jsonl") -> Counter[str]:
    return Counter(json.loads(line)["kind"] for line in (folder / name).read_text().splitlines())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_session_that_is_told_to_end_closes_everything_and_goes_on_where_it_was(
    suite: tuple[Path, Answers], name: str
) -> None:
    folder, answers = suite

    status, output = ended_by(folder, answers, getattr(signal, name), after=15)

    assert status == pytest.ExitCode.INTERRUPTED, output
    assert "smallest model that passes each task" in output
    assert "Traceback" not in output
    assert kinds(folder)["end"] == 1
    assert (folder / "r.html").is_file()
    in_file = kinds(folder)["trial"]
    answers.reached = threading.Event()
    again, _ = start(folder).communicate(timeout=120)
    assert f"{CASES} passed" in again
    # What was on its way when the signal came is asked again; nothing that is in the file is.
    assert sum(answers.asked.values()) <= CASES + 4
    assert in_file > 0


def test_a_signal_that_comes_within_a_destructor_ends_the_session_before_the_next_test(tmp_path: Path) -> None:
    """What is raised there is swallowed by Python, and only warned of."""
    (tmp_path / "test_it.py").write_text(DESTRUCTOR)
    (tmp_path / "rightsize.toml").write_text('[ladder.a]\nprovider = "replay"\nfile = "a.jsonl"\n')
    process = start(tmp_path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "it began" not in output


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_while_the_session_ends_lets_it_end(pytester: pytest.Pytester, name: str) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    pytester.makepyfile("def test_it(model):\n    assert model.ask('x') == 'y'")
    pytester.makeconftest(
        f"""
        import os, pytest, signal

        class Late:
            @pytest.hookimpl(tryfirst=True)
            def pytest_rightsize_reports(self):
                return {{"late": Report}}

        class Report:
            def check(self):
                return None

            def render(self, run, verdicts):
                os.kill(os.getpid(), signal.{name})
                return "rendered"

        def pytest_configure(config):
            config.pluginmanager.register(Late())
        """
    )

    result = pytester.runpytest_subprocess("--rightsize-ladder=a", "--rightsize-report=late:o", "--rightsize-results=r")

    assert result.ret == 0
    assert (pytester.path / "o").read_text() == "rendered"
    assert kinds(pytester.path, "r")["end"] == 1
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_second_signal_ends_at_once_and_without_a_traceback(suite: tuple[Path, Answers]) -> None:
    folder, answers = suite

    status, output = ended_by(folder, answers, signal.SIGTERM, signal.SIGTERM, signal.SIGTERM, after=15)

    # Signals that come together may count as one.
    assert status in (128 + signal.SIGTERM, pytest.ExitCode.INTERRUPTED)
    assert "Traceback" not in output


def test_a_signal_that_is_ignored_stays_ignored(suite: tuple[Path, Answers], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, answers = suite
    (folder / "conftest.py").write_text("import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n")

    status, output = ended_by(folder, answers, signal.SIGHUP, after=15)

    assert status == 0, output
    assert f"{CASES} passed" in output


@pytest.mark.parametrize("after", [7, 23])
def test_a_session_that_is_killed_asks_for_nothing_again_that_is_written_down(
    suite: tuple[Path, Answers], after: int
) -> None:
    folder, answers = suite

    status, _ = ended_by(folder, answers, signal.SIGKILL, after=after)

    assert status == -signal.SIGKILL
    written = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    in_file = {line["case"] for line in written if line["kind"] == "trial"}
    before = answers.asked.copy()
    answers.reached = threading.Event()
    answers.act_at = 0
    process = start(folder)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    again = {question for question in answers.asked if answers.asked[question] > before.get(question, 0) > 0}
    assert not {question for question in again if f"test_it.py::test_it[{question.split()[1]}]" in in_file}
    # Not more than was on its way.
    assert len(again) <= 4


def test_the_handlers_are_handed_back(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    pytester.makepyfile(
        """
        import signal

        def test_it(model):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            assert model.ask("x") == "y"
        """
    )
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    pytester.runpytest_inprocess("--rightsize-ladder=a").assert_outcomes(passed=1)

    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
