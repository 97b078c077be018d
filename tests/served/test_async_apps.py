"""Async tests whose application asks over HTTP: their task is cancelled while they wait."""

from collections.abc import Callable

import pytest

from tests.running.test_suspension import check_in_flight_together
from tests.served.project import asked, climb, make, notes

HEAD = """
import asyncio, os
import aiohttp, pytest
import app

async def ask(text, session=None):
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    body = {"model": "gpt", "messages": [{"role": "user", "content": text}]}
    if session is None:
        async with aiohttp.ClientSession() as session:
            return await ask(text, session)
    async with session.post(url, json=body) as response:
        return (await response.json())["choices"][0]["message"]["content"]
"""


@pytest.fixture
def project(pytester: pytest.Pytester, load: Callable[..., None]) -> pytest.Pytester:
    make(pytester)
    load("anyio.pytest_plugin")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


@pytest.mark.parametrize("marker", ["asyncio", "asyncio(loop_scope='session')", "anyio"])
def test_async_tests_of_one_call_are_in_flight_together(project: pytest.Pytester, marker: str) -> None:
    result = climb(
        project,
        f"""{HEAD}
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.{marker}
@pytest.mark.parametrize("word", "abcdefgh")
async def test_upper(model, word):
    app.note(word)
    assert await ask(word) == word.upper()
""",
    )
    check_in_flight_together(result, project)


def test_what_is_asked_side_by_side_is_asked_once(project: pytest.Pytester) -> None:
    result = climb(
        project,
        f"""{HEAD}
pytestmark = pytest.mark.asyncio

async def test_gather(model):
    assert await asyncio.gather(*map(ask, "abc")) == ["A", "B", "C"]

async def test_group_of_one_client(model):
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(word, session)) for word in "de"]
    assert [task.result() for task in tasks] == ["D", "E"]

async def test_thread(model):
    assert await asyncio.to_thread(app.ask, "f") == "F"

async def test_swallows(model):
    try:
        answer = await ask("g")
    except asyncio.CancelledError:
        answer = "fallback"
    assert answer == "G"

async def test_both(model):
    assert await asyncio.gather(ask("h"), model.aask("i")) == ["H", "I"]
""",
    )
    result.assert_outcomes(passed=5)
    assert sorted(asked(project)) == list("abcdefghi")
    assert not result.parseoutcomes().get("warnings")


def test_a_client_that_outlives_its_loop_finds_no_connection_of_it(project: pytest.Pytester) -> None:
    pytest.importorskip("openai")
    result = climb(
        project,
        """
        import openai, pytest
        client = openai.AsyncOpenAI(max_retries=0)

        @pytest.mark.asyncio
        @pytest.mark.parametrize("word", "abcd")
        async def test_it(model, word):
            made = await client.chat.completions.create(model="x", messages=[{"role": "user", "content": word}])
            assert made.choices[0].message.content == word.upper()
        """,
    )
    result.assert_outcomes(passed=4)
    assert sorted(asked(project)) == list("abcd")


def test_a_task_that_outlives_its_test_asks_for_nobody(project: pytest.Pytester) -> None:
    """A task in a loop of wider scope goes on when the next test runs there."""
    result = climb(
        project,
        f"""{HEAD}
pytestmark = pytest.mark.asyncio(loop_scope="session")

go_on = asyncio.Event()

async def ask_later():
    await go_on.wait()
    try:
        await ask("stray")
    except KeyError:
        app.note("refused")

async def test_leaves(model):
    asyncio.create_task(ask_later())
    assert await ask("a") == "A"

async def test_next(model):
    assert await ask("b") == "B"
    go_on.set()
    await asyncio.sleep(0.5)
""",
        "--rightsize-concurrency=1",
    )
    assert asked(project) == ["a", "b"]
    assert notes(project) == ["refused"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the task * has left running: let that test wait for its tasks*"])
