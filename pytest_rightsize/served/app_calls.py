"""Reads what an application asks into the question for a rung, or into the refusal that it reads.

In come requests of the endpoint, each with the start that it belongs to; nothing is asked here.
`leave_or_wait` is for the thread of the tests, once it has asked.
"""

from collections.abc import Iterable
from concurrent import futures
from dataclasses import dataclass

from pytest_rightsize.errors import NoAnswerError, RungError
from pytest_rightsize.records import Request, Rung
from pytest_rightsize.running.engine import Suspended
from pytest_rightsize.running.ticket import Question, Ticket
from pytest_rightsize.served.attempt import Attempt
from pytest_rightsize.served.endpoint import Received, Sent
from pytest_rightsize.served.routing import Routing, UnroutedError
from pytest_rightsize.served.sending import as_json, no_answer, refusal
from pytest_rightsize.served.strays import Strays
from pytest_rightsize.served.wires import WIRES, Asked, UnservedError, Wire, body_of, read_ignoring, unserved

__all__ = ["Call", "CallReader", "fault_sent", "leave_or_wait"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """What an application asks: of `other`, or of the rung under test where that is None."""

    wire: Wire
    asked: Asked
    request: Request
    other: Rung | None


class CallReader:
    """Reads the calls of a session; threads with code of the files `ours` answer for a rung, and ask for no test."""

    def __init__(self, routing: Routing, strays: Strays, ours: Iterable[str] = ()) -> None:
        self.routing = routing
        self.ours = frozenset(ours)
        self._strays = strays

    def read(self, attempt: Attempt, received: Received, path: str, wire: Wire | None) -> Call | Sent:
        """What is asked, or why that is refused."""
        if not received.path.startswith("/t/") and attempt.why_refused() is None:
            ambiguous = self._strays.why_ambiguous(self.ours)
            if ambiguous is not None:
                attempt.unserved(ambiguous)
                return refusal(wire or WIRES[0], 400, ambiguous)
        if wire is None or received.method != "POST":
            status, body, text = unserved(received.method, path)
            if not attempt.is_dropped:
                attempt.unserved(f"the application asked for what is not served: {text}")
            return as_json(status, body)
        try:
            asked = read_ignoring(wire, path, body_of(received.body), self.routing.ignored)
            other = self.routing.rung_of(asked.model)
        except UnroutedError as error:
            attempt.unserved(str(error))
            return refusal(wire, 400, str(error))
        except UnservedError as error:
            attempt.unserved(f"the application asked for what is not served: {error}")
            return refusal(wire, error.status, f"rightsize cannot serve this: {error}")
        return Call(wire=wire, asked=asked, request=_request(attempt, asked), other=other)


def fault_sent(attempt: Attempt, call: Call, fault: RungError | NoAnswerError) -> Sent:
    """What the application reads where its rung has not answered; the trial keeps why."""
    if call.other is not None and isinstance(fault, NoAnswerError):
        # Not of the rung under test: it is not held against that one.
        text = f"{call.other.name}, which [app] models names, gave no answer: {fault}"
        fault = RungError(text, reason="bad_reply")
    attempt.model.failed(fault)
    return no_answer(call.wire, fault)


def leave_or_wait(ticket: Ticket, question: Question) -> None:
    """Leave the test for the reply if it is not there, or wait where leaving it would cost an answer twice."""
    if not question.future.done() or ticket.is_first_start:
        ticket.wait(question)
        try:
            if ticket.leave():
                raise Suspended
            futures.wait([question.future])
        finally:
            ticket.wait_no_more(question)


def _request(attempt: Attempt, asked: Asked) -> Request:
    """The question for a rung, with what the task and the rung set where the application is silent."""
    return attempt.model.request(
        asked.messages,
        schema=asked.schema,
        tools=asked.tools,
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        seed=asked.seed,
        **asked.extra,
        **({} if asked.top_p is None else {"top_p": asked.top_p}),
    )
