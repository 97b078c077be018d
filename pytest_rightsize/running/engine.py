"""Takes a Request to its rung and brings back the Reply; opens a rung when first asked, and closes it for another.

A test whose reply is not there yet is suspended: `ask` raises `Suspended`, the loop (`loop.py`) runs other tests, and
the test starts again when the reply has come; earlier replies are then handed back from its `Ticket`. A rung that has
failed for good is not asked again in this session.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from _pytest.outcomes import Skipped

from pytest_rightsize.errors import RungError
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers import Provider
from pytest_rightsize.recorded.recorder import Recorder
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.running.budget import Budget

__all__ = ["Engine", "Suspended", "Ticket", "Unrecorded"]

__tracebackhide__ = True  # a traceback ends where the test asks

# So many requests in a row without an answer, each after its own retries, and the rung counts as down.
_FAULTS_UNTIL_DOWN = 3
_SAYS_NOTHING_OF_THE_RUNG = frozenset({"budget", "offline", "private", "unrecorded"})


class Suspended(Portable, Skipped):
    """The reply is not there yet; the test ends here and starts again when it is.

    No Exception, so that a test which catches those lets it pass; one of pytest's outcomes, so that fixtures are
    finished as after any other, and no plugin takes it for a failure to rerun, debug or show.
    """

    def __init__(self) -> None:
        """Say what is happening, where a plugin shows it all the same."""
        super().__init__("waits for a reply")


class Unrecorded(Portable, Skipped):
    """A test that gets recorded answers only has asked for one that there is not; it ends here, and is not run.

    One of pytest's outcomes for the same reasons as `Suspended`.
    """

    def __init__(self) -> None:
        """Say what is happening, where a plugin shows it all the same."""
        super().__init__("there is no recorded answer")


@dataclass(kw_only=True)
class _Question:
    """A request of a test, its reply to come, and whether that reply has been counted as an answer or a fault."""

    request: Request
    future: Future[Reply]
    is_answered: bool = False


@dataclass(kw_only=True)
class Ticket:
    """What one test asked so far, over all its starts.

    `case` is its name on any rung, `test` its name on this one. A `private` test asks only this machine. `runs` has one
    list of questions for each run that the test needs: a rerun after a failure asks anew. `may_suspend` is False
    once the test has shown that it cannot be started again with the same effect. While `is_first_start`, only its first
    question is wanted, and it is suspended even if the reply is there at once. With `recorded_only` nothing is sent for
    it: it gets recorded answers, and ends where it `lacks_answer`.
    """

    case: str = ""
    test: str = ""
    private: bool = False
    may_suspend: bool = False
    on_doubt: Callable[[str], None] = lambda _: None
    runs: list[list[_Question]] = field(default_factory=lambda: [[]])
    run: int = 0
    position: int = 0
    waiting_for: Future[Reply] | None = None
    in_teardown: bool = False
    is_first_start: bool = False
    recorded_only: bool = False
    lacks_answer: bool = False
    remembered_seconds: float = 0.0
    thread: int = field(default_factory=threading.get_ident)

    def start(self) -> None:
        """The test starts from its first line, as a whole."""
        self.run = -1
        self.waiting_for = None
        self.in_teardown = False
        self.is_first_start = False

    def start_for_first_question(self) -> None:
        """The test starts only to ask its first question."""
        self.start()
        self.next_run()
        self.is_first_start = True

    def next_run(self) -> None:
        """The test's setup begins: its first run, or a rerun after a failure."""
        self.run += 1
        self.position = 0
        self.remembered_seconds = 0.0
        self.waiting_for = None
        self.in_teardown = False
        self.lacks_answer = False
        while len(self.runs) <= self.run:
            self.runs.append([])

    def take_remembered_seconds(self) -> float:
        """How long the models took for answers that an earlier start had waited for; asked for once a phase."""
        seconds, self.remembered_seconds = self.remembered_seconds, 0.0
        return seconds

    def forget(self) -> None:
        """Cancel what is in flight and drop the replies."""
        for question in (question for run in self.runs for question in run):
            question.future.cancel()
        self.close()

    def close(self) -> None:
        """The test has ended, and needs its replies no more."""
        self.runs = [[]]
        self.waiting_for = None


