"""Hostile or broken input: only the project's own errors come out, and no other file is written."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_rightsize.results.results_file import read_run
from tests.hostile import METADATA, ODD, SAMPLES, TARGETS, gguf_header
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.recorded.test_recorder import rungs
from tests.results.test_results_file import RUN, write

quick = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("target", TARGETS)
@quick
@given(content=st.binary(max_size=200))
@example(content=b"")
@example(content=b"\xff\xfe")
@example(content=b"[" * 100_000)
@example(content=b"{" * 1000)
@example(content=b'{"a":' * 100_000)
@example(content=b"null")
@example(content=b"a = " + b"[" * 5000)
@example(content=b"1" * 10_000)
def test_any_bytes_are_read_or_refused(target: str, content: bytes) -> None:
    TARGETS[target](content)


@pytest.mark.parametrize("target", TARGETS)
def test_a_sample_is_read_without_an_error(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is made of it would be refused for that, whatever else is odd in it."""
    monkeypatch.setattr("tests.hostile.RightsizeError", NeverError)
    monkeypatch.setattr("tests.hostile.UnservedError", NeverError)
    TARGETS[target](SAMPLES[target])


class NeverError(Exception):
    pass


@pytest.mark.parametrize("target", TARGETS)
@quick
@given(data=st.data())
def test_a_sample_with_something_odd_in_it_is_read_or_refused(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(ODD[target]))


@pytest.mark.parametrize("value", [struct.pack("<If", 6, float("nan")), struct.pack("<If", 6, float("inf"))])
@pytest.mark.parametrize("key", [b"general.alignment", b"llama.context_length"])
def test_a_size_in_a_gguf_that_is_none_is_told(key: bytes, value: bytes) -> None:
    TARGETS["gguf"](gguf_header({**METADATA, key: value}))


def test_a_tensor_of_a_gguf_with_a_million_dimensions_is_told_at_once() -> None:
    TARGETS["gguf"](gguf_header(METADATA, dims=[2**64 - 1] * 1_000_000))


def test_arrays_in_arrays_of_a_gguf_are_told() -> None:
    nested = struct.pack("<IQ", 9, 1) * 50_000
    TARGETS["gguf"](struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q1sI", 1, b"k", 9) + nested)


def test_a_task_named_like_a_path_writes_nothing_elsewhere(pytester: pytest.Pytester) -> None:
    below = pytester.path / "a" / "b" / "c"
    below.mkdir(parents=True)
    (below / "pytest.ini").touch()
    (below / "test_suite.py").write_text(
        "import pytest\n"
        '@pytest.mark.rightsize(task="../../../x")\n'
        '@pytest.mark.parametrize("word", ["../../y", "/tmp/z", "nul\\0", "\\ud800", "a\\nb"])\n'
        "def test_it(model, word): assert model.ask(word)\n",
        encoding="utf-8",
    )
    with serve(lambda _: Answering(body=completion("x"))) as endpoint:
        (below / "rightsize.toml").write_text(
            rungs(endpoint.url).replace("ladder.big", 'ladder."../up"'), encoding="utf-8"
        )
        pytester.chdir()
        options = ["--rightsize-ladder=small,../up", "--rightsize-strategy=full", "--rightsize-results=run.jsonl"]
        done = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=below, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    made = {path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("*") if path.is_file()}
    assert {name for name in made if not name.startswith("a/b/c/")} == set()
    assert len(read_run(below / "run.jsonl").trials) == 10


HOSTILE = [
    "\ud800",
    "\x00" * 10,
    "x" * 5_000_000,
    "\u2028\u2029\r\n\x85",
    '"}\n{"kind":"end"}',
    "\x1b[2J",
    "</script>",
    "",
]


def test_hostile_answers_are_kept_as_they_are(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_suite=f"""
        import pytest

        @pytest.mark.parametrize("number", range({len(HOSTILE)}))
        def test_it(model, number):
            assert model.ask(str(number)) != "never"
        """
    )
    with serve(lambda asked: Answering(body=completion(HOSTILE[int(asked["messages"][-1]["content"])]))) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url))
        for _ in range(2):  # the second time from the recorded answers
            result = pytester.runpytest("--rightsize-ladder=small", "--rightsize-results=run.jsonl")
            result.assert_outcomes(passed=len(HOSTILE))
            run = read_run(pytester.path / "run.jsonl")
            assert not run.interrupted
            heard = {int(trial.key.case.rpartition("[")[2][:-1]): trial.answers[0].text for trial in run.trials}
            assert [heard[number] for number in range(len(HOSTILE))] == HOSTILE
    assert len(endpoint.requests) == len(HOSTILE)


def test_a_large_results_file_is_read_line_by_line(tmp_path: Path) -> None:
    """Ten times as many trials that say the same take no ten times the memory of the text."""
    lines = write(tmp_path / "run.jsonl", RUN)
    trial = json.loads(next(line for line in lines if '"trial"' in line))
    trial["detail"] = "x" * 1_000_000
    with (tmp_path / "large.jsonl").open("w", encoding="utf-8") as file:
        file.write(lines[0])
        for _ in range(200):
            file.write(json.dumps(trial) + "\n")
    program = (
        "import resource, sys; from pathlib import Path; from pytest_rightsize.results.results_file import read_run\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "run = read_run(Path(sys.argv[1])); assert len(run.trials) == 1\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "large.jsonl"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60_000  # kB, of 200 MB
