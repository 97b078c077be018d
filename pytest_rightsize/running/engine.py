"""Takes a Request to its rung and brings back the Reply; opens a rung when first asked, and closes it for another.

A test whose reply is not there yet is suspended: `ask` raises `Suspended`, the loop (`loop.py`) runs other tests, and
the test starts again when the reply has come; earlier replies are then handed back from its `Ticket` (`ticket.py`). A
test may ask from any thread; another than its own waits. A rung that has failed for good is asked no more.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import CancelledError, Future, wait
from typing import TYPE_CHECKING

from _pytest.outcomes import Skipped

from pytest_rightsize import clocks
from pytest_rightsize.errors import RightsizeError, RungError
from pytest_rightsize.portable import Portable
from pytest_rightsize.providers import Provider
from pytest_rightsize.providers.broken_providers import fault_of, submitted
from pytest_rightsize.providers.own_threads import own_work
from pytest_rightsize.providers.placement import answers_are_free, keeps_private, opens_to_identify, room_of
from pytest_rightsize.records import Reply, Request, Rung
from pytest_rightsize.running.budget import Budget
from pytest_rightsize.running.cascading import Chain, cascaded, members_by_cascade
from pytest_rightsize.running.home import Home
from pytest_rightsize.running.part_checks import PartChecks
from pytest_rightsize.running.quiet_ends import end_quietly
from pytest_rightsize.running.ticket import Question, Ticket

if TYPE_CHECKING:
    from pytest_rightsize.recorded.recorder import Recorder

__all__ = ["Engine", "Suspended", "Unrecorded"]

__tracebackhide__ = True  # a traceback ends where the test asks

# So many requests in a row without an answer, each after its own retries, and the rung counts as down.
_FAULTS_UNTIL_DOWN = 3
# A session that is told to end waits so long for what has been asked: an answer on its way is paid for.
_LAST_ANSWERS_S = 0.5
_SAYS_NOTHING_OF_THE_RUNG = frozenset({"budget", "offline", "private", "unrecorded"})


class Suspended(Portable, Skipped):
    """The reply is not there yet; the test ends here and starts again when it is.

    No Exception, so that a test which catches those lets it pass; one of pytest's outcomes, so that fixtures are
    finished as after any other, and no plugin takes it for a failure to rerun, debug or show.
    """

    def __init__(self) -> None:
        super().__init__("waits for a reply")


class Unrecorded(Portable, Skipped):
    """A test that gets recorded answers only has asked for one that there is not; it ends here, and is not run.

    One of pytest's outcomes for the same reasons as `Suspended`.
    """

    def __init__(self) -> None:
        super().__init__("there is no recorded answer")


class Engine:
    """The rungs of a session, asked from any thread. With `one_at_a_time` only one local model is held in memory."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        one_at_a_time: bool,
        recorder: "Recorder | None" = None,
        budget: Budget | None = None,
        rungs: Mapping[str, Rung] | None = None,
        offline: bool = False,
        kept: Collection[str] = (),
        climbed: Collection[str] = (),
    ) -> None:
        """Take the providers by rung name; none is opened yet. The recorder knows their earlier answers.

        With `offline`, no rung that leaves this machine is asked anything. A budget needs the `rungs` for their prices.
        Rungs that are `kept` stay in memory beside another; each test asks all that are `climbed`.
        """
        self._kept = {*kept}
        self._budget = budget
        self._rungs = rungs or {}
        self._providers = providers
        self._offline = offline
        self._recorder = recorder
        self._one_at_a_time = one_at_a_time
        self._cascades = members_by_cascade(providers)
        self._parts = PartChecks(providers, self._rungs, climbed)
        self._open: set[str] = set()
        self._faults_in_a_row: Counter[str] = Counter()
        self._down: dict[str, RungError] = {}
        self._in_flight: dict[str, set[Future[Reply]]] = {}
        self._home = Home()
        # Over what is open, down and in flight. What a reply calls back takes no lock of ours, as `close` waits for it.
        self._lock = threading.RLock()

    def ask(
        self, rung: str, request: Request, ticket: Ticket, start: int | None = None, *, judging: str | None = None
    ) -> Reply:
        """The reply of `rung`; raises RungError or TooLongError, or Suspended while it is not there yet.

        `start` is the number of the start that asks, None for the present one. Raises Unrecorded where only a recorded
        answer is wanted, and there is none; RuntimeError if the test has ended. A rung that judges an answer of the
        rung `judging` stays in memory beside it, and what it says of one answer is recorded once.
        """
        with ticket.lock:
            self._check_start(ticket, start)
            question = ticket.claim(request, rung if judging else None)
            remembered = question is not None
            if question is None:
                question = self._ask_anew(rung, request, ticket, judging)
            if (ticket.is_first_start or not question.future.done()) and self._may_suspend(ticket):
                ticket.waiting_for = question.future
                raise Suspended
        reply = self._wait_for_reply(rung, question)
        if remembered:
            ticket.remember(question, reply)
        elif threading.get_ident() != ticket.thread:
            now = clocks.perf_counter()
            question.span = (now - (reply.seconds or 0.0), now)
        return reply

    def ask_aside(self, rung: str, request: Request, ticket: Ticket, start: int, *, other: bool = False) -> Question:
        """Ask for a start of the test, but not in its place: nothing is waited for, and nothing suspended.

        `reply_of` hands the reply out when the question's future is done. `other` says that the rung is not the test's
        own. Raises RungError where the rung is not asked at all, Suspended where the start is being left or over, and
        Unrecorded as `ask` does.
        """
        with ticket.lock:
            if start != ticket.start_number or ticket.has_ended or ticket.waiting_for is not None:
                raise Suspended
            if ticket.lacks_answer:
                raise Unrecorded
            name = rung if other else None
            question = ticket.claim(request, name)
            return question or ticket.add_aside(request, self._submit(rung, request, ticket), name)

    def reply_of(self, rung: str, question: Question, ticket: Ticket) -> Reply:
        """The reply of a question that was asked aside; waits for it, and raises RungError or NoAnswerError."""
        reply = self._wait_for_reply(rung, question)
        if question.is_remembered:
            ticket.remember(question, reply)
        return reply

    @staticmethod
    def _check_start(ticket: Ticket, start: int | None) -> None:
        """Let nothing ask for a start that is over."""
        is_own_thread = threading.get_ident() == ticket.thread
        if not is_own_thread and start not in (None, ticket.start_number):
            # A thread that an earlier start has left running.
            end_quietly(Suspended, Unrecorded)
            raise Suspended
        if ticket.waiting_for is not None and is_own_thread:
            # The `finally:` of a test that is being suspended, or the end of its fixture: nothing is asked on the way.
            # Another thread goes on, as that test may wait for it; what it asks, the next start need not ask.
            raise Suspended
        if ticket.has_ended:
            raise RuntimeError(
                f"{ticket.test or 'the test'} has ended, and its model is asked no more: let a test wait for its "
                f"threads, and take the fixture `model` anew in each test"
            )
        if ticket.lacks_answer:
            end_quietly(Suspended, Unrecorded)
            raise Unrecorded

    def _ask_anew(self, rung: str, request: Request, ticket: Ticket, judging: str | None) -> Question:
        """Ask what no earlier start of the test has asked."""
        if ticket.may_suspend and threading.get_ident() == ticket.thread and ticket.has_passed_over():
            # It asks in another order, or something else: it goes on in this start, which costs no answer twice.
            ticket.may_suspend = False
        if judging:
            self._kept.add(rung)
        return ticket.add(request, self._submit(rung, request, ticket, judging or ""), rung if judging else None)

    @staticmethod
    def _may_suspend(ticket: Ticket) -> bool:
        """Suspending is by an exception, which would end another thread alone, and crash a task of an event loop."""
        if not ticket.may_suspend or ticket.in_teardown or threading.get_ident() != ticket.thread:
            return False
        if asyncio._get_running_loop() is None:
            return True
        return ticket.task is not None and asyncio.current_task() is ticket.task

    @own_work()
    def _submit(self, rung: str, request: Request, ticket: Ticket, via: str = "") -> Future[Reply]:
        """The recorded answer where there is one, else the rung's; `via` is the cascade that asks it."""
        if rung in self._cascades:
            return self._submit_to_members(rung, request, ticket)
        self._home.check(self._providers[rung], ticket.test)
        self._parts.check(rung, request, private=ticket.private, offline=self._offline)
        if ticket.recorded_only and not answers_are_free(self._providers[rung]):
            return self._recorded(rung, request, ticket, via)
        if self._recorder is None:
            return self._send(rung, request, ticket, via)
        if opens_to_identify(self._providers[rung]) and not self._recorder.only_replays:
            # Its place is made as for a request, and nothing of the request goes there yet.
            self._check_may_leave(rung, ticket)
            if rung in self._down:
                raise self._down[rung]
            with self._lock:
                self._make_room_for(rung, beside=self._cascades.get(via, ()))
        return self._recorder.submit(
            rung,
            self._providers[rung],
            request,
            case=ticket.case,
            test=ticket.test,
            send=lambda: self._send(rung, request, ticket, via),
            via=via,
        )

    def _submit_to_members(self, rung: str, request: Request, ticket: Ticket) -> Future[Reply]:
        """Ask the members of a cascade, in a thread of its own; recorded answers alone are looked up at once."""
        chain: Chain = self._providers[rung]  # type: ignore[assignment]  # it has members
        members = [self._rungs[name] for name in chain.members]

        def work() -> Reply:
            return cascaded(chain, members, request, lambda name, each: self._submit(name, each, ticket, rung))

        if ticket.recorded_only:
            done: Future[Reply] = Future()
            done.set_result(work())
            return done
        if self._recorder is None or not self._recorder.only_replays:
            for name in chain.members:  # no member is asked where the strictest may not be
                self._check_may_leave(name, ticket)
        if rung in self._down:
            raise self._down[rung]
        future = chain.begin(work)
        in_flight = self._in_flight.setdefault(rung, set())
        in_flight.add(future)
        future.add_done_callback(in_flight.discard)
        return future

    @own_work()
    def recorded_reply(self, rung: str, request: Request, case: str) -> Reply | None:
        """The first answer that was recorded of the rung to a request of the case, or None; nothing is asked."""
        recorder = self._recorder
        return None if recorder is None else recorder.recorded(rung, self._providers[rung], request, case=case, draw=0)

    @own_work()
    def may_have_recorded(self, rung: str) -> bool:
        """Whether answers of the rung were recorded before; of a cascade with a model, the easy ones alone may be."""
        if rung in self._cascades:
            return all(answers_are_free(self._providers[name]) for name in self._cascades[rung])
        provider = self._providers[rung]
        return answers_are_free(provider) or bool(self._recorder and self._recorder.may_have(rung, provider))

    def _recorded(self, rung: str, request: Request, ticket: Ticket, via: str = "") -> Future[Reply]:
        """The recorded answer; nothing is sent, and nothing is spent."""
        recorder, provider = self._recorder, self._providers[rung]
        reply = None if recorder is None else recorder.recorded(rung, provider, request, case=ticket.case, via=via)
        if reply is None:
            ticket.lacks_answer = True
            end_quietly(Suspended, Unrecorded)
            raise Unrecorded
        done: Future[Reply] = Future()
        done.set_result(reply)
        return done

    def _check_may_leave(self, rung: str, ticket: Ticket) -> None:
        """Raises RungError where the rung is beyond this machine, and what the test asks must stay on it."""
        is_refused_private = ticket.private and not keeps_private(self._providers[rung], self._rungs.get(rung))
        if is_refused_private or (self._offline and self._providers[rung].leaves_machine):
            private, offline = ("private", "the task is private"), ("offline", "--rightsize-offline")
            reason, words = private if is_refused_private else offline
            raise RungError(f"rung {rung!r} is not on this machine, and was not asked: {words}", reason=reason)

    def _send(self, rung: str, request: Request, ticket: Ticket, via: str = "") -> Future[Reply]:
        """Ask the rung: everything that may leave this machine passes here."""
        self._check_may_leave(rung, ticket)
        if rung in self._down:
            raise self._down[rung]
        if self._budget is None or answers_are_free(self._providers[rung]):
            return self._submit_to(rung, request, via)
        return self._send_within(self._budget, rung, request, via)

    def _submit_to(self, rung: str, request: Request, via: str) -> Future[Reply]:
        with self._lock:
            self._make_room_for(rung, beside=self._cascades.get(via, ()))
            future = submitted(self._providers[rung], rung, request)
            if not future.done():  # as that of a recording is
                (in_flight := self._in_flight.setdefault(rung, set())).add(future)
                future.add_done_callback(in_flight.discard)
        return future

    def in_flight(self, rung: str) -> int:
        """How many requests wait for the rung's reply."""
        return len(self._in_flight.get(rung, ()))

    def loading(self) -> tuple[str, int | None] | None:
        """The rung whose model is being loaded, and its size in bytes where that is known; None while there is none."""
        for rung, provider in self._providers.items():  # which workers of xdist may have asked
            if getattr(provider, "is_loading", False):
                return rung, getattr(provider, "size_bytes", None)
        return None

    def _send_within(self, budget: Budget, rung: str, request: Request, via: str) -> Future[Reply]:
        refusal = budget.take(rung)
        if refusal is not None:
            raise RungError(f"rung {rung!r} was not asked: {refusal}", reason="budget")
        try:
            leaves = self._providers[rung].leaves_machine
            future = self._submit_to(rung, request, via)
        except BaseException:
            budget.give_back(rung)
            raise
        future.add_done_callback(lambda ended: budget.settle(self._rungs[rung], ended, leaves_machine=leaves))
        return future

    def _wait_for_reply(self, rung: str, question: Question) -> Reply:
        """Wait for the reply; a fault is counted once, however often the test runs into it."""
        with self._lock:
            first, question.is_answered = not question.is_answered, True
        broken: RungError | None = None
        try:
            reply = question.future.result()
        except RungError as fault:
            if first:
                self._count_fault(rung, fault)
            # Where in a provider it came from helps no user, and takes pytest a tenth of a second to lay out.
            raise fault.with_traceback(None) from None
        except (RightsizeError, CancelledError, KeyboardInterrupt):  # `close` waits for what is about to come
            raise
        except Exception as error:
            broken = fault_of(error, rung)
        except BaseException:
            question.future.cancel()
            raise
        if broken is not None:
            raise broken
        if first:
            with self._lock:
                self._faults_in_a_row[rung] = 0
        return reply

    def down(self, rung: str) -> RungError | None:
        """The fault that took the rung out of this session, or None while it is up."""
        return self._down.get(rung)

    def mark_down(self, rung: str, fault: RungError) -> None:
        """Do not ask the rung in this session."""
        self._down[rung] = fault

    def close(self) -> None:
        """Close every rung that was opened; answers that are about to come in are recorded first."""
        if self._recorder is not None:
            wait([future for futures in self._in_flight.values() for future in futures.copy()], _LAST_ANSWERS_S)
        with self._lock:
            for rung in sorted({*self._open, *self._cascades}):
                self._providers[rung].close()
            self._open.clear()
        if self._recorder is not None:
            self._recorder.close()

    def must_close_for(self, rung: str) -> list[str]:
        """The rungs whose place in memory `rung` would take: two local models rarely fit where one fits.

        The members of a cascade stand beside each other, and it is named with a member that it would lose.
        """
        if rung in self._cascades:
            members = self._cascades[rung]
            return sorted({other for name in members for other in self._to_be_closed(name)} - {*members})
        closing = self._to_be_closed(rung)
        return sorted({*closing, *(name for name, members in self._cascades.items() if {*members} & {*closing})})

    def _to_be_closed(self, rung: str) -> list[str]:
        """The open rungs of the same memory, but for those that are kept."""
        if rung in self._open or rung in self._kept or not self._one_at_a_time:
            return []
        room = room_of(self._providers[rung])
        with self._lock:
            may_stay = {name for name in self._open if room_of(self._providers[name]) != room} | self._kept
            return [] if room is None else sorted(self._open - may_stay)

    def _make_room_for(self, rung: str, beside: Collection[str]) -> None:
        """Close what stands in its place in memory, but for the rungs that it is asked beside."""
        for other in self._to_be_closed(rung):
            if other not in beside:
                self._providers[other].close()
                self._open.remove(other)
        self._open.add(rung)

    def _count_fault(self, rung: str, fault: RungError) -> None:
        if fault.alone or fault.reason in _SAYS_NOTHING_OF_THE_RUNG:
            return
        with self._lock:
            self._faults_in_a_row[rung] += 1
            if fault.permanent or self._faults_in_a_row[rung] >= _FAULTS_UNTIL_DOWN:
                self._down[rung] = fault