class Engine:
    """The rungs of a session. With `one_at_a_time` only one local model is held in memory."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        one_at_a_time: bool,
        recorder: Recorder | None = None,
        budget: Budget | None = None,
        rungs: Mapping[str, Rung] | None = None,
        offline: bool = False,
    ) -> None:
        """Take the providers by rung name; none is opened yet. The recorder knows their earlier answers.

        With `offline`, no rung that leaves this machine is asked anything. A budget needs the `rungs` for their prices.
        """
        self._budget = budget
        self._rungs = rungs or {}
        self._providers = providers
        self._offline = offline
        self._recorder = recorder
        self._one_at_a_time = one_at_a_time
        self._open: set[str] = set()
        self._faults_in_a_row: Counter[str] = Counter()
        self._down: dict[str, RungError] = {}
        self._in_flight: dict[str, set[Future[Reply]]] = {}

    def ask(self, rung: str, request: Request, ticket: Ticket) -> Reply:
        """The reply of `rung`; raises RungError or TooLongError, or Suspended while it is not there yet.

        Raises Unrecorded where only a recorded answer is wanted, and there is none.
        """
        if ticket.waiting_for is not None:
            # The `finally:` of a test that is being suspended, or the end of its fixture: nothing is asked on the way.
            raise Suspended
        if ticket.lacks_answer:
            raise Unrecorded
        question, remembered = self._question(rung, request, ticket)
        ticket.position += 1
        if (ticket.is_first_start or not question.future.done()) and self._may_suspend(ticket):
            ticket.waiting_for = question.future
            raise Suspended
        reply = self._wait_for_reply(rung, question)
        if remembered:
            ticket.remembered_seconds += reply.seconds or 0.0
        return reply

    def _question(self, rung: str, request: Request, ticket: Ticket) -> tuple[_Question, bool]:
        """The question at the ticket's position, and whether an earlier start of the test had asked it."""
        run = ticket.runs[ticket.run]
        if ticket.position < len(run):
            question = run[ticket.position]
            if question.request == request:
                return question, True
            self._doubt(ticket, "it asks something else when it starts again (a clock or a random value in it?)")
            for stale in run[ticket.position :]:
                stale.future.cancel()
            del run[ticket.position :]
        question = _Question(request=request, future=self._submit(rung, request, ticket))
        run.append(question)
        return question, False

    @staticmethod
    def _doubt(ticket: Ticket, why: str) -> None:
        """The test cannot be suspended any more; reported once."""
        if ticket.may_suspend:
            ticket.may_suspend = False
            ticket.on_doubt(why)

    @staticmethod
    def _may_suspend(ticket: Ticket) -> bool:
        """Suspending is by an exception, and only where nothing but the test itself stands in its way.

        In another thread it would end that thread only; an event loop would take it for a crash of one of its tasks.
        """
        if not ticket.may_suspend or ticket.in_teardown or threading.get_ident() != ticket.thread:
            return False
        return asyncio._get_running_loop() is None

    def _submit(self, rung: str, request: Request, ticket: Ticket) -> Future[Reply]:
        """The recorded answer where there is one, else the rung's."""
        if ticket.recorded_only:
            return self._recorded(rung, request, ticket)
        if self._recorder is None:
            return self._send(rung, request, ticket)
        return self._recorder.submit(
            rung,
            self._providers[rung],
            request,
            case=ticket.case,
            test=ticket.test,
            send=lambda: self._send(rung, request, ticket),
        )

    def may_have_recorded(self, rung: str) -> bool:
        """Whether answers of the rung were recorded before this session."""
        return self._recorder is not None and self._recorder.may_have(rung, self._providers[rung])

    def _recorded(self, rung: str, request: Request, ticket: Ticket) -> Future[Reply]:
        """The recorded answer; nothing is sent, and nothing is spent."""
        recorder, provider = self._recorder, self._providers[rung]
        reply = None if recorder is None else recorder.recorded(rung, provider, request, case=ticket.case)
        if reply is None:
            ticket.lacks_answer = True
            raise Unrecorded
        done: Future[Reply] = Future()
        done.set_result(reply)
        return done

    def _send(self, rung: str, request: Request, ticket: Ticket) -> Future[Reply]:
        """Ask the rung: everything that may leave this machine passes here."""
        if (ticket.private or self._offline) and self._providers[rung].leaves_machine:
            reason, words = ("private", "the task is private") if ticket.private else ("offline", "--rightsize-offline")
            raise RungError(f"rung {rung!r} is not on this machine, and was not asked: {words}", reason=reason)
        if rung in self._down:
            raise self._down[rung]
        if self._budget is None:
            self._make_room_for(rung)
            future = self._providers[rung].submit(request)
        else:
            future = self._send_within(self._budget, rung, request)
        in_flight = self._in_flight.setdefault(rung, set())
        in_flight.add(future)
        future.add_done_callback(in_flight.discard)
        return future

    def in_flight(self, rung: str) -> int:
        """How many requests wait for the rung's reply."""
        return len(self._in_flight.get(rung, ()))

    def _send_within(self, budget: Budget, rung: str, request: Request) -> Future[Reply]:
        refusal = budget.take(rung)
        if refusal is not None:
            raise RungError(f"rung {rung!r} was not asked: {refusal}", reason="budget")
        provider = self._providers[rung]
        try:
            self._make_room_for(rung)
            leaves = provider.leaves_machine
            future = provider.submit(request)
        except BaseException:
            budget.give_back(rung)
            raise
        future.add_done_callback(lambda ended: budget.settle(self._rungs[rung], ended, leaves_machine=leaves))
        return future

    def _wait_for_reply(self, rung: str, question: _Question) -> Reply:
        """Wait for the reply; a fault is counted once, however often the test runs into it."""
        first, question.is_answered = not question.is_answered, True
        try:
            reply = question.future.result()
        except RungError as fault:
            if first:
                self._count_fault(rung, fault)
            # Where in a provider it came from helps no user, and takes pytest a tenth of a second to lay out.
            raise fault.with_traceback(None) from None
        except BaseException:
            question.future.cancel()
            raise
        if first:
            self._faults_in_a_row[rung] = 0
        return reply

    def down(self, rung: str) -> RungError | None:
        """The fault that took the rung out of this session, or None while it is up."""
        return self._down.get(rung)

    def mark_down(self, rung: str, fault: RungError) -> None:
        """Do not ask the rung in this session."""
        self._down[rung] = fault

    def close(self) -> None:
        """Close every rung that was opened."""
        for rung in sorted(self._open):
            self._providers[rung].close()
        self._open.clear()
        if self._recorder is not None:
            self._recorder.close()

    def must_close_for(self, rung: str) -> list[str]:
        """The open rungs whose place in memory `rung` would take: two local models rarely fit where one fits."""
        if rung in self._open or not self._one_at_a_time or self._providers[rung].leaves_machine:
            return []
        return sorted(name for name in self._open if not self._providers[name].leaves_machine)

    def _make_room_for(self, rung: str) -> None:
        for other in self.must_close_for(rung):
            self._providers[other].close()
            self._open.remove(other)
        self._open.add(rung)

    def _count_fault(self, rung: str, fault: RungError) -> None:
        if fault.reason in _SAYS_NOTHING_OF_THE_RUNG:
            return
        self._faults_in_a_row[rung] += 1
        if fault.permanent or self._faults_in_a_row[rung] >= _FAULTS_UNTIL_DOWN:
            self._down[rung] = fault
