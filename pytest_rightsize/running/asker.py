"""What one start of a test asks its rung by: within the test, from a coroutine, or from beside it.

In come Requests; out come Replies whose text is the answer alone, with the reasoning apart.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import NoReturn

from pytest_rightsize.errors import RungError
from pytest_rightsize.providers.reasoning import with_reasoning_apart
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.running.async_tests import answered, end_here
from pytest_rightsize.running.engine import Engine, Suspended
from pytest_rightsize.running.interception import Interception
from pytest_rightsize.running.ticket import Question, Ticket

__all__ = ["Asker", "PlantedAsker"]

__tracebackhide__ = True  # a traceback ends where the test asks


class Asker:
    """Asks for the start of `ticket` that runs when it is made. It waits in place where the test's network is watched.

    `submit` and `reply` are for who asks in place of the test, as from another thread: neither waits nor suspends.
    """

    def __init__(self, engine: Engine, rung: Rung, ticket: Ticket, interception: Interception) -> None:
        self.rung = rung
        self.ticket = ticket
        self._engine = engine
        self._interception = interception
        self._start = ticket.start_number

    def ask(self, request: Request) -> Reply:
        """The rung's reply; raises as the engine does."""
        __tracebackhide__ = True  # a traceback ends where the test asks
        self._look_around()
        reply = self._engine.ask(self.rung.name, request, self.ticket, self._start)
        return with_reasoning_apart(reply, self.rung, request.messages)

    def ask_judge(self, judge: Rung, request: Request) -> Reply:
        """The judgement of another rung, or of this one as a judge; raises as the engine does."""
        __tracebackhide__ = True  # a traceback ends where the test compares
        self._look_around()
        reply = self._engine.ask(judge.name, request, self.ticket, self._start, judging=self.rung.name)
        return with_reasoning_apart(reply, judge, request.messages)

    async def ask_async(self, request: Request) -> Reply:
        """The same for the code of an event loop: others of its tasks go on while it waits."""
        __tracebackhide__ = True  # a traceback ends where the test asks
        try:
            question = self.submit(request)
        except Suspended:
            self._refuse()
        await answered(question, self.ticket)
        return self.reply(question)

    def _refuse(self) -> NoReturn:
        """End what asks for a start that is left or over."""
        if self.ticket.waiting_for is not None and self._start == self.ticket.start_number:
            end_here(self.ticket)
        raise RuntimeError(
            f"{self.ticket.test or 'the test'} has ended, and its model is asked no more: let a test wait for its "
            f"tasks, and take the fixture `model` anew in each test"
        )

    def submit(self, request: Request, other: Rung | None = None) -> Question:
        """Ask the rung, or the `other` one; raises as `Engine.ask_aside` does."""
        self._look_around()
        rung = other or self.rung
        return self._engine.ask_aside(rung.name, request, self.ticket, self._start, other=other is not None)

    def reply(self, question: Question, other: Rung | None = None) -> Reply:
        """The reply of a question whose future is done; raises RungError or NoAnswerError."""
        rung = other or self.rung
        reply = self._engine.reply_of(rung.name, question, self.ticket)
        return with_reasoning_apart(reply, rung, question.request.messages)

    @property
    def may_suspend(self) -> bool:
        """Whether the start may end where it asks, and nothing stands between the test and the network."""
        self._look_around()
        return self.ticket.may_suspend

    def _look_around(self) -> None:
        if self.ticket.process != os.getpid():
            raise RuntimeError(
                f"{self.ticket.test or 'the test'} asks its model in a process that was forked from pytest's, where no "
                f"answer would ever come: ask in the test itself, or give the other process model.env to ask by"
            )
        if self.ticket.may_suspend and self._interception.is_there():
            self.ticket.may_suspend = False


class PlantedAsker(Asker):
    """Asks no rung: each question is answered by `answer` at once.

    What another rung always answers, as a planner or a judge, is no answer of the rung: that gets what was recorded of
    it for the `case`, and is a fault where nothing was.
    """

    def __init__(
        self, answer: Callable[[Request], Reply], rung: Rung, ticket: Ticket, *, engine: Engine, case: str
    ) -> None:
        self.rung = rung
        self.ticket = ticket
        self._answer = answer
        self._engine = engine
        self._case = case

    def ask(self, request: Request) -> Reply:
        """The planted answer."""
        return self._answer(request)

    async def ask_async(self, request: Request) -> Reply:
        """The planted answer."""
        return self._answer(request)

    def ask_judge(self, judge: Rung, request: Request) -> Reply:
        """The judgement that was recorded; raises RungError where none was."""
        return with_reasoning_apart(self._recorded(request, judge, reason="judge"), judge, request.messages)

    def submit(self, request: Request, other: Rung | None = None) -> Question:
        """A question that is answered already; raises RungError where another rung's answer was not recorded."""
        done: Future[Reply] = Future()
        done.set_result(self._answer(request) if other is None else self._recorded(request, other))
        rung = None if other is None else other.name
        return Question(request=request, future=done, start=self.ticket.start_number, by_test=True, rung=rung)

    def _recorded(self, request: Request, other: Rung, *, reason: str = "unrecorded") -> Reply:
        reply = self._engine.recorded_reply(other.name, request, self._case)
        if reply is None:
            raise RungError(
                f"rung {other.name!r} was not asked: wrong answers are played, and it has no recorded answer",
                reason=reason,
                alone=True,
            )
        return reply

    def reply(self, question: Question, other: Rung | None = None) -> Reply:
        """The planted answer, or the recorded one."""
        reply = question.future.result()
        return reply if other is None else with_reasoning_apart(reply, other, question.request.messages)
