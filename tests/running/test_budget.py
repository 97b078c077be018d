"""Budgets are checked before each request, and count the requests in flight."""

import json
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_rightsize.energy import Energy
from pytest_rightsize.records import Price, Reply, Rung, Tokens
from pytest_rightsize.running.budget import Budget
from tests.providers.openai.endpoint import Answering, completion, serve
from tests.recorded.test_recorder import rungs

FAR = Rung(name="far", provider="openai", price=Price(prompt=1e6, completion=1e6))
NEAR = Rung(name="near", provider="llama_cpp")


def reply(tokens: int | None, *, joules: float | None = None) -> Reply:
    energy = None if joules is None else Energy(joules=joules, provenance="measured")
    counts = Tokens() if tokens is None else Tokens(prompt=tokens, completion=0, source="reported")
    return Reply(text="x", tokens=counts, energy=energy)


def ended(outcome: Reply | Exception) -> Future[Reply]:
    future: Future[Reply] = Future()
    if isinstance(outcome, Reply):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
    return future


def still(clock_s: float = 0.0) -> Any:
    return lambda: clock_s


def answer(budget: Budget, rung: Rung, outcome: Reply | Exception) -> None:
    budget.settle(rung, ended(outcome), leaves_machine=rung is FAR)


@given(limit=st.integers(1, 500), costs=st.lists(st.integers(1, 50), min_size=60, max_size=60))
def test_it_is_passed_by_no_more_than_the_last_is_dearer_than_any_before(limit: int, costs: list[int]) -> None:
    budget = Budget({"tokens": limit}, clock=still())
    spent = dearest = 0
    for cost in costs:
        if budget.take("far") is not None:
            assert spent + max(dearest, 1) > limit or spent >= limit
            break
        answer(budget, FAR, reply(cost))
        spent += cost
        assert spent <= limit + max(0, cost - dearest)
        dearest = max(dearest, cost)


@given(limit=st.integers(1, 300), cost=st.integers(1, 20), together=st.integers(1, 16))
def test_all_of_it_is_spent_by_answers_of_one_price_however_many_are_in_flight(
    limit: int, cost: int, together: int
) -> None:
    told: list[str] = []
    budget = Budget({"tokens": limit}, clock=still(), on_spent=told.append)
    taken: list[int] = [0]
    spent = 0

    def ask() -> None:
        while budget.take("far") is None:
            taken[0] += 1
            waiting.release()

    waiting = threading.Semaphore(0)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while thread.is_alive() or waiting._value:
        if waiting.acquire(timeout=0.001):
            for _ in range(1 + sum(waiting.acquire(blocking=False) for _ in range(together))):
                answer(budget, FAR, reply(cost))
                spent += cost
    # The first is asked without knowing what it takes.
    assert spent == max(cost, limit // cost * cost)
    assert len(told) == 1


def test_until_an_answer_is_known_one_is_in_flight() -> None:
    budget = Budget({"tokens": 100}, clock=still())
    assert budget.take("far") is None
    second: list[str | None] = []
    thread = threading.Thread(target=lambda: second.append(budget.take("far")))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    answer(budget, FAR, reply(40))
    thread.join()
    assert second == [None]


def test_what_nobody_counted_cannot_be_kept_within_a_budget() -> None:
    budget = Budget({"tokens": 100}, clock=still())
    assert budget.take("far") is None
    answer(budget, FAR, reply(None))
    assert budget.take("far") == ("a budget in tokens cannot be kept on the rung 'far', which does not tell its tokens")
    assert budget.take("near") is None


@pytest.mark.parametrize(
    ("limits", "rung", "outcome", "left"),
    [
        ({"usd": 5}, FAR, reply(5), False),
        ({"usd": 5}, FAR, reply(2), True),
        ({"usd": 5}, NEAR, reply(None), True),
        ({"joules": 5}, NEAR, reply(1, joules=5.0), False),
        ({"joules": 5}, NEAR, reply(1, joules=1.0), True),
        ({"joules": 5}, NEAR, reply(1), False),
        ({"tokens": 5}, FAR, ValueError(), True),
        ({"tokens": 9, "usd": 5}, FAR, reply(5), False),
    ],
)
def test_each_unit_is_counted(limits: dict[str, float], rung: Rung, outcome: Any, left: bool) -> None:
    budget = Budget(limits, clock=still())
    assert budget.take(rung.name) is None
    answer(budget, rung, outcome)
    assert (budget.take(rung.name) is None) is left


def test_recorded_answers_are_free() -> None:
    budget = Budget({"tokens": 5}, clock=still())
    assert budget.take("far") is None
    answer(budget, FAR, Reply(text="x", tokens=Tokens(prompt=9, completion=9, source="reported"), replayed=True))
    assert budget.take("far") is None


def test_time_is_counted_from_the_first_request() -> None:
    now = [100.0]
    budget = Budget({"seconds": 5}, clock=lambda: now[0])
    assert budget.take("far") is None
    answer(budget, FAR, reply(1))
    now[0] = 104.9
    assert budget.take("far") is None
    now[0] = 105.0
    assert "the budget of 5 seconds is spent (5, and" in str(budget.take("far"))


def test_time_runs_out_while_answers_are_waited_for() -> None:
    budget = Budget({"seconds": 0.05, "tokens": 10}, clock=time.monotonic)
    assert budget.take("far") is None
    assert "0.05 seconds is spent" in str(budget.take("far"))  # the first is not answered, so there is no second


# --- sessions ---------------------------------------------------------------------------------------------------------

SUITE = """
    import pytest

    @pytest.mark.parametrize("number", range(30))
    def test_it(model, number):
        assert model.ask(f"say {number}") == "yes"
"""
PRICE = "price = { prompt = 100000, completion = 100000 }"


def session(
    pytester: pytest.Pytester, *options: str, more: str = ""
) -> tuple[pytest.RunResult, list[dict[str, Any]], int]:
    """A session in which each answer takes 7 tokens to ask and 2 to give; its results and what was asked."""
    pytester.makepyfile(test_suite=SUITE)
    with serve(lambda _: Answering(body=completion("yes"))) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url).replace("retries = 0", f"retries = 0\n{more}"))
        result = pytester.runpytest("--rightsize-ladder=small,big", "--rightsize-results=run.jsonl", *options)
    path = pytester.path / "run.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return result, lines, len(endpoint.requests)


