"""A forked process does what a fresh one does, for whoever started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import forked

ALIKE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
CODES = {
    "output": "import sys; print('out'); print('err', file=sys.stderr)",
    "a status": "import sys; sys.exit(3)",
    "words for a status": "import sys; sys.exit('enough')",
    "arguments": "import sys; print(sys.argv)",
    "the folder": "import os; print(os.getcwd())",
    "the path": "import sys; print(sys.path)",
    "variables": "import os; print(sorted(os.environ.items()))",
    "its own names": "import sys, __main__; x = 1; print(__name__, __main__.x, 'tests' in sys.modules)",
    "no input": "import sys; print(repr(sys.stdin.read()))",
    "what waits for the end": "import atexit, threading; atexit.register(print, 'last');"
    " threading.Timer(0.01, print, ['first']).start()",
    "a signal": f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})",
    "an interrupt": "import sys; sys.excepthook = lambda *_: None; raise KeyboardInterrupt",
    "a child": "import multiprocessing; p = multiprocessing.get_context('fork').Process(target=print, args=('hi',));"
    " p.start(); p.join()",
}
needs_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")


@needs_forks
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_command_ends_as_in_a_fresh_process(tmp_path: Path, code: str) -> None:
    starters: list[Any] = [subprocess.Popen, forked.start]
    ends = []
    for start in starters:
        process = start(
            [sys.executable, "-c", code, "an argument"],
            cwd=tmp_path,
            env={**os.environ, **ALIKE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ends.append((*process.communicate(timeout=60), process.returncode))
    assert isinstance(process, forked.Forked)
    assert ends[1] == ends[0]


@needs_forks
def test_an_error_is_told_with_its_line(tmp_path: Path) -> None:
    done = forked.run([sys.executable, "-c", "1 / 0"], cwd=tmp_path, env={**os.environ, **ALIKE})
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@needs_forks
def test_a_module_is_run_and_what_is_given_to_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import sys\nprint(__name__, sys.argv[1:], sys.stdin.read())\n")
    env = {**os.environ, **ALIKE}
    pipe = subprocess.PIPE
    process = forked.start(
        [sys.executable, "-m", "own", "x"], cwd=tmp_path, env=env, text=True, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    process.stdin.write("given")
    process.stdin.close()
    assert process.communicate() == ("__main__ ['x'] given\n", None)


@needs_forks
def test_a_process_can_be_killed_while_it_is_waited_for(tmp_path: Path) -> None:
    process = forked.start([sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, **ALIKE})
    assert isinstance(process, forked.Forked)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    process.kill()  # nobody is hit


@pytest.mark.parametrize(
    ("args", "variables"),
    [
        ([sys.executable, "-c", "0"], {}),
        (["python-of-another", "-c", "0"], ALIKE),
        ([sys.executable, "-c", "0"], {**ALIKE, "PYTHONHASHSEED": "7"}),
    ],
    ids=["plugins by entry points", "another program", "a variable of Python"],
)
def test_where_it_would_make_a_difference_a_process_is_a_fresh_one(
    monkeypatch: pytest.MonkeyPatch, args: list[str], variables: dict[str, str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))
    env = {name: value for name, value in os.environ.items() if name not in ALIKE}
    forked.start(args, env={**env, **variables})
    assert started == [args]
