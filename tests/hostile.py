"""Inputs for each reader, which must end in a usable result or in one of the project's own errors.

Each target takes the bytes of a file or of an HTTP answer. SAMPLES are valid bytes for it; ODD are the same with one or
more places changed to something odd. The tests of hostile input and the benchmark `fuzz` share them.
"""

import copy
import json
import re
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pytest_rightsize.authoring.label_files import read_labels
from pytest_rightsize.calibration_records import Calibration
from pytest_rightsize.config.ladder import read_ladder
from pytest_rightsize.errors import RightsizeError
from pytest_rightsize.judgement_records import Criterion, Judgement
from pytest_rightsize.judging.baseline import read_baseline, with_regressions
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.meters.choice import choose
from pytest_rightsize.meters.declared import Declared
from pytest_rightsize.providers import load_providers
from pytest_rightsize.providers.llama_cpp.model_files import file_problem
from pytest_rightsize.providers.llama_cpp.provider import LlamaCpp, _context_tokens
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.providers.replay import Replay
from pytest_rightsize.recorded.json_lines import lines_of, read_lines
from pytest_rightsize.recorded.keys import base_of, plain_reply, plain_request
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.results.calibration_file import read_calibrations, render_calibrations
from pytest_rightsize.results.results_file import read_run
from pytest_rightsize.served.wires import UnservedError, body_of, wire_of
from pytest_rightsize.statistics import Correction, is_better_than_chance
from tests.providers.openai.endpoint import completion
from tests.recorded.test_cache import IDENTITY, ask, recorded
from tests.results.test_results_file import RUN, write
from tests.served.wires.bodies import BODIES

__all__ = [
    "ANSWER",
    "LINES",
    "METADATA",
    "ODD",
    "SAMPLES",
    "TARGETS",
    "gguf_header",
    "lines_of_json",
    "odd_bytes",
    "odd_lines",
    "odd_value",
    "of_a_file",
]

METERS = {"declared": Declared}
PROVIDERS = load_providers([{"llama_cpp": LlamaCpp, "openai": OpenAI, "replay": Replay}])

# --- targets ----------------------------------------------------------------------------------------------------------


