"""Input that means harm, or none at all: only the project's own errors come out, and nothing is written elsewhere."""

import copy
import json
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_rightsize.recorded_lines import lines_of
from pytest_rightsize.records import Reply
from pytest_rightsize.store import read_run
from tests.hostile import TARGETS
from tests.providers.endpoint import Answering, completion, serve
from tests.test_cache import IDENTITY, ask, recorded
from tests.test_recording import rungs
from tests.test_store import RUN, write

quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), -0.0, 2**63),
        *("", "x", "\x00", "\ud800", "../../x", "1e999"),
        *([], {}, [None], [[]], [{}], {"": {}}, {"a": [1]}, {"joules": "x"}, {"prompt": -1}),
    ]
)


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


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def put(value: Any, place: tuple[Any, ...], odd: Any, *, remove: bool) -> Any:
    """The value with something odd in one place, or nothing."""
    if not place:
        return odd
    changed = copy.deepcopy(value)
    at = changed
    for key in place[:-1]:
        at = at[key]
    if remove:
        del at[place[-1]]
    else:
        at[place[-1]] = odd
    return changed


def results() -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        return [json.loads(line) for line in write(Path(folder) / "run.jsonl", RUN)]


REPLAY = [
    {"prompt": "a", "text": "A", "tokens": {"prompt": 3, "completion": 1}, "seconds": 0.5, "energy": None},
    {"messages": [{"role": "user", "content": "b"}], "sample": 1, "text": "B", "finish_reason": "stop"},
]
RECORDED = [
    json.loads(line)
    for line in lines_of([recorded(ask("a"), Reply(text="A", seconds=1.0))], [("small", {"model": "m"}, IDENTITY)])
]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DETAILS = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
CHAT = completion(
    "x", tool_calls=[CALL], reasoning="why", usage={**DETAILS, "completion_tokens_details": {"reasoning_tokens": 1}}
)


@pytest.mark.parametrize(("target", "lines"), [("results", results()), ("replay", REPLAY), ("recorded", RECORDED)])
@quick
@given(data=st.data())
def test_a_file_with_something_odd_in_one_place_is_read_or_refused(
    target: str, lines: list[Any], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.sampled_from(places(lines[number])))
    odd = put(lines[number], place, data.draw(ODD), remove=data.draw(st.booleans()))
    changed = [json.dumps(odd if at == number else line) for at, line in enumerate(lines)]
    TARGETS[target]("\n".join(changed).encode() + b"\n")


LOCK = """
schema = 1
date = 2026-01-02
ladder = ["a", "b"]
[models]
a = "replay: m"
[tasks.t]
smallest = "a"
chosen = "b"
standing.a = { state = "passes", passed = 4, n = 4, rate = 1.0, low = 0.5, high = 1.0 }
standing.b = { state = "fails", passed = 1, n = 4, settled_early = 1 }
"""
ODD_TOML = st.sampled_from(["1", "-1", "nan", "inf", "true", '""', '"x"', "[]", "{}", "[{}]", "{ a = 1 }", "9" * 30])


@quick
@given(number=st.integers(1, LOCK.count("=")), odd=ODD_TOML)
def test_a_lock_with_something_odd_in_one_place_is_read_or_refused(number: int, odd: str) -> None:
    parts = re.split(r"(?<== )([^,{}\n]+|\{.*\}|\[.*\])", LOCK)
    values = range(1, len(parts), 2)
    parts[values[number % len(values)]] = odd
    TARGETS["lock"]("".join(parts).encode())


@quick
@given(data=st.data())
def test_a_chat_reply_with_something_odd_in_it_is_read_or_no_answer(data: st.DataObject) -> None:
    changed: Any = CHAT
    for _ in range(data.draw(st.integers(1, 3))):
        changed = put(
            changed, data.draw(st.sampled_from(places(changed))), data.draw(ODD), remove=data.draw(st.booleans())
        )
    TARGETS["chat"](json.dumps(changed).encode())


KEYS = ["default", "ladder", "tasks", "provider", "model", "price", "options", "file", "chosen", "env", "key", "x", ""]
KEYS += ["base_url", "headers", "extra_body", "n_ctx", "temperature", "private", "pass_rate", "api_key_env", "retries"]
TOML = st.recursive(
    st.sampled_from(["1", "-1", "1.5", "nan", "inf", "true", '""', '"openai"', '"replay"', '"llama_cpp"', '"http://["'])
    | st.sampled_from(['"http://x:99999999"', '"../x"', "1979-05-27", "[]", "10" * 40]),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
        lambda table: "{" + ", ".join(f"{json.dumps(key)} = {value}" for key, value in table.items()) + "}"
    ),
    max_leaves=8,
)


@quick
@given(
    st.dictionaries(st.sampled_from(KEYS), TOML, max_size=4), st.dictionaries(st.sampled_from(KEYS), TOML, max_size=6)
)
def test_any_table_is_a_ladder_or_refused(top: dict[str, str], rung: dict[str, str]) -> None:
    lines = [f"{json.dumps(key)} = {value}" for key, value in top.items() if key != "ladder"]
    lines += ["[ladder.a]", *(f"{json.dumps(key)} = {value}" for key, value in rung.items())]
    TARGETS["ladder"]("\n".join(lines).encode())


@quick
@given(data=st.data())
def test_a_broken_gguf_header_is_told(data: st.DataObject) -> None:
    key, text = b"general.architecture", b"llama"
    header = struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + struct.pack("<Q", len(key)) + key
    header += struct.pack("<IQ", 8, len(text)) + text + struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, 4, 0, 0)
    content = bytearray(header + bytes(64))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    TARGETS["gguf"](bytes(content))


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
        "import resource, sys; from pathlib import Path; from pytest_rightsize.store import read_run\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "run = read_run(Path(sys.argv[1])); assert len(run.trials) == 1\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "large.jsonl"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60_000  # kB, of 200 MB
