"""Inputs for the readers of what others wrote: files of other tools, answers of vendors, pages and templates.

As in tests/hostile.py, each target takes bytes and must end in a usable result or in one of the project's own errors.
"""

import json
import math
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hypothesis import strategies as st

from pytest_rightsize.authoring.chat_lines import read_chat_lines
from pytest_rightsize.authoring.exchanges import Task
from pytest_rightsize.authoring.grouping import grouped
from pytest_rightsize.authoring.heard_calls import HeardCalls
from pytest_rightsize.authoring.model_calls import model_calls
from pytest_rightsize.authoring.promptfoo_config import read_promptfoo
from pytest_rightsize.authoring.proposals import proposed
from pytest_rightsize.authoring.rendering import rendered
from pytest_rightsize.authoring.row_files import read_rows
from pytest_rightsize.config.case_files import read_cases
from pytest_rightsize.config.chosen import resolve_chosen
from pytest_rightsize.config.ladder import Ladder
from pytest_rightsize.config.task_settings import ChosenSource
from pytest_rightsize.meters.prometheus import parse_metrics
from pytest_rightsize.providers.llama_cpp.chat_template import ChatTemplate, TemplateRefusalError
from pytest_rightsize.providers.openai.error_bodies import error_in, report_of
from pytest_rightsize.recorded.cache import AnswerCache
from pytest_rightsize.recorded.json_lines import plain_answer
from pytest_rightsize.records import Json, Reply, Rung
from pytest_rightsize.results.earlier_run import EarlierRun
from pytest_rightsize.results.run_summaries import read_summary
from pytest_rightsize.served.answers.reading import BrokenAnswerError, read_answer
from pytest_rightsize.served.wires import body_of, wire_of
from pytest_rightsize.strict_json import loads
from tests.hostile import (
    ANSWER,
    LINES,
    lines_of_json,
    odd_bytes,
    odd_lines,
    odd_value,
    of_a_file,
)
from tests.recorded.test_cache import ask, recorded
from tests.served.wires.bodies import BODIES

__all__ = ["ODD", "SAMPLES", "TARGETS"]

# --- targets ----------------------------------------------------------------------------------------------------------


def _draft(tasks: Sequence[Task]) -> None:
    """Write the test file, which must be Python, and the cases, which must be JSON."""
    suite = rendered(tasks, title="t", todo=["x"], cases_file="cases.jsonl")
    compile(suite.test_file, "test_it.py", "exec")
    for line in suite.lines:
        json.loads(line)


def _promptfoo(path: Path) -> None:
    _draft(read_promptfoo(path).tasks)


def _promptfoo_rows(path: Path) -> None:
    config = path.with_name("promptfooconfig.json")
    config.write_text(json.dumps({"prompts": ["Say {{word}}."], "tests": path.name}), encoding="utf-8")
    _promptfoo(config)


def _rows(path: Path) -> None:
    exchanges = read_rows(path, prompt_column=None, expect_column=None, system="Be brief.")
    _draft([proposed("rows", exchanges)])


def _chat_lines(path: Path) -> None:
    _draft([proposed(name, group) for name, group in grouped(read_chat_lines(path)).items()])


def _chosen(path: Path) -> None:
    ladder = Ladder(rungs={"small": Rung(name="small", provider="replay", model="m")})
    source = ChosenSource(file=path.name, key="llm.model")
    assert resolve_chosen(source, ladder=ladder, base_dir=path.parent, env={}, task="t")[0] == "small"


def _cases(path: Path) -> None:
    """Each case has its columns, and a name of its own."""
    cases = read_cases(path, ["word"], test="t")
    assert len({case.name for case in cases}) == len(cases)


def _summary(path: Path) -> None:
    read_summary(path)


def _calls(content: bytes) -> None:
    """Python of others: what is none is a SyntaxError, or a ValueError for null bytes."""
    with suppress(SyntaxError, ValueError, RecursionError):
        model_calls(content.decode(errors="replace"))


def _earlier(path: Path) -> None:
    content = path.read_bytes()
    earlier = EarlierRun(path, private=False)
    earlier.kept_in.write_bytes(b"before")
    earlier.set_aside()
    assert path.read_bytes() == content
    assert earlier.kept_in.read_bytes() in (b"before", content)
    assert {each.name for each in path.parent.iterdir()} == {path.name, earlier.kept_in.name}


