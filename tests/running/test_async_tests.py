"""Async tests are in flight together: cancelled while they wait for a reply, they start again when it is there."""

import json
from collections.abc import Callable
from textwrap import dedent

import pytest

from tests.running.test_suspension import LADDER, PROVIDER, asked, check_in_flight_together, most, starts

HEAD = """
import asyncio
import pytest

def note(text):
    with open("log.txt", "a") as file:
        file.write(text + "\\n")
"""


@pytest.fixture
def gated(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose rung answers four requests at a time, or whatever there is after a moment."""
    pytester.makeconftest(PROVIDER)
    pytester.makefile(".toml", rightsize=LADDER)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


@pytest.fixture(autouse=True)
def _async_plugins(load: Callable[..., None]) -> None:
    load("anyio.pytest_plugin")


def climb(gated: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    gated.makepyfile(test_async=HEAD + dedent(tests))
    return gated.runpytest(
        "--rightsize-ladder=gate", "--rightsize-results=run.jsonl", "--rightsize-cache=off", *options
    )


@pytest.mark.parametrize("marker", ["asyncio", "asyncio(loop_scope='session')", "anyio"])
def test_async_tests_are_in_flight_together(gated: pytest.Pytester, marker: str) -> None:
    result = climb(
        gated,
        f"""
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.{marker}
        @pytest.mark.parametrize("word", "abcdefgh")
        async def test_upper(model, word):
            note(word)
            assert await model.aask(word) == word.upper()
        """,
    )
    check_in_flight_together(result, gated)


def test_all_that_is_asked_side_by_side_is_asked_before_the_test_is_left(gated: pytest.Pytester) -> None:
    result = climb(
        gated,
        """
        @pytest.mark.asyncio
        async def test_gather(model):
            note("gather")
            assert await asyncio.gather(*(model.aask(word) for word in "abc")) == ["A", "B", "C"]

        @pytest.mark.asyncio
        async def test_group(model):
            note("group")
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(model.aask(word)) for word in "de"]
            assert [task.result() for task in tasks] == ["D", "E"]

        @pytest.mark.asyncio
        async def test_rounds(model):
            note("rounds")
            first = await asyncio.gather(*(model.aask(word) for word in "fg"))
            assert await model.aask("".join(first)) == "FG"
        """,
    )
    result.assert_outcomes(passed=3)
    assert sorted(asked(gated)) == sorted([*"abcdefg", "FG"])
    counts = {name: starts(gated).count(name) for name in ("gather", "group", "rounds")}
    assert counts == {"gather": 2, "group": 2, "rounds": 3}
    assert not result.parseoutcomes().get("warnings")


def test_a_test_is_left_beside_a_task_that_asks_nothing(gated: pytest.Pytester) -> None:
    """Its two replies come with those of the next test, which starts when this one is left."""
    gated.makefile(".toml", rightsize=LADDER.replace("together = 4", "together = 4\ndelay_ms = 60000"))
    result = climb(
        gated,
        """
        @pytest.mark.asyncio
        async def test_beside_another_task(model):
            note("beside")
            busy = asyncio.create_task(asyncio.sleep(60))
            assert await asyncio.gather(*(model.aask(word) for word in "ab")) == ["A", "B"]
            busy.cancel()

        @pytest.mark.asyncio
        async def test_next(model):
            assert await asyncio.gather(*(model.aask(word) for word in "cd")) == ["C", "D"]
        """,
    )
    result.assert_outcomes(passed=2)
    assert sorted(asked(gated)) == list("abcd")
    assert starts(gated) == ["beside"] * 2
    assert not result.parseoutcomes().get("warnings")


def test_what_a_test_makes_of_its_cancellation_is_dropped_with_the_start(gated: pytest.Pytester) -> None:
    result = climb(
        gated,
        """
        @pytest.mark.asyncio
        async def test_swallows(model):
            try:
                answer = await model.aask("a")
            except asyncio.CancelledError:
                answer = "fallback"
            assert answer == "A"

        @pytest.mark.asyncio
        async def test_asks_on(model):
            try:
                answer = await model.aask("b")
            except asyncio.CancelledError:
                answer = await model.aask("never asked")
            assert answer == "B"

        @pytest.mark.asyncio
        async def test_turns_it_into_an_error(model):
            try:
                answer = await model.aask("c")
            except asyncio.CancelledError:
                raise RuntimeError("cancelled?")
            assert answer == "C"

        @pytest.mark.asyncio
        async def test_leaves_a_task(model):
            async def ask_later():
                await asyncio.sleep(0.5)
                await model.aask("nobody waits for it")
            task = asyncio.create_task(ask_later())
            assert await model.aask("d") == "D"
            task.cancel()
        """,
    )
    result.assert_outcomes(passed=4)
    assert sorted(asked(gated)) == list("abcd")


def test_the_sync_question_of_an_async_test_is_suspended_too(gated: pytest.Pytester) -> None:
    result = climb(
        gated,
        """
        @pytest.mark.asyncio
        @pytest.mark.parametrize("word", "abcd")
        async def test_upper(model, word):
            note(word)
            assert model.ask(word) == word.upper()
        """,
    )
    result.assert_outcomes(passed=4)
    assert most(gated) == 4
    assert 4 < len(starts(gated)) <= 8


@pytest.mark.parametrize(
    ("tests", "options"),
    [
        ("@pytest.mark.rightsize(concurrent=False)\n@pytest.mark.asyncio\n", []),
        ("@pytest.mark.asyncio\n", ["--rightsize-concurrency=1"]),
    ],
    ids=["marker", "option"],
)
def test_where_a_test_starts_once_its_reply_is_awaited_in_place(
    gated: pytest.Pytester, tests: str, options: list[str]
) -> None:
    body = "async def test_it(model):\n    note('once')\n    assert await model.aask('a') == 'A'\n"
    climb(gated, tests + body, *options).assert_outcomes(passed=1)
    assert starts(gated) == ["once"]


def test_an_async_fixture_waits_in_place_and_a_start_that_is_left_finishes_it(gated: pytest.Pytester) -> None:
    result = climb(
        gated,
        """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def asked(model):
            yield await model.aask("fixture")
            note("finished")

        @pytest.mark.asyncio
        async def test_it(model, asked):
            assert asked == "FIXTURE" and await model.aask("test") == "TEST"
        """,
    )
    result.assert_outcomes(passed=1)
    assert sorted(asked(gated)) == ["fixture", "test"]
    assert starts(gated) == ["finished"] * 2


def test_a_question_may_be_cancelled_at_every_start(gated: pytest.Pytester) -> None:
    """Its reply is there when the test starts again, and comes no sooner than a model's."""
    result = climb(
        gated,
        """
        @pytest.mark.asyncio
        async def test_it(model):
            asking = asyncio.create_task(model.aask("a"))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await model.aask("b") == "B"
        """,
    )
    result.assert_outcomes(passed=1)
    assert sorted(asked(gated)) == ["a", "b"]


