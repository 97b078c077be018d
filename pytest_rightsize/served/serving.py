"""Answers the application's requests by the rung of the test that runs, and has that test left while it must wait.

`begin` and `end` are called by the thread that runs the tests, around each start. Requests are answered in the
endpoint's thread, or where the thread of the tests makes them, if the test can be left there. A URL with a token is
that of one start, any other that of the test that runs.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType

from pytest_rightsize import clocks
from pytest_rightsize.errors import NoAnswerError, RungError
from pytest_rightsize.records import Reply, Request
from pytest_rightsize.running.async_tests import QUIET_S, leave_soon
from pytest_rightsize.running.engine import Suspended, Unrecorded
from pytest_rightsize.running.ticket import Question
from pytest_rightsize.served.app_calls import Call, CallReader, fault_sent, leave_or_wait
from pytest_rightsize.served.attempt import Attempt
from pytest_rightsize.served.client_cost import ClientCost
from pytest_rightsize.served.endpoint import Endpoint, Received, Sent
from pytest_rightsize.served.interrupting import Interrupting, may_be_interrupted
from pytest_rightsize.served.left_threads import LeftThreads
from pytest_rightsize.served.leftover import settle, timers
from pytest_rightsize.served.loops import Loops
from pytest_rightsize.served.origins import why_foreign
from pytest_rightsize.served.routing import Routing
from pytest_rightsize.served.sending import looked_up, refusal, reply_sent
from pytest_rightsize.served.shortcut import Shortcut
from pytest_rightsize.served.strays import Strays
from pytest_rightsize.served.wires import WIRES, Wire, wire_of

__all__ = ["Serving"]

# A test that was not left by a signal gets another one after so long.
_AGAIN_S = 0.02
_OVER = "this URL is that of a start which has ended: take model.base_url, model.env or model.client anew in each test"
_UNRECORDED = "there is no recorded answer"
_NOBODY = (
    "no test is running that this call could belong to: it is made at import, in a wider fixture, or by an earlier test"
)


class Serving:
    """The endpoint of one process, and the test that runs there now.

    `bind` opens it, and refuses what is asked until `start`. `port` and `url` are known from `bind` on.
    """

    def __init__(self) -> None:
        self.current: Attempt | None = None
        self.port = 0
        self._endpoint: Endpoint | None = None
        self._interrupting: Interrupting | None = None
        self._on_trouble: Callable[[str], None] = lambda _: None
        self._client_cost: ClientCost | None = None
        self._loops = Loops()
        self._strays = Strays()
        self._calls = CallReader(Routing(), self._strays)
        self._shortcut: Shortcut | None = None
        self._left_threads = LeftThreads(lambda thread: self.current is not None and self.current.has_left(thread))

    @property
    def url(self) -> str:
        """Where the endpoint is, without a path."""
        return f"http://127.0.0.1:{self.port}"

    # --- its life -----------------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Listen on a port of chance; what is asked before a test runs is refused. Raises OSError."""
        if self._endpoint is None:
            self._endpoint = Endpoint(self._answer)
            self.port = self._endpoint.port

    def start(
        self, routing: Routing, *, on_trouble: Callable[[str], None], ours: Iterable[str] = (), interrupts: bool = True
    ) -> None:
        """The tests begin. `ours` are the files of providers, whose threads are not the tests'.

        Without `interrupts`, or where that is not possible, a sync test waits in place.
        """
        self._calls = CallReader(routing, self._strays, ours)
        self._on_trouble = on_trouble
        self._client_cost = ClientCost()
        self._left_threads.open()
        if interrupts and self._interrupting is None:
            self._interrupting = Interrupting(self._leave_now)
            self._tell_why_in_place()
            self._shortcut = Shortcut(self.port, self._answer_here)

    @property
    def why_in_place(self) -> str | None:
        """Why sync tests wait for their replies in place, if they do though they need not."""
        return None if self._interrupting is None else self._interrupting.why_not

    def _tell_why_in_place(self) -> None:
        if self.why_in_place is not None:
            self._on_trouble(f"sync tests wait for their replies one at a time: {self.why_in_place}")

    def stop(self) -> None:
        """The tests are over: the signal is given back, and what is asked is refused."""
        self.current = None
        self._left_threads.close()
        if self._shortcut is not None:
            self._shortcut.close()
            self._shortcut = None
        if self._interrupting is not None:
            self._interrupting.close()
            self._interrupting = None

    def close(self) -> None:
        """Take no request any more."""
        self.stop()
        if self._endpoint is not None:
            self._endpoint.close()

    # --- a start ------------------------------------------------------------------------------------------------------

    def root(self, attempt: Attempt) -> str:
        """The URL below which only this start is served."""
        return f"{self.url}{attempt.path}"

    def begin(self, attempt: Attempt) -> None:
        """What is asked from now on belongs to this start."""
        self.current = attempt
        if self._shortcut is not None:
            self._shortcut.look()
        if self._client_cost is not None:
            self._client_cost.began()

    def settle(self, attempt: Attempt, begun: Sequence[threading.Thread]) -> str | None:
        """Wait for threads that the test has begun; what to say if one runs on for too long, else None."""
        left = settle(begun, lambda: bool(attempt.open_requests), self._calls.ours)
        self._strays.keep(attempt.ticket.test, threads=timers(begun))
        if not left:
            return None
        self._strays.keep(attempt.ticket.test, threads=left)
        return (
            f"{attempt.ticket.test or 'the test'} leaves the thread {left[0].name!r} running, which may ask the model "
            f"of another test: let the test wait for its threads, also where it is left by an exception, or mark it "
            f"rightsize(concurrent=False)"
        )

    def end(self) -> str | None:
        """Nothing belongs to the start any more; its threads are waited for. Returns what is wrong with it, or None."""
        attempt = self.current
        if attempt is None:
            return None
        begun = [thread for thread in threading.enumerate() if thread not in attempt.threads]
        self._left_threads.keep(filter(attempt.has_left, begun))
        self.current = None
        attempt.is_over = True
        self._strays.keep(attempt.ticket.test, tasks=attempt.ticket.left_tasks)
        if self._endpoint is not None and attempt.waiting:
            self._endpoint.call(attempt.wake)
        return self.settle(attempt, begun) if begun else None

    # --- leaving it ---------------------------------------------------------------------------------------------------

    def _press(self, attempt: Attempt) -> None:
        """Have the test left as soon as all it asks side by side has been asked. In the endpoint's loop."""
        ticket = attempt.ticket
        attempt.is_pressed = False
        if attempt.is_over or not ticket.may_be_left:
            # It has been left, or goes on in this start.
            if attempt.is_over or ticket.waiting_for is not None or ticket.is_first_start or not ticket.may_suspend:
                attempt.wake()
            return
        delay = _AGAIN_S
        task = ticket.task
        if task is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                task.get_loop().call_soon_threadsafe(leave_soon, ticket)
        elif self._interrupting is not None:
            quiet = clocks.perf_counter() - ticket.last_asked_s
            if attempt.may_ask_side_by_side and quiet < QUIET_S:
                delay = QUIET_S - quiet
            elif not self._interrupt(self._interrupting):
                self._wait_in_place(attempt)
                return
        else:
            self._wait_in_place(attempt)
            return
        attempt.is_pressed = True
        asyncio.get_running_loop().call_later(delay, self._press, attempt)

    def _interrupt(self, interrupting: Interrupting) -> bool:
        """Interrupt the main thread; False where that is not possible, which is told when it is first seen."""
        was_possible = interrupting.why_not is None
        if interrupting.interrupt():
            return True
        if was_possible:
            self._tell_why_in_place()
        return False

    def _wait_in_place(self, attempt: Attempt) -> None:
        attempt.ticket.may_suspend = False
        attempt.wake()

    def _leave_now(self, frame: FrameType | None) -> None:
        """Raise Suspended where the test waits, and is to be left. In the main thread, from the signal handler."""
        attempt = self.current
        if attempt is None or attempt.ticket.task is not None or not attempt.ticket.may_be_left:
            return
        if not may_be_interrupted(frame, in_loop=Interrupting.in_loop()):
            return
        if attempt.ticket.leave():
            assert self._endpoint is not None
            self._endpoint.call(attempt.wake)
            raise Suspended

    # --- answering ----------------------------------------------------------------------------------------------------

    async def _answer(self, received: Received) -> Sent:
        """One request of whatever program. In the endpoint's loop."""
        foreign = why_foreign(received.headers)
        if foreign is not None:
            return refusal(WIRES[0], 403, foreign)
        attempt, path = self._whose(received.path)
        own = "rightsize" if attempt is None else attempt.asker.rung.name
        known = looked_up(received.method, path, [*sorted(self._calls.routing.stands_for), own])
        if known is not None:
            return known
        wire = wire_of(path)
        if attempt is None:
            return refusal(wire or WIRES[0], 400, _OVER if received.path.startswith("/t/") else _NOBODY)
        self._note_cost(received)
        attempt.open_requests += 1
        try:
            return await self._answer_for(attempt, received, path, wire)
        except Exception as error:  # a fault of ours must not look like an answer of the model
            return self._broken(attempt, wire or WIRES[0], error)
        finally:
            attempt.open_requests -= 1

    @staticmethod
    def _broken(attempt: Attempt, wire: Wire, error: Exception) -> Sent:
        fault = RungError(f"the endpoint broke: {error!r}", reason="crash", alone=True)
        attempt.model.failed(fault)
        return refusal(wire, 400, str(fault))

    def _note_cost(self, received: Received) -> None:
        note = None if self._client_cost is None else self._client_cost.asked(on_new_connection=received.is_first)
        if note is not None:
            self._on_trouble(note)

    def _whose(self, path: str) -> tuple[Attempt | None, str]:
        """The start that a path belongs to, and the path below its root."""
        attempt = self.current
        if not path.startswith("/t/"):
            return attempt, path
        token, _, rest = path.removeprefix("/t/").partition("/")
        return (attempt if attempt is not None and token == attempt.token else None), f"/{rest}"

    async def _answer_for(self, attempt: Attempt, received: Received, path: str, wire: Wire | None) -> Sent:
        call = self._calls.read(attempt, received, path, wire)
        if isinstance(call, Sent):
            return call
        again = self._asked_again(attempt, call.request)
        refused = attempt.why_refused()
        if refused is not None and again is None:
            if attempt.wide_fixture is not None:
                attempt.unserved(refused)
            return refusal(call.wire, 400, refused)
        try:
            reply = await (self._reply(attempt, call) if again is None else self._late(attempt, again))
        except (Suspended, Unrecorded):
            return refusal(call.wire, 400, attempt.why_refused() or _UNRECORDED)
        except (RungError, NoAnswerError) as fault:
            return fault_sent(attempt, call, fault)
        return reply_sent(call.wire, call.asked, reply, closes=self._loops.may_end_with(attempt.ticket))

    @staticmethod
    def _asked_again(attempt: Attempt, request: Request) -> Question | None:
        """What a start asks once more after it was left, as an application does that caught everything and retries.

        It gets the reply when that comes, as its loop might not end otherwise; nothing else is asked for it.
        """
        if attempt.is_over or attempt.ticket.waiting_for is None:
            return None
        return next((one for one in attempt.asked if one.request == request), None)

    async def _late(self, attempt: Attempt, question: Question) -> Reply:
        while not question.future.done() and not attempt.is_over:
            await self._until_woken(attempt, question)
        if not question.future.done():
            raise Suspended
        return attempt.asker.reply(question)

    async def _reply(self, attempt: Attempt, call: Call) -> Reply:
        """The rung's reply, when it is there; raises Suspended once the start is left."""
        ticket = attempt.ticket
        question = attempt.asker.submit(call.request, call.other)
        attempt.asked.append(question)
        if not question.future.done() or (ticket.is_first_start and ticket.may_suspend):
            ticket.wait(question)
            try:
                if not attempt.is_pressed:
                    self._press(attempt)
                while not question.future.done() or (ticket.is_first_start and ticket.may_suspend):
                    await self._until_woken(attempt, question)
                    if attempt.is_over or ticket.waiting_for is not None:
                        raise Suspended
            finally:
                ticket.wait_no_more(question)
        return self._handed_out(attempt, call, question)

    @staticmethod
    def _handed_out(attempt: Attempt, call: Call, question: Question) -> Reply:
        reply = attempt.asker.reply(question, call.other)
        if call.other is None:
            attempt.model.keep(call.request, reply)
        return reply

    async def _until_woken(self, attempt: Attempt, question: Question) -> None:
        """Wait until the reply is there, or something has become of the start."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        if not question.future.done():
            question.future.add_done_callback(lambda _: loop.call_soon_threadsafe(wake))
        attempt.waiting.add(woken)
        try:
            await woken
        finally:
            attempt.waiting.discard(woken)

    # --- answering the thread of the tests ----------------------------------------------------------------------------

    def _answer_here(self, received: Received, frame: FrameType | None) -> Sent | None:
        """The response to what the thread of the tests asks at `frame`, with nothing else to wait for.

        None where it must be asked through the connection. Raises Suspended where the test is to be left.
        """
        attempt, path = self._whose(received.path)
        wire = wire_of(path)
        if attempt is None or wire is None or received.method != "POST" or why_foreign(received.headers) is not None:
            return None
        if not self._may_be_left_here(attempt) or not may_be_interrupted(frame, in_loop=False):
            return None
        self._note_cost(received)
        try:
            call = self._calls.read(attempt, received, path, wire)
            question = call if isinstance(call, Sent) else self._submitted(attempt, call)
        except Exception as error:  # as above
            return self._broken(attempt, wire, error)
        if isinstance(call, Sent):
            return call
        if isinstance(question, Sent):
            return question
        # Outside, as what a signal handler of the test raises meanwhile is the test's own.
        leave_or_wait(attempt.ticket, question)
        try:
            return self._answer_to(attempt, call, question)
        except Exception as error:  # as above
            return self._broken(attempt, wire, error)

    def _may_be_left_here(self, attempt: Attempt) -> bool:
        """Whether the test may be left where its own thread asks, and no other thread of it may ask meanwhile."""
        ticket = attempt.ticket
        if self._interrupting is None or self._interrupting.why_not is not None or ticket.in_teardown:
            return False
        if attempt.why_refused() is not None or ticket.thread != threading.get_ident() or ticket.task is not None:
            return False
        return not (Interrupting.in_loop() or attempt.may_ask_side_by_side) and attempt.asker.may_suspend

    def _submitted(self, attempt: Attempt, call: Call) -> "Question | Sent":
        """The question to the rung, or why it is not asked."""
        try:
            question = attempt.asker.submit(call.request, call.other)
        except (Suspended, Unrecorded):
            return refusal(call.wire, 400, attempt.why_refused() or _UNRECORDED)
        except (RungError, NoAnswerError) as fault:
            return fault_sent(attempt, call, fault)
        attempt.asked.append(question)
        return question

    def _answer_to(self, attempt: Attempt, call: Call, question: Question) -> Sent:
        try:
            return reply_sent(call.wire, call.asked, self._handed_out(attempt, call, question))
        except (RungError, NoAnswerError) as fault:
            return fault_sent(attempt, call, fault)