def _heard(path: str) -> Callable[[bytes], None]:
    """The answer to an application's call, whole or as a stream, and the case that is made of it."""
    wire = wire_of(path)
    assert wire is not None
    asked = wire.read(path, body_of(json.dumps(next(body for at, body in BODIES.values() if at == path)).encode()))

    def feed(content: bytes) -> None:
        with suppress(BrokenAnswerError):
            reply = read_answer(path, _content_type(path, content), content)
            heard = HeardCalls()
            heard.add(asked, reply)
            _draft([proposed(name, group) for name, group in grouped(heard.exchanges()).items()])

    return feed


def _content_type(path: str, content: bytes) -> str:
    if content.startswith((b"data:", b"event:")):
        return "text/event-stream"
    return "application/x-ndjson" if path.startswith("/api/") else "application/json"


def _strict_json(content: bytes) -> None:
    try:
        value = loads(content)
    except ValueError:
        return
    json.dumps(value, allow_nan=False)


def _metrics(content: bytes) -> None:
    for sample in parse_metrics(content.decode(errors="replace")):
        assert sample.name
        assert isinstance(sample.value, float)


def _error_body(content: bytes) -> None:
    text = content.decode(errors="replace")
    report = report_of(500, text)
    assert report.wait_s is None or (math.isfinite(report.wait_s) and report.wait_s >= 0)
    with suppress(ValueError):
        error_in(loads(content))


def _template(content: bytes) -> None:
    messages = [{"role": "user", "content": "x"}]
    with suppress(TemplateRefusalError):
        ChatTemplate({"default": content.decode(errors="replace")}).render(messages)


def _left_behind(content: bytes) -> None:
    """One answer of a session that was killed; what fits its check sum is read."""
    line = content.replace(b"\n", b" ")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "unwritten-x").write_bytes(b"%08x %s\n" % (zlib.crc32(line), line))
        cache = AnswerCache(Path(folder))  # it takes over
        assert len(list(cache.entries())) <= 1
        cache.close()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "left behind": _left_behind,
    "promptfoo yaml": of_a_file(_promptfoo, "promptfooconfig.yaml"),
    "promptfoo json": of_a_file(_promptfoo, "promptfooconfig.json"),
    "promptfoo rows": of_a_file(_promptfoo_rows, "tests.csv"),
    "rows": of_a_file(_rows, "rows.csv"),
    "chat lines": of_a_file(_chat_lines, "chats.jsonl"),
    "chosen yaml": of_a_file(_chosen, "app.yaml"),
    "chosen toml": of_a_file(_chosen, "app.toml"),
    "chosen json": of_a_file(_chosen, "app.json"),
    "cases jsonl": of_a_file(_cases, "cases.jsonl"),
    "cases csv": of_a_file(_cases, "cases.csv"),
    "cases yaml": of_a_file(_cases, "cases.yaml"),
    "run summary": of_a_file(_summary, "run.jsonl"),
    "model calls": _calls,
    "earlier run": of_a_file(_earlier, "run.jsonl"),
    "strict json": _strict_json,
    "metrics": _metrics,
    "error body": _error_body,
    "template": _template,
    **{f"heard {name}": _heard(path) for name, (path, _) in BODIES.items()},
}

# --- samples, and something odd in them -------------------------------------------------------------------------------

