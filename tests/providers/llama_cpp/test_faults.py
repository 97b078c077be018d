"""Sessions with a local model that cannot be loaded, or whose library crashes: the other rungs are asked as ever."""

import importlib.util
import json
import shutil
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.providers.llama_cpp.random_gguf import TINY, Shape, write_hollow_model, write_model

MODELS = Path(__file__).parents[3] / "example_suite" / "models"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None,
    reason="llama-cpp-python is not installed: pip install 'pytest-rightsize[local]'",
)
SUITE = """
import pytest

@pytest.mark.rightsize(task="date", pass_rate=0.5, chosen="first")
@pytest.mark.parametrize("day", range(10, 14))
def test_date(model, day):
    assert model.ask(f"ISO date: {day} March 2024", max_tokens=12) == f"2024-03-{day}"
"""
# So much more than what is mapped when the library has been loaded: room for the small models, and not for the large.
LIMIT = """
import resource

import llama_cpp, numpy

def pytest_configure(config):
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + 10**9
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
"""
LARGE = Shape(width=2048, layers=16, heads=16, hidden=8192, vocabulary=32_000)


def climb(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> tuple[pytest.RunResult, dict[str, Counter[Any]], dict[str, Any]]:
    """A session on the ladder `first`, `broken`, `last`; the outcomes of each rung, and the verdict."""
    for name in ("first", "last"):
        shutil.copy(MODELS / "160k.gguf", pytester.path / f"{name}.gguf")
    ladder = [f'[ladder.{name}]\nprovider = "llama_cpp"\nmodel = "{name}.gguf"' for name in ("first", "last")]
    with (pytester.path / "rightsize.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(ladder))
    pytester.makepyfile(test_suite=SUITE)
    result = run(
        "--rightsize-ladder=first,broken,last",
        "--rightsize-strategy=full",
        "--rightsize-results=run.jsonl",
        "--rightsize-cache=off",  # it would read each model whole, for what it is recorded under
    )
    lines = [json.loads(line) for line in (pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    outcomes: dict[str, Counter[Any]] = {}
    for line in lines:
        if line["kind"] == "trial":
            outcomes.setdefault(line["rung"], Counter())[line["outcome"], line["reason"]] += 1
    return result, outcomes, next(line for line in lines if line["kind"] == "verdict")


def check_the_rest_went_on(outcomes: dict[str, Counter[Any]], verdict: dict[str, Any]) -> None:
    """No trial of the broken rung counts, and the rungs around it have all theirs."""
    assert outcomes["first"] == outcomes["last"] == {("passed", None): 4}
    states = {rung: standing["state"] for rung, standing in verdict["standing"].items()}
    assert states == {"first": "passes", "broken": "undecided", "last": "passes"}
    assert verdict["standing"]["broken"]["trials"] == 0
    # No gate fails: it is the fault alone that the exit status tells of.
    assert verdict["verdict"] == "right-sized"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells and limits what a process maps")
@pytest.mark.parametrize(
    ("model", "more", "words"),
    [("large.gguf", "", "could not load *large.gguf*"), ("tiny.gguf", "n_ctx = 8_000_000", "*kv cache*")],
    ids=["weights", "context"],
)
def test_a_model_that_memory_does_not_hold_is_no_wrong_answer(
    pytester: pytest.Pytester, model: str, more: str, words: str
) -> None:
    write_hollow_model(pytester.path / "large.gguf", LARGE)
    write_model(pytester.path / "tiny.gguf", TINY)
    pytester.makefile(".toml", rightsize=f'[ladder.broken]\nprovider = "llama_cpp"\nmodel = "{model}"\n{more}')
    pytester.makeconftest(LIMIT)
    result, outcomes, verdict = climb(pytester, pytester.runpytest_subprocess)
    assert outcomes["broken"] == {("error", "memory"): 1, ("not_run", "down"): 3}
    check_the_rest_went_on(outcomes, verdict)
    result.stdout.fnmatch_lines(
        [f"rightsize: rung 'broken': llama.cpp {words}a smaller n_ctx, n_gpu_layers or quantisation *"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def _cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def _garbage(whole: bytes) -> bytes:
    return whole[:100] + b"\xa5" * (len(whole) - 100)


def _other_magic(whole: bytes) -> bytes:
    return b"GGML" + whole[4:]


def _absurd_tensors(whole: bytes) -> bytes:
    """The first tensor has 2^62 columns."""
    at = whole.index(b"blk.0.attn_norm.weight") + len(b"blk.0.attn_norm.weight") + 4
    return whole[:at] + struct.pack("<Q", 2**62) + whole[at + 8 :]


def _another_shape(whole: bytes) -> bytes:
    """All is there, but the model says that it is wider than its tensors are; only llama.cpp finds that out."""
    at = whole.index(b"llama.embedding_length") + len(b"llama.embedding_length") + 4
    return whole[:at] + struct.pack("<I", 4096) + whole[at + 4 :]


@pytest.mark.parametrize(
    ("damage", "reason", "words"),
    [
        (_cut, "missing", "*is cut off*"),
        (_garbage, "missing", "*is cut off in its header*"),
        (_other_magic, "missing", "*is not a GGUF file*"),
        (_absurd_tensors, "missing", "*is cut off: it has * bytes of the *"),
        (
            _another_shape,
            "load",
            "rightsize: rung 'broken': llama.cpp could not load *broken.gguf: *",
        ),
        (lambda _: b"", "missing", "*is not a GGUF file*"),
    ],
    ids=["cut off", "garbage", "another magic", "absurd tensors", "another shape", "empty"],
)
def test_a_corrupt_model_is_told_once_and_no_wrong_answer(
    pytester: pytest.Pytester, damage: Callable[[bytes], bytes], reason: str, words: str
) -> None:
    (pytester.path / "broken.gguf").write_bytes(damage((MODELS / "25k.gguf").read_bytes()))
    pytester.makefile(".toml", rightsize='[ladder.broken]\nprovider = "llama_cpp"\nmodel = "broken.gguf"\n')
    result, outcomes, verdict = climb(pytester, pytester.runpytest)
    assert outcomes["broken"] == {("error", reason): 1, ("not_run", "down"): 3}
    check_the_rest_went_on(outcomes, verdict)
    result.stdout.fnmatch_lines([words])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


# The library reads from address 0 when it decodes for the 13th time: in the model's thread, in the midst of answers.
CRASHING = """
import ctypes, os

import llama_cpp

decode, decoded = llama_cpp.llama_decode, []

def crash(*arguments):
    decoded.append(1)
    if len(decoded) == 13 and not os.path.exists("mended"):
        ctypes.string_at(0)
    return decode(*arguments)

llama_cpp.llama_decode = crash
"""
ONE_MODEL = """
import pytest

@pytest.mark.parametrize("day", range(10, 20))
def test_date(model, day):
    assert model.ask(f"ISO date: {day} March 2024", max_tokens=12) == f"2024-03-{day}"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a crash there is no signal")
def test_a_crash_within_llama_cpp_ends_the_session_and_the_next_one_goes_on(pytester: pytest.Pytester) -> None:
    shutil.copy(MODELS / "160k.gguf", pytester.path / "whole.gguf")
    pytester.makefile(".toml", rightsize='[ladder.whole]\nprovider = "llama_cpp"\nmodel = "whole.gguf"\n')
    pytester.makepyfile(test_suite=ONE_MODEL)
    pytester.makeconftest(CRASHING)
    # One request after the other: the first is answered before the crash, and a test's end lets it be recorded.
    options = ("--rightsize-ladder=whole", "--rightsize-concurrency=1", "--rightsize-results=run.jsonl")
    assert pytester.runpytest_subprocess(*options).ret == -signal.SIGSEGV
    (pytester.path / "mended").touch()
    result = pytester.runpytest_subprocess(*options)
    result.stdout.fnmatch_lines(["rightsize: an earlier process died while it asked whole; *-n 1*"])
    result.assert_outcomes(passed=10)


@pytest.mark.skipif(sys.platform == "win32", reason="a crash there is no signal")
def test_in_a_worker_a_crash_within_llama_cpp_is_an_error_and_the_rest_goes_on(pytester: pytest.Pytester) -> None:
    shutil.copy(MODELS / "160k.gguf", pytester.path / "whole.gguf")
    pytester.makefile(".toml", rightsize='[ladder.whole]\nprovider = "llama_cpp"\nmodel = "whole.gguf"\n')
    pytester.makepyfile(test_suite=ONE_MODEL)
    pytester.makeconftest(CRASHING.replace("ctypes.string_at", "open('mended', 'w').close(); ctypes.string_at"))
    result = pytester.runpytest_subprocess(
        *("--rightsize-ladder=whole", "-n1", "--rightsize-hosts=own", "--rightsize-concurrency=1"),
        "--rightsize-results=run.jsonl",
    )
    lines = [json.loads(line) for line in (pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    outcomes = Counter((line["outcome"], line["reason"]) for line in lines if line["kind"] == "trial")
    assert outcomes == {("passed", None): 9, ("error", "crash"): 1}
    assert [line["verdict"] for line in lines if line["kind"] == "verdict"] == ["undecided"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED
