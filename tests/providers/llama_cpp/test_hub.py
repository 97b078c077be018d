"""`hf:` references: which file is meant, and a whole session that fetches one from a server of the hub's protocol."""

import json
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_rightsize.errors import ConfigError
from pytest_rightsize.providers.llama_cpp import hub
from tests.threaded_server import serving

WEIGHTS = Path(__file__).parents[3] / "example_suite" / "models" / "160k.gguf"
COMMIT = "a" * 40
SPLIT = [f"big-Q8_0-0000{index}-of-00002.gguf" for index in (1, 2)]


@pytest.mark.parametrize(
    ("model", "names", "chosen"),
    [
        ("hf:o/r:Q4_K_M", ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "README.md"], ["m-Q4_K_M.gguf"]),
        ("hf:o/r", ["m-Q8_0.gguf", "m-q4_k_m.gguf"], ["m-q4_k_m.gguf"]),
        ("hf:o/r", ["only-F16.gguf", "mmproj-only.gguf"], ["only-F16.gguf"]),
        ("hf:o/r", ["a-Q8_0.gguf", "b-Q5_0.gguf"], []),
        ("hf:o/r:Q4_K", ["m-Q4_K_M.gguf"], []),
        ("hf:o/r:Q8_0", [*reversed(SPLIT), "m-Q4_K_M.gguf"], SPLIT),
    ],
)
def test_a_reference_means_one_model_of_a_repository(model: str, names: list[str], chosen: list[str]) -> None:
    assert hub.choose(names, hub.parse(model)) == chosen


@pytest.mark.parametrize(
    ("model", "names", "chosen"),
    [
        ("hf:a/b:f16", ["llava-v1.5-7b-mmproj-model-f16.gguf"], []),
        ("hf:a/b", ["vl-mmproj-Q4_K_M.gguf", "Long-Model-Q4_K_M.gguf"], ["Long-Model-Q4_K_M.gguf"]),
        ("hf:a/b:f16", ["lora-f16.gguf", "The-Model-f16.gguf"], ["The-Model-f16.gguf"]),
        ("hf:a/b", ["MTP-Q4_K_M.gguf", "draft-Q4_K_M.gguf", "Model-Q4_K_M.gguf"], ["Model-Q4_K_M.gguf"]),
        ("hf:a/b:3B-Q4_K_M", ["m-1B-Q4_K_M.gguf", "m-3B-Q4_K_M.gguf"], ["m-3B-Q4_K_M.gguf"]),
        ("hf:a/b:m-Q4_K_M.gguf", ["big-m-Q4_K_M.gguf", "m-Q4_K_M.gguf"], ["m-Q4_K_M.gguf"]),
    ],
)
def test_a_projector_an_adapter_or_a_draft_model_is_never_meant(
    model: str, names: list[str], chosen: list[str]
) -> None:
    assert hub.choose(names, hub.parse(model)) == chosen


def test_where_several_files_fit_none_is_taken() -> None:
    names = ["m-1B-Q4_K_M.gguf", "m-3B-Q4_K_M.gguf", *SPLIT]
    with pytest.raises(hub.SeveralFitError, match=r"several files fit: m-1B-Q4_K_M\.gguf, m-3B"):
        hub.choose(names, hub.parse("hf:a/b"))


@pytest.mark.parametrize("model", ["hf:", "hf:gemma", "hf:o/r:", "hf:o/r/x.gguf"])
def test_a_reference_of_another_form_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match="write hf:org/repo or hf:org/repo:QUANT"):
        hub.parse(model)


@pytest.fixture
def hub_url() -> Iterator[str]:
    """A server with one repository, o/r, that holds one model."""
    weights = WEIGHTS.read_bytes()
    etag = sha256(weights).hexdigest()
    listing = [{"type": "file", "path": "tiny-Q4_K_M.gguf", "size": len(weights), "oid": "b" * 40}]

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(send_body=False)

        def do_GET(self) -> None:
            self._answer(send_body=True)

        def _answer(self, *, send_body: bool) -> None:
            path = urlsplit(self.path).path
            found: dict[str, Any] = {
                "/o/r/resolve/main/tiny-Q4_K_M.gguf": weights,
                f"/o/r/resolve/{COMMIT}/tiny-Q4_K_M.gguf": weights,
                "/api/models/o/r/tree/main": json.dumps(listing).encode(),
                "/api/models/o/r": json.dumps({"id": "o/r", "sha": COMMIT, "siblings": []}).encode(),
            }
            body = found.get(path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if send_body and body is not None:
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
            """Say nothing."""

    with serving(Handler) as url:
        yield url


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, hub_url: str) -> pytest.Pytester:
    """A suite whose one rung is a model of that repository, with an empty cache."""
    for needed in ("llama_cpp", "huggingface_hub"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install 'pytest-rightsize[local]'")
    monkeypatch.setenv("HF_ENDPOINT", hub_url)
    monkeypatch.setenv("HF_HOME", str(pytester.path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    pytester.makefile(
        ".toml", rightsize='[ladder.tiny]\nprovider = "llama_cpp"\nmodel = "hf:o/r:Q4_K_M"\n'
        '[ladder.gone]\nprovider = "llama_cpp"\nmodel = "hf:o/gone"\n'
    )  # fmt: skip
    pytester.makepyfile("def test_date(model): assert model.ask('ISO date: 12 March 2024') == '2024-03-12'")
    return pytester


def test_a_model_that_is_not_here_is_named_with_how_to_get_it(session: pytest.Pytester) -> None:
    result = session.runpytest_subprocess("--rightsize-ladder=tiny")
    result.stdout.fnmatch_lines(
        ["rightsize: tiny is not available: hf:o/r:Q4_K_M is not on this machine. *--rightsize-download*"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_model_is_fetched_when_asked_and_found_ever_after(session: pytest.Pytester) -> None:
    fetched = session.runpytest_subprocess("--rightsize-ladder=tiny", "--rightsize-download")
    fetched.stdout.fnmatch_lines(["*test_date *1/1[*]*"])
    assert fetched.ret == pytest.ExitCode.OK
    again = session.runpytest_subprocess("--rightsize-ladder=tiny")
    again.stdout.fnmatch_lines(["*test_date *1/1[*]*"])


def test_a_repository_that_is_not_there_is_a_fault_and_no_wrong_answer(session: pytest.Pytester) -> None:
    result = session.runpytest_subprocess("--rightsize-ladder=gone", "--rightsize-download")
    result.stdout.fnmatch_lines(["*UNDECIDED", "*hf:o/gone could not be fetched (*check name, *HF_ENDPOINT*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
