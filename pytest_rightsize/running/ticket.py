"""The questions of one test over all its starts, and which reply each start gets to which of them.

A start gets the n-th reply to a request when it asks that request for the n-th time, from whatever thread and in
whatever order. Nothing is sent here, and nothing waited for.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pytest_rightsize import clocks
from pytest_rightsize.records import Reply, Request

__all__ = ["Question", "Ticket"]


@dataclass(kw_only=True)
class Question:
    """A request of a test, its reply to come, and whether that reply has been counted as an answer or a fault.

    `start` is the last start that asked it. `by_test` says that every start is expected to ask it, as what the test's
    own thread asks. Another thread, or a task, has waited for the reply in its `span`, two readings of `perf_counter`.
    `rung` is set where another rung than the test's own is asked.
    """

    request: Request
    future: Future[Reply]
    start: int
    by_test: bool
    rung: str | None = None
    is_remembered: bool = False
    is_answered: bool = False
    span: tuple[float, float] | None = None


@dataclass(kw_only=True)
class Ticket:
    """What one test asked so far, over all its starts. Hold `lock` where another thread of the test may ask.

    `case` is its name on any rung, `test` its name on this one. A `private` test asks only this machine. `runs` has one
    list of questions for each run that the test needs: a rerun after a failure asks anew. `may_suspend` is False
    once the test has shown that it cannot be started again with the same effect. While `is_first_start`, only its first
    question is wanted, and it is suspended even if the reply is there at once. With `recorded_only` nothing is sent for
    it: it gets recorded answers, and ends where it `lacks_answer`. `start_number` names the present start and run, and
    `has_ended` says that it is over. `pending` are the questions whose replies something other than the test's own
    thread waits for in this start, `task` is the task of an async test while its function runs, and `left_tasks` are
    those that it had begun, and that had not ended with it.
    """

    case: str = ""
    test: str = ""
    private: bool = False
    may_suspend: bool = False
    on_doubt: Callable[[str], None] = lambda _: None
    runs: list[list[Question]] = field(default_factory=lambda: [[]])
    run: int = 0
    start_number: int = 0
    waiting_for: Future[Reply] | None = None
    in_teardown: bool = False
    is_first_start: bool = False
    recorded_only: bool = False
    lacks_answer: bool = False
    has_ended: bool = False
    asks_in_threads: bool = False
    remembered_seconds: float = 0.0
    pending: list[Question] = field(default_factory=list)
    last_asked_s: float = 0.0
    task: "asyncio.Task[Any] | None" = None
    left_tasks: "frozenset[asyncio.Task[Any]]" = frozenset()
    thread: int = field(default_factory=threading.get_ident)
    process: int = field(default_factory=os.getpid)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _first_unasked: int = 0
    _asked_anew: bool = False
    _spans: list[tuple[float, float]] = field(default_factory=list)

    # --- its starts ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The test starts from its first line, as a whole."""
        with self.lock:
            self.run = -1
            self.waiting_for = None
            self.in_teardown = False
            self.is_first_start = False

    def start_for_first_question(self) -> None:
        """The test starts only to ask its first question."""
        with self.lock:
            self.start()
            self.next_run()
            self.is_first_start = True

    def next_run(self) -> None:
        """The test's setup begins: its first run, or a rerun after a failure."""
        with self.lock:
            self.run += 1
            self.start_number += 1
            self.remembered_seconds = 0.0
            self.waiting_for = None
            self.in_teardown = False
            self.lacks_answer = False
            self.has_ended = False
            self._first_unasked = 0
            self._asked_anew = False
            self._spans.clear()
            self.pending.clear()
            self.task = None
            self.left_tasks = frozenset()
            while len(self.runs) <= self.run:
                self.runs.append([])

    def end_run(self) -> None:
        """The test's teardown is over; reports where it did not ask what an earlier start asked."""
        with self.lock:
            if self.waiting_for is not None:
                return
            self.has_ended = True
            unused = [question for question in self.runs[self.run] if question.start != self.start_number]
            if unused and self._asked_anew:
                self.on_doubt("it asks something else when it starts again (a clock or a random value in it?)")
            elif any(question.by_test and not question.is_answered for question in unused):
                self.on_doubt(
                    "when it starts again it does not ask what it asked before, so that its trial lacks an answer"
                )

    def close(self) -> None:
        """The test has ended, and needs its replies no more."""
        with self.lock:
            self.has_ended = True
            self.runs, self.run = [[]], 0
            self.waiting_for = None
            self.pending.clear()

    # --- its questions ------------------------------------------------------------------------------------------------

    def claim(self, request: Request, rung: str | None = None) -> Question | None:
        """The question of an earlier start that asks the same, and that this start has not asked yet."""
        run = self.runs[self.run]
        while self._first_unasked < len(run) and run[self._first_unasked].start == self.start_number:
            self._first_unasked += 1
        for place in range(self._first_unasked, len(run)):
            question = run[place]
            if question.start != self.start_number and question.rung == rung and question.request == request:
                question.start = self.start_number
                question.is_remembered = True
                return question
        return None

    def add(self, request: Request, future: Future[Reply], rung: str | None = None) -> Question:
        """Keep a question that no earlier start has asked."""
        by_test = threading.get_ident() == self.thread
        self.asks_in_threads |= not by_test
        self._asked_anew = True
        question = Question(request=request, future=future, start=self.start_number, by_test=by_test, rung=rung)
        self.runs[self.run].append(question)
        return question

    def add_aside(self, request: Request, future: Future[Reply], rung: str | None) -> Question:
        """Keep a question that no earlier start has asked; a task or the application has asked it for the test."""
        self._asked_anew = True
        question = Question(request=request, future=future, start=self.start_number, by_test=True, rung=rung)
        self.runs[self.run].append(question)
        future.add_done_callback(lambda ended: _note_span(question, ended))
        return question

    def has_passed_over(self) -> bool:
        """Whether the test's own thread would by now have asked something again that it asked in an earlier start."""
        run = self.runs[self.run]
        return bool(run) and any(
            run[place].by_test and run[place].start != self.start_number
            for place in range(self._first_unasked, len(run))
        )

    # --- leaving it ---------------------------------------------------------------------------------------------------

    def wait(self, question: Question) -> None:
        """Something waits for the reply aside."""
        with self.lock:
            self.pending.append(question)
            self.last_asked_s = clocks.perf_counter()

    def wait_no_more(self, question: Question) -> None:
        """The reply is handed out, or nobody waits for it any more."""
        with self.lock:
            self.pending = [other for other in self.pending if other is not question]

    @property
    def may_be_left(self) -> bool:
        """Whether the present start may end here, and the test start again when all that is pending has come."""
        return bool(self.pending) and self.may_suspend and not (self.in_teardown or self.has_ended or self.waiting_for)

    def leave(self) -> bool:
        """Have the loop wait for all that is pending; whether the start is left, and what runs of it must end now."""
        with self.lock:
            if not self.may_be_left:
                return False
            if self._asked_anew and self.has_passed_over():
                # Something else, and not what it asked before: it goes on in this start, which costs no answer twice.
                self.may_suspend = False
                return False
            self.waiting_for = _all_of([question.future for question in self.pending])
            return True

    # --- its time -----------------------------------------------------------------------------------------------------

    def remember(self, question: Question, reply: Reply) -> None:
        """Count the time of a reply for which an earlier start has waited."""
        with self.lock:
            if question.span is None:
                self.remembered_seconds += reply.seconds or 0.0
            else:
                self._spans.append(question.span)

    def take_remembered_seconds(self) -> float:
        """How long the models took for answers that an earlier start had waited for; asked for once a phase."""
        if not self.remembered_seconds and not self._spans:
            return 0.0
        with self.lock:
            seconds = self.remembered_seconds + _union_s(self._spans)
            self.remembered_seconds = 0.0
            self._spans.clear()
        return seconds


def _note_span(question: Question, ended: Future[Reply]) -> None:
    """Note when the reply was waited for, if there is one."""
    if not ended.cancelled() and ended.exception() is None:
        now = clocks.perf_counter()
        question.span = (now - (ended.result().seconds or 0.0), now)


def _all_of(futures: Sequence[Future[Reply]]) -> Future[Any]:
    """A Future that ends when all of them have ended, however they do."""
    if len(futures) == 1:
        return futures[0]
    ended: Future[Any] = Future()
    left = [len(futures)]
    lock = threading.Lock()

    def count(_: object) -> None:
        with lock:
            left[0] -= 1
            is_last = not left[0]
        if is_last:
            ended.set_result(None)

    for future in futures:
        future.add_done_callback(count)
    return ended


def _union_s(spans: list[tuple[float, float]]) -> float:
    """How long at least one of the spans lasted: threads wait at the same time."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
