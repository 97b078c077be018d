"""Every public name has an example in its docstring, and the example is true."""

import asyncio
import doctest
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NoReturn

import openai
import pytest

import pytest_rightsize
from pytest_rightsize import hookspecs
from pytest_rightsize.energy import Energy
from pytest_rightsize.errors import RightsizeError, unknown_name
from pytest_rightsize.judges import CURRENT
from pytest_rightsize.model import Model, Transcript
from pytest_rightsize.records import Price, Reply, Request, Run, Rung, Tokens
from pytest_rightsize.verdict_records import Verdict
from tests.docs.public_names import examples_of, members_without_example, public_names, resolved
from tests.threaded_server import serving

PUBLIC = public_names(Path(__file__).parents[2] / "docs" / "reference" / "api.md")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ANSWERS = {
    "ISO date: 3 May 2026": "2026-05-03",
    "The date as JSON: 3 May 2026": '{"year": 2026, "month": 5}',
    "Capital of France?": "Paris",
    "Capital of Italy?": "Rome",
    "And of Italy?": "Rome",
    "How are you?": "Fine, thank you.",
}


def _reply(request: Request) -> Reply:
    return Reply(
        text=ANSWERS[request.messages[-1]["content"]],
        seconds=0.5,
        tokens=Tokens(prompt=14, completion=5, source="reported"),
        finish_reason="stop",
        energy=Energy(joules=2.0, provenance="measured", boundary=frozenset({"host"})),
    )


class _Chat(BaseHTTPRequestHandler):
    """The chat endpoint that SDKs reach."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": ANSWERS[asked["messages"][-1]["content"]]}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "1b", "choices": [choice]}
        body = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        """Say nothing."""


class _Address:
    """Real clients of the SDK."""

    def __init__(self, url: str) -> None:
        self.base_url = f"{url}/v1"
        self.env = {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "rightsize"}

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.base_url, api_key="rightsize")

    @property
    def async_client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self.base_url, api_key="rightsize")


@pytest.fixture(scope="module")
def address() -> Iterator[_Address]:
    with serving(_Chat) as url:
        yield _Address(url)


class _Judge:
    """A judge that likes every answer, and prefers the longer one."""

    question = None

    def ask(self, by: str, prompt: str, **_: object) -> str:
        assert by == "frontier"
        parts = re.findall(r"<answer[^>]*>\n(.*?)\n</answer", prompt, re.DOTALL)
        better = "A" if len(parts[0]) > len(parts[-1]) else "B"
        return json.dumps({"reason": "so it is", "score": 5, "better": better})

    def refuse(self, words: str) -> NoReturn:
        raise AssertionError(words)

    def decided(self, criterion: object, text: str, *, passed: bool, reference: str | None) -> None:
        pass


def _names(address: _Address) -> dict[str, Any]:
    """What examples may use beside the names of their own module: `model` above all."""
    CURRENT.set(_Judge())
    price = Price(prompt=0.5, completion=2.8)
    model = Model(
        rung_record=Rung(name="1b", provider="openai", price=price),
        answer=_reply,
        transcript=Transcript(),
        address=lambda: address,
    )
    names = {"Run": Run, "RightsizeError": RightsizeError, "Verdict": Verdict, "unknown_name": unknown_name}
    return {"model": model, "asyncio": asyncio, **names}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_is_true(name: str, address: _Address) -> None:
    thing = resolved(name)
    assert members_without_example(thing, PUBLIC[name]) == [], f"{name}: these have no example in a docstring"
    runner = doctest.DocTestRunner(verbose=False, optionflags=_FLAGS)
    said: list[str] = []
    for found in examples_of(thing, name):
        found.globs |= _names(address)
        runner.run(found, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_what_is_exported_and_every_hook_is_on_the_page() -> None:
    exported = {resolved(f"pytest_rightsize.{name}") for name in pytest_rightsize.__all__}
    exported |= {getattr(hookspecs, name) for name in hookspecs.__all__}
    assert exported - {resolved(name) for name in PUBLIC} == set()


class _Told:
    """Has one.

    >>> _Told().told()
    1
    """

    def told(self) -> int:
        return 1

    def untold(self) -> int:
        return 2


def test_what_has_no_example_is_found() -> None:
    assert members_without_example(_Told) == ["untold"]
    assert members_without_example(_Told, frozenset({"untold"})) == []
    assert members_without_example(_names) == [""]
