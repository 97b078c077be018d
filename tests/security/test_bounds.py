"""Nothing an endpoint or a file sends fills the memory, and what is no JSON is not taken for it."""

import gzip
import json
import resource
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pytest_rightsize.answers import Answer
from pytest_rightsize.errors import ConfigError, FormatError, RungError
from pytest_rightsize.matchers import json_matching
from pytest_rightsize.meters.prometheus import Prometheus
from pytest_rightsize.providers.openai.probing import probe_models
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import AnswerRecord, Policy, Request, Rung, Trial, TrialKey
from pytest_rightsize.results.line_formats import check_line
from pytest_rightsize.strict_json import loads
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.threaded_server import serving

QUESTION = Request(messages=({"role": "user", "content": "x"},))


def ask(url: str, **options: object) -> str:
    provider = OpenAI(Rung(name="a", provider="openai", model="m", options={"base_url": url, "retries": 0, **options}))
    try:
        return provider.submit(QUESTION).result().text
    finally:
        provider.close()


def deflated(content: Iterator[bytes], *, wbits: int) -> bytes:
    """A stream of zlib. What comes again is packed once: after a full flush the same bytes are packed alike."""
    packer, packed = zlib.compressobj(9, wbits=wbits), dict[bytes, bytes]()
    pieces = []
    for part in content:
        if part not in packed:
            packed[part] = packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH)
        pieces.append(packed[part])
    return b"".join(pieces)


def gzip_bomb_of_many(content: Iterator[bytes]) -> bytes:
    """Each part is a gzip stream of its own, one after another."""
    return b"".join(map(cache(gzip.compress), content))


def brotli_bomb(content: Iterator[bytes]) -> bytes:
    brotli = pytest.importorskip("brotli")
    packer = brotli.Compressor(quality=1)
    return b"".join([*map(packer.process, content), packer.finish()])


def zstd_bomb(content: Iterator[bytes]) -> bytes:
    zstd = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    packer = zstd.ZstdCompressor(level=1)
    return b"".join([*map(packer.compress, content), packer.flush()])


BOMBS: dict[str, tuple[str, Callable[[Iterator[bytes]], bytes]]] = {
    "gzip": ("gzip", partial(deflated, wbits=31)),
    "deflate": ("deflate", partial(deflated, wbits=15)),
    "deflate, raw": ("deflate", partial(deflated, wbits=-15)),
    "gzip, many": ("gzip", gzip_bomb_of_many),
    "br": ("br", brotli_bomb),
    "zstd": ("zstd", zstd_bomb),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_large_answer_is_cut_off_before_it_fills_the_memory(name: str) -> None:
    encoding, pack = BOMBS[name]
    megabytes = 600
    head, tail = json.dumps(completion("@")).encode().split(b"@")
    body = pack(part for part in (head, *[b"a" * (1 << 20)] * megabytes, tail))
    assert len(body) < megabytes << 11
    answer = Answering(body=body, headers={"Content-Encoding": encoding})
    with serve(lambda _: answer) as endpoint:
        ask_once = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(RungError) as told:
            ask(endpoint.url)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - ask_once) / (
        1024 if sys.platform != "darwin" else 1 << 20
    )

    assert told.value.reason == "too_large"
    assert "answered with more than 32 MB, and was cut off: raise max_answer_mb" in str(told.value)
    assert not told.value.permanent
    assert len(endpoint.requests) == 1
    assert grown_mb < 200


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br;q=1", "x-unknown"])
def test_an_encoding_that_nobody_asked_for_is_not_undone(encoding: str) -> None:
    packed = gzip.compress(gzip.compress(json.dumps(completion("a" * 1_000_000)).encode(), compresslevel=1))
    answer = Answering(body=packed, headers={"Content-Encoding": encoding})
    with serve(lambda _: answer) as endpoint, pytest.raises(RungError) as told:
        ask(endpoint.url)

    assert told.value.reason in ("bad_reply", "transport")


@pytest.mark.parametrize(("size", "fits"), [(900_000, True), (1_100_000, False)])
def test_the_limit_is_an_option_in_megabytes(size: int, fits: bool) -> None:
    with serve(lambda _: Answering(body=completion("a" * size))) as endpoint:
        if fits:
            assert len(ask(endpoint.url, max_answer_mb=1)) == size
        else:
            with pytest.raises(RungError, match="more than 1 MB"):
                ask(endpoint.url, max_answer_mb=1)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_answer_mb must be above 0"):
        ask("http://127.0.0.1:1", max_answer_mb=0)


def test_a_cut_answer_is_an_error_of_the_trial_and_no_wrong_answer(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(model):\n    assert model.ask('x') == 'y'")
    with serve(lambda _: Answering(body=completion("a" * 200_000))) as endpoint:
        pytester.makefile(
            ".toml",
            rightsize='[ladder.a]\nprovider = "openai"\nmodel = "m"\nmax_answer_mb = 0.1\n'
            f'base_url = "{endpoint.url}"\n',
        )
        result = pytester.runpytest("--rightsize-ladder=a", "--rightsize-results=run.jsonl")

    lines = [json.loads(line) for line in (pytester.path / "run.jsonl").read_text().splitlines()]
    assert [(line["outcome"], line["reason"]) for line in lines if line["kind"] == "trial"] == [("error", "too_large")]
    assert result.ret == 1


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "-1e999", "9" * 5000, "01", "+1"])
def test_a_number_that_is_none_is_no_json(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)
    assert not json_matching({}).match(text).ok
    with pytest.raises(FormatError, match="the answer is not JSON"):
        Answer(AnswerRecord(text=text)).json()