def of_a_file(read: Callable[[Path], object], name: str) -> Callable[[bytes], None]:
    """Feed a reader a file of that content; the project's own errors are a proper end."""

    def feed(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            with suppress(RightsizeError):
                read(path)

    return feed


def _ladder(path: Path) -> None:
    ladder = read_ladder(path, PROVIDERS, METERS)
    for rung in ladder.rungs.values():
        json.dumps(rung.to_dict(), default=str)
        PROVIDERS[rung.provider](rung)
        # The other meters ask the machine.
        choose(rung, "remote", {"declared": Declared})


def _results(path: Path) -> None:
    for verdict in judge(read_run(path)):
        json.dumps(verdict.to_dict())


def _baseline(path: Path) -> None:
    for verdict in with_regressions(RUN, judge(RUN), read_baseline(path)):
        json.dumps(verdict.to_dict())


def _replay(path: Path) -> None:
    Replay(Rung(name="r", provider="replay", options={"file": path.name}, base_dir=str(path.parent))).check()


def _recorded(path: Path) -> None:
    for line in read_lines(path):
        assert line is not None


def _labels(path: Path) -> None:
    for row in read_labels(path, defaults={"by": "big"}):
        json.dumps(row.to_dict())
        row.matcher()


def _calibration(path: Path) -> None:
    for one in read_calibrations(path, asked_by="--rightsize-calibration"):
        labels = Correction(good=one.good, good_passed=one.good_passed, bad=one.bad, bad_passed=one.bad_passed)
        if is_better_than_chance(labels):
            run = replace(JUDGED, calibrations=[one])
            json.dumps([verdict.to_dict() for verdict in judge(run)])


def _gguf(path: Path) -> None:
    rung = Rung(name="r", provider="llama_cpp", model=path.name, base_dir=str(path.parent))
    if file_problem(path, rung.options) is None:
        assert 0 < _context_tokens(path, rung) <= 8192


def _chat_reply(content: bytes) -> None:
    """An HTTP answer of status 200: a reply that can be written down, or what the HTTP client takes for no answer."""
    from pytest_rightsize.providers.openai.http import UNREADABLE
    from pytest_rightsize.providers.openai.replies import parse_reply

    try:
        reply = parse_reply(json.loads(content), 0.1, 0)
    except UNREADABLE:
        return
    json.dumps(plain_reply(reply), allow_nan=False)
    assert isinstance(reply.text, str)
    assert reply.tokens.total is None or reply.tokens.total >= 0


def _served(path: str) -> Callable[[bytes], None]:
    """The body of an application's request: what is asked, and every form of an answer to it, or a refusal."""

    def feed(content: bytes) -> None:
        wire = wire_of(path)
        assert wire is not None
        with suppress(UnservedError):
            asked = wire.read(path, body_of(content))
            request = Request(messages=asked.messages, schema=asked.schema, tools=asked.tools, extra=asked.extra)
            base_of("", plain_request(request, greedy=False))
            json.dumps(wire.whole(ANSWER, asked), allow_nan=False)
            assert b"".join(wire.events(ANSWER, asked))

    return feed


ANSWER = Reply(text="x", reasoning="Hm.", tool_calls=({"function": {"name": "f", "arguments": "{"}},))

TARGETS: dict[str, Callable[[bytes], None]] = {
    "ladder": of_a_file(_ladder, "rightsize.toml"),
    "results": of_a_file(_results, "run.jsonl"),
    "lock": of_a_file(_baseline, "rightsize.lock"),
    "replay": of_a_file(_replay, "answers.jsonl"),
    "recorded": of_a_file(_recorded, "recorded.jsonl"),
    "labels": of_a_file(_labels, "labels.jsonl"),
    "calibration": of_a_file(_calibration, "judges.json"),
    "gguf": of_a_file(_gguf, "model.gguf"),
    "chat": _chat_reply,
    **{f"served {name}": _served(path) for name, (path, _) in BODIES.items()},
}

# --- samples ----------------------------------------------------------------------------------------------------------


def _results_lines() -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        return [json.loads(line) for line in write(Path(folder) / "run.jsonl", RUN)]


_REPLAY = [
    {"prompt": "a", "text": "A", "tokens": {"prompt": 3, "completion": 1}, "seconds": 0.5, "energy": None},
    {"messages": [{"role": "user", "content": "b"}], "sample": 1, "text": "B", "finish_reason": "stop"},
]
_RECORDED = [
    json.loads(line)
    for line in lines_of([recorded(ask("a"), Reply(text="A", seconds=1.0))], [("small", {"model": "m"}, IDENTITY)])
]
_LABELS = [
    {"label": True, "question": "a", "answer": "A", "rubric": "In capitals.", "at_least": 4, "by": "big"},
    {"label": "fail", "answer": "b", "reference": "B", "or_tie": True, "private": True},
]
_CRITERION = Criterion(question="judged", rubric="In capitals.", template="0f", at_least=4)
_KNOWN = Calibration(judge="a1", by="big", criterion=_CRITERION, good=20, good_passed=19, bad=20, bad_passed=1)
_CALIBRATIONS = json.loads(render_calibrations([_KNOWN]))
_JUDGEMENT = Judgement(by="big", judge="a1", criterion=_CRITERION, passed=True, answer=0)
JUDGED = replace(RUN, trials=[replace(trial, judgements=(_JUDGEMENT,)) for trial in RUN.trials])
LINES: Mapping[str, Sequence[Any]] = {
    "results": _results_lines(),
    "replay": _REPLAY,
    "recorded": _RECORDED,
    "labels": _LABELS,
}
_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_DETAILS = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
_CHAT = completion(
    "x", tool_calls=[_CALL], reasoning="why", usage={**_DETAILS, "completion_tokens_details": {"reasoning_tokens": 1}}
)
_LOCK = """
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
_LADDER = """
default = "a"
electricity_usd_per_kwh = 0.3
[ladder.a]
provider = "openai"
base_url = "http://127.0.0.1:1/v1"
model = "m"
price = { prompt = 1.0, completion = 2.0 }
meter = { name = "declared", wh_per_request = 0.2, source = "s" }
[ladder.b]
provider = "llama_cpp"
model = "m.gguf"
n_ctx = 512
[ladder.c]
provider = "replay"
file = "answers.jsonl"
[app]
serve = true
stands_for = ["gpt-4o-mini"]
models = { "text-embedding-3" = "a", judge = "c" }
ignore = ["verbosity", "thinking"]
[tasks.t]
pass_rate = 0.9
chosen = { file = "app.toml", key = "llm.model" }
waive = { gate = "oversized", until = 2027-01-31, reason = "r" }
"""


def lines_of_json(lines: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _gguf_text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


# What is looked at in a model's header, each value with its type before it, as in the file.
METADATA: dict[bytes, bytes] = {
    b"general.architecture": struct.pack("<I", 8) + _gguf_text(b"llama"),
    b"general.alignment": struct.pack("<II", 4, 32),
    b"llama.context_length": struct.pack("<II", 4, 512),
    b"tokenizer.chat_template": struct.pack("<I", 8) + _gguf_text(b"{{ messages }}"),
    b"tokenizer.ggml.tokens": struct.pack("<IIQ", 9, 8, 2) + _gguf_text(b"a") + _gguf_text(b"b"),
}


def gguf_header(metadata: Mapping[bytes, bytes], dims: Sequence[int] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    """A model of one tensor, whose weights are zeros."""
    return b"".join(
        [
            struct.pack("<4sIQQ", b"GGUF", 3, 1, len(metadata)),
            *(_gguf_text(key) + value for key, value in metadata.items()),
            _gguf_text(b"t"),
            struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset),
            bytes(64),
        ]
    )


SAMPLES: Mapping[str, bytes] = {
    **{name: lines_of_json(lines) for name, lines in LINES.items()},
    "ladder": _LADDER.encode(),
    "lock": _LOCK.encode(),
    "calibration": json.dumps(_CALIBRATIONS).encode(),
    "gguf": gguf_header(METADATA),
    "chat": json.dumps(_CHAT).encode(),
    **{f"served {name}": json.dumps(body).encode() for name, (_, body) in BODIES.items()},
}

# --- something odd in them --------------------------------------------------------------------------------------------

_ODD_JSON: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), -0.0, 2**63),
        *("", "x", "\x00", "\ud800", "../../x", "1e999"),
        *([], {}, [None], [[]], [{}], {"": {}}, {"a": [1]}, {"joules": "x"}, {"prompt": -1}),
    ]
)
_ODD_TOML = st.sampled_from(
    ["1", "-1", "nan", "inf", "true", '""', '"x"', '"\\u0000"', "[]", "{}", "[{}]", "{ a = 1 }", "9" * 30]
)
_KEYS = ["default", "ladder", "tasks", "provider", "model", "price", "options", "file", "chosen", "env", "key", "x", ""]
_KEYS += ["app", "serve", "stands_for", "models", "ignore", "meter", "url", "waive", "gate", "until", "thinking"]
_KEYS += ["base_url", "headers", "extra_body", "n_ctx", "temperature", "private", "pass_rate", "api_key_env", "retries"]
_TOML = st.recursive(
    st.sampled_from(["1", "-1", "1.5", "nan", "inf", "true", '""', '"openai"', '"replay"', '"llama_cpp"', '"http://["'])
    | st.sampled_from(['"http://x:99999999"', '"../x"', "1979-05-27", "[]", "10" * 40]),
    lambda inner: st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4).map(
        lambda table: "{" + ", ".join(f"{json.dumps(key)} = {value}" for key, value in table.items()) + "}"
    ),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _put(value: Any, place: tuple[Any, ...], odd: Any, *, remove: bool) -> Any:
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


@st.composite
def odd_value(draw: st.DrawFn, value: Any, most: int) -> Any:
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.sampled_from(_places(value)))
        value = _put(value, place, draw(_ODD_JSON), remove=draw(st.booleans()))
    return value


@st.composite
def odd_lines(draw: st.DrawFn, lines: Sequence[Any]) -> bytes:
    number = draw(st.integers(0, len(lines) - 1))
    return lines_of_json([draw(odd_value(line, 1)) if at == number else line for at, line in enumerate(lines)])


@st.composite
def _odd_toml(draw: st.DrawFn, text: str) -> bytes:
    """One value of it is another, or there is a line more."""
    parts = re.split(r"(?<== )([^,{}\n]+|\{.*\}|\[.*\])", text)
    values = range(1, len(parts), 2)
    parts[draw(st.sampled_from(values))] = draw(_ODD_TOML)
    more = draw(st.sampled_from(_KEYS))
    return ("".join(parts) + (f"{json.dumps(more)} = {draw(_TOML)}\n" if draw(st.booleans()) else "")).encode()


_TABLE = st.dictionaries(st.sampled_from(_KEYS), _TOML, max_size=6)


@st.composite
def _any_ladder(draw: st.DrawFn) -> bytes:
    top, rung = draw(_TABLE), draw(_TABLE)
    lines = [f"{json.dumps(key)} = {value}" for key, value in top.items() if key != "ladder"]
    lines += ["[ladder.a]", *(f"{json.dumps(key)} = {value}" for key, value in rung.items())]
    return "\n".join(lines).encode()


@st.composite
def odd_bytes(draw: st.DrawFn, sample: bytes, start: int) -> bytes:
    """Up to four places of it hold something else, of another length; what is before `start` stays."""
    content = bytearray(sample)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(start, len(content) - 1))
        content[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(content)


_ODD_METADATA = st.one_of(
    st.sampled_from([struct.pack("<I", 8) + _gguf_text(text) for text in (b"", b"x", b"\xff", b"7" * 5000)]),
    st.floats(width=32).map(lambda value: struct.pack("<If", 6, value)),
    st.floats().map(lambda value: struct.pack("<Id", 12, value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: struct.pack("<Iq", 11, value)),
    st.booleans().map(lambda value: struct.pack("<I?", 7, value)),
    st.integers(0, 2**64 - 1).map(lambda length: struct.pack("<IIQ", 9, 8, length)),
    st.integers(0, 2**64 - 1).map(lambda length: struct.pack("<IIQ", 9, 4, length)),
    st.integers(0, 2**32 - 1).map(lambda kind: struct.pack("<I", kind)),
)
_BIG = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1])


@st.composite
def _odd_gguf(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return gguf_header(METADATA | {draw(st.sampled_from([*METADATA])): draw(_ODD_METADATA)})
    return gguf_header(METADATA, draw(st.lists(_BIG, max_size=8)), draw(st.integers(0, 50)), draw(_BIG))


ODD: Mapping[str, st.SearchStrategy[bytes]] = {
    **{name: odd_lines(lines) for name, lines in LINES.items()},
    "ladder": _odd_toml(_LADDER) | _any_ladder(),
    "lock": _odd_toml(_LOCK),
    "calibration": odd_value(_CALIBRATIONS, 2).map(lambda odd: json.dumps(odd).encode()),
    "gguf": _odd_gguf() | odd_bytes(SAMPLES["gguf"], 4),
    "chat": odd_value(_CHAT, 3).map(lambda odd: json.dumps(odd).encode()),
    **{
        f"served {name}": odd_value(body, 3).map(lambda odd: json.dumps(odd).encode())
        for name, (_, body) in BODIES.items()
    },
}