_PROMPTFOO: dict[str, Json] = {
    "prompts": ["Say {{word}}.", {"raw": '[{"role": "system", "content": "Be {{mood}}."}]', "label": "chat"}],
    "providers": [{"id": "openai:gpt-4", "config": {"temperature": 0}}],
    "defaultTest": {"vars": {"mood": "brief"}, "options": {"transform": ""}},
    "assertionTemplates": {"short": {"type": "contains", "value": "{{word}}"}},
    "tests": [
        {"description": "one", "vars": {"word": ["yes", "no"]}, "assert": [{"$ref": "#/assertionTemplates/short"}]},
        {
            "vars": {"word": "a"},
            "threshold": 1,
            "assert": [
                {"type": "equals", "value": "a", "weight": 2},
                {"type": "is-json", "value": {"type": "object", "properties": {"a": {"type": "string"}}}},
                {"type": "regex", "value": "^a+$"},
                {"type": "icontains-any", "value": "a,b"},
                {"type": "levenshtein", "value": "a", "threshold": 3},
                {"type": "assert-set", "assert": [{"type": "starts-with", "value": "{{word | upper}}"}]},
                {"type": "llm-rubric", "value": "is kind"},
            ],
        },
    ],
    "scenarios": [
        {"config": [{"vars": {"word": "b"}}], "tests": [{"assert": [{"type": "not-contains", "value": "c"}]}]}
    ],
}
_CHATS: list[Json] = [
    {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"},
        ]
    },
    {"input": [{"role": "user", "content": "q"}], "ideal": ["a", "b"]},
    {"prompt": "p", "completion": "c"},
]
_CHOSEN = {"llm": {"model": "small", "temperature": 0.5}, "other": [1, {"a": None}]}
_WORDS: list[Json] = [{"id": "x", "word": "a"}, {"word": "b" * 60}, {"word": ["c", {"d": None}]}, {"id": 4, "word": 1}]
_CASES_YAML = b"- {id: 1, word: a}\n- word: [b, &x c]\n- word: *x\n"
_SOURCE = (
    b"import os\nfrom ollama import Client\nM = os.getenv('M', 'm')\nc = Client()\n"
    b"def f():\n    return c.chat(model=M, **{'model': 'x'})\n"
)
_CSV = b'prompt,expected,system\n"What, then?",yes,"Be ""brief"""\nx,no,\n'
_PROMPTFOO_CSV = (
    b"word,__expected,__expected2,__description,__threshold,__metadata:a\n"
    b'yes,contains: y,"levenshtein(2): yes",first,1,x\nno,"icontains-all: a,b",fn: output,,,\n'
)
_METRICS = (
    b"# HELP a b\n# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n"
    b'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-1",GPU_I_ID=""} 1.5e+06 1700000000000\n'
    b'kepler_node_cpu_joules_total{zone="package",node_name="a\\"b"} NaN\n'
)
_ERROR: Json = {
    "error": {
        "message": "Rate limit reached, try again in 7m12.5s",
        "code": 429,
        "metadata": {"raw": '{"detail": [{"loc": ["body", 0], "msg": "too long"}]}', "retryDelay": "30s"},
        "details": [{"@type": "x", "reason": "LIMIT"}],
    }
}
_TEMPLATE = (
    b"{%- set ns = namespace(n=0) %}{%- for m in messages %}{%- if m.role == 'user' and m.content is string %}"
    b"{{ '<|' ~ m['role'] + '|>' }}{{ m.content | trim | upper }}{% set ns.n = ns.n + 1 %}"
    b"{%- elif not loop.last %}{{ raise_exception('no ' ~ m.role) }}{%- endif %}{%- endfor %}"
    b"{{ messages | tojson(indent=2) }}{% generation %}{{ '%5d' % ns.n }}{% endgeneration %}"
)
_TOML = b'[llm]\nmodel = "small"\ntemperature = 0.5\n[[other]]\na = [1, {b = 2}]\n'


def _written(path: str) -> tuple[Json, list[Json]]:
    """An answer as its wire writes it: whole, and its events' data."""
    wire = wire_of(path)
    assert wire is not None
    asked = wire.read(path, body_of(json.dumps(next(body for at, body in BODIES.values() if at == path)).encode()))
    stream = b"".join(wire.events(ANSWER, asked)).decode().splitlines()
    data = [line.removeprefix("data: ") for line in stream if line.startswith(("data:", "{"))]
    return wire.whole(ANSWER, asked), [json.loads(line) for line in data if line != "[DONE]"]


_WRITTEN = {name: _written(path) for name, (path, _) in BODIES.items()}


def _whole(name: str, value: Json) -> bytes:
    return json.dumps(value).encode() + (b"\n" if name == "ollama" else b"")


def _streamed(name: str, data: Sequence[Json]) -> bytes:
    before, after = (b"", b"\n") if name == "ollama" else (b"data: ", b"\n\n")
    return b"".join(before + json.dumps(each).encode() + after for each in data)


def _odd_heard(name: str) -> st.SearchStrategy[bytes]:
    whole, data = _WRITTEN[name]
    return odd_value(whole, 3).map(lambda odd: _whole(name, odd)) | odd_value(data, 3).map(
        lambda odd: _streamed(name, odd if isinstance(odd, list) else [odd])
    )


