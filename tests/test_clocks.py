"""Time that a test freezes, moves or patches reaches no seconds, no date and no time limit of ours."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_rightsize import clocks
from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.openai.provider import OpenAI
from pytest_rightsize.records import Request, Rung
from pytest_rightsize.results.results_file import read_run
from tests.providers.openai.endpoint import Answering, completion, serve

NAMES = ("time", "monotonic", "perf_counter", "process_time", "sleep")


@contextmanager
def replaced(moved_s: float | None) -> Iterator[None]:
    """As freezegun does it: replace the functions wherever a module has one, by whatever name.

    None freezes time for good; else it runs on from so many seconds later.
    """
    found: list[tuple[Any, str, Any]] = []
    for name in NAMES:
        real = getattr(time, name)
        value = {"time": 1e9}.get(name, 5.0)
        fakes: dict[str, Callable[..., Any]] = {"sleep": lambda _: None}
        if moved_s is None:
            fake = fakes.get(name, lambda value=value: value)
        else:
            fake = fakes.get(name, lambda real=real: real() + moved_s)
        for module in [*sys.modules.values()]:
            for attribute in [key for key, value in [*getattr(module, "__dict__", {}).items()] if value is real]:
                found.append((module, attribute, real))
                setattr(module, attribute, fake)
    try:
        yield
    finally:
        for module, attribute, real in found:
            setattr(module, attribute, real)


@contextmanager
def by_freezegun() -> Iterator[None]:
    freezegun = pytest.importorskip("freezegun")
    # It looks at every name of every module, by which all of scipy would be loaded.
    with freezegun.freeze_time("2001-02-03", ignore=["scipy"]):
        yield


@contextmanager
def by_time_machine() -> Iterator[None]:
    time_machine = pytest.importorskip("time_machine")
    with time_machine.travel("2001-02-03", tick=False):
        yield


WAYS = {
    "frozen": lambda: replaced(None),
    "moved": lambda: replaced(7200.0),
    "freezegun": by_freezegun,
    "time-machine": by_time_machine,
}


@pytest.mark.parametrize("way", WAYS)
def test_our_clocks_go_on(way: str) -> None:
    real_sleep, real_now = time.sleep, datetime.now(UTC)
    ours = (clocks.monotonic(), clocks.perf_counter())
    with WAYS[way]():
        real_sleep(0.01)
        clocks.sleep(0.01)
        passed = (clocks.monotonic() - ours[0], clocks.perf_counter() - ours[1])
        date, day = clocks.now(), clocks.today()
    assert all(0.015 < seconds < 600 for seconds in passed)
    assert timedelta(0) <= date - real_now + timedelta(seconds=1) < timedelta(minutes=10)
    assert abs(day - real_now.astimezone().date()) <= timedelta(days=1)


def test_the_date_is_the_systems() -> None:
    assert abs(clocks.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert clocks.now().tzinfo is UTC


@pytest.mark.parametrize("way", ["frozen", "freezegun"])
def test_a_time_limit_ends_a_request_while_time_stands_still(way: str) -> None:
    release = threading.Event()

    def hang(asked: dict[str, Any]) -> Answering:
        release.wait(30)
        return Answering(body=completion("late"))

    with serve(hang) as endpoint:
        options = {"base_url": endpoint.url, "retries": 0, "timeout_s": 0.2}
        rung = OpenAI(Rung(name="far", provider="openai", model="m", options=options))
        with WAYS[way](), pytest.raises(RungError, match=r"within 0\.2 s") as raised:
            rung.submit(Request(messages=({"role": "user", "content": "a"},))).result(30)
        release.set()
        rung.close()
    assert raised.value.reason == "timeout"


def test_a_leap_of_time_ends_no_request() -> None:
    """The request is in flight when two hours pass for the test, and its limit is one."""
    arrived, release = threading.Event(), threading.Event()

    def answer(asked: dict[str, Any]) -> Answering:
        arrived.set()
        release.wait(30)
        return Answering(body=completion("in time"))

    with serve(answer) as endpoint:
        options = {"base_url": endpoint.url, "retries": 0, "timeout_s": 3600}
        rung = OpenAI(Rung(name="far", provider="openai", model="m", options=options))
        future = rung.submit(Request(messages=({"role": "user", "content": "a"},)))
        assert arrived.wait(30)
        with replaced(7200.0):
            # The loop wakes, and looks at its limits, for another request.
            other = rung.submit(Request(messages=({"role": "user", "content": "b"},)))
            release.set()
            replies = [future.result(30), other.result(30)]
        rung.close()
    assert [reply.text for reply in replies] == ["in time", "in time"]
    assert all(reply.seconds is not None and reply.seconds < 600 for reply in replies)


def test_a_pause_before_a_retry_is_no_sleep_that_a_test_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [429, 200]

    def answer(asked: dict[str, Any]) -> Answering:
        status = statuses.pop(0)
        return Answering(status=status, body=completion("a"), headers={"retry-after-ms": "1"} if status == 429 else {})

    with serve(answer) as endpoint:
        rung = OpenAI(Rung(name="far", provider="openai", model="m", options={"base_url": endpoint.url}))
        monkeypatch.setattr(asyncio, "sleep", None)
        reply = rung.submit(Request(messages=({"role": "user", "content": "a"},))).result(30)
        monkeypatch.undo()
        rung.close()
    assert reply.text == "a"


SUITE = """
    import datetime
    import time
    import pytest
    {imports}

    {freeze}

    @pytest.mark.parametrize("word", ["a", "b"])
    def test_it(frozen, model, word):
        assert time.time() < 1.1e9
        assert model.ask(word) == word
