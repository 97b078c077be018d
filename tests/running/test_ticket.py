"""The questions of one test over its starts and reruns: which reply each gets, and what their time counts."""

from concurrent.futures import Future

import pytest

from pytest_rightsize.records import Reply, Request
from pytest_rightsize.running.ticket import Question, Ticket


def request(text: str) -> Request:
    return Request(messages=({"role": "user", "content": text},))


def ask(ticket: Ticket, text: str) -> Question:
    """As the engine does: an earlier start's question, or a new one."""
    return ticket.claim(request(text)) or ticket.add(request(text), Future())


@pytest.fixture
def ticket() -> Ticket:
    made = Ticket(may_suspend=True)
    made.start()
    made.next_run()
    return made


def test_a_new_ticket_promises_nothing() -> None:
    new = Ticket()
    assert not any(
        (new.private, new.may_suspend, new.in_teardown, new.is_first_start, new.recorded_only, new.lacks_answer)
    )
    assert (new.has_ended, new.asks_in_threads, new.run, new.start_number) == (False, False, 0, 0)
    assert new.take_remembered_seconds() == 0.0


def test_a_run_ends_once_its_teardown_is_over_and_what_is_left_has_not_ended(ticket: Ticket) -> None:
    question = ask(ticket, "a")
    ticket.wait(question)
    assert ticket.may_be_left
    assert ticket.leave()
    ticket.end_run()
    assert not ticket.has_ended
    ticket.start()
    ticket.next_run()
    ask(ticket, "a")
    ticket.end_run()
    assert ticket.has_ended
    assert not ticket.may_be_left


def test_the_nth_time_a_start_asks_it_gets_the_nth_question_of_the_earlier_start(ticket: Ticket) -> None:
    first, second = ask(ticket, "a"), ask(ticket, "a")
    assert first is not second
    assert not first.is_remembered
    ticket.start()
    ticket.next_run()
    assert (ask(ticket, "a"), ask(ticket, "a")) == (first, second)
    assert first.is_remembered
    assert ask(ticket, "a") not in (first, second)


def test_a_rerun_asks_anew_and_a_later_start_gets_the_questions_of_each_run(ticket: Ticket) -> None:
    of_first_run = ask(ticket, "a")
    ticket.next_run()
    of_rerun = ask(ticket, "a")
    assert of_rerun is not of_first_run
    ticket.start()
    ticket.next_run()
    assert ask(ticket, "a") is of_first_run
    ticket.next_run()
    assert ask(ticket, "a") is of_rerun


def test_a_run_that_lacked_an_answer_says_nothing_of_the_next(ticket: Ticket) -> None:
    ticket.lacks_answer = True
    ticket.in_teardown = True
    ticket.next_run()
    assert (ticket.lacks_answer, ticket.in_teardown, ticket.has_ended) == (False, False, False)


def test_a_closed_ticket_keeps_no_question_of_any_run(ticket: Ticket) -> None:
    ask(ticket, "a")
    ticket.next_run()
    ask(ticket, "b")
    ticket.close()
    assert (ticket.runs, ticket.run, ticket.has_ended) == ([[]], 0, True)
    assert ticket.claim(request("b")) is None


def test_what_is_asked_aside_has_a_span_once_it_is_answered(ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rightsize.clocks.perf_counter", lambda: 50.0)
    answered, quick, failed, cancelled = (ticket.add_aside(request(text), Future(), None) for text in "abcd")
    answered.future.set_result(Reply(text="A", seconds=3.0))
    quick.future.set_result(Reply(text="B"))
    failed.future.set_exception(RuntimeError("no"))
    cancelled.future.cancel()
    assert [question.span for question in (answered, quick, failed, cancelled)] == [
        (47.0, 50.0),
        (50.0, 50.0),
        None,
        None,
    ]


def test_the_time_of_replies_in_turn_adds_up_and_side_by_side_counts_once(ticket: Ticket) -> None:
    in_turn, aside, beside, later = (ask(ticket, text) for text in "abcd")
    aside.span, beside.span, later.span = (10.0, 13.0), (12.0, 14.0), (20.0, 21.0)
    for question in (in_turn, aside, beside, later):
        ticket.remember(question, Reply(text="x", seconds=2.5))
    assert ticket.take_remembered_seconds() == 2.5 + 4.0 + 1.0
    assert ticket.take_remembered_seconds() == 0.0


def test_a_test_that_is_not_rerun_has_one_list_of_questions_and_each_rerun_one_more() -> None:
    ticket = Ticket()
    for _ in range(2):  # a start, and one more
        ticket.start()
        ticket.next_run()
        assert (ticket.run, ticket.runs) == (0, [[]])
    ticket.next_run()
    assert (ticket.run, ticket.runs) == (1, [[], []])