@pytest.mark.parametrize(
    ("text", "value"), [("1e308", 1e308), ("[1, -0.5]", [1, -0.5]), ('"NaN"', "NaN"), ("1e-999", 0)]
)
def test_json_is_taken(text: str, value: object) -> None:
    assert loads(text) == value
    assert json_matching({}).match(text).ok


def test_json_too_deep_is_no_json() -> None:
    deep = "[" * 100_000 + "]" * 100_000

    assert not json_matching({}).match(deep).ok
    with pytest.raises(FormatError, match="the answer is not JSON"):
        Answer(AnswerRecord(text=deep)).json()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_an_answer_with_a_number_that_is_none_is_unreadable(number: str) -> None:
    body = json.dumps(completion("x")).replace('"created": 0', f'"created": {number}').encode()
    with serve(lambda _: Answering(body=body)) as endpoint, pytest.raises(RungError) as told:
        ask(endpoint.url)
    assert told.value.reason == "bad_reply"


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_results_file_is_read_in_memory_that_does_not_grow_with_its_texts(tmp_path: Path) -> None:
    from pytest_rightsize.results.results_file import no_trial, read_run

    def peak(words: int) -> int:
        file = tmp_path / f"{words}.jsonl"
        head = {"kind": "run", "schema": 1, "ladder": [{"name": "a", "provider": "p"}], "settings": {}}
        answer = {"text": "word " * words, "messages": [{"role": "user", "content": "word " * words}], "tokens": {}}
        trials = (
            {"kind": "trial", "task": "t", "case": str(n), "rung": "a", "outcome": "passed", "answers": [answer]}
            for n in range(200)
        )
        file.write_text("".join(json.dumps(line) + "\n" for line in (head, *trials)), encoding="utf-8")
        tracemalloc.start()
        try:
            assert len(read_run(file, words_of=no_trial).trials) == 200
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(5_000) < peak(10) + 2_000_000  # one line of 50 kB at a time, and not 200


def test_every_field_of_a_line_is_checked_before_it_is_used() -> None:
    trial = Trial(key=TrialKey(task="t", case="c", rung="a"), outcome="passed", answers=(AnswerRecord(text="x"),))
    lines = {
        "trial": trial.to_dict() | {"raised_at": None, "sampled": None},
        "plan": {"kind": "plan", "planned": {"a": 1}, **Policy(task="t").to_dict()},
    }
    odd = object()  # of no type that JSON has
    for line in lines.values():
        check_line(line)
        for name in line.keys() - {"kind"}:
            with pytest.raises(ValueError, match=name):
                check_line({**line, name: odd})
    for name in lines["trial"]["answers"][0]:
        with pytest.raises(ValueError, match="answers"):
            check_line({**lines["trial"], "answers": [{**lines["trial"]["answers"][0], name: odd}]})
    tokens = lines["trial"]["answers"][0]["tokens"]
    for name in tokens:
        with pytest.raises(ValueError, match="answers"):
            check_line({**lines["trial"], "answers": [{"tokens": {**tokens, name: odd}}]})


# --- what is looked up aside ------------------------------------------------------------------------------------------


@pytest.fixture
def endless() -> Iterator[str]:
    """A server whose every page is 40 MB."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(40_000_000))
            self.end_headers()
            with suppress(ConnectionError):
                for _ in range(40):
                    self.wfile.write(b" " * 1_000_000)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        yield url


def test_a_list_of_models_without_end_says_that_the_server_does_not_answer(endless: str) -> None:
    problem = probe_models(f"{endless}/v1", headers={}, model="m", local_only=True)

    assert problem is not None
    assert "models does not answer (it sends more than 32 MB)" in problem.what


def test_a_page_of_metrics_without_end_is_a_meter_that_does_not_answer(endless: str) -> None:
    meter = Prometheus(Rung(name="a", provider="openai"), {"url": f"{endless}/metrics"}, "remote")

    problem = meter.check()

    assert problem is not None
    assert "it sends more than 32 MB" in problem.what


@pytest.mark.parametrize(
    ("kind", "name", "odd"),
    [
        *(("run", name, "x") for name in ("machine", "versions", "shards", "identities", "settings")),
        *(("run", name, 1) for name in ("started", "commit")),
        ("run", "settings", {"redact": "answers"}),
        ("end", "totals", {"identities": {"a": "x"}}),
    ],
)
def test_what_a_run_says_of_itself_is_checked_before_it_is_compared(kind: str, name: str, odd: object) -> None:
    with pytest.raises(ValueError, match=name):
        check_line({"kind": kind, name: odd})