_ANSWER = recorded(ask(), Reply(text="yes", tool_calls=({"id": "x"},), seconds=0.5))
_LEFT: Json = plain_answer(_ANSWER, _ANSWER.rung) | {"content": dict(_ANSWER.identity.content), "greedy": False}


def _as_json(value: Json) -> st.SearchStrategy[bytes]:
    return odd_value(value, 3).map(lambda odd: json.dumps(odd).encode())


SAMPLES: Mapping[str, bytes] = {
    "left behind": json.dumps(_LEFT).encode(),
    "promptfoo yaml": json.dumps(_PROMPTFOO, indent=1).encode(),
    "promptfoo json": json.dumps(_PROMPTFOO).encode(),
    "promptfoo rows": _PROMPTFOO_CSV,
    "rows": _CSV,
    "chat lines": lines_of_json(_CHATS),
    "chosen yaml": b"llm: {model: small, temperature: .5}\nother: &a [1, {a: ~}]\nagain: *a\n",
    "chosen toml": _TOML,
    "chosen json": json.dumps(_CHOSEN).encode(),
    "cases jsonl": lines_of_json(_WORDS),
    "cases csv": b'id,word\n1,"a, b"\n2,c\n',
    "cases yaml": _CASES_YAML,
    "run summary": lines_of_json(LINES["results"]),
    "model calls": _SOURCE,
    "earlier run": lines_of_json(LINES["results"]),
    "strict json": json.dumps(_PROMPTFOO).encode(),
    "metrics": _METRICS,
    "error body": json.dumps(_ERROR).encode(),
    "template": _TEMPLATE,
    **{f"heard {name}": _whole(name, whole) for name, (whole, _) in _WRITTEN.items()},
}

_MARKUP = ["{{", "}}", "{%", "%}", " * 9999999", " ** 999999", "|join", "|indent(9999999)", ".__class__", "range(9**9)"]
_TEXTS: Sequence[bytes] = [
    text.encode() for text in (*_MARKUP, "messages", "loop", "nan", "1e999", "\x00", "\ufeff", '"')
]


@st.composite
def _odd_text(draw: st.DrawFn, sample: bytes) -> bytes:
    """Pieces of it are repeated, left out or replaced by something that means something there."""
    pieces = [sample[at : at + 7] for at in range(0, len(sample), 7)]
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(pieces) - 1))
        pieces[place] = draw(st.sampled_from([b"", pieces[place] * 3, *_TEXTS]))
    return b"".join(pieces)


ODD: Mapping[str, st.SearchStrategy[bytes]] = {
    "left behind": _as_json(_LEFT),
    "promptfoo yaml": _as_json(_PROMPTFOO) | odd_bytes(SAMPLES["promptfoo yaml"], 0),
    "promptfoo json": _as_json(_PROMPTFOO),
    "promptfoo rows": odd_bytes(_PROMPTFOO_CSV, 0) | _odd_text(_PROMPTFOO_CSV),
    "rows": odd_bytes(_CSV, 0) | _odd_text(_CSV),
    "chat lines": odd_lines(_CHATS),
    "chosen yaml": _as_json(_CHOSEN) | odd_bytes(SAMPLES["chosen yaml"], 0),
    "chosen toml": odd_bytes(_TOML, 0) | _odd_text(_TOML),
    "chosen json": _as_json(_CHOSEN),
    "cases jsonl": odd_lines(_WORDS),
    "cases csv": odd_bytes(SAMPLES["cases csv"], 0) | _odd_text(SAMPLES["cases csv"]),
    "cases yaml": odd_bytes(_CASES_YAML, 0) | _odd_text(_CASES_YAML),
    "run summary": odd_lines(LINES["results"]),
    "model calls": odd_bytes(_SOURCE, 0) | _odd_text(_SOURCE),
    "earlier run": odd_lines(LINES["results"]),
    "strict json": _as_json(_PROMPTFOO) | odd_bytes(SAMPLES["strict json"], 0),
    "metrics": odd_bytes(_METRICS, 0) | _odd_text(_METRICS),
    "error body": _as_json(_ERROR),
    "template": odd_bytes(_TEMPLATE, 0) | _odd_text(_TEMPLATE),
    **{f"heard {name}": _odd_heard(name) for name in BODIES},
}