def test_an_async_fixture_may_ask_when_it_ends(gated: pytest.Pytester) -> None:
    """In a start that is left it is not asked, which ends nothing but the fixture: later tests have their loop."""
    result = climb(
        gated,
        """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def asking(model):
            yield
            assert await model.aask("end") == "END"
            note("finished")

        @pytest.mark.asyncio
        async def test_it(model, asking):
            assert await model.aask("test") == "TEST"

        @pytest.mark.asyncio
        async def test_later(model):
            assert await model.aask("later") == "LATER"
        """,
    )
    result.assert_outcomes(passed=2)
    assert sorted(asked(gated)) == ["end", "later", "test"]
    assert starts(gated) == ["finished"]


def test_a_loop_of_wider_scope_and_its_fixtures_outlive_starts_that_are_left(gated: pytest.Pytester) -> None:
    result = climb(
        gated,
        """
        import pytest_asyncio
        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def loop():
            note("set up")
            yield asyncio.get_running_loop()
            note("finished")

        @pytest.mark.parametrize("word", "abc")
        async def test_upper(model, loop, word):
            assert loop is asyncio.get_running_loop()
            async with asyncio.timeout(60):
                assert await model.aask(word) == word.upper()
            assert not asyncio.current_task().cancelling()
        """,
    )
    result.assert_outcomes(passed=3)
    assert starts(gated) == ["set up", "finished"]
    assert most(gated) == 3


def test_a_fault_is_raised_where_it_is_awaited_and_counts_as_one(gated: pytest.Pytester) -> None:
    result = climb(
        gated,
        """
        from pytest_rightsize.errors import RungError

        @pytest.mark.asyncio
        async def test_it(model):
            with pytest.raises(RungError):
                await model.aask("fault")
        """,
    )
    result.assert_outcomes(failed=0, passed=0)
    trial = next(
        line
        for line in map(json.loads, (gated.path / "run.jsonl").read_text(encoding="utf-8").splitlines())
        if line["kind"] == "trial"
    )
    assert (trial["outcome"], trial["reason"]) == ("error", "server")
    assert asked(gated) == ["fault"]
