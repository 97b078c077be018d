"""A project whose application asks a model over HTTP, and whose rungs are made here; for sessions in pytester.

The rung `gate` answers in upper case, once as many requests are in flight as its `together` says or a moment has
passed, so that nothing depends on time.
"""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.running.test_suspension import PROVIDER

LADDER = """
default = "gate"
[app]
serve = true
[ladder.gate]
provider = "gate"
together = {together}
delay_ms = {delay_ms}
"""
# An application that knows nothing of tests: it asks whatever its variable names.
APP = '''
import json
import os
import urllib.error
import urllib.request


class Refused(Exception):
    """The status, the body and the headers of a refusal."""


def post(path, body, root=None, headers=()):
    url = (root or os.environ["OPENAI_BASE_URL"]) + path
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=dict(headers))
    try:
        with urllib.request.urlopen(request) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(), dict(error.headers)) from None


def ask(text, root=None, model="gpt", **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return json.loads(post("/chat/completions", body, root))["choices"][0]["message"]["content"]


def note(text):
    with open(os.path.join(os.path.dirname(__file__), "log.txt"), "a") as file:
        file.write(text + "\\n")
'''

# The same by the HTTP client that most SDKs use.
_HTTPX_POST = """
try:
    import httpx2 as httpx
except ImportError:
    import httpx
client = httpx.Client(timeout=60)


def post(path, body, root=None, headers=()):
    response = client.post((root or os.environ["OPENAI_BASE_URL"]) + path, json=body, headers=dict(headers))
    if response.status_code >= 400:
        raise Refused(response.status_code, response.text, dict(response.headers))
    return response.text


def ask("""


def make(
    pytester: pytest.Pytester, *, together: int = 4, delay_ms: int = 250, more: str = "", client: str = "urllib"
) -> None:
    """Write the rung, the ladder and the application, whose `client` is urllib or httpx."""
    pytester.makeconftest(PROVIDER)
    ladder = LADDER.format(together=together, delay_ms=delay_ms) + dedent(more)
    pytester.makefile(".toml", rightsize=ladder)
    before, ask, after = APP.partition("def ask(")
    assert ask
    pytester.makepyfile(app=APP if client == "urllib" else before + _HTTPX_POST + after)


def climb(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run the tests on the rung `gate`, in this process."""
    pytester.makepyfile(test_app=dedent(tests))
    options = ("--rightsize-ladder=gate", "--rightsize-results=run.jsonl", "--rightsize-cache=off", *options)
    return pytester.runpytest(*options)


def trials(pytester: pytest.Pytester) -> dict[str, dict[str, Any]]:
    """The trials of the results file, by the name of the test's case."""
    lines = [json.loads(line) for line in (pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["case"].rpartition("::")[2]: line for line in lines if line["kind"] == "trial"}


def outcomes(pytester: pytest.Pytester) -> dict[str, tuple[str, str | None]]:
    """The outcome and the reason of each trial, by the name of the test's case."""
    return {name: (trial["outcome"], trial["reason"]) for name, trial in trials(pytester).items()}


def asked(pytester: pytest.Pytester) -> list[str]:
    """The last message of each question that reached a rung, in order."""
    return _lines(pytester.path / "asked.txt")


def notes(pytester: pytest.Pytester) -> list[str]:
    """What the tests wrote down of their starts."""
    return _lines(pytester.path / "log.txt")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
