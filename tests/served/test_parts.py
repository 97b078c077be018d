"""The parts of the endpoint that need no session: routing, origins, interruption, costly clients, leaving a start."""

import sys
import threading
from concurrent.futures import Future
from itertools import count
from types import FrameType

import pytest

from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.running.ticket import Question, Ticket
from pytest_rightsize.served.client_cost import ClientCost
from pytest_rightsize.served.interrupting import may_be_interrupted
from pytest_rightsize.served.leftover import may_ask, settle
from pytest_rightsize.served.origins import why_foreign
from pytest_rightsize.served.routing import Routing, UnroutedError

JUDGE = Rung(name="judge", provider="replay")


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Host": "127.0.0.1:8000"}, False),
        ({"Host": "localhost:8000"}, False),
        ({"Host": "LOCALHOST"}, False),
        ({"Host": "[::1]:8000"}, False),
        ({"Host": "[::1]"}, False),
        ({"Host": "rebound.example:8000"}, True),
        ({"Host": "127.0.0.1.evil.example"}, True),
        ({"Host": ""}, True),
        ({}, True),
        ({"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:3000"}, True),
        ({"Host": "127.0.0.1:8000", "Origin": "null"}, True),
    ],
)
def test_only_programs_of_this_machine_are_answered(headers: dict[str, str], refused: bool) -> None:
    assert (why_foreign(headers) is not None) is refused


def test_every_name_is_under_test_unless_the_table_says_otherwise() -> None:
    assert Routing().rung_of("gpt-x") is None
    routing = Routing(stands_for=frozenset({"small"}), others={"planner": JUDGE})
    assert routing.rung_of("small") is None
    assert routing.rung_of("planner") is JUDGE
    with pytest.raises(UnroutedError, match=r"asks the model 'other'.*Named: planner, small"):
        routing.rung_of("other")


# --- where the main thread may be interrupted -------------------------------------------------------------------------


def _frame(*names: str, **globals_: str) -> FrameType | None:
    """The frame of the innermost of functions of these names, each called by the one before it."""
    seen: list[FrameType] = []
    source = "\n".join(
        f"def {name}(*_):\n    {names[place + 1] + '()' if place + 1 < len(names) else 'look()'}"
        for place, name in enumerate(names)
    )
    namespace: dict[str, object] = {"look": lambda: seen.append(sys._getframe(1)), "__name__": "app", **globals_}
    exec(compile(source, "app.py", "exec"), namespace)
    namespace[names[0]]()  # type: ignore[operator]  # the function that was made just now
    return seen[0]


def test_code_that_a_test_of_pytest_calls_may_be_interrupted() -> None:
    """This test runs in `pytest_pyfunc_call`, and so does what it calls."""
    frame = _frame("ask", "send", "recv")
    assert may_be_interrupted(frame, in_loop=False)
    assert may_be_interrupted(sys._getframe(), in_loop=False)


@pytest.mark.parametrize(
    ("names", "module"),
    [
        (("ask", "__del__", "close"), "app"),  # what is raised there is lost
        (("runtestprotocol",), "_pytest.runner"),
        (("_multicall",), "pluggy._callers"),
        (("ask",), "pytest_rightsize.running.engine"),
        (("setup",), "pytest_asyncio.plugin"),
        (("wrapper",), "anyio.pytest_plugin"),
        (("run",), "trio._core._run"),
    ],
)
def test_what_is_not_the_tests_own_code_is_never_interrupted(names: tuple[str, ...], module: str) -> None:
    assert not may_be_interrupted(_frame(*names, __name__=module), in_loop=False)


def test_a_thread_of_its_own_is_no_test() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(may_be_interrupted(sys._getframe(), in_loop=False)))
    thread.start()
    thread.join()
    assert found == [False]


def test_an_event_loop_is_interrupted_only_while_it_waits_for_events() -> None:
    assert may_be_interrupted(_frame("run", "select"), in_loop=True)
    assert not may_be_interrupted(_frame("run", "step"), in_loop=True)


# --- threads that outlive a start -------------------------------------------------------------------------------------