"""
FREEZES = {
    "monkeypatch": """
    @pytest.fixture
    def frozen(monkeypatch):
        for name, value in (("time", 1e9), ("monotonic", 5.0), ("perf_counter", 5.0)):
            monkeypatch.setattr(time, name, lambda value=value: value)
        monkeypatch.setattr("_pytest.timing.perf_counter", lambda: 5.0)
""",
    "freezegun": """
    @pytest.fixture
    def frozen():
        with freezegun.freeze_time("2001-02-03", ignore=["scipy"]):
            yield
""",
    "time_machine": """
    @pytest.fixture
    def frozen():
        with time_machine.travel("2001-02-03", tick=False):
            yield
""",
}


@pytest.mark.parametrize("options", [(), ("--rightsize-concurrency=1",)])
@pytest.mark.parametrize("way", FREEZES)
def test_trials_have_their_seconds_and_dates(way: str, options: tuple[str, ...], pytester: pytest.Pytester) -> None:
    if way != "monkeypatch":
        pytest.importorskip(way)
    imports = "" if way == "monkeypatch" else f"import {way}"
    pytester.makepyfile(test_it=SUITE.format(imports=imports, freeze=FREEZES[way].strip()))

    def answer(asked: dict[str, Any]) -> Answering:
        time.sleep(0.05)
        return Answering(body=completion(asked["messages"][-1]["content"]))

    before = datetime.now(UTC)
    with serve(answer) as endpoint:
        pytester.makefile(
            ".toml", rightsize=f'[ladder.far]\nprovider = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\n'
        )
        arguments = ("--rightsize-ladder=far", "--rightsize-results=run.jsonl", "--rightsize-gate=none", *options)
        result = pytester.runpytest(*arguments)
        result.assert_outcomes(passed=2)
    trials = read_run(pytester.path / "run.jsonl").trials
    assert {trial.outcome for trial in trials} == {"passed"}
    for trial in trials:
        assert 0.05 <= (trial.seconds or 0) < 300
        assert 0.05 <= (trial.answers[0].seconds or 0) < 300
    head = json.loads((pytester.path / "run.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert datetime.fromisoformat(head["started"]) >= before - timedelta(seconds=2)
    from pytest_rightsize.recorded.cache import AnswerCache

    recorded = [answer.recorded for answer in AnswerCache(pytester.path / ".rightsize", read_only=True).entries()]
    assert len(recorded) == 2
    assert all(datetime.fromisoformat(date) >= before - timedelta(seconds=2) for date in recorded)