@pytest.mark.parametrize(
    ("budget", "more", "asked"),
    [("tokens:90", "", 10), ("usd:9,tokens:1e6", PRICE, 10), ("seconds:3600", "", 30), ("joules:9", "", 1)],
)
def test_what_a_budget_does_not_reach_is_not_run_and_undecided(
    pytester: pytest.Pytester, budget: str, more: str, asked: int
) -> None:
    result, lines, requests = session(pytester, f"--rightsize-budget={budget}", more=more)
    assert requests == asked
    trials = [line for line in lines if line["kind"] == "trial"]
    outcomes = [(trial["outcome"], trial["reason"]) for trial in trials if trial["rung"] == "small"]
    assert outcomes.count(("passed", None)) == asked
    assert outcomes.count(("not_run", "budget")) == 30 - asked
    (verdict,) = [line for line in lines if line["kind"] == "verdict"]
    assert verdict["verdict"] == ("unchosen" if asked == 30 else "undecided")
    if budget.startswith("tokens"):
        told = "rightsize: the budget of 90 tokens is spent (90, and another request may take more than is left): the *"
        result.stdout.fnmatch_lines([told])
        assert str(result.stdout).count("the rest is not run") == 1


def test_recorded_answers_take_nothing_of_a_budget(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=SUITE)
    with serve(lambda _: Answering(body=completion("yes"))) as endpoint:
        pytester.makefile(".toml", rightsize=rungs(endpoint.url))
        asked = []
        for _ in range(4):
            result = pytester.runpytest("--rightsize-ladder=small,big", "--rightsize-budget=tokens:90")
            asked.append(len(endpoint.requests))
    assert asked == [10, 20, 30, 30]
    result.stdout.fnmatch_lines(["*::test_it *30/30[*] *", "30 of 30 answers came from the cache or a recording"])


def test_workers_share_a_budget(pytester: pytest.Pytester) -> None:
    _, _, requests = session(pytester, "--rightsize-budget=tokens:90", "-n2")
    assert requests <= 10


def test_a_rung_without_a_price_is_not_free(pytester: pytest.Pytester) -> None:
    pytester.makefile(
        ".toml", rightsize='[ladder.far]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://192.0.2.1"\n'
    )
    result = pytester.runpytest("--rightsize-ladder=far", "--rightsize-budget=usd:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--rightsize-budget has usd, and far has no price, which is not the same as free" in str(result.stderr)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("dollars:2", "unknown unit 'dollars'"),
        ("token:2", "unknown unit 'token': did you mean 'tokens'?"),
        ("usd", "give each unit once, and an amount above 0"),
        ("usd:0", "give each unit once, and an amount above 0"),
        ("usd:inf", "give each unit once, and an amount above 0"),
        ("usd:nan", "give each unit once, and an amount above 0"),
        ("usd:1,usd:2", "give each unit once, and an amount above 0"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(pytester: pytest.Pytester, given: str, words: str) -> None:
    result = pytester.runpytest(f"--rightsize-budget={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in str(result.stderr)