def test_a_thread_that_waits_for_others_asks_nothing_and_one_that_runs_may() -> None:
    go_on = threading.Event()
    runs = [True]

    def run() -> None:
        while runs:
            pass

    waiting = threading.Thread(target=go_on.wait, daemon=True)
    running = threading.Thread(target=run, daemon=True)
    for thread in (waiting, running):
        thread.start()
    assert not may_ask(waiting, frozenset())
    assert may_ask(running, frozenset())
    assert not may_ask(running, frozenset({__file__}))  # it answers for a rung
    assert settle([waiting], lambda: False, frozenset()) == []
    runs.clear()
    go_on.set()
    assert settle([waiting, running], lambda: False, frozenset()) == []
    assert not may_ask(running, frozenset())


# --- leaving a start --------------------------------------------------------------------------------------------------


def _ticket() -> Ticket:
    ticket = Ticket(may_suspend=True)
    ticket.start()
    ticket.next_run()
    return ticket


def _ask(ticket: Ticket, text: str) -> Question:
    """Ask aside, for the first time or again."""
    request = Request(messages=({"role": "user", "content": text},))
    question = ticket.claim(request) or ticket.add_aside(request, Future(), None)
    ticket.wait(question)
    return question


def test_a_start_that_is_left_waits_for_all_that_is_pending() -> None:
    ticket = _ticket()
    first, second = _ask(ticket, "a"), _ask(ticket, "b")
    assert ticket.leave()
    assert ticket.waiting_for is not None
    first.future.set_result(Reply(text="A"))
    assert not ticket.waiting_for.done()
    second.future.set_exception(RuntimeError("no"))  # however it ends
    assert ticket.waiting_for.done()
    assert not ticket.leave()  # it is left already


def test_nothing_is_left_that_waits_for_nothing() -> None:
    ticket = _ticket()
    question = _ask(ticket, "a")
    ticket.wait_no_more(question)
    assert not ticket.may_be_left
    assert not ticket.leave()


def test_a_start_that_asks_something_else_is_not_left_again() -> None:
    """It goes on to its end in place, so that no answer is paid for over and over."""
    ticket = _ticket()
    _ask(ticket, "it is 12:00").future.set_result(Reply(text="x"))
    assert ticket.leave()
    ticket.start()
    ticket.next_run()
    _ask(ticket, "it is 12:01")
    assert not ticket.leave()
    assert not ticket.may_suspend


def test_the_same_words_to_two_rungs_are_two_questions() -> None:
    ticket = _ticket()
    request = Request(messages=({"role": "user", "content": "a"},))
    ticket.add_aside(request, Future(), None)
    ticket.start()
    ticket.next_run()
    assert ticket.claim(request, "judge") is None
    assert ticket.claim(request) is not None


def test_replies_that_were_waited_for_side_by_side_take_the_time_of_the_longest() -> None:
    ticket = _ticket()
    questions = [_ask(ticket, text) for text in "abc"]
    for question in questions:
        question.future.set_result(Reply(text="x", seconds=2.0))
        ticket.remember(question, question.future.result())
    assert ticket.take_remembered_seconds() == pytest.approx(2.0, abs=0.5)


# --- clients that are built for each call -----------------------------------------------------------------------------


@pytest.mark.parametrize(("cost_s", "on_new_connection", "told"), [(0.04, True, 1), (0.04, False, 0), (0.01, True, 0)])
def test_a_client_for_each_call_is_told_once_with_its_cost(
    monkeypatch: pytest.MonkeyPatch, cost_s: float, on_new_connection: bool, told: int
) -> None:
    clock = [0.0]
    monkeypatch.setattr("pytest_rightsize.clocks.processor_time", lambda _: clock[0])
    cost = ClientCost()
    notes = []
    for _ in range(30):
        cost.began()
        clock[0] += cost_s
        notes += [cost.asked(on_new_connection=on_new_connection)]
    texts = [note for note in notes if note is not None]
    assert len(texts) == told
    assert all("about 40 ms of processor time before its first question" in text for text in texts)


def test_where_calls_cost_little_their_time_is_soon_taken_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = count()
    monkeypatch.setattr("pytest_rightsize.clocks.processor_time", lambda _: 0.0 * next(taken))
    cost = ClientCost()
    for _ in range(300):
        cost.began()
        assert cost.asked(on_new_connection=True) is None
    assert next(taken) == 200
