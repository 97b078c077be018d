"""The thread of a loaded model, which answers as many requests at a time as the model has slots.

Requests come in, Futures of replies go out; whatever fails becomes a RungError or a TooLongError of its request.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from pytest_rightsize.errors import RightsizeError, RungError, TooLongError
from pytest_rightsize.providers.llama_cpp.chat import LoadedModel
from pytest_rightsize.providers.llama_cpp.completions import Completion
from pytest_rightsize.providers.llama_cpp.native import last_errors
from pytest_rightsize.providers.llama_cpp.watchdog import Watchdog
from pytest_rightsize.providers.own_threads import own_this_thread
from pytest_rightsize.records import Reply, Request

__all__ = ["Worker"]

_CLOSING_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A request, the Future of its reply, and the completions written for it so far."""

    request: Request
    future: Future[Reply] = field(default_factory=Future)
    completions: list[Completion] = field(default_factory=list)

    def is_cancelled(self) -> bool:
        """Whether nobody wants the reply any more; anyone waiting on the Future is then notified."""
        return self.future.cancelled() and not self.future.set_running_or_notify_cancel()


class Worker:
    """A daemon thread that loads one model, answers requests with it in batches, and frees it.

    It is a daemon thread rather than an executor's: Python joins those at its exit, and a model may write for minutes.
    """

    def __init__(
        self, load: Callable[[], LoadedModel], name: str, on_stall: Callable[[str], object] | None = None
    ) -> None:
        """Start the thread; `on_stall` is told in a sentence when nothing has been decoded for a minute."""
        self._load = load
        self._name = name
        self.is_loading = True
        self._stop = threading.Event()
        self.forget = threading.Event()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting: deque[_Job] = deque()
        self._writing: dict[int, _Job] = {}
        self._watchdog = Watchdog(name, on_stall)
        self._thread = threading.Thread(target=self._run, name=f"rightsize {name}", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Reply]:
        """Queue the request."""
        job = _Job(request=request)
        self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """End the thread; requests that still wait end in a RungError."""
        self._stop.set()
        self._watchdog.close()
        self._jobs.put(None)
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        """Load the model, answer requests, free the model; after a failure every request ends in it."""
        own_this_thread()
        try:
            model = self._load()
        except Exception as error:
            self.is_loading = False
            self._settle_all(error)
            return
        self.is_loading = False
        try:
            self._serve(model)
        except Exception as error:
            self._settle_all(error)
        finally:
            model.close()

    def _settle_all(self, error: Exception) -> None:
        """End each request that waits or comes in the error, until the thread is to end."""
        fault = self._as_fault(error)
        outstanding = [*self._writing.values(), *self._waiting]
        self._writing.clear()
        self._waiting.clear()
        for job in outstanding:
            self._settle(job, _copy_of(fault))
        while (job_or_end := self._jobs.get()) is not None:
            self._settle(job_or_end, _StoppedError() if self._stop.is_set() else _copy_of(fault))

    def _serve(self, model: LoadedModel) -> None:
        """Answer queued requests until the thread is to end."""
        waiting, writing = self._waiting, self._writing
        while self._fetch(waiting, may_wait=not (waiting or writing)):
            self._watchdog.moved(len(waiting) + len(writing))
            for ticket in [ticket for ticket, job in writing.items() if job.is_cancelled()]:
                model.batch.cancel(ticket)
                del writing[ticket]
            if waiting and self.forget.is_set():
                self.forget.clear()
                model.batch.forget()
            while waiting and model.batch.has_room:
                self._continue(model, waiting.popleft(), writing)
            for ticket, outcome in self._step(model, writing):
                job = writing.pop(ticket)
                if isinstance(outcome, Exception):
                    self._settle(job, outcome)
                else:
                    job.completions.append(outcome)
                    self._continue(model, job, writing)
            self._watchdog.moved(len(waiting) + len(writing))
        for job in (*writing.values(), *waiting):
            self._settle(job, _StoppedError())

    def _fetch(self, waiting: deque[_Job], *, may_wait: bool) -> bool:
        """Move submitted requests to `waiting`; False if the thread is to end."""
        try:
            while (job := self._jobs.get(block=may_wait)) is not None:
                waiting.append(job)
                may_wait = False
        except queue.Empty:
            return not self._stop.is_set()
        return False

    def _step(self, model: LoadedModel, writing: Mapping[int, _Job]) -> list[tuple[int, Completion | Exception]]:
        """Decode one step of all sequences; if llama.cpp fails, it has failed for each of them."""
        try:
            return model.batch.step()
        except Exception as error:
            fault = self._as_fault(error)
            for ticket in writing:
                model.batch.cancel(ticket)
            return [(ticket, _copy_of(fault)) for ticket in writing]

    def _continue(self, model: LoadedModel, job: _Job, writing: dict[int, _Job]) -> None:
        """Start the next completion of a request, or settle the request if it needs no more."""
        if job.is_cancelled():
            return
        try:
            next_turn = model.next_turn(job.request, job.completions)
            if isinstance(next_turn, Reply):
                self._settle(job, next_turn)
            else:
                writing[model.start(next_turn)] = job
        except Exception as error:
            self._settle(job, error)

    def _settle(self, job: _Job, outcome: Reply | Exception) -> None:
        """Put the reply or the error into the request's Future.

        Only now does the Future count as running: until then it can be cancelled.
        """
        if not job.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Reply):
            job.future.set_result(outcome)
        else:
            job.future.set_exception(self._as_fault(outcome))

    def _as_fault(self, error: Exception) -> RightsizeError:
        """The error to raise to the caller for any exception in this thread."""
        if isinstance(error, RungError | TooLongError):
            return error
        if isinstance(error, _StoppedError):
            return RungError(f"rung {self._name!r}: closed before it had answered", reason="crash")
        if isinstance(error, MemoryError):
            return RungError(f"rung {self._name!r}: out of memory", reason="memory")
        return RungError(
            f"rung {self._name!r}: llama.cpp failed ({type(error).__name__}: {error}){last_errors()}", reason="crash"
        )


class _StoppedError(Exception):
    """The model was closed before the answer was complete."""


def _copy_of(fault: RightsizeError) -> RightsizeError:
    """A new copy of the error: one exception raised in several threads would collect all their tracebacks."""
    if isinstance(fault, RungError):
        return RungError(str(fault), reason=fault.reason, permanent=fault.permanent)
    return type(fault)(*fault.args)
