"""Whether an endpoint would answer, by its list of models: names are written in more ways than they are listed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from pytest_rightsize.providers.openai.probing import probe_models
from tests.threaded_server import serving


@contextmanager
def listing(lists: Mapping[str, list[str]]) -> Iterator[str]:
    """The root of a server with a list of names at each path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = lists.get(self.path)
            body = json.dumps({"data": [{"id": name} for name in names or ()]}).encode()
            self.send_response(200 if names is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Say nothing."""

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize(
    ("reference", "listed", "model"),
    [
        ("Ollama", ["llama3:latest", "qwen3:4b"], "llama3"),
        ("Ollama", ["llama3:latest", "qwen3:4b"], "qwen3:4b"),
        ("Gemini", ["models/gemini-2.5-flash", "models/gemini-2.5-pro"], "gemini-2.5-flash"),
        ("Gemini", ["gemini-2.5-flash"], "models/gemini-2.5-flash"),
        ("OpenRouter", ["vendor/model", "vendor/other"], "vendor/model:nitro"),
        ("llama-server", ["/models/x.gguf"], "anything"),
        ("no list", [], "anything"),
    ],
)
def test_a_name_is_known_by_its_other_spellings(reference: str, listed: list[str], model: str) -> None:
    with listing({"/v1/models": listed}) as root:
        assert probe_models(f"{root}/v1", headers={}, model=model, local_only=True) is None


@pytest.mark.parametrize(
    ("listed", "model"), [(["llama3:latest"], "qwen3"), (["llama3:8b"], "llama3"), (["a", "b"], "c")]
)
def test_another_name_is_not(listed: list[str], model: str) -> None:
    with listing({"/v1/models": listed}) as root:
        problem = probe_models(f"{root}/v1", headers={}, model=model, local_only=True)
    assert problem is not None
    assert f"lists no model {model!r}" in problem.what


def test_a_base_without_its_version_is_told() -> None:
    with listing({"/v1/models": ["m"]}) as root:
        problem = probe_models(root, headers={}, model="m", local_only=True)
    assert problem is not None
    assert (problem.what, problem.remedy) == (f"{root} lacks /v1", f"set base_url to {root}/v1")


def test_a_query_stays_at_the_end_of_the_list_too() -> None:
    with listing({"/openai/models?api-version=1": ["m"]}) as root:
        assert probe_models(f"{root}/openai?api-version=1", headers={}, model="m", local_only=True) is None
        assert probe_models(f"{root}/openai?api-version=1", headers={}, model="x", local_only=True) is not None
