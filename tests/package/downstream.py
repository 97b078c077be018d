"""A project that uses pytest-rightsize, as mypy sees it: every export, and a provider, a meter and a report of its own.

`tox run -e package` checks it, strictly, against the wheel; it is never run.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar, assert_type

import openai

import pytest_rightsize
from pytest_rightsize import (
    Answer,
    ConfigError,
    Conversation,
    FormatError,
    Match,
    Matcher,
    Model,
    NoAnswerError,
    RightsizeError,
    RungError,
    TooLongError,
    containing,
    fuzzy,
    json_matching,
    number,
    one_of,
)
from pytest_rightsize.providers import Problem, Provider
from pytest_rightsize.records import Identity, Reply, Request, Run, Rung, Tokens
from pytest_rightsize.reports import Report
from pytest_rightsize.verdict_records import Verdict

errors: list[type[RightsizeError]] = [ConfigError, FormatError, NoAnswerError, RungError, TooLongError]
matchers: list[Matcher] = [
    containing("a"),
    fuzzy("a"),
    json_matching({"type": "object"}),
    number(1.5),
    one_of("a", "b"),
]


def test_types_of_an_answer(model: Model) -> None:
    answer = model.ask("Which queue?", system="Name one.", max_tokens=5, temperature=0.0, seed=1)
    assert_type(answer, Answer)
    text: str = answer
    assert_type(answer.tokens, Tokens)
    assert_type(answer.cost_usd, float | None)
    assert_type(model.rung, str)
    assert_type(model.client, openai.OpenAI)
    assert_type(model.async_client, openai.AsyncOpenAI)
    assert_type(model.base_url, str)
    assert_type(model.env, dict[str, str])
    assert_type(model.chat(system="Be short."), Conversation)
    match = matchers[0].match(text)
    assert_type(match, Match)


async def test_types_of_async(model: Model) -> None:
    assert_type(await model.aask("Which queue?"), Answer)


class Echo:
    """A provider of one's own."""

    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    leaves_machine = False

    def __init__(self, rung: Rung) -> None:
        self.rung = rung

    def check(self) -> Problem | None:
        return None

    def identity(self, sha256: Callable[[Path], str]) -> Identity | None:
        return None

    def submit(self, request: Request) -> Future[Reply]:
        future: Future[Reply] = Future()
        future.set_result(Reply(text=str(request.messages[-1]["content"]), tokens=Tokens()))
        return future

    def close(self) -> None:
        pass


class Lines:
    """A report of one's own."""

    texts = "none"

    def check(self) -> str | None:
        return None

    def render(self, run: Run, verdicts: Sequence[Verdict]) -> str:
        return f"tasks: {len(verdicts)} of {len(run.policies)}"


providers: list[type[Provider]] = [Echo]
reports: list[type[Report]] = [Lines]
names: list[str] = pytest_rightsize.__all__
