"""Actors of Ray as `replicas.Handle`: started with what they serve, asked by futures, Ray's errors in two kinds."""

import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

from pytest_rightsize.hosting.ray.engines import Needs
from pytest_rightsize.hosting.ray.replicas import DeadError, UnreachableError
from pytest_rightsize.providers.environment import known_secrets
from pytest_rightsize.providers.own_threads import own_this_thread

__all__ = ["Courier", "Couriers", "RayHandle", "started"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 300
# Requests wait in the driver; this is more than any replica is given.
_CALLS_AT_ONCE = 10_000


class Courier:
    """Brings what Ray's threads say to a thread of its own: who calls Ray within theirs waits for ever.

    Another one brings what is wanted no more to Ray, where a cluster that has gone may keep it waiting.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        threading.Thread(target=self._carry, name=f"rightsize ray {name}", daemon=True).start()

    def carry(self, call: Callable[[], object]) -> None:
        """Have the call made in the courier's thread."""
        self._calls.put(call)

    def _carry(self) -> None:
        own_this_thread()
        while True:
            with suppress(BaseException):  # one answer's trouble must not hold up all others
                self._calls.get()()


@dataclass(frozen=True)
class Couriers:
    """The threads of one rung's handles: for answers, and for cancellations."""

    answers: Courier = field(default_factory=lambda: Courier("answers"))
    cancellations: Courier = field(default_factory=lambda: Courier("cancellations"))


def started(
    ray: Any, couriers: Couriers, served: Mapping[str, Any], needs: Needs, runtime_env: Mapping[str, Any] | None
) -> "RayHandle":
    """An actor that serves a replica, from now on wherever Ray finds a place; never waits."""
    from pytest_rightsize.hosting.ray.actor import ReplicaActor

    options: dict[str, Any] = {
        "num_cpus": needs.cpus,
        "num_gpus": needs.gpus,
        "memory": needs.memory_bytes,
        "resources": dict(needs.others) or None,
        "max_restarts": 0,  # the driver starts another: what ran twice would count twice
        "max_task_retries": 0,
        "max_concurrency": _CALLS_AT_ONCE,
        "scheduling_strategy": "SPREAD",
    }
    if runtime_env is not None:
        options["runtime_env"] = dict(runtime_env)
    return RayHandle(ray, couriers, ray.remote(ReplicaActor).options(**options).remote(dict(served)))


class RayHandle:
    """See `replicas.Handle`."""

    def __init__(self, ray: Any, couriers: Couriers, actor: Any) -> None:
        self._ray = ray
        self._couriers = couriers
        self._actor = actor

    def here(self) -> "Future[Any]":
        """See `Handle`."""
        return self._call("here")

    def hello(self) -> "Future[Any]":
        """See `Handle`."""
        return self._call("hello")

    def ask(self, request: Mapping[str, Any]) -> "Future[Any]":
        """See `Handle`."""
        return self._call("ask", dict(request))

    def so_far(self) -> "Future[Any]":
        """See `Handle`."""
        return self._call("so_far")

    def rest(self) -> "Future[Any]":
        """See `Handle`."""
        return self._call("rest")

    def kill(self) -> None:
        """See `Handle`; nobody waits until the cluster has done it."""
        threading.Thread(target=self._kill, name="rightsize ray kills", daemon=True).start()

    def _kill(self) -> None:
        own_this_thread()
        with suppress(Exception):  # it may be dead, or the cluster gone
            self._ray.kill(self._actor)

    def _call(self, method: str, *arguments: Any) -> "Future[Any]":
        outer: Future[Any] = Future()
        reference = getattr(self._actor, method).remote(*arguments)
        outer.add_done_callback(partial(self._cancel, reference))
        carry = self._couriers.answers.carry
        reference.future().add_done_callback(lambda ended: carry(partial(self._ended, outer, ended)))
        return outer

    def _cancel(self, reference: Any, ended: "Future[Any]") -> None:
        """Have the actor stop what nobody waits for; what it has not begun it never begins, and none is asked again."""
        if ended.cancelled():
            self._couriers.cancellations.carry(partial(self._ray.cancel, reference))

    def _ended(self, outer: "Future[Any]", inner: "Future[Any]") -> None:
        if not outer.set_running_or_notify_cancel():
            return
        try:
            result = inner.result()
        except BaseException as error:  # of Ray, whose errors are of many kinds, and a call that Ray has cancelled
            outer.set_exception(self._kind_of(error))
        else:
            outer.set_result(result)

    def _kind_of(self, error: BaseException) -> BaseException:
        """See `_error`; whoever waits gets an error also where that of Ray cannot be read."""
        try:
            return self._error(error)
        except Exception:  # its text, or the class of its cause, cannot be made here
            return UnreachableError(f"could not be reached ({type(error).__name__})")

    def _error(self, error: BaseException) -> BaseException:
        """Whether the replica is dead, cannot be reached, or has raised an error of its own."""
        errors = self._ray.exceptions
        if isinstance(error, errors.ActorUnavailableError):
            return UnreachableError("could not be reached")
        if isinstance(error, errors.RayActorError):
            return DeadError(f"died ({_words(error)})")
        if isinstance(error, errors.RayTaskError):
            return error.as_instanceof_cause()  # type: ignore[no-any-return]  # an exception
        # A reply that was lost on its way, a worker or a node that broke down, Ray's own trouble.
        return UnreachableError(f"could not be reached ({_words(error)})")


def _words(error: BaseException) -> str:
    """The sentence of a long error of Ray that says why."""
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), None)
    said = said or next((line for line in lines if line.startswith("The actor is dead because")), None)
    said = said or (lines[0] if lines else type(error).__name__)
    return known_secrets().words(said.partition(". Some common causes")[0])[:_LONGEST]
