"""PYTEST_CURRENT_TEST is as ever for the process and its children, and takes no more memory with each test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_rightsize.running import current_test
from pytest_rightsize.running.current_test import kept_small

NAME = "PYTEST_CURRENT_TEST"
SHOW = f"import os; print(os.environ.get({NAME!r}))"
# In a process of its own, whose memory nothing else uses meanwhile.
SETS = """
import ctypes, os, sys
from contextlib import nullcontext
from pytest_rightsize.running.current_test import kept_small

class Info(ctypes.Structure):
    _fields_ = [(f"field_{number}", ctypes.c_size_t) for number in range(7)] + [
        (name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")
    ]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
with kept_small() if sys.argv[1] == "small" else nullcontext():
    for number in range(6_000):
        if number == 1_000:
            before = libc.mallinfo2().uordblks
        os.environ["PYTEST_CURRENT_TEST"] = f"test_suite.py::test_it[{number}] (call)"
print((libc.mallinfo2().uordblks - before) / 5_000)
"""


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, os.environ.get(NAME, ""))


def shown() -> str:
    """The variable as a child sees it that inherits the environment."""
    return subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout.strip()


def test_children_and_the_process_itself_see_it() -> None:
    original = os.putenv
    with kept_small():
        for number in range(100):  # more than there are places
            os.environ[NAME] = f"test_{number} (call)"
        assert os.environ[NAME] == shown() == "test_99 (call)"
        os.environ[NAME] = "ü"
        assert shown() == "ü"
        del os.environ[NAME]
        assert shown() == "None"
        os.environ[NAME] = "again"
        assert shown() == "again"
    assert os.putenv is original
    assert shown() == "again"
    os.environ[NAME] = "after"
    assert shown() == "after"


def test_long_texts_and_other_variables_are_set_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHTSIZE_TEST_OTHER", "1")
    with kept_small():
        os.environ[NAME] = "x" * 5_000
        os.environ["RIGHTSIZE_TEST_OTHER"] = "2"
        assert shown() == "x" * 5_000
        os.environ[NAME] = "short"
        code = "import os; print(os.environ['RIGHTSIZE_TEST_OTHER'])"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "2\n"
        assert shown() == "short"


def test_the_original_is_back_after_an_error() -> None:
    original = os.putenv
    with pytest.raises(KeyError), kept_small():
        raise KeyError
    assert os.putenv is original


def test_hooks_of_the_interpreter_hear_of_it() -> None:
    code = (
        "import os, sys; from pytest_rightsize.running.current_test import kept_small; heard = []\n"
        "sys.addaudithook(lambda name, values: heard.append(values) if name == 'os.putenv' else None)\n"
        f"with kept_small(): os.environ[{NAME!r}] = 'x'\n"
        "print(heard)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"[(b'{NAME}', b'x')]"


@pytest.mark.skipif(not current_test._is_glibc(), reason="another library keeps no texts, or cannot be asked")
def test_it_takes_no_more_memory_with_each_test() -> None:
    """100 bytes a text without it, in glibc up to 2.40."""
    small = subprocess.run([sys.executable, "-c", SETS, "small"], capture_output=True, text=True, check=True).stdout
    assert abs(float(small)) < 10


def test_only_large_sessions_have_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_it(number):
            print("PUTENV", os.putenv.__module__, os.environ["PYTEST_CURRENT_TEST"])
        """
    )
    pytester.makefile(".toml", rightsize='[ladder.a]\nprovider = "replay"\nfile = "answers.jsonl"\n')
    pytester.makefile(".jsonl", answers='{"prompt": "x", "text": "y"}')
    modules = []
    for tests in (4, 3):
        monkeypatch.setattr(current_test, "_FROM_TESTS", tests)
        result = pytester.runpytest("--rightsize-ladder=a", "-s")
        lines = [line.partition("PUTENV ")[2].split() for line in result.outlines if "PUTENV" in line]
        modules.append({module for module, *_ in lines})
        assert [name.partition("::")[2] for _, name, _ in lines] == [f"test_it[{number}]" for number in range(3)]
        assert {when for *_, when in lines} == {"(call)"}
    assert modules[0] == {os.putenv.__module__}
    assert (Path(current_test.__file__).stem in modules[1].pop()) == current_test._is_glibc()
